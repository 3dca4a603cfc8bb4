from pathlib import Path

import pytest

from backstory.lake.errors import GoneError, IntegrityError
from backstory.lake.presence import look_at_files
from backstory.lake.snapshot import Snapshot, open_snapshot
from tests.lake.thumbs import append, create, rows


@pytest.fixture
def snapshots(tmp_path: Path) -> list[Snapshot]:
    """Two versions, the second with one file more."""
    table = create(tmp_path)
    append(table, rows(), offset=1)
    first = open_snapshot(table)
    append(table, rows(first=3), offset=2)
    return [first, open_snapshot(table)]


def test_a_file_is_looked_at_once(snapshots: list[Snapshot]) -> None:
    assert look_at_files(snapshots) == 2
    assert look_at_files([]) == 0


def test_a_file_that_is_gone_or_shorter_is_told(snapshots: list[Snapshot]) -> None:
    [kept] = snapshots[0].manifest.files
    path = snapshots[0].folder / kept.path
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(IntegrityError, match=f"bytes instead of {kept.size}"):
        look_at_files(snapshots)
    path.unlink()
    with pytest.raises(GoneError, match="no longer there"):
        look_at_files(snapshots)


def test_no_more_is_looked_at_than_the_limit(snapshots: list[Snapshot]) -> None:
    [first] = snapshots[0].manifest.files
    for file in snapshots[1].manifest.files:
        if file != first:
            (snapshots[1].folder / file.path).unlink()
    assert look_at_files(snapshots, limit=1) == 1
