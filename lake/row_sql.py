"""The SQL by which two sets of rows are compared: multisets, then pairs by key.

Rows that are equal in all columns but the system columns cancel, one against one, at first within
one source; NULL equals NULL, NaN equals NaN. What is left on both sides under one key is paired, in
the order of values, and is a changed row; the rest was added or removed. So the answer follows from
the rows alone, never from the files that they lie in, and both directions are mirror images.

Each relation here is a name in the connection (`TABLE` where it is read twice, else `VIEW`):

    every   all rows of both sides       groups  how often each key stands on either side
    mine    rows of keys on both sides   paired  what is left of them, numbered within its key
    pairs   changed rows                 changes the answer, one row each; two for a changed row
    counts  how many they are

It runs nothing. Where there are many rows, keys whose rows have equal sums of 64-bit hashes are
left out before; where there are few, nothing rests on hashes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from backstory.lake.engine import literal, quoted

CHANGE, COLUMNS, PAIR = "_change", "_columns", "_pair"
ADDED, REMOVED, CHANGED = "added", "removed", "changed"
BEFORE, AFTER = "before", "after"  # the two rows of a change

_HEAD, _KEY, _OLD, _NEW, _SINGLE = "_is_head", "_group", "_old", "_new", "_is_single"
_TURN, _COPY, _EVEN = "_turn", "_copy", "_even"
_INTERNAL = (_HEAD, _KEY, _OLD, _NEW, _SINGLE, _TURN, _COPY, _EVEN)
RESERVED = frozenset((CHANGE, COLUMNS, PAIR, *_INTERNAL))
_KINDS = f"NULL::BIGINT AS {PAIR}, NULL::VARCHAR[] AS {COLUMNS}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What the rows of both sides look like.

    Attributes:
        columns: those that are compared.
        system: those that are shown and not compared.
        key: the column that tells which rows are one and the same; None where none does.
        source: the column that says who sent a row.
    """

    columns: Sequence[str]
    system: Sequence[str]
    key: str | None
    source: str | None

    @property
    def all(self) -> str:
        """All columns, as SQL."""
        return _listed([*self.columns, *self.system])


def statements(shape: Shape, old: str | None, new: str | None, *, many: bool) -> Iterator[str]:
    """The statements that make the relation `changes`.

    Args:
        shape: what the rows look like.
        old, new: SQL of the rows of each side; None for a side without any.
        many: whether hashes may be relied on, because there are many rows.
    """
    if old is None or new is None:
        yield from _one_side(shape, old, new)
        return
    sides = (f"SELECT {is_head} AS {_HEAD}, * FROM ({rows})" for is_head, rows in _sides(old, new))
    yield f"CREATE VIEW every AS {' UNION ALL '.join(sides)}"
    group = _group(shape, many=many)
    yield _groups(shape, group, many=many)
    yield _mine(shape, group)
    yield _paired(shape)
    yield _pairs(shape)
    yield _changes(shape, group)
    yield _counts()


def shares(expression: str, limit: int) -> str:
    """The SQL of how many changes have each value of an expression, most first."""
    counted = ", ".join(f"count(*) FILTER ({CHANGE} = '{kind}') AS {kind}" for kind in _EVERY_KIND)
    return (
        f"SELECT value, {counted} FROM (SELECT {expression} AS value, {CHANGE} FROM changes) "
        f"GROUP BY value ORDER BY count(*) DESC, value::VARCHAR LIMIT {limit}"
    )


def column_shares() -> str:
    """The SQL of how many changed rows differ in each column."""
    return (
        f"SELECT name, count(*) AS changed FROM (SELECT unnest({COLUMNS}) AS name FROM changes "
        f"WHERE {CHANGE} = '{AFTER}') GROUP BY name ORDER BY changed DESC, name"
    )


