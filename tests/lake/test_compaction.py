"""Compaction changes files and no row; of two changes at once one is refused."""

import threading
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from backstory.lake import compaction
from backstory.lake.commits import read_commit
from backstory.lake.compaction import compact, small_files
from backstory.lake.errors import ConflictError, IntegrityError
from backstory.lake.fence import Change, commit_fenced, open_fenced
from backstory.lake.kept_sums import kept_sums
from backstory.lake.logical_sum import logical_sum
from backstory.lake.receipt import Outcome
from backstory.lake.snapshot import Snapshot, open_snapshot
from backstory.lake.table import SliceTable
from backstory.lake.verify import verify_table
from tests.lake.thumbs import NOW, append, create, new_id, rows
from tests.lake.upkeep import compact_all

FILES = 9


@pytest.fixture
def table(tmp_path: Path) -> SliceTable:
    table = create(tmp_path)
    for number in range(FILES):
        append(table, rows(3, first=3 * number), offset=number)
    return table


def summed(snapshot: Snapshot) -> tuple[int, str]:
    return snapshot.rows, logical_sum(snapshot.arrow(system=True))


def test_small_files_become_one_and_no_row_changes(table: SliceTable) -> None:
    before = open_snapshot(table)
    [done] = compact_all(table)
    after = open_snapshot(table)
    assert (done.before, done.after, done.rows) == (FILES, 1, 3 * FILES)
    assert summed(after) == summed(before) == (done.rows, done.logical)
    assert after.version == done.version == before.version + 1
    assert len(after.manifest.files) == 1
    commit = read_commit(table.folder, done.version)
    assert (commit.operation, commit.rows, commit.source) == ("COMPACT", 0, None)
    assert verify_table(table).findings == ()
    assert open_snapshot(table, before.version).arrow(system=True).num_rows == 3 * FILES
    assert small_files(after) == []
    sums = kept_sums(table.folder)
    assert sums.keys() == {file.path for file in (*before.manifest.files, *after.manifest.files)}
    assert sums[after.manifest.files[0].path] == done.logical


def test_rows_of_a_subject_lie_together(table: SliceTable) -> None:
    compact_all(table)
    users = open_snapshot(table).arrow()["user"].to_pylist()
    assert users == sorted(users, key=lambda user: (user.split(":")[1][:2], user))


def test_what_was_appended_is_still_a_duplicate(table: SliceTable) -> None:
    compact_all(table)
    again = append(table, rows(3, first=9), offset=3)
    assert again.outcome is Outcome.DUPLICATE
    assert append(table, rows(3, first=99), offset=99).outcome is Outcome.ACCEPTED


def test_few_files_are_left_alone(tmp_path: Path) -> None:
    table = create(tmp_path)
    for number in range(compaction.MIN_SMALL_FILES - 1):
        append(table, rows(3, first=3 * number), offset=number)
    assert compact_all(table) == []


def test_an_append_between_is_merged(table: SliceTable, monkeypatch: pytest.MonkeyPatch) -> None:
    def meanwhile(*args: Any) -> Any:
        append(SliceTable.open(table.folder.parent, table.name), rows(2, first=500), offset=500)
        return rewritten(*args)

    rewritten = compaction._rewritten
    monkeypatch.setattr(compaction, "_rewritten", meanwhile)
    compact_all(table)
    found = open_snapshot(table)
    assert (found.rows, len(found.manifest.files)) == (3 * FILES + 2, 2)


def test_of_two_compactions_at_once_one_is_refused(table: SliceTable) -> None:
    [group] = small_files(open_snapshot(table))
    both = threading.Barrier(2)
    outcomes = []

    def run() -> None:
        ids = iter([new_id() for _ in range(9)])

        def at_once() -> str:
            both.wait(30)
            return next(ids)

        try:
            mine = SliceTable.open(table.folder.parent, table.name)
            outcomes.append(compact(mine, group, at=NOW, new_id=at_once).after)
        except ConflictError:
            outcomes.append(0)

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == [0, 1]
    after = open_snapshot(table)
    assert summed(after)[0] == 3 * FILES
    assert len(list(table.folder.glob("part-*"))) == FILES + 1  # the loser's file is gone


def test_any_rival_change_is_refused(table: SliceTable) -> None:
    [group] = small_files(open_snapshot(table))
    one, other = open_fenced(table), open_fenced(table)
    assert one.number == other.number == 1
    change = Change(operation="TEST", attempt="a", at=NOW)
    assert commit_fenced(one, [], change) == FILES + 1
    with pytest.raises(ConflictError, match="another change came first"):
        commit_fenced(other, [], Change(operation="TEST", attempt="b", at=NOW))
    assert open_fenced(table).number == 2
    assert compact(table, group, at=NOW, new_id=new_id).rows == 3 * FILES


def test_rows_that_differ_change_nothing(
    table: SliceTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    def doubled(batches: object, schema: pa.Schema) -> object:
        for portion in portions(batches, schema):
            yield portion.set_column(5, "label", pa.array([7] * portion.num_rows, pa.int64()))

    portions = compaction._portions
    monkeypatch.setattr(compaction, "_portions", doubled)
    before = open_snapshot(table)
    with pytest.raises(IntegrityError, match="nothing was changed"):
        compact_all(table)
    assert open_snapshot(table).manifest == before.manifest
    assert len(list(table.folder.glob("part-*"))) == FILES
    assert kept_sums(table.folder) == {}


def test_a_damaged_file_changes_nothing(table: SliceTable) -> None:
    before = open_snapshot(table)
    path = table.folder / before.manifest.files[0].path
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(IntegrityError, match=f"{path.name} is not what was recorded"):
        compact_all(table)
    assert open_snapshot(table).manifest == before.manifest
    assert len(list(table.folder.glob("part-*"))) == FILES
    assert kept_sums(table.folder) == {}


def test_large_files_are_written_as_several(
    table: SliceTable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compaction, "MAX_FILE_BYTES", 1)
    monkeypatch.setattr(compaction, "BATCH_ROWS", 10)
    before = open_snapshot(table)
    [done] = compact_all(table)
    assert done.after >= 1
    assert summed(open_snapshot(table)) == summed(before)
