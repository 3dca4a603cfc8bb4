import hashlib
from datetime import UTC, datetime
from pathlib import Path

import pytest

from backstory.lake.errors import IntegrityError, NotFoundError
from backstory.lineage.backup.manifest import BackupFile, BackupManifest, read_backup

V1 = """\
backstory-backup v1
{"at": "2026-11-24T09:00:00Z", "backstory": "0.1.0", "keys": true, "lake": null}
artifacts/sha256/ab/file	3	abababababababababababababababababababababababababababababababab
store.db	4096	cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd
"""


def golden() -> str:
    return f"{V1}sha256 {hashlib.sha256(V1.encode()).hexdigest()}\n"


def manifest() -> BackupManifest:
    return BackupManifest(
        at=datetime(2026, 11, 24, 9, tzinfo=UTC),
        backstory="0.1.0",
        with_keys=True,
        lake=None,
        files=(
            BackupFile(path="artifacts/sha256/ab/file", size=3, sha256="ab" * 32),
            BackupFile(path="store.db", size=4096, sha256="cd" * 32),
        ),
    )


def test_the_text_is_the_golden_one(tmp_path: Path) -> None:
    (tmp_path / "MANIFEST").write_text(golden())
    assert manifest().to_text() == golden()
    assert read_backup(tmp_path) == manifest()
    assert manifest().size == 4099
    assert manifest().digest == hashlib.sha256(golden().encode()).hexdigest()


def test_one_that_is_not_there_is_no_backup(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="MANIFEST is missing"):
        read_backup(tmp_path)


@pytest.mark.parametrize("place", range(0, len(golden()), 7))
def test_any_changed_byte_is_found(place: int, tmp_path: Path) -> None:
    text = bytearray(golden().encode())
    text[place] ^= 1
    (tmp_path / "MANIFEST").write_bytes(text)
    with pytest.raises(IntegrityError):
        read_backup(tmp_path)
