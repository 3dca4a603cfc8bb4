r"""JSON lines and CSV into Arrow, read by the contract.

Keeps true: every row is taken as it was written, or the batch is refused with row, column, what was
expected and what was found. How values are spelled is said in `values` (JSONL) and `cells` (CSV).

    JSONL  one object a line; a missing field is null; unknown and double fields are refused
    CSV    RFC 4180 with a header that names every column once; an empty cell is null, or empty text
           where the contract has a string that may not be null; columns with parts are refused

Both are UTF-8, packed with gzip or zstd or not; blank lines count and hold nothing. Rows count from
1: lines in JSONL, records after the header in CSV.

>>> import io
>>> from backstory.lake.contract import Column
>>> contract = Contract(slice="thumbs", purpose="show it", columns=(
...     Column(name="label", type=pa.int64()),))
>>> read_csv(io.BytesIO(b"label\n7\n"), contract).to_pylist()
[{'label': 7}]
>>> from backstory.lake.errors import BatchRejectedError
>>> try:
...     read_jsonl(io.BytesIO(b'{"label": 7.5}\n'), contract)
... except BatchRejectedError as error:
...     print(error.rejections[0])
row 1, column label: expected int64, found 7.5
"""

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types as kind

from backstory.lake.contract import Column, Contract
from backstory.lake.documents import NotPlainError, near, unique_fields
from backstory.lake.errors import InvalidError
from backstory.lake.sources.batches import Row, parts_of, whole
from backstory.lake.sources.cells import parse_cells
from backstory.lake.sources.lines import open_lines
from backstory.lake.sources.misfits import convert
from backstory.lake.sources.objects import fits_fields, object_readers, read_objects
from backstory.lake.sources.rejections import LaidAside, Rejections, described, shown_name
from backstory.lake.types import leaf_types

_JSON_SPACE = " \t\n\r"
_OTHER_DELIMITERS = ";\t|"  # that people call CSV too


def read_jsonl(
    source: Path | BinaryIO,
    contract: Contract,
    *,
    what: str = "input",
    rejections: Rejections | None = None,
) -> pa.Table:
    """Read JSON lines as one batch; see `jsonl_parts`."""
    parts = jsonl_parts(source, contract, what=what, rejections=rejections)
    return whole(parts, contract.slice)


def read_csv(
    source: Path | BinaryIO,
    contract: Contract,
    *,
    what: str = "input",
    rejections: Rejections | None = None,
) -> pa.Table:
    """Read CSV with a header as one batch; see `jsonl_parts`."""
    parts = csv_parts(source, contract, what=what, rejections=rejections)
    return whole(parts, contract.slice)


def read_json_array(body: bytes, contract: Contract, rejections: Rejections) -> pa.Table:
    """Read a JSON array of objects as one batch; the row of an object is its place from 1."""
    try:
        found = _decoder(contract)(body.decode("utf-8", "surrogateescape"))
    except (ValueError, ArithmeticError, RecursionError) as exc:
        rejections.add("a JSON array of objects", _json_fault(exc))
    else:
        if isinstance(found, list):
            return read_objects(found, contract, rejections)
        rejections.add("a JSON array of objects", described(found))
    rejections.check()
    raise AssertionError("unreachable")  # pragma: no cover


def read_messages(
    messages: Iterable[bytes], numbers: Iterable[int], contract: Contract, rejections: Rejections
) -> pa.Table:
    """Read JSON objects that came one by one, each with its number."""
    rows = _objects(zip(numbers, messages, strict=True), contract, rejections)
    return whole(parts_of(rows, object_readers(contract), contract, rejections), contract.slice)


def jsonl_parts(
    source: Path | BinaryIO,
    contract: Contract,
    *,
    what: str = "input",
    rejections: Rejections | None = None,
) -> Iterator[pa.Table]:
    """Read JSON lines, a part at a time.

    Args:
        source: a file, or a stream of bytes.
        contract: what the rows must be.
        what: what the source is, for messages.
        rejections: where faults are noted; strict ones where none are given.

    Yields:
        The contract's columns, in its order; at least one part.

    Raises:
        BatchRejectedError: a row of the next part refuses it.
        InvalidError: the source cannot be read as a whole; see `open_lines`.
    """
    rejections = rejections or Rejections(contract)
    with open_lines(source, what) as lines:
        rows = _objects(enumerate(lines, start=1), contract, rejections)
        yield from parts_of(rows, object_readers(contract), contract, rejections)


def csv_parts(
    source: Path | BinaryIO,
    contract: Contract,
    *,
    what: str = "input",
    rejections: Rejections | None = None,
) -> Iterator[pa.Table]:
    """Read CSV with a header, a part at a time; see `jsonl_parts`."""
    nested = [column.name for column in contract.columns if column.type.num_fields]
    if nested:
        raise InvalidError(
            f"{contract.slice}: column {nested[0]} has parts, which CSV cannot hold",
            hint="send JSON lines, Parquet or Arrow",
        )
    rejections = rejections or Rejections(contract)
    with open_lines(source, what) as lines:
        records = _records(lines, rejections)
        header = next(records, Row(0, [], 0)).values
        _check_header(header, contract, rejections)
        rejections.check()
        readers = [partial(_read_cells, header.index(c.name), c) for c in contract.columns]
        even = _even(records, len(header), rejections)
        yield from parts_of(even, readers, contract, rejections)


