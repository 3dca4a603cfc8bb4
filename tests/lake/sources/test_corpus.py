"""Files that nobody should send: read, or refused in one line, in little memory."""

import gzip
import io
import json
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstory.lake.errors import BackstoryError, InvalidError
from backstory.lake.sources.files import file_parts, read_file
from tests.lake.contracts import contract_of

CONTRACT = contract_of(a="int64", b="string")
ROWS = [{"a": number, "b": f"text {number}"} for number in range(20)]
TABLE = pa.Table.from_pylist(ROWS)
JSONL = "\n".join(map(json.dumps, ROWS)).encode()
CSV = b"a,b\n" + "".join(f"{row['a']},{row['b']}\n" for row in ROWS).encode()


def parquet(table: pa.Table, **options: str) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, **options)
    return sink.getvalue()


def arrow(table: pa.Table, make: Callable[..., pa.ipc.RecordBatchFileWriter]) -> bytes:
    sink = pa.BufferOutputStream()
    with make(sink, table.schema) as writer:
        writer.write_table(table)
    return bytes(sink.getvalue())


def zstd(data: bytes) -> bytes:
    packed: bytes = pa.compress(data, codec="zstd", asbytes=True)
    return packed


GOOD = {
    "rows.jsonl": JSONL,
    "rows.csv": CSV,
    "rows.jsonl.gz": gzip.compress(JSONL, mtime=0),
    "rows.csv.zst": zstd(CSV),
    "rows.parquet": parquet(TABLE),
    "rows.arrow": arrow(TABLE, pa.ipc.new_file),
    "stream.arrow": arrow(TABLE, pa.ipc.new_stream),
}
BAD = {
    "cut.jsonl.gz": (gzip.compress(JSONL)[:-6], "gzip stream is damaged or cut short"),
    "cut.jsonl.zst": (zstd(JSONL)[:-6], "zstd stream is damaged or cut short"),
    "latin.jsonl": (b'{"a": 1, "b": "caf\xe9"}', "row 1, column b: expected string"),
    "latin.csv": (b"a,b\n1,caf\xe9\n", "row 1, column b: expected UTF-8 text"),
    "deep.jsonl": (b'{"b": ' + b"[" * 10_000 + b"]" * 10_000 + b"}", "deeper nesting"),
    "deep.csv": (b"a,b\n1," + b'"' * 10_001 + b"\n", "expected CSV"),
    "ragged.csv": (b"a,b\n1\n1,2,3\n", "row 1: expected 2 cells, found 1 (and 1 more)"),
    "empty.csv": (b"", "expected a header with a, b"),
    "twice.jsonl": (b'{"a": 1, "a": 2}', "row 1: expected one JSON object"),
    "large.jsonl": (b'{"a": 99999999999999999999}', "row 1, column a: expected int64"),
    "nan.jsonl": (b'{"a": NaN}', "row 1: expected one JSON object, found NaN"),
    "other.parquet": (parquet(pa.table({"x": [1]})), "column a: expected the contract's column"),
    "typed.parquet": (parquet(pa.table({"a": ["1"], "b": ["1"]})), "expected type int64"),
    "cut.parquet": (parquet(TABLE)[:-9], "it is damaged or something else"),
    "cut.arrow": (arrow(TABLE, pa.ipc.new_file)[:200], "it is damaged or something else"),
}


@pytest.mark.parametrize("name", GOOD)
def test_good_files(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(GOOD[name])
    assert read_file(tmp_path / name, CONTRACT).to_pylist() == ROWS


@pytest.mark.parametrize("name", BAD)
def test_bad_files_are_refused_in_one_line(tmp_path: Path, name: str) -> None:
    data, fault = BAD[name]
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InvalidError) as caught:
        read_file(tmp_path / name, CONTRACT)
    assert fault in caught.value.message
    assert "\n" not in caught.value.message
    assert caught.value.hint


def test_marks_and_no_lines(tmp_path: Path) -> None:
    (tmp_path / "mark.csv").write_bytes(b"\xef\xbb\xbf" + CSV)
    (tmp_path / "empty.jsonl").touch()
    assert read_file(tmp_path / "mark.csv", CONTRACT).to_pylist() == ROWS
    assert read_file(tmp_path / "empty.jsonl", CONTRACT).num_rows == 0


@given(
    name=st.sampled_from(sorted(GOOD)),
    changes=st.lists(st.tuples(st.integers(0, 5_000), st.binary(max_size=3)), min_size=1),
    end=st.integers(0, 5_000),
)
def test_mutations_are_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory,
    name: str,
    changes: list[tuple[int, bytes]],
    end: int,
) -> None:
    data = bytearray(GOOD[name])
    for place, new in changes:
        at = place % len(data)
        data[at : at + len(new)] = new
    path = tmp_path_factory.getbasetemp() / f"mutated-{name}"
    path.write_bytes(data[: end or None])
    with suppress(BackstoryError):
        for part in file_parts(path, CONTRACT):
            part.rows.validate(full=True)


READ = """
import resource, sys
from pathlib import Path
from backstory.lake.errors import LimitExceededError
from backstory.lake.sources.files import read_file
from tests.lake.contracts import contract_of
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    read_file(Path(sys.argv[1]), contract_of(a="int64", b="string"))
except LimitExceededError as exc:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_memory_stays_small(tmp_path: Path) -> None:
    """A line of 200 MB, and 200 MB in a few hundred kilobytes."""
    with (tmp_path / "line.jsonl").open("wb") as file:
        for _ in range(200):
            file.write(b"x" * 1_000_000)
    bomb = b'{"a": 1, "b": "%s"}\n' % (b"x" * 100_000)
    with gzip.open(tmp_path / "bomb.jsonl.gz", "wb", compresslevel=9) as packed:
        for _ in range(2_000):
            packed.write(bomb)
    for name in ("line.jsonl", "bomb.jsonl.gz"):
        child = [sys.executable, "-c", READ, str(tmp_path / name)]
        done = subprocess.run(child, capture_output=True, text=True, check=True, timeout=200)
        assert int(done.stdout) < 400 << 10, name  # KiB
