"""Rows into one Arrow table, a chunk of rows at a time.

Keeps true: at most `CHUNK_ROWS` rows or `CHUNK_BYTES` of input are held as Python values, a batch
has at most `MAX_BATCH_ROWS` rows, and a table comes back only if every row fits. How one column is
read from rows is the caller's.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import pyarrow as pa

from backstory.lake.contract import Contract
from backstory.lake.errors import LimitExceededError
from backstory.lake.sources.misfits import Misfit
from backstory.lake.sources.rejections import LaidAside, Rejections

MAX_BATCH_ROWS = 5_000_000
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


def table_of(
    rows: Iterable[Row], readers: Sequence[ColumnReader], contract: Contract, rejections: Rejections
) -> pa.Table:
    """Read all columns of all rows.

    Args:
        rows: the rows; faults of whole rows are already noted, and those rows left out.
        readers: one per column of the contract; each raises Misfit on a value that does not fit.
        contract: what the rows must be.
        rejections: where faults are noted.

    Raises:
        BatchRejectedError: a row does not fit.
        LimitExceededError: there are more than `MAX_BATCH_ROWS`.
    """
    batches = []
    for chunk in _chunks(rows, contract.slice):
        fitting, arrays = chunk, _arrays(chunk, readers, contract, rejections)
        if rejections.full:
            break
        if arrays is None and not rejections.strict:
            fitting = _without_faults(chunk, readers, contract, rejections)
            arrays = _arrays(fitting, readers, contract, rejections)
        if arrays is not None:
            rejections.passed([row.number for row in fitting])
            batches.append(pa.record_batch(arrays, schema=contract.schema))
    rejections.check()
    return pa.Table.from_batches(batches, schema=contract.schema)


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


def _chunks(rows: Iterable[Row], what: str) -> Iterator[list[Row]]:
    chunk: list[Row] = []
    count = size = 0
    for row in rows:
        chunk.append(row)
        size += row.size
        if len(chunk) == CHUNK_ROWS or size >= CHUNK_BYTES:
            count += len(chunk)
            yield chunk
            chunk, size = [], 0
        if count + len(chunk) > MAX_BATCH_ROWS:
            raise LimitExceededError(
                f"{what}: a batch has more than {MAX_BATCH_ROWS} rows; nothing was written",
                hint="send it in parts",
            )
    yield chunk
