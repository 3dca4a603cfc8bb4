"""Compaction: many small data files become few, and the rows stay what they are.

Keeps true: a commit that replaces files is made only when the old files are what was recorded, and
what was read back from the new ones has as many rows and the same logical sum; appends go on
meanwhile, and a rival change refuses it. Who compares versions later finds the sums. The old files
stay where they are, until `backstory.lake.garbage` finds that nobody needs them. Memory is bounded:
rows are sorted by an engine that spills to disk.

Rows are laid by the bucket of their subject (two digits of the pseudonym), then subject and time,
so that a subject's rows are in few files; rows of interactions by their id.

    for group in small_files(open_snapshot(table)):
        compact(table, group, at=now, new_id=new_id)
"""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake.transaction import AddAction, RemoveAction

from backstory.lake.contract import Contract, Role
from backstory.lake.crash import crashpoint
from backstory.lake.derived import discard, write_with_derived
from backstory.lake.engine import BATCH_ROWS, Room, cage, engine_errors, files_source, quoted
from backstory.lake.errors import ConflictError, IntegrityError
from backstory.lake.fence import Change, Fenced, commit_fenced, open_fenced
from backstory.lake.files import TEMPORARY_PREFIX, DataFile, hash_file
from backstory.lake.kept_sums import drop_sums, keep_sums
from backstory.lake.location import inside
from backstory.lake.logical_sum import sum_of_file, total
from backstory.lake.manifest import ManifestFile
from backstory.lake.object_path import fetched, is_object, parquet_source
from backstory.lake.profiles import SharedEdges
from backstory.lake.snapshot import OpenedBy, Snapshot, make_snapshot
from backstory.lake.table import SliceTable
from backstory.lake.versions import describe, digest_in_name

SMALL_BYTES = 16 << 20
MIN_SMALL_FILES = 8
MAX_GROUP_BYTES = 128 << 20
MAX_GROUP_FILES = 5_000
MAX_FILE_BYTES = 256 << 20  # of rows in memory
SORT_BYTES = 512 << 20  # of memory to sort in; what is more is written to the disk
OPERATION = "COMPACT"

_BUCKET_DIGITS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Compacted:
    """Files that were replaced.

    Attributes:
        version: the Delta version that did it.
        before: how many files were replaced.
        after: by how many.
        rows: rows of either.
        logical: their logical sum.
    """

    version: int
    before: int
    after: int
    rows: int
    logical: str


def small_files(snapshot: Snapshot) -> list[tuple[ManifestFile, ...]]:
    """The groups of small files of a version that are worth being joined, each into a few."""
    groups: list[list[ManifestFile]] = [[]]
    for file in snapshot.manifest.files:
        if file.size >= SMALL_BYTES or not digest_in_name(file.path):
            continue
        full = sum(known.size for known in groups[-1]) + file.size > MAX_GROUP_BYTES
        if full or len(groups[-1]) >= MAX_GROUP_FILES:
            groups.append([])
        groups[-1].append(file)
    return [tuple(group) for group in groups if len(group) >= MIN_SMALL_FILES]


def compact(
    table: SliceTable,
    group: Sequence[ManifestFile],
    *,
    at: datetime,
    new_id: Callable[[], str],
    info: Mapping[str, Any] | None = None,
) -> Compacted:
    """Replace files of a table's newest version by fewer with the same rows.

    Args:
        table: one of ours.
        group: which files.
        at: the time of the commit.
        new_id: makes UUIDv7 text, for data files and the attempt.
        info: what else to record with the commit, as JSON values.

    Raises:
        ConflictError: another change came first, or a file is no longer of the newest version.
        IntegrityError: the rows of the files are not those that were written; nothing is changed.
        UnavailableError: disk full, no permission; nothing is changed.
    """
    fenced = open_fenced(table)
    newest = describe(fenced.delta, table.folder, name=table.name).manifest
    if not {file.path for file in group} <= {file.path for file in newest.files}:
        raise ConflictError(
            f"{table.name}: other files are of its newest version by now", hint="try again"
        )
    written: list[DataFile] = []
    attempt = new_id()
    try:
        snapshot = make_snapshot(table, newest, folder=table.folder, opened_by=OpenedBy.DELTA)
        _prove(table, group)
        for file in _rewritten(table, snapshot, group, new_id):
            written.append(file)  # noqa: PERF402 - what failed half way is discarded
        sums = _same_rows(table, group, written)
        keep_sums(table.folder, attempt, sums)
        crashpoint("compact.written")
        change = Change(operation=OPERATION, attempt=attempt, at=at, info=info or {})
        version = commit_fenced(fenced, _actions(group, written, at), change)
    except BaseException:
        _discard(fenced, written, attempt)
        raise
    return Compacted(
        version=version,
        before=len(group),
        after=len(written),
        rows=sum(file.rows for file in written),
        logical=total(sums[file.path] for file in written),
    )


