"""Rows of a person in tables that others write, where nobody has hidden whom they are of.

Keeps true: what the person is called is compared with values in memory. It stands in no condition
that an engine gets, so no log and no error can repeat it. Every row is read: no index is kept of
tables that others change as they like.
"""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from backstory.lake.snapshot import Snapshot
from backstory.lake.subjects import SubjectKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Whose rows are looked for.

    Attributes:
        raw: what the person is called; None where only pseudonyms are known.
        pseudonyms: what the person is called here.
        key: the key that made them, for values that are to be hidden first.
    """

    raw: str | None = field(repr=False)
    pseudonyms: Collection[str]
    key: SubjectKey | None

    @property
    def can_be_told(self) -> bool:
        """Whether values that nobody has hidden can be told to be the person's."""
        return self.raw is not None or self.key is not None

    def are(self, values: pa.Array) -> pa.Array:
        """Which values are the person's."""
        texts = values.cast(pa.string())
        if self.raw is not None:
            return pc.fill_null(pc.equal(texts, pa.scalar(self.raw, pa.string())), fill_value=False)
        hidden = self.key.pseudonyms(texts) if self.key else pa.nulls(len(texts), pa.string())
        return pc.is_in(hidden, value_set=pa.array(self.pseudonyms, pa.string()))


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundRows:
    """Rows of a person.

    Attributes:
        rows: how many.
        first, last: the least and the greatest time of theirs; None where none has one.
        newest: the newest ones with their times, by column.
    """

    rows: int
    first: datetime | None
    last: datetime | None
    newest: list[dict[str, Any]]


def count_unhidden(
    snapshot: Snapshot, column: str, wanted: Wanted, where: str | None = None
) -> int:
    """How many rows that meet a condition are a person's."""
    batches = snapshot.batches([column], where)
    return sum(pc.sum(wanted.are(batch[column])).as_py() or 0 for batch in batches)


def find_unhidden(
    snapshot: Snapshot, column: str, wanted: Wanted, *, key: str, at: str, most: int
) -> FoundRows:
    """The rows of a person.

    Args:
        snapshot: where to look.
        column: whom a row is of.
        wanted: whose rows.
        key: the column that names a row.
        at: the column of its time.
        most: how many of the newest are given.
    """
    names = list(dict.fromkeys((key, at)))
    asked = list(dict.fromkeys((column, *names)))
    found = [
        batch.filter(wanted.are(batch[column])).select(names) for batch in snapshot.batches(asked)
    ]
    return summed_up(pa.Table.from_batches(found) if found else None, at=at, most=most)


def summed_up(rows: pa.Table | None, *, at: str, most: int) -> FoundRows:
    """What some rows amount to, by the column of their time."""
    if rows is None or not rows.num_rows:
        return FoundRows(rows=0, first=None, last=None, newest=[])
    span = pc.min_max(rows[at]).as_py()
    newest = rows.sort_by([(at, "descending")]).slice(0, most).to_pylist()
    return FoundRows(rows=rows.num_rows, first=span["min"], last=span["max"], newest=newest)
