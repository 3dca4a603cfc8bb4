import os
import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from backstory.lake.errors import (
    ConflictError,
    IntegrityError,
    InvalidError,
    LimitExceededError,
    RefusedError,
    UnavailableError,
)
from backstory.lineage.audit.leaf import Leaf, leaf_hash, parse_body
from backstory.lineage.graph import EntityKind
from backstory.lineage.store import integrity, tables
from backstory.lineage.store.audit_log import append, first_facts, first_time, log_root
from backstory.lineage.store.engine import connect
from backstory.lineage.store.unit_of_work import Store
from backstory.lineage.store.writes import add_entity
from tests.lineage.audit.definition import naive_root
from tests.lineage.store.recording import (
    ADA,
    START,
    add_run,
    behind_its_back,
    drop_guards,
    statements,
    ticking,
    unit,
)


def leaves(store: Store) -> list[sa.Row[*tuple[object, ...]]]:
    with store.reader() as connection:
        return list(connection.execute(sa.select(tables.audit_leaf).order_by("seq")))


def entities(store: Store) -> int:
    with store.reader() as connection:
        count: int = connection.execute(sa.select(sa.func.count(tables.entity.c.id))).scalar_one()
        return count


def test_a_unit_leaves_one_entry_that_says_who_what_and_why(store: Store) -> None:
    with store.unit(ADA, "run.start", "run:1", reason="nightly", request_id="r-1") as opened:
        add_run(opened, "1")
        opened.note(trigger="schedule")
        opened.note(inputs=2)
    (leaf,) = leaves(store)
    assert leaf.leaf_hash == leaf_hash(leaf.body)
    body = parse_body(leaf.body)
    assert {name: body[name] for name in ("v", "seq", "at", "action", "resource", "reason")} == {
        "v": 1,
        "seq": 0,
        "at": "2026-11-24T09:00:00Z",
        "action": "run.start",
        "resource": "run:1",
        "reason": "nightly",
    }
    assert body["request_id"] == "r-1"
    assert body["actor"] == {"name": "ada", "known_by": "os-user"}
    assert body["facts"] == {"trigger": "schedule", "inputs": 2}
    assert {table: said["count"] for table, said in body["rows"].items()} == {"entity": 1, "run": 1}


def test_rows_say_with_which_entry_they_came(store: Store) -> None:
    for run in ("a", "b"):
        with unit(store) as opened:
            add_run(opened, run)
    with store.reader() as connection:
        assert connection.execute(
            sa.select(tables.run.c.recorded_seq).order_by(tables.run.c.id)
        ).scalars().all() == [0, 1]


def test_an_exception_undoes_everything(store: Store) -> None:
    with pytest.raises(ZeroDivisionError), unit(store) as opened:
        opened.note(nothing=add_run(opened, "lost") / 0)
    assert (leaves(store), entities(store)) == ([], 0)
    with unit(store) as opened:
        assert opened.seq == 0


def test_a_unit_that_changed_nothing_leaves_no_entry(store: Store) -> None:
    with unit(store):
        pass
    assert leaves(store) == []


def test_a_note_alone_is_worth_an_entry(store: Store) -> None:
    with unit(store, "home.init") as opened:
        opened.note(key={"k1": "check"})
    with unit(store, "home.init") as opened:
        opened.note(key={"k2": "later"})
    with store.reader() as connection:
        assert first_facts(connection, "home.init") == {"key": {"k1": "check"}}
        assert integrity.recorded_key_check(connection) == {"k1": "check"}
        assert first_facts(connection, "no.such") == {}


def test_what_has_no_canonical_form_undoes_the_unit(store: Store) -> None:
    with pytest.raises(InvalidError, match="cannot be logged"), unit(store) as opened:
        opened.note(share=float("nan"))
    with pytest.raises(LimitExceededError, match="65,535"), unit(store) as opened:
        opened.note(run=add_run(opened, "1"), everything="x" * 70_000)
    assert (leaves(store), entities(store)) == ([], 0)


def test_units_do_not_nest(store: Store) -> None:
    with unit(store, "outer.work") as opened:
        add_run(opened, "1")
        with pytest.raises(RefusedError, match=r"inner\.work: outer\.work is not finished"):
            store.unit(ADA, "inner.work", "x").__enter__()
    assert len(leaves(store)) == 1
    with unit(store) as opened:  # and the store is usable again
        add_run(opened, "2")


def test_time_never_goes_back(url: str) -> None:
    backwards = Store(connect(url), ticking(step=timedelta(hours=-1)))
    for run in ("a", "b"):
        with unit(backwards) as opened:
            add_run(opened, run)
            assert opened.at == START
    with backwards.reader() as connection:
        assert first_time(connection) == START
        assert list(integrity.check(connection)) == []
    backwards.close()


def test_the_log_has_no_first_time_before_its_first_entry(store: Store) -> None:
    with store.reader() as connection:
        assert first_time(connection) is None


def test_the_root_is_that_of_the_standard_at_every_size(store: Store) -> None:
    for size in range(14):
        entries = [leaf.body for leaf in leaves(store)]
        with store.reader() as connection:
            assert log_root(connection) == (size, naive_root([*map(leaf_hash, entries)]).hex())
        with unit(store) as opened:
            opened.note(size=size)