def _prove(table: SliceTable, group: Sequence[ManifestFile]) -> None:
    for file in group:
        if hash_file(inside(table.folder, file.path)) != (file.sha256, file.size):
            raise IntegrityError(
                f"{table.name}: {file.path} is not what was recorded; nothing was changed",
                hint="run `backstory verify` to see which bytes are not what was recorded",
            )


def _rewritten(
    table: SliceTable,
    snapshot: Snapshot,
    group: Sequence[ManifestFile],
    new_id: Callable[[], str],
) -> Iterator[DataFile]:
    """Write the rows of files into new ones, sorted; each file as large as memory may be."""
    beside = None if is_object(table.folder) else table.folder
    with tempfile.TemporaryDirectory(dir=beside, prefix=TEMPORARY_PREFIX) as spill:
        room = Room(memory=SORT_BYTES, folder=Path(spill))
        paths = [fetched(inside(table.folder, file.path), room.folder) for file in group]
        yield from _sorted(table, snapshot, paths, room, new_id)


def _sorted(
    table: SliceTable,
    snapshot: Snapshot,
    paths: Sequence[Path],
    room: Room,
    new_id: Callable[[], str],
) -> Iterator[DataFile]:
    schema = snapshot.full_schema
    with cage(paths, room=room) as con, engine_errors(table.name):
        source = files_source([(path, {}) for path in paths], schema)
        sorted_rows = con.sql(f"SELECT * FROM ({source}) ORDER BY {_order(table.contract)}")
        for rows in _portions(sorted_rows.to_arrow_reader(BATCH_ROWS), schema):
            yield write_with_derived(
                rows,
                table.folder,
                table.contract,
                file_id=new_id(),
                edges=SharedEdges(table.folder),
                version=snapshot.version,
            )


def _portions(batches: pa.RecordBatchReader, schema: pa.Schema) -> Iterator[pa.Table]:
    """Batches joined to what makes one file; at least one, which may have no row."""
    kept: list[pa.RecordBatch] = []
    for batch in batches:
        kept.append(batch.cast(schema))
        if sum(one.nbytes for one in kept) >= MAX_FILE_BYTES:
            yield pa.Table.from_batches(kept, schema)
            kept = []
    if kept:
        yield pa.Table.from_batches(kept, schema)


def _order(contract: Contract) -> str:
    """What rows lie together, as SQL."""
    if contract.column_with(Role.SUBJECT) is None or contract.slice.startswith("_"):
        named = [contract.column_with(role) for role in (Role.EVENT_ID, Role.EVENT_TIME)]
        return ", ".join([quoted(column.name) for column in named if column] or ["_ingested_at"])
    subject, time = (contract.column_with(role) for role in (Role.SUBJECT, Role.EVENT_TIME))
    text = quoted(subject.name) if subject else "NULL"
    bucket = f"substr(split_part({text}, ':', 2), 1, {_BUCKET_DIGITS})"
    return ", ".join([bucket, text, quoted(time.name) if time else "_ingested_at"])


def _same_rows(
    table: SliceTable, group: Sequence[ManifestFile], written: Sequence[DataFile]
) -> dict[str, str]:
    """The logical sums of the files before and after, by path, of what is on the disk.

    Raises:
        IntegrityError: the rows are not the same.
    """
    before, after = (
        {file.path: sum_of_file(inside(table.folder, file.path)) for file in files}
        for files in (group, written)
    )
    expected = sum(file.rows for file in group), total(before.values())
    rows = sum(
        pq.read_metadata(parquet_source(table.folder / file.path)).num_rows for file in written
    )
    found = rows, total(after.values())
    if found != expected:
        raise IntegrityError(
            f"{table.name}: compaction read {expected[0]} rows of sum {expected[1]} "
            f"and wrote {found[0]} of sum {found[1]}; nothing was changed",
            hint="run `backstory verify` to see which bytes are not what was recorded",
        )
    return before | after


def _actions(
    group: Sequence[ManifestFile], written: Sequence[DataFile], at: datetime
) -> list[AddAction | RemoveAction]:
    now = int(at.timestamp() * 1000)
    return [
        *(AddAction(file.path, file.size, {}, now, False, file.stats_json) for file in written),
        *(RemoveAction(file.path, False, now, file.size, {}) for file in group),
    ]


def _discard(fenced: Fenced, written: Sequence[DataFile], attempt: str) -> None:
    """Remove files of a change that failed, where the log shows that no version lists them."""
    table = fenced.table
    newest = describe(open_fenced(table).delta, table.folder, name=table.name).manifest
    listed = {file.path for file in newest.files}
    lost = [file for file in written if file.path not in listed]
    for file in lost:
        discard(table.folder, file.path)
    if lost:
        drop_sums(table.folder, attempt)
