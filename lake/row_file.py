"""Rows in a file for other programs: JSONL, CSV or Parquet, by the end of its name.

Keeps true: a file that is there is never written over, and one that appears is whole. Nobody but
its owner may read it. Values are spelled as `backstory ingest` takes them: times as RFC 3339, bytes
as base64, in CSV lists and structs as JSON. What JSON cannot tell (NaN, infinities) and decimals
become text. In CSV no value and an empty text look alike.
"""

import base64
import csv
import io
import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from backstory.lake.errors import ConflictError, InvalidError
from backstory.lake.files import put_in_place, sync_open, temporary_file

SUFFIXES = (".jsonl", ".csv", ".parquet")


def check_target(path: Path) -> None:
    """Look whether rows can be written to a file, before they are gathered.

    Raises:
        InvalidError: its name does not say how.
        ConflictError: it is there already.
    """
    if path.suffix not in SUFFIXES:
        raise InvalidError(
            f"{path.name!r} does not say how rows are to be written",
            hint=f"end the name with {', '.join(SUFFIXES)}",
        )
    if path.exists():
        raise ConflictError(f"{path} is there already", hint="name another file")


def write_rows(path: Path, rows: pa.RecordBatchReader) -> int:
    """Write rows to a file, batch by batch.

    Returns:
        How many rows were written.

    Raises:
        InvalidError: the file's name does not say how.
        ConflictError: the file is there already.
        UnavailableError: disk full, no permission; nothing is left behind.
    """
    check_target(path)
    with temporary_file(path.absolute().parent) as file:
        count = _WRITERS[path.suffix](file, rows)
        sync_open(file)
        check_target(path)
        put_in_place(file, path.absolute())
    return count


def _parquet(file: IO[bytes], rows: pa.RecordBatchReader) -> int:
    count = 0
    with pq.ParquetWriter(file, rows.schema, compression="zstd") as writer:
        for batch in rows:
            writer.write_batch(batch)
            count += batch.num_rows
    return count


def _jsonl(file: IO[bytes], rows: pa.RecordBatchReader) -> int:
    count = 0
    for batch in rows:
        lines = (_json({n: json_cell(v) for n, v in row.items()}) for row in batch.to_pylist())
        file.write("".join(f"{line}\n" for line in lines).encode())
        count += batch.num_rows
    return count


def _csv(file: IO[bytes], rows: pa.RecordBatchReader) -> int:
    count = 0
    for lines in _csv_parts(rows):
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(lines)
        file.write(text.getvalue().encode())
        count += len(lines)
    return count - 1  # the header is no row


def _csv_parts(rows: pa.RecordBatchReader) -> Iterator[Sequence[Sequence[Any]]]:
    yield [rows.schema.names]
    for batch in rows:
        yield [[_csv_cell(value) for value in row.values()] for row in batch.to_pylist()]


def _csv_cell(value: Any) -> Any:
    cell = json_cell(value)
    return cell if cell is None or isinstance(cell, str) else _json(cell)


def json_cell(value: Any) -> Any:
    """A value of a row as JSON.

    >>> json_cell([date(2026, 11, 14), b"x", float("nan"), [("k", 1)]])
    ['2026-11-14', 'eA==', 'nan', {'k': 1}]
    """
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, dict):
        return {name: json_cell(part) for name, part in value.items()}
    for kind, spelled in _SPELLED.items():
        if isinstance(value, kind):
            return spelled(value)
    return _pairs_or_items(value)


def _instant(value: datetime) -> str:
    utc = value.astimezone(UTC) if value.tzinfo else value
    return utc.isoformat().replace("+00:00", "Z")


# The first that fits: an instant is a date, too.
_SPELLED: Mapping[type, Callable[[Any], Any]] = {
    float: lambda value: value if math.isfinite(value) else str(value),
    datetime: _instant,
    date: date.isoformat,
    bytes: lambda value: base64.b64encode(value).decode(),
    Decimal: str,
}


def _pairs_or_items(value: Sequence[Any]) -> Any:
    """A map comes as pairs, a list as a list; a map that has a key twice stays pairs."""
    if value and all(isinstance(item, tuple) for item in value):
        keys = [str(json_cell(key)) for key, _ in value]
        if len(set(keys)) == len(keys):
            return {key: json_cell(part) for key, (_, part) in zip(keys, value, strict=True)}
    return [json_cell(item) for item in value]


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


_WRITERS: Mapping[str, Callable[[IO[bytes], pa.RecordBatchReader], int]] = {
    ".jsonl": _jsonl,
    ".csv": _csv,
    ".parquet": _parquet,
}
