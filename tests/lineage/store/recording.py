"""What tests of the store write into it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from sqlalchemy import event
from sqlalchemy.engine import Connection, Engine

from backstory.lineage.audit.leaf import Actor
from backstory.lineage.graph import EdgeKind, EntityKind, Evidence
from backstory.lineage.store import tables
from backstory.lineage.store.unit_of_work import Store, Unit
from backstory.lineage.store.writes import add_edge, add_entity, insert

ADA = Actor(name="ada")
START = datetime(2026, 11, 24, 9, tzinfo=UTC)
DIGEST = "ab" * 32


def ticking(start: datetime = START, step: timedelta = timedelta(seconds=1)) -> Callable[[], Any]:
    """A clock that goes on by `step` each time it is read."""
    now = start - step

    def tick() -> datetime:
        nonlocal now
        now += step
        return now

    return tick


@contextmanager
def unit(store: Store, action: str = "test.write", resource: str = "test") -> Iterator[Unit]:
    with store.unit(ADA, action, resource) as opened:
        yield opened


def add_run(unit: Unit, run_id: str, **more: Any) -> int:
    number = add_entity(unit, EntityKind.RUN, f"run:{run_id}", run_id)
    row = {"namespace": "tests", "job": "train", **more}
    insert(unit, tables.run, id=number, run_id=run_id, **row)
    return number


def add_chain(store: Store, length: int, prefix: str = "run") -> list[int]:
    """Runs, each of which read what the one before made."""
    with unit(store) as opened:
        numbers = [
            add_entity(opened, EntityKind.RUN, f"run:{prefix}{i}", f"{prefix}{i}")
            for i in range(length)
        ]
        for src, dst in pairwise(numbers):
            add_edge(opened, src, dst, EdgeKind.READ, Evidence.OBSERVED)
    return numbers


@contextmanager
def statements(engine: Engine) -> Iterator[list[str]]:
    """The SQL statements that are sent meanwhile, transaction control left out."""
    sent: list[str] = []

    def note(_conn: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if not statement.startswith("BEGIN"):
            sent.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(engine, "before_cursor_execute", note)


@contextmanager
def behind_its_back(store: Store) -> Iterator[Connection]:
    """A transaction that nothing watches and that is undone."""
    with store.engine.connect() as connection:
        transaction = connection.begin()
        connection.exec_driver_sql(
            "PRAGMA defer_foreign_keys = ON"
            if store.engine.dialect.name == "sqlite"
            else "SET LOCAL session_replication_role = replica"
        )
        yield connection
        transaction.rollback()


def drop_guards(connection: Connection, table: str) -> None:
    """Take the triggers away that keep a table append-only."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"DROP TRIGGER {table}_append_only ON {table}")
    else:
        connection.exec_driver_sql(f"DROP TRIGGER {table}_no_update")
        connection.exec_driver_sql(f"DROP TRIGGER {table}_no_delete")
