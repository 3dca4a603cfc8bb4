import json
import os
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from backstory.lake.commits import (
    added_files,
    find_append,
    latest_version,
    log_entry,
    read_commit,
    read_commits,
)
from backstory.lake.errors import IntegrityError, LimitExceededError, NotFoundError
from tests.lake.thumbs import NOW, create, new_id, rows

DAY = timedelta(days=1)


def write_entry(folder: Path, version: int, *actions: dict[str, Any]) -> None:
    path = log_entry(folder, version)
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps(action) + "\n" for action in actions))


def info(at: datetime, **own: Any) -> dict[str, Any]:
    values = {"v": 1, "at": at.isoformat(), **own}
    return {"commitInfo": {"timestamp": 0, "operation": "WRITE", "backstory": values}}


def add(rows: int | None, *, data_change: bool = True) -> dict[str, Any]:
    stats = None if rows is None else json.dumps({"numRecords": rows})
    return {"add": {"path": "x", "dataChange": data_change, "stats": stats}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A slice with one commit a day, five of them."""
    table = create(tmp_path / "lake")
    for n in range(1, 6):
        table.append(
            rows(n), source="app", offset=n, at=NOW + n * DAY, info={"actor": "ada"}, new_id=new_id
        )
    return table.folder


def test_history_tells_what_was_written(folder: Path) -> None:
    commits = read_commits(folder)

    assert [c.version for c in commits] == list(range(6))
    assert [c.rows for c in commits] == [0, 1, 2, 3, 4, 5]
    assert [c.offset for c in commits] == [None, 1, 2, 3, 4, 5]
    assert [c.at for c in commits] == [NOW + n * DAY for n in range(6)]
    assert {c.slice for c in commits} == {"thumbs/en"}
    assert commits[0].operation == "CREATE TABLE"
    assert commits[5].source == "app"
    assert commits[5].batch is not None
    assert commits[5].info == {"actor": "ada"}


def test_history_after_a_version_is_the_rest(folder: Path) -> None:
    assert [c.version for c in read_commits(folder, after=3)] == [4, 5]
    assert [c.version for c in read_commits(folder, after=3, limit=1)] == [4]
    assert read_commits(folder, after=5) == []


def test_only_new_entries_are_opened(folder: Path) -> None:
    for version in range(4):
        log_entry(folder, version).write_text("damaged")

    assert [c.version for c in read_commits(folder, after=3)] == [4, 5]


def test_history_is_the_same_after_a_copy_with_other_file_times(
    folder: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "elsewhere" / folder.name
    shutil.copytree(folder, copy)
    for age, path in enumerate(sorted(copy.rglob("*"))):
        os.utime(path, (age, age))

    assert read_commits(copy) == read_commits(folder)


def test_time_never_runs_backwards(tmp_path: Path) -> None:
    for version, hour in enumerate([9, 12, 10, 11, 13]):
        write_entry(tmp_path, version, info(NOW.replace(hour=hour)))

    hours = [c.at.hour for c in read_commits(tmp_path, name="t")]
    rest = read_commits(tmp_path, name="t", after=1, not_before=NOW.replace(hour=12))

    assert hours == [9, 12, 12, 12, 13]
    assert [c.at.hour for c in rest] == [12, 12, 13]


def test_foreign_commits_say_what_they_say(tmp_path: Path) -> None:
    write_deltalake(tmp_path, pa.table({"a": [1, 2, 3]}))
    write_deltalake(tmp_path, pa.table({"a": [4]}), mode="append")
    DeltaTable(tmp_path).delete("a = 1")

    commits = read_commits(tmp_path, name="others")

    assert [c.operation for c in commits] == ["WRITE", "WRITE", "DELETE"]
    assert [c.rows for c in commits[:2]] == [3, 1]
    assert {c.source for c in commits} == {None}
    assert all(c.at.tzinfo is UTC for c in commits)


ROWS: dict[str, tuple[list[dict[str, Any]], int | None]] = {
    "sum of adds": ([add(2), add(3)], 5),
    "a compaction adds none": ([add(5, data_change=False)], 0),
    "one add without count": ([add(2), add(None)], None),
    "no adds": ([], 0),
}


@pytest.mark.parametrize(("actions", "expected"), ROWS.values(), ids=ROWS)
def test_rows_of_foreign_commits(
    tmp_path: Path, actions: list[dict[str, Any]], expected: int | None
) -> None:
    write_entry(tmp_path, 0, {"commitInfo": {"timestamp": 1}}, *actions)

    assert read_commit(tmp_path, 0, name="t").rows == expected


def test_a_commit_without_info_is_a_commit(tmp_path: Path) -> None:
    write_entry(tmp_path, 0, info(NOW))
    write_entry(tmp_path, 1, add(2))

    commit = read_commits(tmp_path, name="t")[1]

    assert (commit.at, commit.operation, commit.rows) == (NOW, "UNKNOWN", 2)


def test_a_trimmed_log_starts_where_it_starts(folder: Path) -> None:
    for version in range(3):
        log_entry(folder, version).unlink()

    assert [c.version for c in read_commits(folder)] == [3, 4, 5]
    assert [c.version for c in read_commits(folder, after=1)] == [3, 4, 5]
    assert latest_version(folder) == 5
    assert find_append(folder, source="app", offset=2, head=5) is None


def test_an_append_is_found_by_source_and_offset(folder: Path) -> None:
    found = find_append(folder, source="app", offset=2, head=5)

    assert found is not None
    assert (found.version, found.rows) == (2, 2)
    assert find_append(folder, source="app", offset=7, head=5) is None
    assert find_append(folder, source="web", offset=2, head=5) is None


def test_added_files_tell_the_range_of_a_column(folder: Path) -> None:
    (added,) = added_files(folder, 3, "event_id")

    assert (added.rows, added.low, added.high) == (3, "app-0", "app-2")
    assert (folder / added.path).exists()
    assert added_files(folder, 0, "event_id") == []


def test_no_log_is_no_table(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no Delta table"):
        latest_version(tmp_path)
    with pytest.raises(NotFoundError, match="version 0"):
        read_commit(tmp_path, 0, name="t")
    assert read_commits(tmp_path, name="t") == []


DAMAGE = {
    "no JSON": b"{",
    "no text": b'{"commitInfo": "\xff"}',
    "not an object": b"[]",
    "no time": b'{"commitInfo": {"backstory": {"v": 1}}}',
    "a time without offset": b'{"commitInfo": {"backstory": {"at": "2026-11-24T09:41:00"}}}',
    "a time beyond all years": b'{"commitInfo": {"timestamp": 1e18}}',
    "an add of nothing": b'{"add": {}}',
    "statistics that are no JSON": b'{"add": {"dataChange": true, "stats": "{"}}',
    "deep nesting": b'{"commitInfo":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
}


@pytest.mark.parametrize("data", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_entry_is_named_in_one_line(tmp_path: Path, data: bytes) -> None:
    write_entry(tmp_path, 0)
    log_entry(tmp_path, 0).write_bytes(data)

    with pytest.raises(IntegrityError, match=r"0{20}\.json") as caught:
        read_commits(tmp_path, name="t")
    assert "\n" not in caught.value.message


def test_an_entry_beyond_the_bound_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backstory.lake.commits.MAX_ENTRY_BYTES", 10)
    write_entry(tmp_path, 0, add(1))

    with pytest.raises(LimitExceededError):
        read_commits(tmp_path, name="t")
