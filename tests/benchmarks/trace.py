"""Traces of 1,000, 10,000 and 100,000 versions, beside the one join that would answer least of it.

Each run read three snapshots, each version has a history of 20 (see `world`). The join is what
somebody would write by hand for this one question, built once, on the same database; the trace
gives the same things as a graph with evidence, selections, states, pins and what lies beyond.

The join has connections of its own: its rollback makes psycopg forget the statements that the
server has prepared for a connection. A join that commits keeps its own, and stands beside it.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import sqlalchemy as sa

from backstory.lineage.store import tables as t
from backstory.lineage.store.engine import connect
from tests.benchmarks.report import Measure, Topic, Work, interleaved, ratio
from tests.benchmarks.world import GENERATIONS, World, family, grow
from tests.databases import PostgresqlServer
from tests.lineage.store.recording import statements

SIZES = (1_000, 10_000, 100_000)
ROUNDS = 300
GROWTH = 1.3
BESIDE_JOIN = 3
AS_OF = 1.2
BEYOND_LEVELS = 10  # statements of a trace that are not those of its levels

GENERATION = 3  # edges from one version to the one before: by its run and a snapshot

_CAUSES = (
    sa.select(
        t.model_version.c.artifact,
        t.model_version.c.at,
        t.run.c.run_id,
        t.run.c.job,
        t.slice_.c.name,
        t.snapshot.c.version,
        t.snapshot.c.digest,
        t.run_read.c.role,
        t.run_read.c.rows,
    )
    .join(t.run, t.run.c.id == t.model_version.c.run)
    .join(t.run_read, t.run_read.c.run == t.run.c.id)
    .join(t.snapshot, t.snapshot.c.id == t.run_read.c.snapshot)
    .join(t.slice_, t.slice_.c.id == t.snapshot.c.slice)
    .where(
        t.model_version.c.model == sa.bindparam("name"),
        t.model_version.c.number == sa.bindparam("number"),
    )
)
_EFFECTS = (
    sa.select(
        t.snapshot.c.digest,
        t.run_read.c.role,
        t.run_read.c.rows,
        t.run.c.run_id,
        t.run.c.job,
        t.model_version.c.model,
        t.model_version.c.number,
        t.model_version.c.artifact,
    )
    .join(t.slice_, t.slice_.c.id == t.snapshot.c.slice)
    .join(t.run_read, t.run_read.c.snapshot == t.snapshot.c.id)
    .join(t.run, t.run.c.id == t.run_read.c.run)
    .join(t.model_version, t.model_version.c.run == t.run.c.id)
    .where(
        t.slice_.c.name == sa.bindparam("name"),
        t.snapshot.c.version == sa.bindparam("number"),
    )
)


def measure(sizes: tuple[int, ...] = SIZES, rounds: int = ROUNDS) -> Iterator[Topic]:
    """Both databases."""
    with family() as first, TemporaryDirectory(prefix="backstory-bench-") as folder:
        yield _measure(
            "trace on SQLite",
            {size: grow(first, f"sqlite:///{folder}/{size}.db", size) for size in sizes},
            rounds,
        )
        with postgresql_server(Path(folder)) as server:
            worlds = {size: grow(first, server.empty(), size) for size in sizes}
            yield _measure("trace on PostgreSQL", worlds, rounds)
            for world in worlds.values():
                world.home.store.close()


@contextmanager
def postgresql_server(folder: Path) -> Iterator[PostgresqlServer]:
    """A server in a folder, for as long as it is measured."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", str(folder))  # a warning without it
        server = PostgresqlServer(folder / "data")
        try:
            yield server
        finally:
            server.stop()


def _measure(name: str, worlds: Mapping[int, World], rounds: int) -> Topic:
    works: dict[str, Work] = {}
    for size, world in worlds.items():
        works |= {f"{what} of {size:,}": work for what, work in _works(world).items()}
    for world in worlds.values():
        _check(world)
    times = interleaved(works, rounds)
    largest = list(worlds)[-1]
    measures = [*_growths(times, worlds), *_beside(times, worlds), _statements(worlds[largest])]
    return Topic(name=name, measures=measures)


def _check(world: World) -> None:
    """That each question is answered in full, before anybody looks at how fast."""
    found = [
        len(world.home.trace(world.version(1), depth=2).graph.nodes),
        len(world.home.impact(world.base(1), depth=2).graph.nodes),
        len(world.home.trace(world.version(1), depth=GENERATION * GENERATIONS).graph.nodes),
    ]
    snapshots = 2 * GENERATIONS + 1
    if found != [5, 1 + 2 * GENERATIONS, snapshots + 2 * GENERATIONS]:
        raise AssertionError(f"{world.versions} versions: the graph has other things: {found}")


def _works(world: World) -> dict[str, Work]:
    home = world.home
    rolled_back, committed = (connect(world.url) for _ in range(2))
    known = home.clock()

    def join(statement: sa.Select[tuple[object, ...]], ref: str) -> object:
        with rolled_back.connect() as connection:
            return connection.execute(statement, _place(ref)).all()

    def committing(statement: sa.Select[tuple[object, ...]], ref: str) -> object:
        with committed.begin() as connection:
            return connection.execute(statement, _place(ref)).all()

    # Each asks of another family, so that none finds what the one before has warmed.
    return {
        "trace": lambda at: home.trace(world.version(7 * at), depth=2),
        "join": lambda at: join(_CAUSES, world.version(7 * at + 1)),
        "committing join": lambda at: committing(_CAUSES, world.version(7 * at + 2)),
        "impact": lambda at: home.impact(world.base(7 * at + 3), depth=2),
        "reverse join": lambda at: join(_EFFECTS, world.base(7 * at + 4)),
        "history": lambda at: home.trace(world.version(7 * at + 5), depth=GENERATION * GENERATIONS),
        "trace as of": lambda at: home.trace(world.version(7 * at + 6), depth=2, as_of=known),
    }


def _place(ref: str) -> dict[str, object]:
    name, _, number = ref.partition("@")
    return {"name": name, "number": int(number)}


def _growths(times: Mapping[str, float], worlds: Mapping[int, World]) -> Iterator[Measure]:
    least, *_, most = worlds
    told = {
        "trace": "version, run, snapshots",
        "impact": f"snapshot, runs, {GENERATIONS} versions",
        "history": f"history of {GENERATIONS} versions",
    }
    for work, what in told.items():
        of, to = f"{work} of {most:,}", f"{work} of {least:,}"
        yield ratio(f"{what}: {most:,} beside {least:,}", times, of, to, at_most=GROWTH)


def _beside(times: Mapping[str, float], worlds: Mapping[int, World]) -> Iterator[Measure]:
    # An impact of a base tells eight times the things of its join, so that no goal compares them.
    told = (
        ("trace", "join", BESIDE_JOIN),
        ("trace", "committing join", None),
        ("trace as of", "trace", AS_OF),
        ("impact", "reverse join", None),
    )
    for work, other, goal in told:
        for size in worlds:
            of, to = f"{work} of {size:,}", f"{other} of {size:,}"
            yield ratio(f"{work} beside the {other}, {size:,}", times, of, to, at_most=goal)


def _statements(world: World) -> Measure:
    with statements(world.home.store.engine) as sent:
        graph = world.home.trace(world.version(1), depth=GENERATION * GENERATIONS).graph
    levels = max(node.distance for node in graph.nodes) + 1
    return Measure(
        what=f"statements beyond one a level, {levels} levels and {len(graph.nodes)} things",
        value=len(sent) - levels,
        unit="",
        at_most=BEYOND_LEVELS,
    )