def changed_rows(shape: Shape, kinds: Sequence[str], *, limit: int | None = None) -> str:
    """The SQL of some kinds of changes, whole; those before and after one change follow each other.

    Args:
        shape: what the rows look like.
        kinds: which.
        limit: only so many, the first by key or else by value.
    """
    wanted = ", ".join(map(literal, kinds))
    first = [shape.key] if shape.key else list(shape.columns)
    order = [*(map(quoted, first) if limit is not None else ()), *_ordered(kinds)]
    by = f" ORDER BY {', '.join(order)}" if order else ""
    end = f" LIMIT {limit}" if limit is not None else ""
    rows = f"SELECT {CHANGE}, {COLUMNS}, {shape.all} FROM changes"
    return f"{rows} WHERE {CHANGE} IN ({wanted}){by}{end}"


_EVERY_KIND = (ADDED, REMOVED, BEFORE, AFTER)


def _ordered(kinds: Sequence[str]) -> Sequence[str]:
    return (PAIR, f"{CHANGE} DESC") if BEFORE in kinds else ()


def _one_side(shape: Shape, old: str | None, new: str | None) -> Iterator[str]:
    kind, rows = (REMOVED, old) if new is None else (ADDED, new)
    counted = {ADDED: "0", REMOVED: "0", CHANGED: "0", kind: "count(*)"}
    columns = ", ".join(f"{count} AS {name}" for name, count in counted.items())
    yield f"CREATE VIEW counts AS SELECT {columns} FROM ({rows})"
    yield (
        f"CREATE VIEW changes AS SELECT '{kind}' AS {CHANGE}, {_KINDS}, {shape.all} FROM ({rows})"
    )


def _group(shape: Shape, *, many: bool) -> str:
    """What rows are counted by: the key, or else their hash where they are many."""
    if shape.key is not None:
        return quoted(shape.key)
    return _hash(shape) if many else "0"


def _hash(shape: Shape) -> str:
    return f"hash({_listed(shape.columns)})"


def _groups(shape: Shape, group: str, *, many: bool) -> str:
    weight = (
        f"sum(CASE WHEN {_HEAD} THEN {_hash(shape)}::HUGEINT ELSE -{_hash(shape)}::HUGEINT END)"
    )
    unlike = f" HAVING {_OLD} <> {_NEW} OR {weight} <> 0" if many else ""
    return (
        f"CREATE TABLE groups AS SELECT {group} AS {_KEY}, "
        f"count(*) FILTER (NOT {_HEAD}) AS {_OLD}, count(*) FILTER ({_HEAD}) AS {_NEW} "
        f"FROM every GROUP BY 1{unlike}"
    )


def _mine(shape: Shape, group: str) -> str:
    single = f"{_OLD} = 1 AND {_NEW} = 1 AND {_KEY} IS NOT NULL" if shape.key else "false"
    return (
        f"CREATE TABLE mine AS SELECT {_HEAD}, {shape.all}, {single} AS {_SINGLE} "
        f"FROM every JOIN groups ON {group} IS NOT DISTINCT FROM {_KEY} "
        f"WHERE {_OLD} > 0 AND {_NEW} > 0"
    )


def _paired(shape: Shape) -> str:
    """What is left of equal rows, with its turn within its key; NULL where nothing pairs it."""
    values = _listed(shape.columns)
    by_source = f"{values}, {quoted(shape.source)}" if shape.source else values
    order = _listed([*shape.system, *shape.columns])
    turns = f"SELECT {_HEAD}, {shape.all}, NULL::BIGINT AS {_TURN} FROM apart"
    if shape.key:
        key = quoted(shape.key)
        pairs = f"row_number() OVER (PARTITION BY {key}, {_HEAD} ORDER BY {values})"
        turns = (
            f"SELECT {_HEAD}, {shape.all}, "
            f"CASE WHEN {key} IS NOT NULL AND {_COPY} <= {_EVEN} THEN {_COPY} END AS {_TURN} FROM "
            f"(SELECT *, {pairs} AS {_COPY}, {_fewer(key)} AS {_EVEN} FROM apart)"
        )
    return (
        f"CREATE TABLE paired AS WITH crowd AS (SELECT * FROM mine WHERE NOT {_SINGLE}), "
        f"unsent AS ({_without_equal('crowd', by_source, order)}), "
        f"apart AS ({_without_equal('unsent', values, order)}) "
        f"{turns} UNION ALL SELECT {_HEAD}, {shape.all}, 1 FROM mine WHERE {_SINGLE}"
    )


