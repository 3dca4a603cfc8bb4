import csv
import json
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from backstory.lake.errors import ConflictError, InvalidError, UnavailableError
from backstory.lake.row_file import write_rows
from tests.lake.thumbs import NOW

TABLE = pa.table(
    {
        "text": ['a,"b"\nc', None],
        "at": pa.array([NOW, None], pa.timestamp("us", "UTC")),
        "day": [date(2026, 11, 14), None],
        "f": [float("inf"), 0.5],
        "raw": [b"\x00\xff", None],
        "price": [Decimal("1.20"), None],
        "tags": [["x", None], []],
        "more": pa.array([[("k", 1)], []], pa.map_(pa.string(), pa.int64())),
        "about": [{"a": 1}, None],
        "ok": [True, None],
    }
)


def reader() -> pa.RecordBatchReader:
    return pa.RecordBatchReader.from_batches(TABLE.schema, TABLE.to_batches(max_chunksize=1))


def test_jsonl_has_a_line_a_row(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    assert write_rows(path, reader()) == 2
    first, second = map(json.loads, path.read_text().splitlines())
    assert first == {
        "text": 'a,"b"\nc',
        "at": "2026-11-24T09:41:00Z",
        "day": "2026-11-14",
        "f": "inf",
        "raw": "AP8=",
        "price": "1.20",
        "tags": ["x", None],
        "more": {"k": 1},
        "about": {"a": 1},
        "ok": True,
    }
    assert second == dict.fromkeys(first) | {"f": 0.5, "tags": [], "more": []}
    assert path.stat().st_mode & 0o777 == 0o600


def test_csv_has_a_header_and_json_in_cells(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    assert write_rows(path, reader()) == 2
    with path.open(newline="") as lines:
        first, second = csv.DictReader(lines)
    assert (first["text"], first["tags"], first["about"]) == ('a,"b"\nc', '["x",null]', '{"a":1}')
    assert (first["ok"], second["ok"], second["f"]) == ("true", "", "0.5")


def test_parquet_keeps_the_types(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    assert write_rows(path, reader()) == 2
    assert pq.read_table(path).equals(TABLE)


def test_nothing_is_written_over_and_no_half_file_is_left(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("mine")
    with pytest.raises(ConflictError, match="is there already"):
        write_rows(path, reader())
    with pytest.raises(InvalidError, match="does not say how"):
        write_rows(tmp_path / "rows.xlsx", reader())
    with pytest.raises(UnavailableError):
        write_rows(tmp_path / "none" / "rows.csv", reader())
    with pytest.raises(ValueError, match="broken"):
        write_rows(
            tmp_path / "other.csv", pa.RecordBatchReader.from_batches(TABLE.schema, broken())
        )
    assert path.read_text() == "mine"
    assert list(tmp_path.iterdir()) == [path]


def broken() -> Iterator[pa.RecordBatch]:
    yield from TABLE.to_batches()
    raise ValueError("broken")
