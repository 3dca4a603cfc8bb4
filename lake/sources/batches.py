"""Rows into Arrow tables, a chunk of rows at a time, in parts of an input.

Keeps true: at most `CHUNK_ROWS` rows or `CHUNK_BYTES` of input are held as Python values; a part is
full with `PART_ROWS` rows or `PART_BYTES`, at the same rows each time that the same input is read;
and a part comes back only if every row of it fits. How a column is read from rows is the caller's.
"""

from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import pyarrow as pa

from backstory.lake.contract import Contract
from backstory.lake.errors import LimitExceededError
from backstory.lake.sources.misfits import Misfit
from backstory.lake.sources.rejections import LaidAside, Rejections

MAX_BATCH_ROWS = 5_000_000
MAX_BATCH_BYTES = 4 << 30
PART_ROWS = 524_288
PART_BYTES = 256 << 20
CHUNK_ROWS = 16_384
CHUNK_BYTES = 64 << 20


class Row(NamedTuple):
    """One row as it came in; a tuple, since there are millions.

    Attributes:
        number: counted from 1, for messages.
        values: what a column reader takes.
        size: bytes or characters of input behind it.
    """

    number: int
    values: Any
    size: int


ColumnReader = Callable[[list[Any]], pa.Array]


@dataclass(frozen=True, slots=True, kw_only=True)
class TypedPart:
    """A part of an input, of which every row fits its types.

    Attributes:
        rows: those rows.
        rejections: the faults of its other rows.
    """

    rows: pa.Table
    rejections: Rejections

    @property
    def given(self) -> int:
        """How many rows of the input it has, those with faults among them."""
        return int(self.rows.num_rows) + len(self.rejections.faults)


def parts_of(
    rows: Iterable[Row], readers: Sequence[ColumnReader], contract: Contract, rejections: Rejections
) -> Iterator[pa.Table]:
    """Read all columns of all rows, a part at a time; an input without rows is one empty part.

    Args:
        rows: the rows; faults of whole rows are already noted, and those rows left out.
        readers: one per column of the contract; each raises Misfit on a value that does not fit.
        contract: what the rows must be.
        rejections: where faults are noted; with a part come those of the rows up to its end.

    Raises:
        BatchRejectedError: a row of the next part refuses it.
    """
    part = Part(contract.schema)
    for chunk in _chunks(rows):
        fitting, arrays = chunk, _arrays(chunk, readers, contract, rejections)
        if rejections.full:
            break
        if arrays is None and not rejections.strict:
            fitting = _without_faults(chunk, readers, contract, rejections)
            arrays = _arrays(fitting, readers, contract, rejections)
        if arrays is not None:
            rejections.passed(array("q", [row.number for row in fitting]))
            batch = pa.record_batch(arrays, schema=contract.schema)
            part.add(batch, sum(row.size for row in chunk))
        if part.is_full:
            rejections.check()
            yield part.taken()
    rejections.check()
    if part.has_more or rejections.faults:
        yield part.taken()


class Part:
    """The batches of the part of an input that is being read."""

    def __init__(self, schema: pa.Schema) -> None:
        self._schema = schema
        self._batches: list[pa.RecordBatch] = []
        self._rows = self._bytes = self._given = 0

    def add(self, batch: pa.RecordBatch, size: int) -> None:
        """Take rows into it, with the bytes that they count for."""
        self._batches.append(batch)
        self._rows += batch.num_rows
        self._bytes += size

    @property
    def is_full(self) -> bool:
        """Whether it is to be taken before more is added."""
        return self._rows >= PART_ROWS or self._bytes >= PART_BYTES

    def taken(self) -> pa.Table:
        """The part as a table; the next one begins."""
        table = pa.Table.from_batches(self._batches, schema=self._schema)
        self._batches, self._rows, self._bytes = [], 0, 0
        self._given += 1
        return table

    @property
    def has_more(self) -> bool:
        """Whether there is a last part; an empty one where none was given before."""
        return bool(self._rows) or not self._given


def whole(parts: Iterable[pa.Table], what: str) -> pa.Table:
    """All parts of an input as one batch.

    Raises:
        BatchRejectedError: a row does not fit.
        LimitExceededError: there are more than `MAX_BATCH_ROWS`, or `MAX_BATCH_BYTES` in memory.
    """
    taken, rows, size = [], 0, 0
    for part in parts:
        taken.append(part)
        rows += part.num_rows
        size += part.nbytes
        if rows > MAX_BATCH_ROWS or size > MAX_BATCH_BYTES:
            raise LimitExceededError(
                f"{what}: a batch has at most {MAX_BATCH_ROWS} rows and "
                f"{MAX_BATCH_BYTES} bytes in memory; nothing was written",
                hint="send it in parts",
            )
    return pa.concat_tables(taken)


def _arrays(
    chunk: list[Row],
    readers: Sequence[ColumnReader],
    contract: Contract,
    rejections: Rejections,
) -> list[pa.Array] | None:
    numbers = [row.number for row in chunk]
    values = [row.values for row in chunk]
    arrays = [
        rejections.convert(values, read, rows=numbers, column=column.name)
        for read, column in zip(readers, contract.columns, strict=True)
    ]
    return None if any(array is None for array in arrays) else arrays


def _without_faults(
    chunk: list[Row],
    readers: Sequence[ColumnReader],
    contract: Contract,
    rejections: Rejections,
) -> list[Row]:
    """The rows of a chunk that fit; the others are laid aside, each column as far as it fits."""
    fitting = []
    for row in chunk:
        if row.number not in rejections.faults:
            fitting.append(row)
            continue
        fields, fits = {}, set()
        for read, column in zip(readers, contract.columns, strict=True):
            try:
                fields[column.name] = read([row.values])[0].as_py()
                fits.add(column.name)
            except Misfit as misfit:
                fields[column.name] = misfit.found
        rejections.lay_aside(row.number, LaidAside(fields, frozenset(fits)), size=row.size)
    return fitting


def _chunks(rows: Iterable[Row]) -> Iterator[list[Row]]:
    chunk: list[Row] = []
    size = 0
    for row in rows:
        chunk.append(row)
        size += row.size
        if len(chunk) == CHUNK_ROWS or size >= CHUNK_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk
