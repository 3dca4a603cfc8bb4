"""A batch as the gate gives it to a table: its good rows, and what became of the others.

Keeps true: the digest of a batch speaks of what came in, not of how it was judged: it is the same
for the same rows when they come again later, under more expectations or beside newer rows.

>>> Batch.of(pa.table({"label": [7]})).rejected
()
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import pyarrow as pa

from backstory.lake.contract import Contract
from backstory.lake.earlier import digests_under
from backstory.lake.quarantined_rows import QuarantinedRow
from backstory.lake.rows import batch_digest

MAX_REASONS = 20  # that are counted by name; further ones are counted together

_HEADER = b"backstory-batch v1\n"
_OTHERS = "others"


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Rows that passed the gate together.

    Attributes:
        rows: the good ones.
        typed: all rows of the contract's types, good or not; None where all that came in is good.
        untyped: the contents of the rows that could not be typed.
        rejected: the rows that are not good.
        warnings: how many good rows miss each expectation that only warns.
        runs: how many of the good rows each batch brought that it was joined of; empty for none.
    """

    rows: pa.Table
    typed: pa.Table | None = None
    untyped: tuple[str, ...] = ()
    rejected: tuple[QuarantinedRow, ...] = ()
    warnings: Mapping[str, int] = field(default_factory=dict)
    runs: tuple[int, ...] = ()

    @classmethod
    def of(cls, rows: "pa.Table | Batch") -> "Batch":
        """A batch of good rows."""
        return rows if isinstance(rows, Batch) else cls(rows=rows)

    @classmethod
    def joined(cls, batches: "Sequence[Batch]") -> "Batch":
        """Several batches as one; the numbers of rows in each count on from the one before."""
        counted = Counter[str]()
        rejected: list[QuarantinedRow] = []
        before = 0
        for batch in batches:
            counted.update(batch.warnings)
            rejected += (replace(row, row=before + row.row) for row in batch.rejected)
            before += batch.given
        all_good = all(batch.typed is None for batch in batches)
        return cls(
            rows=pa.concat_tables([batch.rows for batch in batches]),
            typed=None if all_good else pa.concat_tables([batch.came_in for batch in batches]),
            untyped=tuple(text for batch in batches for text in batch.untyped),
            rejected=tuple(rejected),
            warnings=dict(counted),
            runs=tuple(batch.rows.num_rows for batch in batches),
        )

    @property
    def given(self) -> int:
        """How many rows came in."""
        return int(self.rows.num_rows) + len(self.rejected)

    def digested(self) -> str:
        """The digest of all that came in."""
        return self._digest(batch_digest(self.came_in))

    def digests_under(self, contracts: Iterable[Contract]) -> list[str]:
        """The digests that it had or would have under other contracts of its table."""
        came_in = self.came_in
        return [self._digest(one) for one in digests_under(came_in, came_in.schema, contracts)]

    @property
    def came_in(self) -> pa.Table:
        """All rows of the contract's types, good or not."""
        return self.rows if self.typed is None else self.typed

    def _digest(self, of_typed: str) -> str:
        if not self.untyped:
            return of_typed
        return hashlib.sha256(_HEADER + "\n".join([of_typed, *self.untyped]).encode()).hexdigest()


def reasons_of(rows: Iterable[QuarantinedRow]) -> dict[str, int]:
    """How many rows were rejected for each reason; a row may have several."""
    counts = Counter(reason for row in rows for reason in row.reasons)
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    found = dict(ranked[:MAX_REASONS])
    if others := sum(count for _, count in ranked[MAX_REASONS:]):
        found[_OTHERS] = others
    return found
