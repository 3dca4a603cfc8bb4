"""How numbers are spread: counts on edges that all commits of a slice share, so that they add up.

With edges e0 < e1 < … < em there are m + 2 bins: below e0, from each edge (included) to the next
(excluded), and from em on. The first and the last hold what lies outside of what was seen when the
edges were fixed.

Before there are `ENOUGH` values to choose edges by, a histogram holds the values themselves, and
they are counted when edges are there. Nothing is lost by that, and merging stays exact.

>>> edges = choose_edges([1.0, 2.0, 2.0, 3.0, 9.0])
>>> Histogram(values=(0.5, 2.0, 10.0)).on(edges).counts
(1, 0, 1, 0, 0, 1)
"""

import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

BINS = 20
ENOUGH = 256

Edges = tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Histogram:
    """Numbers, counted on edges or held as they are.

    Attributes:
        edges: between the bins; empty while the values themselves are held.
        counts: one for each bin.
        values: in ascending order.
    """

    edges: Edges = ()
    counts: tuple[int, ...] = ()
    values: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if len(self.counts) != (len(self.edges) + 1 if self.edges else 0):
            raise ValueError(f"{len(self.counts)} counts on {len(self.edges)} edges")

    @property
    def total(self) -> int:
        """How many numbers it tells of."""
        return sum(self.counts) if self.edges else len(self.values)

    def on(self, edges: Edges) -> "Histogram":
        """The same, where it holds values, counted on these edges."""
        if self.edges:
            return self
        counts = [0] * (len(edges) + 1)
        for value in self.values:
            counts[bisect_right(edges, value)] += 1
        return Histogram(edges=edges, counts=tuple(counts))

    @classmethod
    def merge(cls, parts: "Sequence[Histogram]") -> "Histogram | None":
        """All of them together; None where they are counted on different edges."""
        known = {part.edges for part in parts if part.edges}
        held = cls(values=tuple(sorted(value for part in parts for value in part.values)))
        if not known:
            return held
        if len(known) > 1:
            return None
        [edges] = known
        counted = [part.counts for part in (held.on(edges), *parts) if part.counts]
        return cls(edges=edges, counts=tuple(map(sum, zip(*counted, strict=True))))


def choose_edges(values: Iterable[float]) -> Edges:
    """Edges by which numbers fall into about `BINS` equal shares, none of them outside.

    Args:
        values: finite numbers, at least one.
    """
    ranked = sorted(values)
    last = len(ranked) - 1
    inner = {ranked[last * k // BINS] for k in range(BINS)}
    return (*sorted(inner - {ranked[last]}), *_around(ranked[last]))


def _around(largest: float) -> Edges:
    """The largest number seen has the last inner bin for itself."""
    beyond = math.nextafter(largest, math.inf)
    return (largest, beyond) if math.isfinite(beyond) else (largest,)