def _without_equal(rows: str, values: str, order: str) -> str:
    """Rows without those that stand on the other side too, one against one."""
    copy = f"row_number() OVER (PARTITION BY {values}, {_HEAD} ORDER BY {order})"
    numbered = f"SELECT *, {copy} AS {_COPY}, {_fewer(values)} AS {_EVEN} FROM {rows}"
    return f"SELECT * EXCLUDE ({_COPY}, {_EVEN}) FROM ({numbered}) WHERE {_COPY} > {_EVEN}"


def _fewer(values: str) -> str:
    """How many rows with these values the side has that has fewer of them."""
    sides = (
        f"count(*) FILTER ({side}) OVER (PARTITION BY {values})" for side in (_HEAD, f"NOT {_HEAD}")
    )
    return f"least({', '.join(sides)})"


def _pairs(shape: Shape) -> str:
    if shape.key is None:
        return f"CREATE VIEW pairs AS SELECT 0 AS {_KEY}, 0 AS {_TURN}, {_KINDS} WHERE false"
    key = quoted(shape.key)
    differing = ", ".join(
        f"CASE WHEN o.{quoted(c)} IS DISTINCT FROM n.{quoted(c)} THEN {literal(c)} END"
        for c in shape.columns
    )
    return (
        f"CREATE TABLE pairs AS SELECT {_KEY}, {_TURN}, row_number() OVER () AS {PAIR}, {COLUMNS} "
        f"FROM (SELECT o.{key} AS {_KEY}, o.{_TURN} AS {_TURN}, "
        f"list_filter([{differing}], lambda c: c IS NOT NULL) AS {COLUMNS} "
        f"FROM paired o JOIN paired n ON o.{key} = n.{key} AND o.{_TURN} = n.{_TURN} "
        f"AND NOT o.{_HEAD} AND n.{_HEAD}) WHERE len({COLUMNS}) > 0"
    )


def _changes(shape: Shape, group: str) -> str:
    rows = shape.all
    alone = f"CASE WHEN {_HEAD} THEN '{ADDED}' ELSE '{REMOVED}' END AS {CHANGE}"
    paired = f"CASE WHEN {_HEAD} THEN '{AFTER}' ELSE '{BEFORE}' END AS {CHANGE}"
    one_sided = f"(SELECT {_KEY} FROM groups WHERE {_OLD} = 0 OR {_NEW} = 0)"
    on_one_side = f"every SEMI JOIN {one_sided} ON {group} IS NOT DISTINCT FROM {_KEY}"
    parts = [
        f"SELECT {alone}, {_KINDS}, {rows} FROM {on_one_side}",
        f"SELECT {alone}, {_KINDS}, {rows} FROM paired WHERE {_TURN} IS NULL",
    ]
    if shape.key:
        joined = (
            f"paired p JOIN pairs q ON p.{quoted(shape.key)} = q.{_KEY} AND p.{_TURN} = q.{_TURN}"
        )
        parts.append(f"SELECT {paired}, {PAIR}, {COLUMNS}, {rows} FROM {joined}")
    return f"CREATE VIEW changes AS {' UNION ALL '.join(parts)}"


def _counts() -> str:
    """How many rows differ: no file is read again for that."""

    def lone(side: str, mine: str, others: str) -> str:
        alone = f"SELECT coalesce(sum({mine}), 0)::BIGINT FROM groups WHERE {others} = 0"
        left = f"SELECT count(*) FROM paired WHERE {_TURN} IS NULL AND {side}"
        return f"({alone}) + ({left})"

    return (
        f"CREATE VIEW counts AS SELECT {lone(_HEAD, _NEW, _OLD)} AS {ADDED}, "
        f"{lone(f'NOT {_HEAD}', _OLD, _NEW)} AS {REMOVED}, "
        f"(SELECT count(*) FROM pairs) AS {CHANGED}"
    )


def _sides(old: str, new: str) -> tuple[tuple[str, str], tuple[str, str]]:
    return ("false", old), ("true", new)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(quoted, names))
