"""Of which version's answers feedback speaks, commit by commit; asked again while answers are late.

A commit is looked at when it is registered, and again when answers have been recorded since and
some of its rows spoke of none: by the slice's next commits while it is among the newest, and
whenever somebody asks. What was known before stays as it was then. A table of others is not
ours to look at commit by commit: its rows are matched when a run reads them.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from backstory.lake.engine import literal
from backstory.lake.errors import BackstoryError, InvalidError
from backstory.lake.lookup import may_hold
from backstory.lake.matching import MATCH_WINDOW, Naming, beside, matching, naming_of
from backstory.lake.snapshot import Snapshot, open_snapshot
from backstory.lake.table import SliceTable
from backstory.lineage.answer_tables import (
    AnswerTable,
    answer_tables,
    matched_tables,
    rows_by_version,
)
from backstory.lineage.parts import Parts
from backstory.lineage.pinning import open_at
from backstory.lineage.resolving import resolve_slice_at
from backstory.lineage.store import matches as store
from backstory.lineage.store import slices, tables, writes
from backstory.lineage.store.matches import Batch, MatchedRows
from backstory.lineage.store.unit_of_work import Unit

BATCHES_AT_A_TIME = 100
LOOK_AGAIN = timedelta(minutes=1)  # not more often while batches come in one after the other

_log = logging.getLogger(__name__)

Place = tuple[str | None, int | None]
"""A model and the number of its version; neither for rows that speak of no answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Matches:
    """Of whose answers the rows of a slice speak.

    Attributes:
        ref: the slice at a version.
        found: rows by model version.
        unmatched: rows that speak of no answer that is known.
        not_looked_at: rows that nobody has matched yet.
    """

    ref: str
    found: Sequence[MatchedRows]
    unmatched: int
    not_looked_at: int


def matches(parts: Parts, ref: str, *, as_of: datetime | None = None) -> Matches:
    """Of whose answers the rows of a slice speak.

    Args:
        ref: a slice, at a version or time.
        as_of: as it was known then.

    Raises:
        NotFoundError: there is no such slice or version.
    """
    at = resolve_slice_at(parts, ref, as_of)
    with parts.store.reader(as_of) as conn:
        rows = store.matched_rows(conn, at.slice.id, upto=at.version)
        unseen = store.rows_not_looked_at(conn, at.slice.id, upto=at.version)
    return Matches(
        ref=at.ref,
        found=[row for row in rows if row.model is not None],
        unmatched=sum(row.rows for row in rows if row.model is None),
        not_looked_at=unseen,
    )


def answered_rows(parts: Parts, ref: str, where: str | None = None) -> Any:
    """The rows of a slice, each beside the answer that it speaks of.

    Args:
        ref: a slice, at a version or time.
        where: the selection of rows.

    Returns:
        An Arrow table: the slice's columns, then `_answer` (the interaction's id), `_version` (the
        model version that answered, such as `ranker@7`) and `_item` (what stood at the position);
        null where the row speaks of none.

    Raises:
        InvalidError: no column of the slice says what its rows speak of.
    """
    at = resolve_slice_at(parts, ref)
    naming = naming_of(parts.lake.table(at.slice.name).contract)
    if naming is None:
        raise InvalidError(
            f"{at.slice.name} has no column that says what its rows speak of",
            hint="give one the role interaction_id or conversation_id in the contract",
        )
    snapshot = open_at(parts, at)
    own = snapshot.schema.names
    rows = snapshot.arrow(list(dict.fromkeys([*own, *naming.columns])), where)
    with parts.store.reader() as conn:
        tables = answer_tables(parts, conn)
    with matching(rows.to_reader(), naming, what=str(snapshot)) as matched:
        found = [
            (matched.rows(place), table.ref) for table, place in matched_tables(matched, tables)
        ]
    return beside(rows.select(own), found)


def match_again(parts: Parts, ref: str) -> int:
    """Look at all commits of a slice whose rows may speak of answers that are known by now.

    Args:
        ref: the slice; a version or time makes no difference.

    Returns:
        How many commits were looked at.
    """
    looked, name = 0, resolve_slice_at(parts, ref).slice.name
    while again := _match(parts, name, newest=None, pause=None):
        looked += again
    return looked


def match_commits(parts: Parts, name: str) -> None:
    """Look at the newest commits of a slice, also at those whose answers may have come since.

    The commits stand whether it can be done or not: what cannot be read is warned of.
    """
    try:
        _match(parts, name, newest=BATCHES_AT_A_TIME, pause=LOOK_AGAIN)
    except BackstoryError as exc:
        _log.warning("whose answers %s speaks of is not known: %s", name, exc.message)


def _match(parts: Parts, name: str, *, newest: int | None, pause: timedelta | None) -> int:
    """Look at commits of a slice, at most `BATCHES_AT_A_TIME`.

    Args:
        newest: only among so many of its versions; among all where that is None.
        pause: how long ago a commit was looked at, to be looked at again; at once where it is None.
    """
    table = parts.lake.table(name)
    naming = naming_of(table.contract)
    if naming is None or not isinstance(table, SliceTable):
        return 0
    now = parts.clock()
    with parts.store.reader() as conn:
        record = slices.slice_by_name(conn, name)
        if record is None:
            return 0
        batches = store.due_batches(
            conn,
            record.id,
            after=-1 if newest is None else record.last_version - newest,
            since=now - MATCH_WINDOW,
            looked_before=None if pause is None else now - pause,
            limit=BATCHES_AT_A_TIME,
        )
        answers = answer_tables(parts, conn) if batches else []
    if not batches:
        return 0
    counted = _of_no_answer(batches) if not answers else _counted(table, naming, batches, answers)
    with parts.unit("feedback.match", f"slice:{name}") as unit:
        for batch, counts in counted.items():
            _record(unit, record.id, batch, counts)
        unit.note(commits=[batch.version for batch in batches])
    return len(batches)


def _of_no_answer(batches: Sequence[Batch]) -> dict[Batch, dict[Place, int]]:
    """What is known where there are no answers; no row needs to be read for that."""
    return {batch: {(None, None): batch.rows} for batch in batches}


def _counted(
    table: SliceTable, naming: Naming, batches: Sequence[Batch], answers: Sequence[AnswerTable]
) -> dict[Batch, dict[Place, int]]:
    snapshot = open_snapshot(table)
    return {batch: _of_batch(snapshot, naming, batch, answers) for batch in batches}


def _of_batch(
    snapshot: Snapshot, naming: Naming, batch: Batch, answers: Sequence[AnswerTable]
) -> dict[Place, int]:
    of_batch = may_hold(snapshot, "_offset", batch.offset, batch.offset)
    where = f"_offset = {batch.offset} AND _source = {literal(batch.source)}"
    rows = of_batch.batches(naming.columns, where)
    with matching(rows, naming, what=str(snapshot)) as matched:
        counts: dict[Place, int] = dict(rows_by_version(matched, answers).items())
        counts[None, None] = matched.unmatched()
        return counts


def _record(unit: Unit, slice_id: int, batch: Batch, counts: dict[Place, int]) -> None:
    """Supersede the last look at a commit, whoever was there in between."""
    for row in store.looks(unit.connection, slice_id, batch.version):
        writes.end(unit, tables.feedback_match, row)
    for (model, number), rows in counts.items():
        writes.insert(
            unit,
            tables.feedback_match,
            slice=slice_id,
            version=batch.version,
            model=model,
            number=number,
            rows=rows,
        )
