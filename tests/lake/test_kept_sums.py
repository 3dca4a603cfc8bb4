from pathlib import Path

import pytest

from backstory.lake.kept_sums import drop_sums, forget_sums, keep_sums, kept_sums

SUMS = {"part-1.parquet": "0" * 32, "part-2.parquet": "f" * 32}


def test_what_is_kept_is_known_until_its_files_are_gone(tmp_path: Path) -> None:
    assert kept_sums(tmp_path) == {}
    keep_sums(tmp_path, "0190-1", SUMS)
    keep_sums(tmp_path, "0190-2", {"part-3.parquet": "7" * 32})
    assert kept_sums(tmp_path) == SUMS | {"part-3.parquet": "7" * 32}
    forget_sums(tmp_path, {"part-1.parquet", "part-3.parquet"})
    assert kept_sums(tmp_path) == {"part-2.parquet": "f" * 32}
    assert [path.name for path in (tmp_path / "_maintenance" / "sums").iterdir()] == ["0190-1"]
    drop_sums(tmp_path, "0190-1")
    drop_sums(tmp_path, "0190-1")
    assert kept_sums(tmp_path) == {}


def test_damage_is_said_and_tells_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = keep_sums(tmp_path, "0190-1", SUMS)
    keep_sums(tmp_path, "0190-2", {"part-3.parquet": "7" * 32})
    path.write_bytes(path.read_bytes().replace(b"part-1", b"part-9"))
    assert kept_sums(tmp_path) == {"part-3.parquet": "7" * 32}
    assert "0190-1 tells no sums" in caplog.text
    forget_sums(tmp_path, SUMS)
    assert path.exists()
