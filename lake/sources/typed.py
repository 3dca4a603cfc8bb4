"""Arrow tables, data frames, Parquet and Arrow files under a contract.

Keeps true: columns are found by name, none too many or too few; each has exactly the contract's
type, or one that it widens without loss (see `widening`); and times lie in the years 1 to 9999,
which is what Python, Delta's statistics and RFC 3339 can say. Otherwise the batch is refused.

>>> from backstory.lake.contract import Column
>>> contract = Contract(slice="thumbs", purpose="show it", columns=(
...     Column(name="label", type=pa.int64()),))
>>> conform(pa.table({"label": pa.array([7], pa.int8())}), contract).schema.types
[DataType(int64)]
"""

import sys
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import types as kind

from backstory.lake.contract import Column, Contract
from backstory.lake.documents import near
from backstory.lake.errors import InvalidError, LimitExceededError, NotFoundError
from backstory.lake.location import translate_os_error
from backstory.lake.sources.batches import (
    CHUNK_ROWS,
    MAX_BATCH_BYTES,
    PART_ROWS,
    Part,
    whole,
)
from backstory.lake.sources.misfits import convert
from backstory.lake.sources.rejections import LaidAside, Rejections
from backstory.lake.sources.widening import widens
from backstory.lake.types import describe_type, field_names, leaf_types, part_arrays, type_text

_FIRST_DAY, _LAST_DAY = -719_162, 2_932_896  # 0001-01-01 and 9999-12-31, in days since 1970
_MICROSECONDS = 86_400_000_000
_DAMAGE = (pa.ArrowException, UnicodeDecodeError)


def conform(
    data: object, contract: Contract, rejections: Rejections | None = None, *, before: int = 0
) -> pa.Table:
    """Take typed data as the contract's columns, in its order.

    Args:
        data: an Arrow table, batch or reader, a pandas frame, or whatever has an Arrow stream.
        contract: what it must be.
        rejections: where faults are noted; strict ones where none are given.
        before: rows of the same input that came before.

    Raises:
        BatchRejectedError: a column or value does not fit.
        InvalidError: the data is of another kind.
    """
    rejections = rejections or Rejections(contract)
    table = _as_table(data, contract.slice, rejections)
    _check_names(table.column_names, contract, rejections)
    rejections.check()
    columns = [_column(table.column(c.name), c, rejections, before) for c in contract.columns]
    rejections.check()
    if any(column is None for column in columns):
        table = _without_faults(table, contract, rejections, before)
        columns = [_column(table.column(c.name), c, rejections, before) for c in contract.columns]
    else:
        rejections.passed(range(before + 1, before + table.num_rows + 1))
    return pa.Table.from_arrays(columns, schema=contract.schema)


def _without_faults(
    table: pa.Table, contract: Contract, rejections: Rejections, before: int
) -> pa.Table:
    """The rows that fit; the others are laid aside."""
    numbers = range(before + 1, before + table.num_rows + 1)
    faults = {number: of for number, of in rejections.faults.items() if number in numbers}
    at_fault = table.take(pa.array([number - numbers.start for number in faults], pa.int64()))
    size = at_fault.nbytes // max(1, at_fault.num_rows)
    for number, row in zip(faults, row_values(at_fault), strict=True):
        unfit = {fault.column for fault in faults[number]}
        fitting = frozenset(c.name for c in contract.columns if c.name not in unfit)
        rejections.lay_aside(number, LaidAside(row, fitting), size=size)
    good = array("q", [number for number in numbers if number not in faults])
    rejections.passed(good)
    return table.take(pa.array([number - numbers.start for number in good], pa.int64()))


def row_values(table: pa.Table) -> Iterator[dict[str, Any]]:
    """The rows of a table as Python values; a time that Python cannot hold is its text."""
    for place in range(table.num_rows):
        yield {name: _value(table.column(name)[place]) for name in table.column_names}


def _value(cell: pa.Scalar) -> Any:
    try:
        return cell.as_py()
    except (ValueError, OverflowError):
        return str(cell) if cell.type.num_fields else cell.cast(pa.string()).as_py()


def parquet_parts(
    path: Path, contract: Contract, *, what: str = "input", rejections: Rejections | None = None
) -> Iterator[pa.Table]:
    """Read a Parquet file, a part at a time; see `conform`.

    Raises:
        NotFoundError: there is no such file.
        LimitExceededError: it is beyond a bound.
    """
    with _readable(f"{what} as Parquet"), pq.ParquetFile(_seekable(path, what)) as file:
        batches = file.iter_batches(CHUNK_ROWS)
        yield from _conform_all(file.schema_arrow, batches, contract, rejections)


def arrow_parts(
    path: Path, contract: Contract, *, what: str = "input", rejections: Rejections | None = None
) -> Iterator[pa.Table]:
    """Read an Arrow file or stream, a part at a time; see `parquet_parts`."""
    with _readable(f"{what} as Arrow"), _seekable(path, what) as file:
        yield from _conform_all(*_open_arrow(file), contract, rejections)


def _seekable(path: Path, what: str) -> pa.NativeFile:
    """An open file; of a pipe, all that comes out of it."""
    if not path.is_fifo():
        return pa.OSFile(str(path))
    with path.open("rb") as pipe:
        data = pipe.read(MAX_BATCH_BYTES + 1)
    if len(data) > MAX_BATCH_BYTES:
        raise LimitExceededError(
            f"{what}: more than {MAX_BATCH_BYTES} bytes came through a pipe; nothing was written",
            hint="name the file itself",
        )
    return pa.BufferReader(data)


