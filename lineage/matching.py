"""Of which version's answers feedback speaks, commit by commit; asked again while answers are late.

A commit is looked at when it is registered, and once more when answers have been recorded since and
some of its rows spoke of none. What was known before stays as it was then. A table of others is not
ours to look at commit by commit: its rows are matched when a run reads them.
"""

import logging
from collections import Counter
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
from backstory.lineage.answer_tables import matched_tables
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


def rows_by_version(parts: Parts, ref: str, *, as_of: datetime | None = None) -> Matches:
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
    with matching(snapshot, naming, where) as matched:
        found = [
            (matched.rows(place), table.ref) for table, place in matched_tables(parts, matched)
        ]
    return beside(snapshot.arrow(where=where), found)


def match_again(parts: Parts, ref: str) -> int:
    """Look at all commits of a slice whose rows may speak of answers that are known by now.

    Args:
        ref: the slice; a version or time makes no difference.

    Returns:
        How many commits were looked at.
    """
    looked, name = 0, resolve_slice_at(parts, ref).slice.name
    while again := _match(parts, name, look_again=timedelta(0)):
        looked += again
    return looked


def match_commits(parts: Parts, name: str) -> None:
    """Look at the newest commits of a slice, and at some whose answers may have come since.

    The commits stand whether it can be done or not: what cannot be read is warned of.
    """
    try:
        _match(parts, name, look_again=LOOK_AGAIN)
    except BackstoryError as exc:
        _log.warning("whose answers %s speaks of is not known: %s", name, exc.message)


def _match(parts: Parts, name: str, *, look_again: timedelta) -> int:
    table = parts.lake.table(name)
    naming = naming_of(table.contract)
    if naming is None or not isinstance(table, SliceTable):
        return 0
    now = parts.clock()
    with parts.store.reader() as conn:
        record = slices.slice_by_name(conn, name)
        if record is None:
            return 0
        batches = store.new_batches(conn, record.id, limit=BATCHES_AT_A_TIME) or [
            batch
            for batch in store.open_batches(
                conn, record.id, since=now - MATCH_WINDOW, limit=BATCHES_AT_A_TIME
            )
            if batch.looked_at is None or now - batch.looked_at >= look_again
        ]
    if not batches:
        return 0
    snapshot = open_snapshot(table)
    counted = [(batch, _counted(parts, snapshot, naming, batch)) for batch in batches]
    with parts.unit("feedback.match", f"slice:{name}") as unit:
        for batch, counts in counted:
            _record(unit, record.id, batch, counts)
        unit.note(commits=[batch.version for batch in batches])
    return len(batches)


def _counted(parts: Parts, snapshot: Snapshot, naming: Naming, batch: Batch) -> dict[Place, int]:
    of_batch = may_hold(snapshot, "_offset", batch.offset, batch.offset)
    where = f"_offset = {batch.offset} AND _source = {literal(batch.source)}"
    counts: Counter[Place] = Counter()
    with matching(of_batch, naming, where) as matched:
        for table, place in matched_tables(parts, matched):
            for value, rows in matched.counts(place).items():
                counts[table.model, table.number(value)] += rows
        counts[None, None] = matched.unmatched()
    return dict(counts)


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
