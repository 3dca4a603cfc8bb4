"""How far the values of two profiles lie apart, column by column. Pure: profiles in, numbers out.

Each statistic compares two distributions p (base) and q (head) over the same bins. The bins are the
distinct values where both profiles list all of them; else those of the histogram, for numbers; else
the values that either lists and one bin for the rest. Nulls and numbers that are not finite are no
values. Columns of times, personal data and nested values have no distribution and are not compared;
nor are texts that hardly repeat, as ids and prose do: each of their values is new.

- PSI, the population stability index: sum((q - p) * ln(q / p)). A bin that one of them lacks would
  make it infinite, so half a row is added to each bin of both. Below 0.1 is usually called stable,
  above 0.25 a shift; of n and m rows without any drift about (bins - 1) * (1/n + 1/m) is seen.
  (N. Siddiqi, Credit Risk Scorecards, 2006; B. Yurdakul, Statistical Properties of PSI, 2018)
- Jensen-Shannon divergence in bits, 0 to 1: H((p + q) / 2) - (H(p) + H(q)) / 2. Its square root is
  `scipy.spatial.distance.jensenshannon(p, q, base=2)`. (J. Lin, IEEE Trans. Inf. Theory 37, 1991)
- KS, of numbers: the greatest distance of the two cumulated shares, 0 to 1, at the bins' edges. It
  is the two-sample Kolmogorov-Smirnov statistic where the bins are the distinct values, and never
  more than it where they are wider. (`scipy.stats.ks_2samp`)
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import accumulate

from backstory.lake.histogram import Histogram, choose_edges
from backstory.lake.profile import ColumnKind, ColumnProfile, Profile
from backstory.lake.top_values import TopValues, Value

_PSEUDO = 0.5  # of a row, in each bin
_FEW = 20  # values that say nothing of whether more would repeat
_COMPARED = frozenset({ColumnKind.NUMBER, ColumnKind.TEXT, ColumnKind.FLAG})


class Statistic(StrEnum):
    """The statistics by which drift is measured."""

    PSI = "psi"
    JENSEN_SHANNON = "js"
    KS = "ks"


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnDrift:
    """How far a column's values in the head lie from those in the base.

    Attributes:
        base_values, head_values: how many values were compared.
        base_nulls, head_nulls: shares of rows without a value.
        psi, js, ks: the statistics; None where they cannot be told.
        new, missing: values that only the head, or only the base, has; None where a profile does
            not list all.
        sampled: values were counted in some of the rows.
    """

    column: str
    kind: ColumnKind
    base_values: int
    head_values: int
    base_nulls: float
    head_nulls: float
    psi: float | None
    js: float | None
    ks: float | None
    new: tuple[Value, ...] | None
    missing: tuple[Value, ...] | None
    sampled: bool

    def of(self, statistic: Statistic) -> float | None:
        """One of the statistics."""
        return {
            Statistic.PSI: self.psi,
            Statistic.JENSEN_SHANNON: self.js,
            Statistic.KS: self.ks,
        }[statistic]


def drift(base: Profile, head: Profile) -> list[ColumnDrift]:
    """The columns that both have and that can be compared, in the head's order."""
    return [
        _of_column(name, base.columns[name], column)
        for name, column in head.columns.items()
        if name in base.columns and all(map(_is_compared, (base.columns[name], column)))
    ]


def _is_compared(column: ColumnProfile) -> bool:
    distinct = column.distinct.estimate if column.distinct else 0
    hardly_repeats = column.values >= _FEW and 2 * distinct > column.values
    return column.kind in _COMPARED and not (column.kind is ColumnKind.TEXT and hardly_repeats)


