from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from backstory.lake.diff import SchemaChange, diff_snapshots
from backstory.lake.errors import InvalidError
from backstory.lake.linked import link
from backstory.lake.pinned import reopen
from backstory.lake.pins import pin
from backstory.lake.snapshot import open_snapshot
from tests.lake import foreign
from tests.lake.thumbs import NOW, append, create, rows


def test_appends_between_two_versions_are_files_and_rows(tmp_path: Path) -> None:
    table = create(tmp_path)
    for number in range(5):
        append(table, rows(number + 1), offset=number)
    old, new = open_snapshot(table, 2), open_snapshot(table, 5)

    there = diff_snapshots(old, new)
    back = diff_snapshots(new, old)

    assert (len(there.added), there.removed, there.kept) == (3, (), 2)
    assert (there.rows_added, there.rows_removed) == (3 + 4 + 5, 0)
    assert (back.removed, back.added, back.rows_removed) == (there.added, (), 12)
    assert diff_snapshots(new, new).kept == 5
    assert there.schema_changes == ()


def test_nothing_is_read(tmp_path: Path) -> None:
    table = create(tmp_path)
    append(table, rows())
    for path in table.folder.glob("*.parquet"):
        path.unlink()
    assert diff_snapshots(open_snapshot(table, 0), open_snapshot(table, 1)).rows_added == 3


def test_columns_that_came_went_or_changed_are_told(tmp_path: Path) -> None:
    folder = foreign.plain(tmp_path / "theirs", foreign.numbers(3))
    other = pa.table({"n": ["text"], "new": pa.array([[1]], pa.list_(pa.int64()))})
    write_deltalake(folder, other, mode="overwrite", schema_mode="overwrite")
    table = link(tmp_path / "lake", "clicks", str(folder), at=NOW)

    diff = diff_snapshots(open_snapshot(table, 0), open_snapshot(table, 1))

    assert diff.schema_changes == (
        SchemaChange(column="n", before="int64", after="string"),
        SchemaChange(column="new", before=None, after="list<int64>"),
        SchemaChange(column="word", before="string", after=None),
    )
    assert (diff.rows_added, diff.rows_removed, diff.kept) == (1, 3, 0)


def test_a_pinned_snapshot_of_others_is_the_same_as_the_unpinned(tmp_path: Path) -> None:
    table = link(tmp_path / "lake", "clicks", str(foreign.plain(tmp_path / "theirs")), at=NOW)
    opened = open_snapshot(table)
    pin(table, opened, pin_id="p", holder="h", reason="r", at=NOW)
    diff = diff_snapshots(opened, reopen(table, 1))
    assert (diff.added, diff.removed, diff.kept) == ((), (), 2)


def test_two_tables_are_compared_only_on_request(tmp_path: Path) -> None:
    one, other = (open_snapshot(create(tmp_path / name)) for name in ("one", "other"))
    with pytest.raises(InvalidError, match="two tables"):
        diff_snapshots(one, other)
    assert diff_snapshots(one, other, across_tables=True).added == ()
