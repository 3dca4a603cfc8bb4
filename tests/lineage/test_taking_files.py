"""Files into a slice in parts: each row once, whatever ends the command between two parts."""

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import backstory
from backstory.lake.sources import batches, typed
from backstory.lineage.home import Home
from backstory.lineage.taking_files import ingest_files, named_files
from tests.lineage.homes import CONTRACT, MORNING, backstory_error, feed

PART = 10


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "PART_ROWS", PART)
    monkeypatch.setattr(batches, "CHUNK_ROWS", 5)
    monkeypatch.setattr(typed, "PART_ROWS", PART)
    monkeypatch.setattr(typed, "CHUNK_ROWS", 5)


def lines(count: int) -> list[str]:
    return [
        json.dumps({"event_id": f"e{row}", "at": MORNING.isoformat(), "stars": row})
        for row in range(count)
    ]


def as_jsonl(path: Path, count: int) -> Path:
    path.write_text("\n".join(lines(count)))
    return path


def as_typed(path: Path, count: int, write: Callable[[pa.Table, Path], None]) -> Path:
    table = pa.table(
        {
            "event_id": [f"e{row}" for row in range(count)],
            "at": pa.array([MORNING] * count, pa.timestamp("us", "UTC")),
            "answer": pa.nulls(count, pa.string()),
            "stars": list(range(count)),
        }
    )
    write(table, path)
    return path


def as_arrow(table: pa.Table, path: Path) -> None:
    with pa.ipc.new_file(str(path), table.schema) as writer:
        writer.write_table(table)


def stored(home: Home) -> list[str]:
    rows = home.slice("thumbs/en").at().arrow()
    return sorted(rows["event_id"].to_pylist())


def ids(count: int) -> list[str]:
    return sorted(f"e{row}" for row in range(count))


def test_a_large_file_is_a_source_of_its_own(home: Home, tmp_path: Path) -> None:
    home.create_slice(CONTRACT)
    told: list[int] = []
    path = as_jsonl(tmp_path / "monday.jsonl", 25)
    [(_, receipt)] = ingest_files(
        home, "thumbs/en", [path], told=lambda _path, rows: told.append(rows)
    )
    assert told == [10, 10, 5]
    assert (receipt.outcome, receipt.accepted, receipt.version) == ("accepted", 25, 3)
    assert receipt.source.startswith("file:monday#")
    [(_, again)] = ingest_files(home, "thumbs/en", [path])
    assert (again.outcome, again.duplicate, again.source) == ("duplicate", 25, receipt.source)
    assert stored(home) == ids(25)


MAKERS: dict[str, Callable[[Path, int], Path]] = {
    "jsonl": as_jsonl,
    "parquet": lambda path, count: as_typed(path, count, pq.write_table),
    "arrow": lambda path, count: as_typed(path, count, as_arrow),
}


@pytest.mark.parametrize("form", MAKERS)
def test_an_interrupted_file_goes_on_where_it_ended(home: Home, tmp_path: Path, form: str) -> None:
    home.create_slice(CONTRACT)
    path = MAKERS[form](tmp_path / "rows", 25)

    def interrupt(_path: Path, _rows: int) -> None:
        if len(stored(home)) == 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(ingest_files(home, "thumbs/en", [path], file_format=form, told=interrupt))
    assert stored(home) == ids(20)
    [(_, receipt)] = ingest_files(home, "thumbs/en", [path], file_format=form)
    assert (receipt.outcome, receipt.accepted, receipt.duplicate) == ("accepted", 5, 20)
    assert stored(home) == ids(25)


def test_equal_parts_are_all_stored(home: Home, tmp_path: Path) -> None:
    home.create_slice(f"{CONTRACT}\nduplicate_window: 0\n")
    one = json.dumps({"event_id": "e", "stars": 1})
    (tmp_path / "same.jsonl").write_text("\n".join([one] * 30))
    for _ in range(2):
        list(ingest_files(home, "thumbs/en", [tmp_path / "same.jsonl"]))
    assert stored(home) == ["e"] * 30


def test_a_bad_row_in_a_later_part_says_what_is_stored(home: Home, tmp_path: Path) -> None:
    home.create_slice(CONTRACT)
    path = tmp_path / "rows.jsonl"
    good = lines(33)
    path.write_text("\n".join([*good[:27], '{"event_id": null}', *good[28:]]))
    with pytest.raises(backstory.BatchRejectedError) as caught:
        list(ingest_files(home, "thumbs/en", [path], strict=True))
    assert "rows.jsonl: thumbs/en: row 28, column event_id: expected a value" in str(caught.value)
    assert "its first 20 rows are stored" in str(caught.value)
    assert stored(home) == ids(20)
    path.write_text("\n".join(good))
    list(ingest_files(home, "thumbs/en", [path]))
    assert stored(home) == ids(33)


