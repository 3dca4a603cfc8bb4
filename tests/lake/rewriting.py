"""Commits that take files out of a table and put others in, as compaction and erasure do."""

from collections.abc import Collection, Iterable

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable, PostCommitHookProperties
from deltalake.transaction import AddAction, RemoveAction

from backstory.lake.files import DataFile, write_data_file
from backstory.lake.kept_sums import keep_sums
from backstory.lake.logical_sum import sum_of_file
from backstory.lake.snapshot import open_snapshot
from backstory.lake.table import SliceTable
from tests.lake.thumbs import NOW, new_id

_HOOKS = PostCommitHookProperties(create_checkpoint=False, cleanup_expired_logs=False)


def rewrite(
    table: SliceTable,
    taken: Collection[str],
    put: Iterable[pa.Table],
    *,
    data_change: bool = False,
) -> None:
    """Put files in the place of others, in one commit."""
    at = int(NOW.timestamp() * 1000)
    files = [write_data_file(r, table.folder, table.contract, file_id=new_id()) for r in put]
    names = [*taken, *(file.path for file in files)]
    keep_sums(table.folder, new_id(), {n: sum_of_file(table.folder / n) for n in names})
    delta = DeltaTable(str(table.folder))
    delta.create_write_transaction(
        [
            *(RemoveAction(path, data_change, at) for path in taken),
            *(_add(file, at, data_change=data_change) for file in files),
        ],
        "append",
        delta.schema(),
        post_commithook_properties=_HOOKS,
    )


def compact(table: SliceTable, *, files: slice = slice(None), into: int = 1) -> None:
    """Write the rows of some files, by path, into few."""
    taken = paths(table)[files]
    rows = pa.concat_tables([pq.read_table(table.folder / path) for path in taken])
    rows = rows.sort_by([("event_id", "descending")])
    size = -(-rows.num_rows // into)
    rewrite(table, taken, [rows.slice(at, size) for at in range(0, rows.num_rows, size)])


def erase(table: SliceTable, path: str, event_id: str) -> None:
    """Write a file anew without one event."""
    rows = pq.read_table(table.folder / path)
    kept = rows.filter(pa.compute.not_equal(rows["event_id"], event_id))
    rewrite(table, [path], [kept], data_change=True)


def paths(table: SliceTable) -> list[str]:
    return [file.path for file in open_snapshot(table).manifest.files]


def _add(file: DataFile, at: int, *, data_change: bool) -> AddAction:
    return AddAction(file.path, file.size, {}, at, data_change, file.stats_json)
