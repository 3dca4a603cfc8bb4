"""Bytes of tables that others write, brought under a digest: hashed in place, copied, rewritten.

Each function returns the manifest with the digests that it found. Which of the three a pin needs
is decided elsewhere.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
from deltalake import Schema

from backstory.lake.errors import GoneError, IntegrityError
from backstory.lake.files import copy_file, hash_file, sync_folders, write_data_file
from backstory.lake.location import inside, translate_os_error
from backstory.lake.manifest import Manifest, ManifestFile
from backstory.lake.snapshot import Snapshot

ROWS_PER_REWRITTEN_FILE = 1 << 20

KnownDigests = Mapping[tuple[str, int], str]
"""Digests by path and size, from earlier pins of the same table."""


def hash_files(snapshot: Snapshot, known: KnownDigests) -> Manifest:
    """Hash the files that have no digest yet, reading each once.

    Raises:
        GoneError: a file is no longer there.
        IntegrityError: a file has another size than the log says.
    """
    files = []
    for file in snapshot.manifest.files:
        digest = file.sha256 or known.get((file.path, file.size))
        if digest is None:
            try:
                digest, size = hash_file(inside(snapshot.folder, file.path))
            except FileNotFoundError as exc:
                raise _gone(snapshot, file) from exc
            _check(snapshot, file, digest, size)
        files.append(replace(file, sha256=digest))
    return replace(snapshot.manifest, files=tuple(files))


def copy_files(snapshot: Snapshot, target: Path) -> Manifest:
    """Copy all data files into a folder, hashing them on the way.

    Raises:
        GoneError: a file is no longer there.
        IntegrityError: a file is not what the manifest says.
        UnavailableError: disk full, no permission.
    """
    files = []
    for file in snapshot.manifest.files:
        copy = target / file.path
        try:
            copy.parent.mkdir(parents=True, exist_ok=True)
            digest, size = copy_file(inside(snapshot.folder, file.path), copy)
        except FileNotFoundError as exc:
            raise _gone(snapshot, file) from exc
        except OSError as exc:
            raise translate_os_error(exc, f"copying {file.path} of {snapshot}") from exc
        _check(snapshot, file, digest, size)
        files.append(replace(file, sha256=digest))
    sync_folders(target)
    return replace(snapshot.manifest, files=tuple(files))


def rewrite_rows(snapshot: Snapshot, target: Path) -> Manifest:
    """Write the rows, as the engine that honours the table's features gives them, into our files.

    The same snapshot gives the same files, and so the same manifest.
    """
    files = []
    for index, rows in enumerate(_chunks(snapshot.batches(system=True))):
        file = write_data_file(rows, target, None, file_id=f"00000000-0000-7000-8000-{index:012d}")
        files.append(
            ManifestFile(path=file.path, size=file.size, rows=file.rows, sha256=file.sha256)
        )
    return replace(
        snapshot.manifest,
        schema_json=Schema.from_arrow(snapshot.full_schema).to_json(),
        files=tuple(files),
    )


def _chunks(batches: pa.RecordBatchReader) -> Iterator[pa.Table]:
    """The rows as tables of a bounded number of rows."""
    waiting: list[pa.RecordBatch] = []
    for batch in batches:
        waiting.append(batch)
        if sum(b.num_rows for b in waiting) >= ROWS_PER_REWRITTEN_FILE:
            yield pa.Table.from_batches(waiting)
            waiting = []
    if waiting:
        yield pa.Table.from_batches(waiting)


def _check(snapshot: Snapshot, file: ManifestFile, digest: str, size: int) -> None:
    if size != file.size:
        raise IntegrityError(
            f"{snapshot}: data file {file.path} has {size} bytes instead of {file.size}"
        )
    if file.sha256 and digest != file.sha256:
        raise IntegrityError(f"{snapshot}: data file {file.path} is not what its digest says")


def _gone(snapshot: Snapshot, file: ManifestFile) -> GoneError:
    return GoneError(f"{snapshot}: data file {file.path} is no longer there")