def test_bad_rows_of_each_part_go_to_quarantine_with_their_lines(
    home: Home, tmp_path: Path
) -> None:
    home.create_slice(CONTRACT)
    path = tmp_path / "rows.jsonl"
    rows = lines(33)
    rows[3], rows[27], rows[32] = '{"event_id": null}', "{", '{"stars": "x"}'
    path.write_text("\n".join(rows))
    for _ in range(2):
        [(_, receipt)] = ingest_files(home, "thumbs/en", [path])
        assert receipt.rejected == 3
    assert stored(home) == sorted({*ids(33)} - {"e3", "e27", "e32"})
    waiting = home.quarantined_rows("thumbs/en")
    assert sorted(one.row.row for one in waiting) == [4, 28, 33]


def test_another_file_that_began_alike_is_not_mistaken(home: Home, tmp_path: Path) -> None:
    home.create_slice(CONTRACT)
    path = as_jsonl(tmp_path / "rows.jsonl", 25)
    list(ingest_files(home, "thumbs/en", [path]))
    with pytest.raises(backstory.ConflictError) as caught:
        list(ingest_files(home, "thumbs/en", [as_jsonl(path, 28)]))
    assert "began with the same rows and ended after 25" in backstory_error(caught)
    path.write_text("\n".join(lines(20) + lines(25)[::-1][:5]))
    with pytest.raises(backstory.OffsetConflict):
        list(ingest_files(home, "thumbs/en", [path]))
    assert stored(home) == ids(25)


def test_a_file_with_an_offset_is_one_batch(home: Home, tmp_path: Path) -> None:
    feed(home)
    path = as_jsonl(tmp_path / "rows.jsonl", 25)
    [(_, receipt)] = ingest_files(home, "thumbs/en", [path], source="app", offset=100)
    assert (receipt.source, receipt.offset, receipt.version) == ("app", 100, 2)


CHILD = """
import sys, backstory
from pathlib import Path
from backstory.lake.sources import batches
from backstory.lineage.taking_files import ingest_files
batches.PART_ROWS, batches.CHUNK_ROWS = 10, 5
left = int(sys.argv[3])
def told(path, rows):
    global left
    left -= 1
    if not left:
        import os, signal
        os.kill(os.getpid(), signal.SIGKILL)
with backstory.open(sys.argv[1]) as home:
    list(ingest_files(home, "thumbs/en", [Path(sys.argv[2])], told=told))
"""


def test_a_killed_command_is_repeated(home: Home, tmp_path: Path) -> None:
    home.create_slice(CONTRACT)
    packed = tmp_path / "rows.jsonl.gz"
    packed.write_bytes(gzip.compress("\n".join(lines(95)).encode()))
    for crash in ("commit.before", "commit.after", "file.renamed", "unit.before_commit", None):
        env = {**os.environ, **({"BACKSTORY_CRASH_AT": crash} if crash else {})}
        child = [sys.executable, "-c", CHILD, str(home.settings.home), str(packed), "3"]
        ended = subprocess.run(child, env=env, check=False, timeout=120)
        assert ended.returncode == -9
    list(ingest_files(home, "thumbs/en", [packed]))
    assert stored(home) == ids(95)


def test_patterns_name_files_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("b.jsonl", "a.jsonl", "odd[1].jsonl", "deep/c.jsonl"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).touch()
    assert named_files([Path("b.jsonl"), Path("?.jsonl"), Path("odd[1].jsonl")]) == [
        Path("b.jsonl"),
        Path("a.jsonl"),
        Path("odd[1].jsonl"),
    ]
    assert Path("deep/c.jsonl") in named_files([Path("**/*.jsonl")])
    assert named_files([Path("none.jsonl")]) == [Path("none.jsonl")]  # reading it says so
    with pytest.raises(backstory.NotFoundError, match=r"no file matches \*.csv"):
        named_files([Path("*.csv")])
    monkeypatch.setattr("backstory.lineage.taking_files.MAX_FILES", 1)
    with pytest.raises(backstory.InvalidError, match="more than 1 files"):
        named_files([Path("*.jsonl")])
