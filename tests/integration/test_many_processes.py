"""Many processes work on one home at once: every row lands once or is refused, never lost."""

from collections import Counter
from functools import partial
from itertools import accumulate, groupby
from operator import itemgetter
from pathlib import Path

import pytest
from sqlalchemy import select

import backstory
from backstory.lineage.home import Home
from backstory.lineage.observing import Served
from backstory.lineage.store import tables
from tests.databases import Databases, databases, postgresql, sqlite
from tests.integration import crowd, small_home
from tests.integration.crowd import BATCHES, ROWS, together
from tests.integration.small_home import MODEL, SLICE

__all__ = ["databases", "postgresql", "sqlite"]

CROWD = 8


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = backstory.init(tmp_path / "home")
    home.create_slice(small_home.CONTRACT)
    return home


def stored(home: Home) -> Counter[str]:
    """How often each row is there."""
    with backstory.open(home.settings.home) as opened:
        assert opened.verify().intact
        assert [check.name for check in opened.doctor() if check.health != "ok"] == []
        return Counter(opened.slice(SLICE).at().arrow()["event_id"].to_pylist())


def batches(*numbers: int) -> Counter[str]:
    return Counter(str(row["event_id"]) for n in numbers for row in small_home.thumbs(n, ROWS))


def train(home: Home, folder: Path, versions: int) -> None:
    for number in range(versions):
        (folder / "model").write_text(f"weights {number}")
        with home.retraining(MODEL, code=folder) as run:
            run.register(folder / "model")


def test_own_sources_land_once(home: Home) -> None:
    said = together(crowd.own_source, home.settings.home, CROWD)
    assert said == ["stored"] * CROWD * BATCHES
    assert stored(home) == batches(*range(CROWD * BATCHES))


def test_offsets_of_one_source_land_once_or_are_refused(home: Home) -> None:
    said = together(crowd.shared_offsets, home.settings.home, CROWD)
    landed = [int(line.split()[1]) for line in said if line.startswith("stored")]
    refused = [int(line.split()[1]) for line in said if line.startswith("refused")]
    assert sorted(landed + refused) == list(range(CROWD * BATCHES))
    assert stored(home) == batches(*landed)
    offsets = [use.commit.offset for use in home.history(SLICE) if use.commit.source == "log"]
    assert offsets == sorted((place + 1 for place in landed), reverse=True)


def test_counted_offsets_of_one_source_land_once(home: Home) -> None:
    said = together(crowd.counted_offsets, home.settings.home, CROWD)
    assert said == ["stored"] * CROWD * BATCHES
    assert stored(home) == batches(*range(CROWD * BATCHES))


def test_a_table_of_interactions_is_made_once(home: Home, tmp_path: Path) -> None:
    train(home, tmp_path, 1)
    together(crowd.record, home.settings.home, CROWD)
    with backstory.open(home.settings.home) as opened:
        assert list(opened.impact(f"{MODEL}@1").answers.values()) == [CROWD * BATCHES]
        recorded = opened.slice(f"_interactions/{MODEL}").at().arrow()["external_id"].to_pylist()
        assert sorted(recorded) == sorted(f"{n}-{t}" for n in range(CROWD) for t in range(BATCHES))


def test_four_processes_open_a_new_home(home: Home) -> None:
    home.close()
    (store,) = home.settings.home.glob("lineage.db")
    store.write_bytes(b"")  # a store that nobody has laid yet
    assert together(crowd.look, home.settings.home, 4) == ["sees 1"] * 4
    with backstory.open(home.settings.home) as opened:
        assert len(opened.history(SLICE)) == 1


def test_concurrent_deployments_never_exceed_all_traffic(home: Home, tmp_path: Path) -> None:
    train(home, tmp_path, BATCHES - 1)
    said = together(crowd.deploy, home.settings.home, 4)
    assert set(said) <= {"stored", "refused"}
    intervals = home.deployments("prod")
    for at in {interval.from_at for interval in intervals}:
        assert sum(i.share for i in home.deployments("prod", at=at)) <= 1 + 1e-9
    assert said.count("stored") == len({interval.deployment for interval in intervals})


@pytest.mark.parametrize("times", [12, pytest.param(1000 // CROWD, marks=pytest.mark.soak)])
def test_a_history_of_many_writers_is_one_history(
    databases: Databases, tmp_path: Path, times: int
) -> None:
    url = databases.laid()
    with backstory.init(tmp_path / "home", database_url=url) as home:
        train(home, tmp_path, crowd.SERVED)
        together(partial(crowd.serve, times=times), home.settings.home, CROWD)
        with home.store.reader() as conn:
            leaves = conn.execute(select(tables.audit_leaf).order_by(tables.audit_leaf.c.seq))
            instants = [leaf.at for leaf in leaves]
        assert instants == sorted(instants)
        for as_of in instants:
            check_shares(home.deployments(as_of=as_of))
        check_shares(home.deployments())
        check_amendments(home)
        assert home.verify().intact
    databases.drop(url)


def check_amendments(home: Home) -> None:
    """Each record is superseded once: nobody amends what another one has amended unseen."""
    amended = home.amendments(limit=1000)
    assert amended
    assert len({one.seq for one in amended}) == len(amended)
    with home.store.reader() as conn:
        rows = conn.execute(select(tables.amendment.c.before)).scalars().all()
    assert len(rows) == len(set(rows))


def check_shares(intervals: list[Served]) -> None:
    """At no instant may versions that answer users take more than all traffic."""
    counted = [i for i in intervals if i.mode in {"live", "canary"}]
    changes = [(i.environment, i.from_at, i.share) for i in counted]
    changes += [(i.environment, i.until_at, -i.share) for i in counted if i.until_at is not None]
    for environment, steps in groupby(sorted(changes), itemgetter(0)):
        shares = accumulate(share for *_, share in steps)
        assert max(shares) <= 1 + 1e-6, environment
