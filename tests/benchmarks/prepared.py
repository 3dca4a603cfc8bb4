"""What a prepared statement saves: looking up one thing by key, beside the same through SQLAlchemy.

ADR 7 rests on these figures.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import sqlalchemy as sa

from backstory.lineage.store.prepared import Prepared
from backstory.lineage.store.tables import entity
from tests.benchmarks.report import Topic, interleaved, ratio
from tests.benchmarks.trace import postgresql_server
from tests.benchmarks.world import World, family, grow

VERSIONS = 1_000
LOOKUPS = 100  # in one transaction, as a walk has many
ROUNDS = 100
BESIDE_CORE = 0.5

_STATEMENT = sa.select(entity.c.id, entity.c.kind, entity.c.key, entity.c.label).where(
    entity.c.key == sa.bindparam("key")
)
_PREPARED = Prepared(_STATEMENT)


def measure() -> Iterator[Topic]:
    """Both databases; on PostgreSQL the way to the server and back is most of it."""
    with family() as first, TemporaryDirectory(prefix="backstory-bench-") as folder:
        yield _measure("SQLite", grow(first, f"sqlite:///{folder}/store.db", VERSIONS), BESIDE_CORE)
        with postgresql_server(Path(folder)) as server:
            world = grow(first, server.empty(), VERSIONS)
            yield _measure("PostgreSQL", world, None)
            world.home.store.close()


def _measure(database: str, world: World, goal: float | None) -> Topic:
    def core(connection: sa.Connection, key: str) -> list[Any]:
        return list(connection.execute(_STATEMENT, {"key": key}))

    def prepared(connection: sa.Connection, key: str) -> list[Any]:
        return _PREPARED.rows(connection, key=key)

    def lookups(look_up: Callable[[sa.Connection, str], list[Any]], at: int) -> None:
        with world.home.store.reader() as connection:
            for number in range(LOOKUPS):
                look_up(connection, world.version(at + number))

    works = {"prepared": lambda at: lookups(prepared, at), "Core": lambda at: lookups(core, at)}
    times = interleaved(works, ROUNDS)
    what = f"{LOOKUPS} lookups, prepared beside Core"
    found = ratio(what, times, "prepared", "Core", at_most=goal)
    return Topic(name=f"prepared statements on {database}", measures=[found])