def test_a_log_with_holes_takes_no_entry(store: Store) -> None:
    for i in range(3):
        with unit(store) as opened:
            opened.note(i=i)
    with behind_its_back(store) as connection:
        drop_guards(connection, "audit_node")
        connection.exec_driver_sql("DELETE FROM audit_node WHERE level = 1")
        with pytest.raises(IntegrityError, match=r"the audit log has no subtree \(1, 0\)"):
            log_root(connection)
        with pytest.raises(IntegrityError, match=r"the audit log has no subtree \(1, 0\)"):
            append(connection, Leaf(seq=3, at=START, actor=ADA, action="test", resource="x"))


@pytest.mark.parametrize("table", ["audit_leaf", "audit_node"])
@pytest.mark.parametrize("change", ["UPDATE {} SET hash = NULL", "DELETE FROM {}"])
def test_the_log_is_append_only(store: Store, table: str, change: str) -> None:
    for i in range(2):
        with unit(store) as opened:
            opened.note(i=i)
    sql = change.format(table).replace("hash", "hash" if table == "audit_node" else "leaf_hash")
    with pytest.raises(ConflictError, match="append-only"), unit(store) as opened:
        opened.connection.exec_driver_sql(sql)


def test_a_unit_costs_few_statements(store: Store) -> None:
    with unit(store) as opened:
        opened.note(warm=True)
    with statements(store.engine) as sent, unit(store) as opened:
        add_entity(opened, EntityKind.RUN, "run:1", "1")
    lock = 0 if store.engine.dialect.name == "sqlite" else 1
    # lock, head of the log; lookup, insert; leaf, its left sibling, node
    assert len(sent) == lock + 1 + 2 + 3


def test_a_reader_sees_one_state_and_blocks_no_writer(store: Store) -> None:
    with store.reader() as connection:
        count = sa.select(sa.func.count(tables.entity.c.id))
        assert connection.execute(count).scalar() == 0
        with unit(store) as opened:
            add_run(opened, "1")
        assert connection.execute(count).scalar() == 0
    assert entities(store) == 1


def test_a_writer_waits_for_the_other_one(store: Store) -> None:
    inside = threading.Event()
    order = []

    def second() -> None:
        inside.wait()
        with unit(store) as opened:
            order.append("second")
            add_run(opened, "2")

    thread = threading.Thread(target=second)
    thread.start()
    with unit(store) as opened:
        inside.set()
        add_run(opened, "1")
        thread.join(0.2)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]
    assert [leaf.seq for leaf in leaves(store)] == [0, 1]


def test_a_writer_does_not_wait_for_ever(url: str, store: Store) -> None:
    impatient = Store(connect(url, wait=0.1), ticking())
    with unit(store) as opened:
        add_run(opened, "1")
        with pytest.raises(UnavailableError, match="locked by another writer"), unit(impatient):
            pass
    with unit(impatient) as opened:
        add_run(opened, "2")
    impatient.close()


_WRITER = """
import sys
from datetime import UTC, datetime
from backstory.lineage.audit.leaf import Actor
from backstory.lineage.graph import EntityKind
from backstory.lineage.store.engine import connect
from backstory.lineage.store.unit_of_work import Store
from backstory.lineage.store.writes import add_entity

url, name, count = sys.argv[1:]
store = Store(connect(url), lambda: datetime.now(UTC))
for i in range(int(count)):
    with store.unit(Actor(name=name), "test.write", "x") as unit:
        add_entity(unit, EntityKind.RUN, f"run:{name}-{i}", "x")
        add_entity(unit, EntityKind.JOB, f"job:shared-{i}", "x")
"""


def write(url: str, name: str, count: int, **environment: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", _WRITER, url, name, str(count)]
    return subprocess.Popen(command, env={**os.environ, **environment})


def test_eight_processes_leave_one_log_without_gaps(url: str, store: Store) -> None:
    writers = [write(url, f"w{i}", 12) for i in range(8)]
    assert [writer.wait() for writer in writers] == [0] * 8
    assert [leaf.seq for leaf in leaves(store)] == list(range(96))
    assert entities(store) == 96 + 12
    with store.reader() as connection:
        assert list(integrity.check(connection)) == []


@pytest.mark.parametrize(
    ("point", "survives"), [("unit.before_commit", 0), ("unit.after_commit", 1)]
)
def test_killed_around_the_commit(url: str, store: Store, point: str, survives: int) -> None:
    assert write(url, "w", 3, BACKSTORY_CRASH_AT=point).wait() == -signal.SIGKILL
    assert len(leaves(store)) == survives
    assert entities(store) == 2 * survives
    assert write(url, "w", 3).wait() == 0
    assert len(leaves(store)) == 3
    with store.reader() as connection:
        assert list(integrity.check(connection)) == []


def test_a_naive_clock_is_refused(url: str) -> None:
    naive = Store(connect(url), lambda: datetime(2026, 11, 24, tzinfo=UTC).replace(tzinfo=None))
    with pytest.raises(InvalidError, match="no time zone"), unit(naive) as opened:
        opened.note(x=1)
    naive.close()
