"""Profiles beside data files: written with each append, never needed, told where damaged."""

import threading
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from backstory.lake.errors import IntegrityError, UnavailableError
from backstory.lake.histogram import ENOUGH
from backstory.lake.profile import ColumnKind, Profile
from backstory.lake.profiled import profile_snapshot
from backstory.lake.profiles import (
    SharedEdges,
    edges_folder,
    from_json,
    profile_file,
    read_profile,
    to_json,
    write_profile,
)
from backstory.lake.profiling import profile_rows
from backstory.lake.snapshot import open_snapshot
from backstory.lake.table import SliceTable
from tests.lake.thumbs import append, create, rows

GOLDEN = Path(__file__).parent / "golden" / "profile-v1.json"


def golden() -> Profile:
    table = pa.table(
        {
            "stars": pa.array([5, 5, None, 1], pa.int64()),
            "score": pa.array([0.5, float("nan"), 2.5, -1.0]),
            "word": ["up", "down", None, "x" * 80],
            "ok": [True, False, None, True],
            "user": ["k1:a", None, "k1:b", "k1:a"],
            "tags": [["a"], None, [], ["b"]],
        }
    )
    return profile_rows(table, {"user"}, {"score": (0.0, 1.0, 2.0)})


def profiles(table: SliceTable) -> list[Profile | None]:
    files = open_snapshot(table).manifest.files
    return [read_profile(table.folder, file.path, rows=file.rows) for file in files]


def test_the_text_of_format_1_is_read_for_ever() -> None:
    text = GOLDEN.read_text().rstrip("\n")
    assert to_json(golden(), "part-1.parquet") == text
    assert from_json(text, "part-1.parquet") == golden()


def test_an_append_leaves_the_profile_of_its_file(tmp_path: Path) -> None:
    table = create(tmp_path)
    append(table, rows(5))
    [found] = profiles(table)
    assert found is not None
    assert found.rows == 5
    assert found.columns["label"].high == 4
    assert found.columns["_source"].top is not None
    assert found.columns["_source"].top.counts == {"app": 5}
    assert {n for n, c in found.columns.items() if c.kind is ColumnKind.MASKED} == {"user", "age"}


def test_the_profile_of_a_snapshot_is_that_of_its_rows(tmp_path: Path) -> None:
    table = create(tmp_path)
    for at in range(4):
        append(table, rows(40, first=40 * at), offset=at)
    found = profile_snapshot(table, open_snapshot(table))
    assert (found.files, found.read, found.damaged) == (4, 0, ())
    whole = profile_rows(rows(160), table.contract.personal_columns, {})
    assert {n: c for n, c in found.profile.columns.items() if n != "_source"} == whole.columns


def test_edges_are_fixed_once_by_the_first_who_has_enough(tmp_path: Path) -> None:
    table = create(tmp_path)
    append(table, rows(ENOUGH, first=1_000), offset=0)
    other = SliceTable.open(tmp_path, "thumbs/en")
    append(other, rows(ENOUGH), offset=1)
    one, two = (found.columns["score"].histogram for found in profiles(table) if found)
    assert one is not None
    assert two is not None
    assert one.edges == two.edges
    assert two.counts[0] == ENOUGH
    merged = profile_snapshot(table, open_snapshot(table)).profile.columns["score"].histogram
    assert merged is not None
    assert merged.total == 2 * ENOUGH


def test_many_small_commits_fix_edges_together_and_lose_no_value(tmp_path: Path) -> None:
    table = create(tmp_path)
    each = 20
    for at in range(33):
        append(table, rows(each, first=each * at), offset=at)
    assert any(edges_folder(table.folder).iterdir())
    found = profile_snapshot(table, open_snapshot(table)).profile.columns["score"].histogram
    assert found is not None
    assert found.edges
    assert found.total == 33 * each


def test_a_missing_profile_is_made_by_reading(tmp_path: Path) -> None:
    table = create(tmp_path)
    append(table, rows(5), offset=0)
    append(table, rows(5, first=5), offset=1)
    kept = profile_snapshot(table, open_snapshot(table))
    first = open_snapshot(table).manifest.files[0]
    profile_file(table.folder, first.path).unlink()
    found = profile_snapshot(table, open_snapshot(table))
    assert found.profile == kept.profile
    assert (found.read, found.damaged) == (1, ())


@pytest.mark.parametrize("damage", [b"", b"{}", b"\xff\xfe", b'{"v":1}'])
def test_a_damaged_profile_is_told_and_read_past(tmp_path: Path, damage: bytes) -> None:
    table = create(tmp_path)
    append(table, rows(5))
    kept = profile_snapshot(table, open_snapshot(table))
    [file] = open_snapshot(table).manifest.files
    profile_file(table.folder, file.path).write_bytes(damage)
    found = profile_snapshot(table, open_snapshot(table))
    assert found.profile == kept.profile
    assert len(found.damaged) == 1
    assert open_snapshot(table).arrow().num_rows == 5
    append(table, rows(5, first=5), offset=1)


def test_a_profile_of_another_file_is_none_of_this_one() -> None:
    with pytest.raises(IntegrityError):
        from_json(to_json(golden(), "a"), "b")


def test_a_refused_append_leaves_no_profile(tmp_path: Path) -> None:
    table = create(tmp_path)
    append(table, rows(5), offset=3)
    append(SliceTable.open(tmp_path, "thumbs/en"), rows(5), offset=3)
    assert len(list((table.folder / "_profiles").glob("*.json"))) == 1


def test_an_append_that_fails_beside_it_leaves_no_profile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = create(tmp_path)
    has_failed = threading.Event()

    def full(*_: object) -> None:
        has_failed.set()
        raise UnavailableError("the disk is full")

    def late(*args: Any) -> None:
        has_failed.wait(30)
        write_profile(*args)

    monkeypatch.setattr("backstory.lake.derived.keep_set", full)
    monkeypatch.setattr("backstory.lake.derived.write_profile", late)
    with pytest.raises(UnavailableError):
        append(table, rows(5))
    assert not list((table.folder / "_profiles").glob("*.json"))
    assert not list(table.folder.glob("*.parquet"))


def test_edges_that_are_lost_are_taken_from_the_profiles(tmp_path: Path) -> None:
    table = create(tmp_path)
    append(table, rows(ENOUGH), offset=0)
    fixed = SharedEdges(table.folder).known(["score"])
    for path in edges_folder(table.folder).iterdir():
        path.unlink()
    append(SliceTable.open(tmp_path, "thumbs/en"), rows(ENOUGH, first=9_000), offset=1)
    assert SharedEdges(table.folder).known(["score"]) == fixed
