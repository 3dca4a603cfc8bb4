from pathlib import Path

import pyarrow.compute as pc
import pytest

from backstory.lake.change_shares import RowCounts
from backstory.lake.checkpoints import add_checkpoint
from backstory.lake.commits import log_entry
from backstory.lake.manifest import ManifestFile
from backstory.lake.moved_rows import DifferingFiles, differing_files
from backstory.lake.pinned import reopen
from backstory.lake.pins import pin
from backstory.lake.row_diff import diff_rows
from backstory.lake.snapshot import OpenedBy, Snapshot, open_snapshot
from backstory.lake.table import SliceTable
from tests.lake.rewriting import compact, erase, paths, rewrite
from tests.lake.thumbs import NOW, append, create, rows


@pytest.fixture
def table(tmp_path: Path) -> SliceTable:
    """Four appends of five rows: versions 1 to 4."""
    made = create(tmp_path)
    for number in range(4):
        append(made, rows(5, first=5 * number), offset=number)
    return made


def at(table: SliceTable, version: int | None = None) -> Snapshot:
    return open_snapshot(table, version)


def names(files: tuple[ManifestFile, ...]) -> list[str]:
    return [file.path for file in files]


def counts(a: Snapshot, b: Snapshot) -> RowCounts:
    """What the row diff counts; as it does where every file is read."""
    every = DifferingFiles(removed=a.manifest.files, added=b.manifest.files)
    with diff_rows(a, b, key="event_id", files=every) as whole:
        expected = whole.counts
    with diff_rows(a, b, key="event_id") as diff:
        assert diff.counts == expected
    return expected


def test_compaction_is_no_change_and_opens_no_file(table: SliceTable) -> None:
    compact(table, into=2)
    a, b = at(table, 4), at(table)
    for path in table.folder.glob("*.parquet"):
        path.unlink()
    for one, other in ((a, b), (b, a)):
        found = differing_files(one, other)
        assert (found.removed, found.added, found.cancelled) == ((), (), 6)
        with diff_rows(one, other, key="event_id") as diff:
            assert not diff.counts
            assert list(diff.stream()) == []


def test_appends_after_a_compaction_are_all_that_is_read(table: SliceTable) -> None:
    compact(table)
    append(table, rows(2, first=90), offset=9)
    found = differing_files(at(table, 4), at(table))
    assert (found.removed, len(found.added), found.rows) == ((), 1, 2)
    assert found.cancelled == 5
    assert counts(at(table, 4), at(table)) == RowCounts(added=2, removed=0, changed=0)


def test_appends_that_were_compacted_are_all_that_is_read(table: SliceTable) -> None:
    appended = paths(table)[2:]
    compact(table, into=2)
    compact(table)  # and once more
    a, b = at(table, 2), at(table)
    found = differing_files(a, b)
    assert (found.removed, names(found.added)) == ((), appended)
    back = differing_files(b, a)
    assert (back.added, names(back.removed)) == ((), appended)
    assert counts(a, b) == RowCounts(added=10, removed=0, changed=0)
    assert counts(b, a) == RowCounts(added=0, removed=10, changed=0)


def test_where_the_appended_files_are_gone_all_is_read(table: SliceTable) -> None:
    appended = paths(table)[2:]
    compact(table)
    for path in appended:
        (table.folder / path).unlink()
    a, b = at(table, 2), at(table)
    found = differing_files(a, b)
    assert (len(found.removed), len(found.added), found.cancelled) == (2, 1, 0)
    assert counts(a, b) == RowCounts(added=10, removed=0, changed=0)


def test_an_erasure_after_a_compaction_costs_the_file_that_was_written_anew(
    table: SliceTable,
) -> None:
    compact(table, into=4)
    erase(table, paths(table)[0], "app-7")
    append(table, rows(1, first=50), offset=50)
    compact(table, files=slice(1, None))
    a, b = at(table, 4), at(table)
    assert counts(a, b) == RowCounts(added=1, removed=1, changed=0)
    assert differing_files(a, b).rows < 20


def test_a_rewrite_that_lost_or_made_up_rows_is_no_compaction(table: SliceTable) -> None:
    taken = paths(table)
    stored = at(table).arrow(system=True)
    wrong = stored.set_column(
        stored.schema.get_field_index("label"), "label", pc.add(stored["label"], 1)
    )
    rewrite(table, taken, [wrong])
    assert counts(at(table, 4), at(table)) == RowCounts(added=0, removed=0, changed=20)
    rewrite(table, paths(table), [stored.slice(1), stored.slice(1, 1)])
    found = counts(at(table, 4), at(table))
    assert found == RowCounts(added=1, removed=1, changed=0)


def test_of_a_trimmed_log_the_pin_and_the_order_of_files_are_enough(table: SliceTable) -> None:
    pin(table, at(table, 4), pin_id="p", holder="h", reason="r", at=NOW)
    compact(table, into=2)
    append(table, rows(2, first=90), offset=9)
    add_checkpoint(table.folder, 6, name=table.name)
    for version in range(7):
        log_entry(table.folder, version).unlink()
    base = reopen(table, 4)
    assert base.opened_by is OpenedBy.CHECKPOINT
    found = differing_files(base, at(table))
    assert (found.removed, found.rows, found.cancelled) == ((), 2, 6)
    assert counts(at(table), base) == RowCounts(added=0, removed=2, changed=0)


@pytest.mark.parametrize("damage", [None, b"{}", b'{"v":2}', b"\xff"])
def test_without_sums_all_is_read_and_the_answer_is_the_same(
    table: SliceTable, damage: bytes | None
) -> None:
    compact(table)
    [path] = (table.folder / "_maintenance" / "sums").iterdir()
    if damage is None:
        path.unlink()
    else:
        path.write_bytes(damage)
    found = differing_files(at(table, 4), at(table))
    assert (len(found.removed), len(found.added), found.cancelled) == (4, 1, 0)
    assert not counts(at(table, 4), at(table))
