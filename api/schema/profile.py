"""What the rows of a slice look like, and how far two of them lie apart: counts and statistics.

Words and bounds of rows stay out, as rows do; how many values are new or missing is told.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import graphene

from backstory.api.context import Info
from backstory.api.schema.fields import enum, many, maybe, one
from backstory.api.schema.scalars import Long
from backstory.lake import drift, profile
from backstory.lake.histogram import Histogram as Counts
from backstory.lineage import profiling

ColumnKind = enum(profile.ColumnKind, name="ColumnKind")


class Histogram(graphene.ObjectType):
    """How numbers are spread over edges that all commits of the slice share."""

    edges = many(graphene.Float, "Between the bins, ascending.")
    counts = many(Long, "Below the first edge, from each to the next, and from the last on.")


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedProfile:
    """A column's profile with its name."""

    name: str
    profile: profile.ColumnProfile


class ColumnProfile(graphene.ObjectType):
    """What the values of one column look like."""

    name = one(graphene.String, "The column.")
    kind = one(ColumnKind, "What can be told of it; of personal data rows and nulls only.")
    nulls = one(Long, "Rows without a value.")
    not_finite = one(Long, "Numbers that are NaN or infinite.")
    distinct = maybe(Long, "Distinct values, about; null where that is not told.")
    sampled = one(graphene.Boolean, "Of a text: distinct is of some of the rows, so at least that.")
    histogram = maybe(Histogram, "Of numbers, once there are enough of them.")

    @staticmethod
    def resolve_kind(root: NamedProfile, _info: Info) -> profile.ColumnKind:
        """Its kind."""
        return root.profile.kind

    @staticmethod
    def resolve_nulls(root: NamedProfile, _info: Info) -> int:
        """Its nulls."""
        return root.profile.nulls

    @staticmethod
    def resolve_not_finite(root: NamedProfile, _info: Info) -> int:
        """What is no number that can be compared."""
        return root.profile.not_finite

    @staticmethod
    def resolve_distinct(root: NamedProfile, _info: Info) -> int | None:
        """The estimate."""
        return root.profile.distinct.estimate if root.profile.distinct else None

    @staticmethod
    def resolve_sampled(root: NamedProfile, _info: Info) -> bool:
        """Whether not all rows were looked at."""
        return root.profile.sampled

    @staticmethod
    def resolve_histogram(root: NamedProfile, _info: Info) -> Counts | None:
        """Counts; values that are held as they are stay out."""
        found = root.profile.histogram
        return found if found and found.edges else None


class Profile(graphene.ObjectType):
    """What some rows look like."""

    key = one(graphene.String, "The ref of exactly these rows.", source="ref")
    rows = one(Long, "How many.")
    files = one(Long, "Data files that hold them.")
    files_read = one(Long, "Files that were read, as they had no usable profile.", source="read")
    damaged = one(Long, "Profiles that are not what was written.")
    columns = many(ColumnProfile, "Column by column, in the order of the table.")

    @staticmethod
    def resolve_rows(root: profiling.SliceProfile, _info: Info) -> int:
        """Its rows."""
        return root.profile.rows

    @staticmethod
    def resolve_damaged(root: profiling.SliceProfile, _info: Info) -> int:
        """How many."""
        return len(root.damaged)

    @staticmethod
    def resolve_columns(root: profiling.SliceProfile, _info: Info) -> Sequence[Any]:
        """Columns with their names."""
        return [NamedProfile(name=n, profile=c) for n, c in root.profile.columns.items()]


class ColumnDrift(graphene.ObjectType):
    """How far a column's values in the head lie from those in the base."""

    column = one(graphene.String, "The column.")
    kind = one(ColumnKind, "What its values are.")
    base_values = one(Long, "Values of the base that were compared.")
    head_values = one(Long, "Values of the head that were compared.")
    base_nulls = one(graphene.Float, "Share of the base's rows without a value.")
    head_nulls = one(graphene.Float, "Share of the head's rows without a value.")
    psi = maybe(graphene.Float, "Population stability index; null where it cannot be told.")
    js = maybe(graphene.Float, "Jensen-Shannon divergence in bits, 0 to 1.")
    ks = maybe(graphene.Float, "Kolmogorov-Smirnov distance, 0 to 1; of numbers only.")
    new = maybe(Long, "How many values only the head has; null where not all are listed.")
    missing = maybe(Long, "How many values only the base has; null where not all are listed.")
    sampled = one(graphene.Boolean, "Values were counted in some of the rows.")

    @staticmethod
    def resolve_new(root: drift.ColumnDrift, _info: Info) -> int | None:
        """How many; which ones is for those who may read rows."""
        return None if root.new is None else len(root.new)

    @staticmethod
    def resolve_missing(root: drift.ColumnDrift, _info: Info) -> int | None:
        """How many; which ones is for those who may read rows."""
        return None if root.missing is None else len(root.missing)


class Drift(graphene.ObjectType):
    """Two profiles side by side."""

    base = one(Profile, "What is compared with.")
    head = one(Profile, "What is compared.")
    columns = many(ColumnDrift, "The columns that can be compared.")