@contextmanager
def _readable(what: str) -> Iterator[None]:
    damaged = InvalidError(
        f"cannot read {what}: it is damaged or something else",
        hint="write the file again, or say what it is with --format",
    )
    try:
        yield
    except FileNotFoundError as exc:
        raise NotFoundError(
            f"cannot read {what}: there is no such file", hint="check its path"
        ) from exc
    except _DAMAGE as exc:
        raise damaged from exc
    except OSError as exc:
        if exc.errno is None:  # Arrow's own word for a damaged file
            raise damaged from exc
        raise translate_os_error(exc, f"cannot read {what}") from exc


def _open_arrow(file: pa.NativeFile) -> tuple[pa.Schema, Iterable[pa.RecordBatch]]:
    try:
        reader = pa.ipc.open_file(file)
    except pa.ArrowInvalid:
        file.seek(0)
        stream = pa.ipc.open_stream(file)
        return stream.schema, stream
    return reader.schema, map(reader.get_batch, range(reader.num_record_batches))


def _conform_all(
    schema: pa.Schema,
    batches: Iterable[pa.RecordBatch],
    contract: Contract,
    rejections: Rejections | None,
) -> Iterator[pa.Table]:
    before, rejections = 0, rejections or Rejections(contract)
    for part in _parts(schema, batches):
        yield conform(part, contract, rejections, before=before)
        before += part.num_rows


def _parts(schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    schema = schema.remove_metadata()
    _check_text(schema)
    part = Part(schema)
    for batch in batches:
        batch.validate(full=True)  # offsets or text that would break whoever reads them
        plain = batch.replace_schema_metadata()
        for start in range(0, batch.num_rows, PART_ROWS):
            piece = plain.slice(start, PART_ROWS)
            part.add(piece, piece.nbytes)
            if part.is_full:
                yield part.taken()
    if part.has_more:
        yield part.taken()


def _check_text(schema: pa.Schema) -> None:
    """Look at every name and zone, so that one that is no UTF-8 fails here and nowhere later."""
    for field in schema:
        hash((field.name, *field_names(field.type)))
        hash(tuple(leaf.tz for leaf in leaf_types(field.type) if kind.is_timestamp(leaf)))


def _as_table(data: Any, what: str, rejections: Rejections) -> pa.Table:
    pandas = sys.modules.get("pandas")  # whoever has a frame has imported it
    if pandas is not None and isinstance(data, pandas.DataFrame):
        return _from_frame(data, rejections)
    if isinstance(data, pa.RecordBatch):
        data = pa.Table.from_batches([data])
    if isinstance(data, pa.Table):
        schema, batches = data.schema, data.to_batches()
    elif hasattr(data, "__arrow_c_stream__"):
        batches = pa.RecordBatchReader.from_stream(data)
        schema = batches.schema
    else:
        raise InvalidError(
            f"{what}: rows cannot be taken from a {type(data).__name__}",
            hint="give an Arrow table, a pandas or Polars frame, or a list of dicts",
        )
    try:
        return whole(_parts(schema, batches), what)
    except _DAMAGE as exc:
        raise InvalidError(f"{what}: the Arrow data is damaged", hint="make it again") from exc


def _from_frame(frame: Any, rejections: Rejections) -> pa.Table:
    for name in filter(None, frame.index.names):
        rejections.add("columns", "an index; call reset_index()", column=str(name))
    names, columns = [str(name) for name in frame.columns], []
    for place, name in enumerate(names):
        try:
            columns.append(pa.array(frame.iloc[:, place], from_pandas=True))
        except (pa.ArrowException, ValueError, TypeError, OverflowError):  # may quote a value
            rejections.add("values of one type", "a mixture of objects", column=name)
    rejections.check()
    return pa.Table.from_arrays(columns, names=names)


def _check_names(found: list[str], contract: Contract, rejections: Rejections) -> None:
    wanted = [column.name for column in contract.columns]
    for name in wanted:
        if name not in found:
            rejections.add("the contract's column", "no such column", column=name)
    for name, count in Counter(found).items():
        if name not in wanted:
            hint = near(name, wanted)
            rejections.add("only the contract's columns", f"column {name!r} ({hint})")
        elif count > 1:
            rejections.add("each column once", f"it {count} times", column=name)


def _column(values: pa.ChunkedArray, column: Column, rejections: Rejections, before: int) -> Any:
    if not widens(values.type, column.type):
        expected, found = type_text(column.type), describe_type(values.type)
        return rejections.add(f"type {expected}", f"type {found}", column=column.name)
    build = partial(_fit, type_=column.type)
    rows = range(before + 1, before + len(values) + 1)
    return rejections.convert(values, build, rows=rows, column=column.name)


def _fit(values: pa.ChunkedArray, *, type_: pa.DataType) -> pa.ChunkedArray:
    if values.type != type_:
        text = type_text(type_)
        values = convert(values, lambda part: part.cast(type_), f"{text} without loss")
    if any(kind.is_temporal(leaf) for leaf in leaf_types(type_)):
        values = convert(values, _within_years, "a time in the years 1 to 9999")
    return values


def _within_years(values: pa.ChunkedArray) -> pa.ChunkedArray:
    for chunk in values.chunks:
        _check_years(chunk.drop_null())
    return values


def _check_years(values: pa.Array) -> None:
    for part in part_arrays(values):
        _check_years(part.drop_null())
    if kind.is_temporal(values.type) and len(values):
        unit = 1 if kind.is_date(values.type) else _MICROSECONDS
        least, most = pc.min_max(_as_numbers(values)).values()
        if least.as_py() < _FIRST_DAY * unit or most.as_py() >= (_LAST_DAY + 1) * unit:
            raise ValueError("a time that Python, Delta and RFC 3339 cannot say")


def _as_numbers(values: pa.Array) -> pa.Array:
    return values.view(pa.int32() if kind.is_date(values.type) else pa.int64())
