"""What some rows look like, column by column, without the rows; and how two of that add up.

Counts of rows and nulls, ranges and histograms are exact, and merging them is associative and
commutative: the profile of a snapshot is the merge of its files' profiles. Distinct values are an
estimate beyond 512 (`distinct`), top values have a bound (`top_values`). A column that is `sampled`
tells of top values, and a text of distinct ones, from some of its rows: at least so many are there.

Columns with personal data are masked: rows and nulls, nothing else. A column that a file lacks is
null in all of its rows. Nothing is read or computed from rows here; see `profiling`.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias, TypeVar

from backstory.lake.distinct import Distinct
from backstory.lake.histogram import Histogram
from backstory.lake.top_values import TopValues

Bound: TypeAlias = Any  # str, int or float: of one kind within a column
MAX_BOUND_CHARS = 64

_T = TypeVar("_T")


class ColumnKind(StrEnum):
    """What a profile can say of a column."""

    NUMBER = "number"
    TEXT = "text"
    FLAG = "flag"
    TIME = "time"
    OTHER = "other"
    MASKED = "masked"


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnProfile:
    """What the values of one column look like.

    Attributes:
        rows, nulls: how many rows there are, and in how many there is no value.
        not_finite: how many numbers are NaN or infinite; nothing else tells of them.
        low, high: the least and greatest finite number or time, a time as text; of the least and
            greatest text the first `MAX_BOUND_CHARS`, so that merging stays exact.
        sampled: top values, and of texts distinct ones, come from some of the rows.
        distinct: None where it is not told.
        top: the most frequent texts, integers or flags; None where they are not told.
        histogram: of numbers; None where it is not told, or its edges did not agree.
    """

    kind: ColumnKind
    rows: int
    nulls: int
    not_finite: int = 0
    low: Bound | None = None
    high: Bound | None = None
    sampled: bool = False
    distinct: Distinct | None = None
    top: TopValues | None = None
    histogram: Histogram | None = None

    @property
    def values(self) -> int:
        """How many values there are, those that are not finite aside."""
        return self.rows - self.nulls - self.not_finite

    @property
    def masked(self) -> "ColumnProfile":
        """What may be said of personal data."""
        return ColumnProfile(kind=ColumnKind.MASKED, rows=self.rows, nulls=self.nulls)

    @classmethod
    def merge(cls, parts: "Sequence[ColumnProfile]") -> "ColumnProfile":
        """What the values of all of them look like."""
        rows, nulls = sum(part.rows for part in parts), sum(part.nulls for part in parts)
        not_finite = sum(part.not_finite for part in parts)
        telling = [part for part in parts if part.values] or parts
        kinds = {part.kind for part in telling}
        if len(kinds) > 1 or kinds & {ColumnKind.MASKED, ColumnKind.OTHER}:
            kind = ColumnKind.MASKED if ColumnKind.MASKED in kinds else ColumnKind.OTHER
            return cls(kind=kind, rows=rows, nulls=nulls)
        lows = [part.low for part in telling if part.low is not None]
        highs = [part.high for part in telling if part.high is not None]
        return cls(
            kind=telling[0].kind,
            rows=rows,
            nulls=nulls,
            not_finite=not_finite,
            low=min(lows, default=None),
            high=max(highs, default=None),
            sampled=any(part.sampled for part in telling),
            distinct=_merged(Distinct.merge, [part.distinct for part in telling]),
            top=_merged(TopValues.merge, [part.top for part in telling]),
            histogram=_merged(Histogram.merge, [part.histogram for part in telling]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """What some rows look like.

    Attributes:
        rows: how many they are.
        columns: by name, in the table's order.
    """

    rows: int
    columns: Mapping[str, ColumnProfile]

    @classmethod
    def merge(cls, profiles: "Sequence[Profile]") -> "Profile":
        """What the rows of all of them look like; of no rows where there are none."""
        names = dict.fromkeys(name for profile in profiles for name in profile.columns)
        return cls(
            rows=sum(profile.rows for profile in profiles),
            columns={
                name: ColumnProfile.merge([_column(profile, name) for profile in profiles])
                for name in names
            },
        )

    def masked(self, personal: Collection[str]) -> "Profile":
        """The same, telling of these columns only what may be told of personal data."""
        return Profile(
            rows=self.rows,
            columns={
                name: column.masked if name in personal else column
                for name, column in self.columns.items()
            },
        )


def _column(profile: Profile, name: str) -> ColumnProfile:
    absent = ColumnProfile(kind=ColumnKind.OTHER, rows=profile.rows, nulls=profile.rows)
    return profile.columns.get(name, absent)


def _merged(merge: Callable[[list[_T]], _T | None], parts: Sequence[_T | None]) -> _T | None:
    told = [part for part in parts if part is not None]
    return merge(told) if len(told) == len(parts) else None
