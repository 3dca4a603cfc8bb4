"""Do the store's rows agree with the audit log? The log alone does not prove that.

Every leaf says by table how many rows its unit wrote and the digest over them. Here all rows are
read again in the order of their leaves and compared; a row that was changed, added or taken away
behind the log's back is named. Rows stream through: memory holds those of one unit at a time.
"""

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import groupby
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from backstory.lake.findings import Finding
from backstory.lineage.audit.leaf import RowsDigest, mark, parse_rows
from backstory.lineage.store import audit_log
from backstory.lineage.store.rows import ENDED, ended_hash, recorded_column, row_hash
from backstory.lineage.store.tables import audit_leaf, audit_node, metadata, outbox

_CHUNK = 1_000

# Every table whose rows the log vouches for.
GOVERNED = tuple(t for t in metadata.sorted_tables if t not in {audit_leaf, audit_node, outbox})


class _Row(NamedTuple):
    """A row of a table that says to have come, or to have ended, with an entry."""

    seq: int | float
    table: str
    key: str
    hash: bytes


class _Entry(NamedTuple):
    """What an entry says to have written; nothing where it cannot be read."""

    seq: int | float
    rows: dict[str, RowsDigest] | None


def reconcile(connection: Connection) -> Iterator[Finding]:
    """Compare every row with the entry that it says it came with."""
    streams: list[Iterator[_Row | _Entry]] = [_entries(connection), *_rows(connection)]
    merged = heapq.merge(*streams, key=_seq)
    for seq, group in groupby(merged, key=_seq):
        logged: dict[str, RowsDigest] | None = {}
        found: dict[str, list[_Row]] = defaultdict(list)
        for item in group:
            if isinstance(item, _Entry):
                logged = item.rows
            else:
                found[item.table].append(item)
        if logged is not None:  # else the log's own check has named the entry
            for table in sorted({*logged, *found}):
                yield from _compare(seq, table, logged.get(table, _NOTHING), found[table])


_NOTHING = RowsDigest.of(())


def _compare(seq: float, table: str, logged: RowsDigest, rows: Sequence[_Row]) -> Iterator[Finding]:
    if RowsDigest.of([row.hash for row in rows]) == logged:
        return
    missing = logged.count - len(rows)
    if missing > 0:
        yield _finding(table, "rows are missing", f"{logged.count} of entry {seq}", f"{len(rows)}")
    strangers = _strangers(logged, rows)
    for row in strangers or (rows if missing <= 0 else ()):
        yield _finding(
            f"{table} {row.key}", "the row was changed", f"as entry {seq} wrote it", "other values"
        )


def _strangers(logged: RowsDigest, rows: Sequence[_Row]) -> list[_Row]:
    """The rows that the entry did not mark; none where its marks do not tell."""
    surplus = Counter(mark(row.hash) for row in rows)
    surplus.subtract(logged.each_mark())
    return [row for row in rows if surplus[mark(row.hash)] > 0]


def _finding(path: str, problem: str, expected: str, found: str) -> Finding:
    return Finding(where="store", path=path, problem=problem, expected=expected, found=found)


def _entries(connection: Connection) -> Iterator[_Entry]:
    for leaf in audit_log.stored_leaves(connection):
        try:
            rows = parse_rows(leaf.body)
        except (ValueError, KeyError, TypeError):
            rows = None
        yield _Entry(_place(leaf.seq), rows)


def _rows(connection: Connection) -> Iterator[Iterator[_Row]]:
    for table in GOVERNED:
        yield _written(connection, table)
        if ENDED in table.c:
            yield _ended(connection, table)


def _written(connection: Connection, table: sa.Table) -> Iterator[_Row]:
    recorded = recorded_column(table).name
    keys = [column.name for column in table.primary_key]
    for row in connection.execute(_in_order(table, recorded)).mappings():
        values = {name: _plain(value) for name, value in row.items()}
        key = "/".join(str(values[name]) for name in keys)
        yield _Row(_place(row[recorded]), table.name, key, row_hash(table.name, values))


def _ended(connection: Connection, table: sa.Table) -> Iterator[_Row]:
    for row in connection.execute(_in_order(table, ENDED)).mappings():
        key = _plain(row["id"])
        yield _Row(_place(row[ENDED]), table.name, str(key), ended_hash(table.name, key))


@cache
def _in_order(table: sa.Table, column: str) -> sa.Select[Any]:
    """All rows that have that column, ordered by it, as the driver gives them."""
    raw: list[sa.ColumnElement[Any]] = [
        sa.type_coerce(c, sa.types.NullType()).label(c.name) for c in table.c
    ]
    return (
        sa.select(*raw)
        .where(table.c[column].is_not(None))
        .order_by(table.c[column])
        .execution_options(yield_per=_CHUNK)
    )


def _seq(item: _Row | _Entry) -> int | float:
    return item.seq


def _place(seq: Any) -> int | float:
    """Where the database orders a sequence number; a damaged one may be of any type."""
    return seq if isinstance(seq, int | float) else float("inf")


def _plain(value: Any) -> Any:
    """A value that has a JSON form; a damaged one may have none."""
    return value if value is None or isinstance(value, int | float | str) else repr(value)
