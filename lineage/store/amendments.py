"""What was recorded wrongly: which rows superseded which, why, when and by whom.

Of an amendment there is one row for each record that it replaced, added or took away; those of one
audit leaf belong together. The superseded rows stay where they were, ended, and are read here
whatever the horizon; an amendment itself is hidden before it was recorded.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

from sqlalchemy import Connection, bindparam, select

from backstory.lake.errors import IntegrityError
from backstory.lineage.audit.leaf import parse_body
from backstory.lineage.store import tables as t
from backstory.lineage.store import writes
from backstory.lineage.store.amended_facts import READERS, Facts, Said
from backstory.lineage.store.horizon import horizon, known_in
from backstory.lineage.store.number_list import among
from backstory.lineage.store.prepared import Prepared
from backstory.lineage.store.unit_of_work import Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Amended:
    """The mark of a thing whose record was amended: when it was last, and why."""

    at: datetime
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One record of an amendment.

    Attributes:
        of: what is amended, as a ref.
        before: what was recorded; None where nothing was.
        after: what is so instead; None where nothing is.
    """

    of: str
    before: Said | None
    after: Said | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AmendmentRecord:
    """A wrong record, and what superseded it.

    Attributes:
        seq: its audit leaf.
        key: the thing that it is about.
        actor: who amended it.
    """

    seq: int
    entity: int
    key: str
    at: datetime
    actor: str
    reason: str
    changes: Sequence[Change]


def record(
    unit: Unit, entity: int, table: str, *, before: int | None, after: int | None, reason: str
) -> None:
    """Write that a row superseded another."""
    writes.insert(
        unit, t.amendment, entity=entity, fact=table, before=before, after=after, reason=reason
    )


_MARKS = Prepared(
    select(t.amendment.c.entity, t.audit_leaf.c.at, t.amendment.c.reason)
    .join(t.audit_leaf, t.audit_leaf.c.seq == t.amendment.c.recorded_seq)
    .where(among(t.amendment.c.entity, "ids"), known_in(t.amendment))
    .order_by(t.amendment.c.id)
)
_ALL = (
    select(
        t.amendment.c.recorded_seq,
        t.amendment.c.entity,
        t.entity.c.key,
        t.amendment.c.fact,
        t.amendment.c.before,
        t.amendment.c.after,
        t.amendment.c.reason,
        t.audit_leaf.c.at,
        t.audit_leaf.c.body,
    )
    .join(t.entity, t.entity.c.id == t.amendment.c.entity)
    .join(t.audit_leaf, t.audit_leaf.c.seq == t.amendment.c.recorded_seq)
    .where(known_in(t.amendment))
    .order_by(t.amendment.c.recorded_seq.desc(), t.amendment.c.id)
)


def marks(conn: Connection, entities: Sequence[int]) -> dict[int, Amended]:
    """The last amendment of each thing whose record was amended; one statement."""
    rows = _MARKS.rows(conn, ids=entities) if entities else ()
    return {entity: Amended(at=at, reason=reason) for entity, at, reason in rows}


_MOVES = (
    select(
        t.alias.c.alias,
        t.alias.c.model_version,
        t.alias.c.from_at,
        t.audit_leaf.c.at,
        t.amendment.c.reason,
    )
    .join(t.alias, t.alias.c.id == t.amendment.c.after)
    .join(t.audit_leaf, t.audit_leaf.c.seq == t.amendment.c.recorded_seq)
    .where(
        t.amendment.c.fact == t.alias.name,
        t.alias.c.model == bindparam("model"),
        known_in(t.amendment),
    )
    .order_by(t.amendment.c.id)
)


def amended_moves(conn: Connection, model: str) -> dict[tuple[str, int, datetime], Amended]:
    """The last amendment of each move of a model's aliases, by alias, version and begin.

    Not by row: the next move ends a move's row and writes another one with its end.
    """
    return {
        (row.alias, row.model_version, row.from_at): Amended(at=row.at, reason=row.reason)
        for row in conn.execute(_MOVES, {"model": model, **horizon(conn)})
    }


def amendments(
    conn: Connection,
    *,
    entities: Sequence[int] | None = None,
    limit: int | None = None,
    before: int | None = None,
) -> list[AmendmentRecord]:
    """Amendments, newest first: of some things, or of all; the next page lies `before` a leaf."""
    query = _ALL
    if entities is not None:
        query = query.where(t.amendment.c.entity.in_(entities))
    if limit is not None:
        query = query.where(t.amendment.c.recorded_seq.in_(_page(limit, before, entities)))
    rows = list(conn.execute(query, horizon(conn)))
    said = {fact: _said(conn, fact, rows) for fact in {row.fact for row in rows}}
    return [_record(list(group), said) for _, group in groupby(rows, lambda row: row.recorded_seq)]


def amendments_of(conn: Connection, entities: Sequence[int]) -> dict[int, list[AmendmentRecord]]:
    """Amendments by the thing that they are about, newest first."""
    found: dict[int, list[AmendmentRecord]] = {}
    for one in amendments(conn, entities=entities):
        found.setdefault(one.entity, []).append(one)
    return found


def _page(limit: int, before: int | None, entities: Sequence[int] | None) -> Any:
    leaves = select(t.amendment.c.recorded_seq).where(known_in(t.amendment)).distinct()
    if before is not None:
        leaves = leaves.where(t.amendment.c.recorded_seq < before)
    if entities is not None:
        leaves = leaves.where(t.amendment.c.entity.in_(entities))
    return leaves.order_by(t.amendment.c.recorded_seq.desc()).limit(limit)


def _record(rows: Sequence[Any], said: Mapping[str, Facts]) -> AmendmentRecord:
    first = rows[0]
    return AmendmentRecord(
        seq=first.recorded_seq,
        entity=first.entity,
        key=first.key,
        at=first.at,
        actor=_actor(first.body, first.recorded_seq),
        reason=first.reason,
        changes=[_change(row, said[row.fact]) for row in rows],
    )


def _change(row: Any, said: Facts) -> Change:
    before, after = (None if n is None else said[n] for n in (_before(row), row.after))
    of, _ = after or before or (row.key, None)
    return Change(of=of, before=before and before[1], after=after and after[1])


def _before(row: Any) -> int | None:
    """The row that was superseded; of a version that was not amended before, minus its own."""
    if row.before is None and row.fact == t.declaration.name:
        return -int(row.entity)
    number: int | None = row.before
    return number


def _actor(body: bytes, seq: int) -> str:
    try:
        name: str = parse_body(body)["actor"]["name"]
    except (ValueError, KeyError, TypeError) as exc:
        raise IntegrityError(
            f"the audit entry {seq} does not parse", hint="restore the store from a backup"
        ) from exc
    return name


def _said(conn: Connection, fact: str, rows: Sequence[Any]) -> Facts:
    """What rows of a table say, by their number, ended ones too."""
    numbers = {n for row in rows if row.fact == fact for n in (_before(row), row.after)}
    reader = READERS.get(fact)
    if reader is None:
        raise IntegrityError(
            f"an amendment is of the unknown fact {fact!r}",
            hint="`backstory verify` says which rows were changed",
        )
    return reader(conn, sorted(n for n in numbers if n is not None))