def _objects(
    lines: Iterable[tuple[int, bytes]], contract: Contract, rejections: Rejections
) -> Iterator[Row]:
    decode = _decoder(contract)
    fits = fits_fields(contract, rejections)
    for number, line in lines:
        if line.isspace():
            continue
        try:
            # Bytes that are no UTF-8 become lone surrogates, which no column takes.
            found = decode(line.decode("utf-8", "surrogateescape"))
        except (ValueError, ArithmeticError, RecursionError) as exc:
            rejections.add("one JSON object", _json_fault(exc), row=number)
            rejections.lay_aside(number, _line(line), size=len(line))
        else:
            if fits(found, number):
                yield Row(number, found, len(line))
        if rejections.full:
            return


def _line(line: bytes) -> LaidAside:
    return LaidAside(None, text=line.decode("utf-8", "replace").rstrip("\r\n"))


def _decoder(contract: Contract) -> Callable[[str], Any]:
    exact = any(kind.is_decimal(leaf) for c in contract.columns for leaf in leaf_types(c.type))
    decoder = json.JSONDecoder(
        object_pairs_hook=unique_fields,
        parse_constant=_no_constant,
        parse_float=Decimal if exact else _double,
    )

    def decode(text: str) -> Any:
        text = text.strip(_JSON_SPACE)
        found, end = decoder.raw_decode(text)
        if end != len(text):
            raise json.JSONDecodeError("Extra data", text, end)
        return found

    return decode


def _double(text: str) -> float | Decimal:
    """The nearest double, or the exact number where that would be infinity or a wrong zero."""
    value = float(text)
    return value if value and value - value == 0 else (Decimal(text) or value)


def _no_constant(name: str) -> None:
    raise NotPlainError(f"{name}, which is no JSON")


def _json_fault(exc: Exception) -> str:
    match exc:
        case json.JSONDecodeError():
            return f"{exc.msg[0].lower()}{exc.msg[1:]} at character {exc.pos + 1}"
        case NotPlainError():
            return str(exc)
        case RecursionError():
            return "deeper nesting than can be read"
        case _:
            return "a number that is too long"


def _records(lines: Iterator[bytes], rejections: Rejections) -> Iterator[Row]:
    """The records of a CSV; number 0 is the header."""
    text = (line.decode("utf-8", "surrogateescape") for line in lines)
    reader = csv.reader(text, strict=True)
    number = 0
    while True:
        try:
            record = next(reader, None)
        except csv.Error as exc:  # what follows a broken quote cannot be told apart
            rejections.add("CSV (RFC 4180)", str(exc), row=number or None, whole=True)
            return
        if record is None:
            return
        if record:
            yield Row(number, record, sum(map(len, record)))
        number += bool(record)


def _check_header(header: list[str], contract: Contract, rejections: Rejections) -> None:
    names = [column.name for column in contract.columns]
    if not set(header) & set(names):  # perhaps it is no header but somebody's data
        found = f"{len(header)} other cells" if header else "none"
        for other in _OTHER_DELIMITERS if len(header) == 1 else "":
            if set(header[0].split(other)) & set(names):
                found = f"one separated by {other!r}"
        rejections.add(f"a header with {', '.join(names)}, separated by ','", found)
        return
    for name in sorted(set(names) - set(header)):
        rejections.add("the column in the header", "no such column", column=name)
    for place, name in enumerate(header, start=1):
        if name not in names:
            wrong = (
                f"column {shown_name(name)}" if name else f"a column without name at place {place}"
            )
            rejections.add("only the contract's columns", f"{wrong} ({near(name, names)})")
        elif header.index(name) != place - 1:
            rejections.add("each column once", "it twice", column=name)


def _even(records: Iterator[Row], width: int, rejections: Rejections) -> Iterator[Row]:
    for record in records:
        if len(record.values) == width:
            yield record
        else:
            rejections.add(f"{width} cells", str(len(record.values)), row=record.number)
            kept = LaidAside(None, text=",".join(record.values))
            rejections.lay_aside(record.number, kept, size=record.size)
        if rejections.full:
            return


def _read_cells(place: int, column: Column, records: list[list[str]]) -> pa.Array:
    texts = convert([record[place] for record in records], _strings, "UTF-8 text")
    if column.nullable or not kind.is_string(column.type):
        texts = pc.if_else(pc.equal(texts, ""), pa.scalar(None, pa.string()), texts)
    return parse_cells(texts, column.type)


def _strings(values: list[str]) -> pa.Array:
    return pa.array(values, pa.string())