def _of_column(name: str, base: ColumnProfile, head: ColumnProfile) -> ColumnDrift:
    bins = _bins(base, head) if base.kind is head.kind else None
    if not (base.values and head.values):
        bins = None
    is_ordered = head.kind is ColumnKind.NUMBER
    return ColumnDrift(
        column=name,
        kind=head.kind,
        base_values=base.values,
        head_values=head.values,
        base_nulls=base.nulls / base.rows if base.rows else 0.0,
        head_nulls=head.nulls / head.rows if head.rows else 0.0,
        psi=psi(*bins) if bins else None,
        js=jensen_shannon(*bins) if bins else None,
        ks=kolmogorov_smirnov(*bins) if bins and is_ordered else None,
        new=_only_of(head.top, base.top),
        missing=_only_of(base.top, head.top),
        sampled=base.sampled or head.sampled,
    )


def psi(base: Sequence[int], head: Sequence[int]) -> float:
    """The population stability index of two counts of the same bins, half a row added to each."""
    p, q = _shares([n + _PSEUDO for n in base]), _shares([n + _PSEUDO for n in head])
    return sum((b - a) * math.log(b / a) for a, b in zip(p, q, strict=True))


def jensen_shannon(base: Sequence[int], head: Sequence[int]) -> float:
    """The Jensen-Shannon divergence, in bits, of two counts of the same bins."""
    p, q = _shares(base), _shares(head)
    middle = [(a + b) / 2 for a, b in zip(p, q, strict=True)]
    return max(0.0, _entropy(middle) - (_entropy(p) + _entropy(q)) / 2)


def kolmogorov_smirnov(base: Sequence[int], head: Sequence[int]) -> float:
    """The greatest distance of two cumulated distributions over the same ordered bins."""
    p, q = accumulate(_shares(base)), accumulate(_shares(head))
    return max(abs(a - b) for a, b in zip(p, q, strict=True))


def _shares(counts: Sequence[float]) -> list[float]:
    total = sum(counts)
    return [count / total for count in counts]


def _entropy(shares: Sequence[float]) -> float:
    return -sum(share * math.log2(share) for share in shares if share > 0)


def _bins(base: ColumnProfile, head: ColumnProfile) -> tuple[list[int], list[int]] | None:
    """How many values of each fall into the same bins; None where they have none in common."""
    one, two = base.top, head.top
    if one and two and one.whole and two.whole:
        return _by_value(one.counts, two.counts)
    if base.histogram and head.histogram:
        return _by_histogram(base.histogram, head.histogram)
    if one and two and head.kind is not ColumnKind.NUMBER:
        return _with_rest(one, two)
    return None


def _by_value(base: Mapping[Value, int], head: Mapping[Value, int]) -> tuple[list[int], list[int]]:
    values = sorted(base.keys() | head.keys())
    return [base.get(value, 0) for value in values], [head.get(value, 0) for value in values]


def _by_histogram(base: Histogram, head: Histogram) -> tuple[list[int], list[int]] | None:
    if not base.total or not head.total:
        return None
    edges = base.edges or head.edges or choose_edges(base.values)
    one, two = base.on(edges), head.on(edges)
    return (list(one.counts), list(two.counts)) if one.edges == two.edges else None


def _with_rest(base: TopValues, head: TopValues) -> tuple[list[int], list[int]]:
    """Values that both list, and the rest: what only one lists may be in the other's rest."""
    both = base.counts.keys() & head.counts.keys()
    if base.whole or head.whole:  # the one that lists all of its values lacks the others for sure
        both = (head if base.whole else base).counts.keys() | both
    one = {value: base.counts.get(value, 0) for value in both}
    two = {value: head.counts.get(value, 0) for value in both}
    total_one, total_two = _total(base), _total(head)
    one_bins, two_bins = _by_value(one, two)
    return (
        [*one_bins, total_one - sum(one_bins)],
        [*two_bins, total_two - sum(two_bins)],
    )


def _total(top: TopValues) -> int:
    return sum(top.counts.values()) + top.rest


def _only_of(one: TopValues | None, other: TopValues | None) -> tuple[Value, ...] | None:
    if one is None or other is None or not (one.whole and other.whole):
        return None
    return tuple(sorted(one.counts.keys() - other.counts.keys()))
