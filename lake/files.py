"""Parquet files that carry their digest in their name, written so that a crash leaves no half file.

A data file is written under a temporary name through a hashing sink, synced, and then renamed to
`part-<uuid7>-<sha256>.parquet`: sorted names are the order of writing, and the digest costs no
second read. It is a claim: `hash_file` proves it.

Minimum and maximum of personal columns go neither into the footer nor into Delta's statistics.
Columns that hold a NaN have none either: engines order NaN above every number, Parquet leaves it
out of the range, and a filter would skip files that hold matching rows. Nested columns have none.
What Delta knows of a file is computed from the footer as written (`stats_from_footer`).

>>> import tempfile
>>> rows = pa.table({"label": pa.array([3, 8, None], pa.int64())})
>>> with tempfile.TemporaryDirectory() as folder:
...     file = write_data_file(rows, Path(folder), None, file_id="0190")
...     file.sha256 == hash_file(Path(folder) / file.path)[0]
True
>>> file.stats_json[:75]
'{"numRecords":3,"minValues":{"label":3},"maxValues":{"label":8},"nullCount"'
"""

import hashlib
import io
import json
import math
import os
import tempfile
from collections.abc import Collection, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import IO, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from backstory.lake.contract import Contract, Role
from backstory.lake.crash import crashpoint
from backstory.lake.location import translate_os_error
from backstory.lake.object_path import ObjectPath, is_object, parquet_source

ROW_GROUP_ROWS = 32_768
TEMPORARY_PREFIX = ".tmp-"
COPY_BYTES = 1 << 20
ENCODED_BYTES = 1 << 18  # that are gathered before Python, and so its lock, is asked for
BLOOM_ROLES = (Role.EVENT_ID, Role.SUBJECT, Role.INTERACTION)
BLOOM_FALSE_POSITIVES = 0.05
MAX_STATISTIC_CHARS = 64  # longer text helps no filter; left out rather than cut

