"""A home with as many model versions as wanted: one family made by the SDK, the others its copies.

A family is one model with 20 versions. Each version was trained on three snapshots: a base that all
of them read, the notes up to then, and of the thumbs the last batch, half of which was given on
answers of the version before. So a version's history is a chain of 20 versions, three edges each.
Copies are made inside the database, row by row, with other numbers, names and digests; the graph of
a copy touches no other.
"""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import sqlalchemy as sa

from backstory.lineage.home import Home, init
from backstory.lineage.store import tables
from backstory.lineage.store.engine import connect, is_sqlite
from backstory.lineage.store.unit_of_work import Store
from backstory.lineage.store.upgrade import upgrade

GENERATIONS = 20
ROWS = 4  # of a batch of feedback

# In every name and id of the first family, so that a copy can have its own.
FIRST_FAMILY = 10_000_000

CONTRACT = """
slice: {name}
purpose: measure
columns:
  event_id: {{type: string, role: event_id, nullable: false}}
  at: {{type: timestamp, role: event_time}}
  interaction: {{type: string, role: interaction_id}}
  batch: {{type: int64, nullable: false}}
"""

# What a trace reads; events, facets and contracts would only take time to copy.
_COPIED = (
    tables.entity,
    tables.name,
    tables.slice_,
    tables.commit,
    tables.snapshot,
    tables.pin,
    tables.run,
    tables.run_state,
    tables.run_read,
    tables.artifact,
    tables.model_version,
    tables.edge,
)
_BROUGHT = (*_COPIED, tables.audit_leaf)
_DIGESTS = frozenset({"digest", "artifact", "batch", "log_digest"})


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """A home with many versions.

    Attributes:
        versions: how many.
        url: the database.
        home: to ask; only its store is that large, its lake holds the first family.
    """

    versions: int
    url: str
    home: Home

    def version(self, at: int) -> str:
        """The ref of a newest version, of whichever family."""
        return f"ranker-{self._family(at)}@{GENERATIONS}"

    def base(self, at: int) -> str:
        """The ref of a snapshot that a whole family read."""
        return f"base-{self._family(at)}@1"

    def _family(self, at: int) -> int:
        # A copy, spread over them all; a prime step meets each before it meets one again.
        return FIRST_FAMILY + 1 + at * 7_919 % (self.versions // GENERATIONS - 1)


@contextmanager
def family() -> Iterator[Home]:
    """A home with the first family, made as a user would make it."""
    with TemporaryDirectory(prefix="backstory-bench-") as folder:
        home = init(Path(folder, "home"), clock=_ticking())
        count = itertools.count()
        # Every id tells its family, so that a copy can have its own.
        home = replace(home, new_id=lambda: f"{next(count):08x}-0000-7000-8000-0000{FIRST_FAMILY}")
        with home:
            _live(home, Path(folder))
            yield home


def grow(first: Home, url: str, versions: int) -> World:
    """Copy the first family into a new database until it holds so many versions."""
    upgrade(connect(url))
    loader = connect(url)
    if is_sqlite(loader):
        sa.event.listen(loader, "connect", _trusting)
    stride = _copy_first(first, loader)
    with loader.begin() as connection:
        if not is_sqlite(loader):
            connection.exec_driver_sql("SET session_replication_role = replica")  # trusting
        for table in _COPIED:
            connection.execute(_copies(table, stride, versions // GENERATIONS - 1))
        if not is_sqlite(loader):
            connection.exec_driver_sql("ANALYZE")  # autovacuum would do it in a while
    loader.dispose()
    store = Store(connect(url), first.clock)
    return World(versions=versions, url=url, home=replace(first, store=store))


def _live(home: Home, scratch: Path) -> None:
    """Twenty generations: answers, feedback on them, a retraining."""
    model = f"ranker-{FIRST_FAMILY}"
    base, thumbs, notes = (f"{name}-{FIRST_FAMILY}" for name in ("base", "thumbs", "notes"))
    for name in (base, thumbs, notes):
        home.create_slice(CONTRACT.format(name=name))
    home.slice(base).append(_feedback(0, []))
    for generation in range(1, GENERATIONS + 1):
        answered = _answers(home, f"{model}@{generation - 1}") if generation > 1 else []
        home.slice(thumbs).append(_feedback(generation, answered))
        home.slice(notes).append(_feedback(generation, []))
        with home.retraining(model, code=scratch) as run:
            run.read(base)
            run.read(thumbs, where=f"batch = {generation}")
            run.read(notes)
            weights = scratch / "weights.txt"
            weights.write_text(f"generation {generation}")
            run.register(weights)


def _answers(home: Home, version: str) -> list[str]:
    log = home.interactions(version.partition("@")[0])
    return [log.record(request=1, response=2, version=version)]


def _feedback(generation: int, answered: list[str]) -> list[dict[str, Any]]:
    answers = answered * (ROWS // 2) + [None] * ROWS
    return [
        {
            "event_id": f"{generation}-{row}",
            "at": datetime(2026, 11, 24, tzinfo=UTC),
            "interaction": answers[row],
            "batch": generation,
        }
        for row in range(ROWS)
    ]


def _copy_first(first: Home, target: sa.Engine) -> int:
    """Bring over the first family; gives the distance that a copy's numbers need."""
    largest = 0
    with first.store.reader() as source, target.begin() as connection:
        for table in _BROUGHT:
            rows = [dict(row) for row in source.execute(sa.select(table)).mappings()]
            connection.execute(sa.insert(table), rows)
            largest = max(largest, *(row.get("id", 0) for row in rows))
    return largest + 1


def _copies(table: sa.Table, stride: int, count: int) -> sa.Insert:
    """Copies of a table's rows, one for each family."""
    start = sa.select(sa.literal(1).label("n")).cte("copy", recursive=True)
    copy = start.union_all(sa.select(start.c.n + 1).where(start.c.n < count))
    family_of = sa.cast(copy.c.n + FIRST_FAMILY, sa.Text)
    values = [_copied(column, copy.c.n * stride, family_of) for column in table.c]
    source = sa.select(*values).select_from(table.join(copy, sa.true()))
    return sa.insert(table).from_select(list(table.c), source)


def _copied(column: sa.Column[Any], distance: Any, family_of: Any) -> Any:
    """A column's value in a copy."""
    if column.name == "id" or (column.foreign_keys and isinstance(column.type, sa.BigInteger)):
        return column + distance
    if column.name in _DIGESTS:
        return family_of + sa.func.substr(column, 9)
    if isinstance(column.type, sa.String):
        return sa.func.replace(column, str(FIRST_FAMILY), family_of)
    return column


def _trusting(connection: Any, _record: Any) -> None:
    connection.execute("PRAGMA foreign_keys = OFF")  # the copies of what holds, hold


def _ticking() -> Any:
    start = datetime(2026, 11, 24, tzinfo=UTC)
    ticks = itertools.count()
    return lambda: start + timedelta(milliseconds=next(ticks))
