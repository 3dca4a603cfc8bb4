"""What the store knows of matches: of which versions' answers the rows of a commit speak.

A commit that was looked at has a row without a model, which counts what speaks of no answer; each
look supersedes the one before.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import BigInteger, Connection, bindparam, cast, func, select

from backstory.lineage.store import tables as t
from backstory.lineage.store.column_types import Instant
from backstory.lineage.store.horizon import horizon, known_in


@dataclass(frozen=True, slots=True, kw_only=True)
class MatchedRows:
    """How many rows speak of the answers of a version.

    Attributes:
        model: the model; None for rows that speak of no answer that is known.
        number: of the version; None where the answer does not say which.
        rows: how many.
    """

    model: str | None
    number: int | None
    rows: int

    @property
    def ref(self) -> str | None:
        """`ranker@7`, or `ranker` where the version is not known."""
        return f"{self.model}@{self.number}" if self.number is not None else self.model


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """A commit of ours with rows."""

    version: int
    source: str
    offset: int
    rows: int


_LOOK = t.feedback_match.alias("look")
_BATCHES = (
    select(t.commit.c.version, t.commit.c.source, t.commit.c.offset, t.commit.c.rows)
    .outerjoin(
        _LOOK,
        (_LOOK.c.slice == t.commit.c.slice)
        & (_LOOK.c.version == t.commit.c.version)
        & _LOOK.c.model.is_(None)
        & _LOOK.c.ended_seq.is_(None),
    )
    .outerjoin(t.audit_leaf, t.audit_leaf.c.seq == _LOOK.c.recorded_seq)
    .where(
        t.commit.c.slice == bindparam("slice"),
        t.commit.c.version > bindparam("after"),
        t.commit.c.source.is_not(None),
        t.commit.c.rows > 0,
        _LOOK.c.id.is_(None)
        | (_LOOK.c.rows > 0)
        & (_LOOK.c.recorded_seq < bindparam("last_answer"))
        & (t.commit.c.at >= bindparam("since", type_=Instant)),
    )
    .order_by(t.commit.c.version.desc())
)
# From the end of an index: it costs the same, however many answers were recorded.
_LAST_ANSWERS = select(
    select(t.commit.c.recorded_seq)
    .where(t.commit.c.slice == t.slice_.c.id)
    .order_by(t.commit.c.version.desc())
    .limit(1)
    .scalar_subquery()
).where(
    (t.slice_.c.flavour == "interactions")
    | t.slice_.c.id.in_(
        select(t.interaction_link.c.slice).where(t.interaction_link.c.ended_seq.is_(None))
    )
)
_LAST_LINK = select(func.max(t.interaction_link.c.recorded_seq))
_ROWS = cast(func.sum(t.feedback_match.c.rows), BigInteger).label("rows")
_COUNTS = (
    select(t.feedback_match.c.model, t.feedback_match.c.number, _ROWS)
    .where(known_in(t.feedback_match))
    .group_by(t.feedback_match.c.model, t.feedback_match.c.number)
    .order_by(t.feedback_match.c.model, t.feedback_match.c.number)
)


def due_batches(
    conn: Connection,
    slice_id: int,
    *,
    after: int,
    since: datetime,
    looked_before: datetime | None,
    limit: int,
) -> list[Batch]:
    """Commits to look at, the newest first.

    Those that nobody has looked at, and those of which rows spoke of no known answer, when answers
    have been recorded since.

    Args:
        after: only commits behind this version.
        since: when the commits that are looked at again were made, at the earliest.
        looked_before: when those were last looked at, at the latest; None for any time.
        limit: how many at most.
    """
    last_answers = conn.execute(_LAST_ANSWERS).scalars()
    last = max(filter(None, [conn.execute(_LAST_LINK).scalar_one(), *last_answers]), default=0)
    query = _BATCHES.limit(limit)
    if looked_before is not None:
        query = query.where(_LOOK.c.id.is_(None) | (t.audit_leaf.c.at <= looked_before))
    asked = {"slice": slice_id, "after": after, "last_answer": last, "since": since}
    return [Batch(**row) for row in conn.execute(query, asked).mappings()]


def looks(conn: Connection, slice_id: int, version: int) -> list[int]:
    """The rows that the last look at a commit left."""
    rows = t.feedback_match
    query = select(rows.c.id).where(
        rows.c.slice == slice_id, rows.c.version == version, rows.c.ended_seq.is_(None)
    )
    return list(conn.execute(query).scalars())


def matched_rows(conn: Connection, slice_id: int, *, upto: int) -> list[MatchedRows]:
    """Rows of the commits up to a version, by model and version."""
    query = _COUNTS.where(t.feedback_match.c.slice == slice_id, t.feedback_match.c.version <= upto)
    return [MatchedRows(**row) for row in conn.execute(query, horizon(conn)).mappings()]


def rows_not_looked_at(conn: Connection, slice_id: int, *, upto: int) -> int:
    """Rows of commits that nobody had looked at when the question is asked of."""
    look = t.feedback_match
    looked = select(look.c.version).where(look.c.slice == slice_id, known_in(look))
    query = select(cast(func.coalesce(func.sum(t.commit.c.rows), 0), BigInteger)).where(
        t.commit.c.slice == slice_id,
        t.commit.c.version <= upto,
        t.commit.c.version.not_in(looked),
        known_in(t.commit),
    )
    found: int = conn.execute(query, horizon(conn)).scalar_one()
    return found
