"""Which values a column has most often: counts of a bounded number of them, which add up.

A column with at most `MAX_VALUES` distinct values is told whole: then the counts are exact, also
after merging. Of any other the most frequent values are kept, and `missed` says how often a value
that is not listed, or was not listed in a part of what was merged, may occur beyond its count: each
count is at least that low and at most `missed` more. (Mergeable summaries: P. Agarwal et al., PODS
2012.) Texts that are too long to be listed are in the rest, however often they occur. Merging is
commutative; where everything is told whole it is associative too.

>>> one = TopValues(counts={"up": 7, "down": 2}, rest=0, missed=0)
>>> TopValues.merge([one, TopValues(counts={"up": 1}, rest=0, missed=0)]).counts
{'up': 8, 'down': 2}
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

MAX_VALUES = 64

Value: TypeAlias = str | int | bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TopValues:
    """The most frequent values.

    Attributes:
        counts: how often each occurs, the most frequent first.
        rest: how many rows have none of these values.
        missed: how much larger the count of any value may be; 0 where `counts` tells all.
    """

    counts: Mapping[Value, int]
    rest: int
    missed: int

    @property
    def whole(self) -> bool:
        """Whether every value is listed, with its exact count."""
        return self.rest == 0 and self.missed == 0

    @classmethod
    def of(cls, counts: Mapping[Value, int], *, rest: int = 0, missed: int = 0) -> "TopValues":
        """Keep the most frequent of some counts; values of a kind, which can be compared."""
        ranked = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
        dropped = ranked[MAX_VALUES:]
        return cls(
            counts=dict(ranked[:MAX_VALUES]),
            rest=rest + sum(count for _, count in dropped),
            missed=missed + (dropped[0][1] if dropped else 0),
        )

    @classmethod
    def merge(cls, parts: "Iterable[TopValues]") -> "TopValues":
        """The most frequent values of all of them."""
        counts: dict[Value, int] = {}
        rest = missed = 0
        for part in parts:
            rest, missed = rest + part.rest, missed + part.missed
            for value, count in part.counts.items():
                counts[value] = counts.get(value, 0) + count
        return cls.of(counts, rest=rest, missed=missed)
