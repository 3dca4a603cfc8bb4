from datetime import timedelta

from backstory.lineage.graph import EntityKind
from backstory.lineage.store import slices
from backstory.lineage.store import tables as t
from backstory.lineage.store.engine import connect
from backstory.lineage.store.unit_of_work import Store
from backstory.lineage.store.writes import add_entity, insert
from tests.databases import Databases
from tests.lineage.store.recording import DIGEST, START, ticking, unit


def add_slice(store: Store, name: str = "thumbs") -> int:
    with unit(store) as opened:
        number = add_entity(opened, EntityKind.SLICE, f"slice:{name}", name)
        insert(opened, t.slice_, id=number, name=name, flavour="managed", table_id="t")
    return number


def add_commits(store: Store, slice_id: int, count: int, first: int = 0) -> None:
    with unit(store) as opened:
        for version in range(first, first + count):
            insert(
                opened,
                t.commit,
                slice=slice_id,
                version=version,
                at=START + timedelta(minutes=version),
                operation="WRITE",
                rows=3,
                log_digest=DIGEST,
            )


def test_a_slice_knows_its_newest_commit(store: Store) -> None:
    used, unused = add_slice(store, "used"), add_slice(store, "unused")
    add_commits(store, used, 3)
    with store.reader() as conn:
        found = {record.name: record for record in slices.slices(conn)}
        assert (found["used"].last_version, found["used"].last_at) == (
            2,
            START + timedelta(minutes=2),
        )
        assert (found["unused"].last_version, found["unused"].last_at) == (-1, None)
        assert slices.slice_by_name(conn, "used") == found["used"]
        assert slices.slices_by_id(conn, [used, 99]) == {used: found["used"]}
        assert slices.last_versions(conn) == {"used": (used, 2), "unused": (unused, -1)}
        assert slices.rows_added(conn, [used, unused]) == {used: 9}


def test_finding_a_slice_costs_the_same_however_long_its_history_is(sqlite: Databases) -> None:
    store = Store(connect(sqlite.laid()), ticking())
    number = add_slice(store)
    costs: list[int] = []
    for commits in (10, 500):
        add_commits(store, number, commits, first=len(costs) * 10)
        costs.append(_steps_of_finding(store))
    assert costs[0] == costs[1]
    store.close()


def _steps_of_finding(store: Store) -> int:
    """How many steps SQLite's machine makes."""
    steps = 0

    def step() -> int:
        nonlocal steps
        steps += 1
        return 0

    with store.reader() as conn:
        driver = conn.connection.driver_connection
        assert driver is not None
        driver.set_progress_handler(step, 1)
        slices.slice_by_name(conn, "thumbs")
        driver.set_progress_handler(None, 1)
    return steps