_ZSTD_LEVEL = 1
_SAMPLE_ROWS = 2_048
_MANY_DISTINCT = 0.5
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_ZERO = date(1970, 1, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class DataFile:
    """A data file in its place.

    Attributes:
        path: name inside the table's folder.
        size: bytes.
        rows: rows.
        sha256: 64 hex digits of the bytes.
        stats_json: Delta's statistics of the file.
    """

    path: str
    size: int
    rows: int
    sha256: str
    stats_json: str


def write_data_file(
    table: pa.Table, folder: Path, contract: Contract | None, *, file_id: str
) -> DataFile:
    """Write rows as one Parquet file that survives a power cut.

    Args:
        table: the rows, as they shall be stored.
        folder: the table's folder; must exist.
        contract: names personal columns and the columns that get Bloom filters; None for rows
            without one.
        file_id: UUIDv7 text, the sortable part of the name.

    Raises:
        UnavailableError: disk full, no permission; nothing is left behind.
    """
    personal = contract.personal_columns if contract else frozenset()
    with (
        ThreadPoolExecutor(max_workers=1) as hasher,
        temporary_file(folder) as file,
        _HashingSink(file, hasher) as sink,
    ):
        options = parquet_options(table, contract)
        with (
            pa.BufferedOutputStream(pa.PythonFile(sink, "w"), ENCODED_BYTES) as encoded,
            pq.ParquetWriter(encoded, table.schema, **options) as writer,
        ):
            writer.write_table(table, row_group_size=ROW_GROUP_ROWS)
        sync_open(file)
        crashpoint("file.written")
        stats = stats_from_footer(Path(file.name), personal)
        sha256 = sink.sha256()
        name = f"part-{file_id}-{sha256}.parquet"
        put_in_place(file, folder / name)
    crashpoint("file.renamed")
    return DataFile(
        path=name,
        size=sink.size,
        rows=table.num_rows,
        sha256=sha256,
        stats_json=json.dumps(stats, separators=(",", ":")),
    )


def parquet_options(table: pa.Table, contract: Contract | None) -> dict[str, Any]:
    """How `table` is encoded: the keyword arguments of pyarrow's `ParquetWriter`."""
    personal = contract.personal_columns if contract else frozenset()
    bloom = {"ndv": max(1, min(table.num_rows, ROW_GROUP_ROWS)), "fpp": BLOOM_FALSE_POSITIVES}
    blooms = [contract.column_with(role) for role in BLOOM_ROLES] if contract else []
    return {
        "compression": "zstd",
        "compression_level": _ZSTD_LEVEL,
        "use_dictionary": [f.name for f in table.schema if _repeats_itself(table[f.name])],
        "write_statistics": [
            f.name
            for f in table.schema
            if f.name not in personal and not pa.types.is_nested(f.type) and _ordered(table[f.name])
        ],
        "bloom_filter_options": {column.name: bloom for column in blooms if column} or None,
    }


def stats_from_footer(path: Path, personal: Collection[str]) -> dict[str, Any]:
    """Delta's statistics of a Parquet file, from its footer alone.

    Only flat columns that are not personal are described: bounds for numbers, dates, times and
    short text, null counts for all. Times are milliseconds, as Delta wants them, rounded outwards.
    """
    meta = pq.read_metadata(parquet_source(path))
    stats: dict[str, Any] = {
        "numRecords": meta.num_rows,
        "minValues": {},
        "maxValues": {},
        "nullCount": {},
    }
    for index, field in _flat_columns(meta):
        groups = [meta.row_group(g).column(index).statistics for g in range(meta.num_row_groups)]
        if field.name in personal or any(group is None for group in groups):
            continue  # `None in groups` would crash: pyarrow compares with what is not there
        stats["nullCount"][field.name] = sum(group.null_count for group in groups)
        bounds = _bounds(groups, field.type)
        if bounds is not None:
            stats["minValues"][field.name], stats["maxValues"][field.name] = bounds
    return stats


def hash_file(path: Path) -> tuple[str, int]:
    """SHA-256 (64 hex digits) and size of a file's bytes."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return digest, file.tell()


def copy_file(source: Path, target: Path, *, mode: int = 0o666) -> tuple[str, int]:
    """Copy a file to where none is, so that it survives a power cut; its SHA-256 and size."""
    digest = hashlib.sha256()
    make = partial(os.open, mode=mode)
    with source.open("rb") as read, open(target, "xb", opener=make) as written:
        while chunk := read.read(COPY_BYTES):
            digest.update(chunk)
            written.write(chunk)
        sync_open(written)
        return digest.hexdigest(), written.tell()


def write_durably(path: Path, data: bytes) -> None:
    """Put a small file in its place: whole or not at all, also after a power cut.

    Nobody but its owner may read it.

    Raises:
        UnavailableError: disk full, no permission; nothing is left behind.
    """
    with temporary_file(path.parent) as file:
        file.write(data)
        sync_open(file)
        put_in_place(file, path)


def write_first(path: Path, data: bytes) -> bool:
    """Put a small file where none is, whole and durably; False where somebody was faster.

    Raises:
        UnavailableError: disk full, no permission; nothing is left behind.
    """
    if isinstance(path, ObjectPath):
        return path.create(data)
    with temporary_file(path.parent) as file:
        file.write(data)
        sync_open(file)
        try:
            os.link(file.name, path)
        except FileExistsError:
            return False
        finally:
            Path(file.name).unlink()
        sync_folder(path.parent)
        return True


@contextmanager
def temporary_file(folder: Path) -> Iterator[IO[bytes]]:
    """A file under a name that nothing reads, gone again if the block fails.

    For a folder in an object store it lies on this machine till `put_in_place`.

    Raises:
        UnavailableError: disk full, no permission.
    """
    try:
        aside = None if is_object(folder) else folder
        with tempfile.NamedTemporaryFile(dir=aside, prefix=TEMPORARY_PREFIX, delete=False) as file:
            try:
                yield file
            except BaseException:
                with suppress(OSError):
                    Path(file.name).unlink()
                raise
    except OSError as exc:
        raise translate_os_error(exc, f"writing into {folder.name}") from exc


def sync_open(file: IO[bytes]) -> None:
    """Have what was written to an open file survive a power cut."""
    file.flush()
    os.fsync(file.fileno())


def put_in_place(file: IO[bytes], path: Path) -> None:
    """Give a temporary file its name, and have the name survive a power cut."""
    move(Path(file.name), path)
    sync_folder(path.parent)


def move(made: Path, path: Path) -> None:
    """Give a file of this machine its name, in an object store too; what had it is replaced."""
    if isinstance(path, ObjectPath):
        path.upload(made)
        made.unlink()
    else:
        made.replace(path)


def make_folder(path: Path, *, mode: int = 0o777) -> None:
    """Make a folder and its parents, and have their names survive a power cut.

    So has the name of one that is there: who made it just now may not have come as far as that.
    An object store has no folders to make.
    """
    if is_object(path):
        return
    if path.is_dir():
        with suppress(PermissionError):  # in a folder that we may not read we have made nothing
            sync_folder(path.parent)
        return
    make_folder(path.parent)
    path.mkdir(mode=mode, exist_ok=True)
    sync_folder(path.parent)


def sync_file(path: Path) -> None:
    """Have a file's bytes survive a power cut."""
    _sync(path, os.O_RDONLY)


def sync_folder(path: Path) -> None:
    """Have the names in a folder survive a power cut."""
    _sync(path, os.O_RDONLY | os.O_DIRECTORY)


def sync_folders(root: Path) -> None:
    """Have the names in a folder and in all folders below survive a power cut."""
    for folder, _, _ in os.walk(root):
        sync_folder(Path(folder))


def _sync(path: Path, flags: int) -> None:
    if is_object(path):
        return
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class _HashingSink(io.RawIOBase):
    """A file that knows the digest and the size of what went through.

    One worker hashes, in order, while pyarrow encodes: the digest costs a spare core, not time.
    Closed, it refuses at once. A writer that failed tries again whenever it is freed, which the
    collector may do while this very thread holds a lock of the thread pools.
    """

    def __init__(self, file: IO[bytes], hasher: Executor) -> None:
        self._file = file
        self._hasher = hasher
        self._hash = hashlib.sha256()
        self.size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> int:
        if self.closed:
            raise ValueError("the data file is finished")
        chunk = bytes(data)  # no copy of bytes, and nothing that changes before it is hashed
        self._hasher.submit(self._hash.update, chunk)
        self.size += len(chunk)
        return self._file.write(chunk)

    def sha256(self) -> str:
        return self._hasher.submit(self._hash.hexdigest).result()


def _repeats_itself(column: pa.ChunkedArray) -> bool:
    """Whether a dictionary pays: judged by a sample, because the writer's own attempt is slow."""
    if pa.types.is_nested(column.type):
        return False
    sample = column.slice(0, _SAMPLE_ROWS)
    return bool(pc.count_distinct(sample).as_py() <= _MANY_DISTINCT * len(sample))


def _ordered(column: pa.ChunkedArray) -> bool:
    return not pa.types.is_floating(column.type) or not pc.any(pc.is_nan(column)).as_py()


def _flat_columns(meta: pq.FileMetaData) -> Iterator[tuple[int, pa.Field]]:
    """Index and field of each leaf that is a column of its own."""
    fields = {f.name: f for f in meta.schema.to_arrow_schema() if not pa.types.is_nested(f.type)}
    for index in range(meta.num_columns):
        path = meta.schema.column(index).path
        if path in fields:
            yield index, fields[path]


def _bounds(groups: list[pq.Statistics], kind: pa.DataType) -> tuple[Any, Any] | None:
    """The column's range over all row groups as JSON values; None where there is none to give."""
    known = [g for g in groups if g.has_min_max]
    if not known or any(not g.has_min_max and g.num_values for g in groups):
        return None
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return _time_bounds(min(g.min_raw for g in known), max(g.max_raw for g in known), kind)
    low, high = min(g.min for g in known), max(g.max for g in known)
    if pa.types.is_integer(kind):
        return low, high
    if pa.types.is_floating(kind) and math.isfinite(low) and math.isfinite(high):
        return low, high
    if pa.types.is_string(kind) and max(len(low), len(high)) <= MAX_STATISTIC_CHARS:
        return low, high
    return None


def _time_bounds(low: int, high: int, kind: pa.DataType) -> tuple[str, str] | None:
    try:
        if pa.types.is_date(kind):
            return str(_DAY_ZERO + timedelta(days=low)), str(_DAY_ZERO + timedelta(days=high))
        return _milliseconds(low // 1000), _milliseconds(-(-high // 1000))
    except OverflowError:  # beyond the years 1 to 9999, which is all that a Delta reader can parse
        return None


def _milliseconds(since_epoch: int) -> str:
    moment = _EPOCH + timedelta(milliseconds=since_epoch)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
