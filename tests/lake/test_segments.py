from pathlib import Path

import pytest

from backstory.lake.errors import GoneError
from backstory.lake.segments import log_files, segment

UUID = "0b9a7d0e-4c5b-4f0e-9d0e-3f1a2b3c4d5e"


def log(folder: Path, *names: str) -> Path:
    (folder / "_delta_log").mkdir()
    for name in names:
        (folder / "_delta_log" / name).touch()
    return folder


def entries(*versions: int) -> list[str]:
    return [f"{version:020d}.json" for version in versions]


def checkpoint(version: int, kind: str = "") -> str:
    return f"{version:020d}.checkpoint{kind}.parquet"


def names(folder: Path, version: int) -> list[str]:
    return [file.path.name for file in segment(folder, version)]


def test_entries_alone_build_a_version(tmp_path: Path) -> None:
    log(tmp_path, *entries(0, 1, 2, 3))
    assert names(tmp_path, 2) == entries(0, 1, 2)


def test_the_last_checkpoint_stands_for_what_came_before(tmp_path: Path) -> None:
    log(tmp_path, *entries(*range(12)), checkpoint(4), checkpoint(9))
    assert names(tmp_path, 11) == [checkpoint(9), *entries(10, 11)]
    assert names(tmp_path, 8) == [checkpoint(4), *entries(5, 6, 7, 8)]
    assert names(tmp_path, 9) == [checkpoint(9)]
    assert names(tmp_path, 3) == entries(0, 1, 2, 3)


def test_a_checkpoint_in_parts_counts_when_all_are_there(tmp_path: Path) -> None:
    parts = [checkpoint(4, f".{part:010d}.{2:010d}") for part in (1, 2)]
    log(tmp_path, *entries(*range(6)), *parts)
    assert names(tmp_path, 5) == [*parts, *entries(5)]
    (tmp_path / "_delta_log" / parts[0]).unlink()
    assert names(tmp_path, 5) == entries(*range(6))


def test_a_gap_is_told(tmp_path: Path) -> None:
    log(tmp_path, *entries(0, 1, 3), checkpoint(2, f".{UUID}"))
    assert names(tmp_path, 3) == [checkpoint(2, f".{UUID}"), *entries(3)]
    (tmp_path / "_delta_log" / checkpoint(2, f".{UUID}")).unlink()
    for version in (2, 3, 4):
        with pytest.raises(GoneError):
            segment(tmp_path, version)
    assert names(tmp_path, 1) == entries(0, 1)


def test_other_files_are_passed_over(tmp_path: Path) -> None:
    assert log_files(tmp_path) == []
    others = [
        "_last_checkpoint",
        f"{0:020d}.crc",
        f"{0:020d}.{1:020d}.compacted.json",
        f"{0:020d}.checkpoint.parquet#1",
        "_commit_0b9a.json.tmp",
        "0.json",
    ]
    log(tmp_path, *others, *entries(0))
    assert [file.path.name for file in log_files(tmp_path)] == entries(0)
