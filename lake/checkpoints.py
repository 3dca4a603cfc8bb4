"""Checkpoints: a version as a table of its own, made aside and read aside; and their digests.

A folder whose `_delta_log` holds nothing but `<version>.checkpoint.parquet` is a complete Delta
table. Making and reading one leads through a temporary folder: the table's log is not written to.

Log entries are recorded by digest when they are registered, checkpoints are not registered: so the
digest of each is kept in the table, under `_checkpoints/`.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from backstory.lake.commits import LOG_FOLDER
from backstory.lake.errors import GoneError, IntegrityError
from backstory.lake.files import (
    TEMPORARY_PREFIX,
    hash_file,
    make_folder,
    move,
    sync_file,
    sync_folder,
    write_durably,
)
from backstory.lake.location import translate_os_error
from backstory.lake.manifest import Manifest
from backstory.lake.object_path import fetch, is_object
from backstory.lake.sealed import seal
from backstory.lake.segments import log_files, segment
from backstory.lake.versions import TableVersion, delta_damage, describe, open_delta, sizes
from backstory.lake.writers import writing

CHECKPOINTS_FOLDER = "_checkpoints"
LAST_CHECKPOINT = "_last_checkpoint"


def make_checkpoint(log: Iterable[Path], manifest: Manifest, target: Path, *, name: str) -> None:
    """Write the checkpoint of a version to a file, from a copy of the log that builds it.

    Args:
        log: the files of the log that build the version.
        manifest: the version, and what it must consist of.
        target: the file to write.
        name: what to call the table in errors.

    Raises:
        GoneError: log entries of that version are no longer there.
        IntegrityError: the log says something else than the manifest.
        UnavailableError: disk full, no permission.
    """
    version = manifest.version
    try:
        with _scratch() as scratch:
            for path in log:
                fetch(path, scratch / LOG_FOLDER / path.name)
            delta = open_delta(scratch, version, name=name)
            with delta_damage(name):
                if sizes(delta) != {file.path: file.size for file in manifest.files}:
                    raise IntegrityError(f"{name}@{version}: its log says something else by now")
                delta.create_checkpoint()
            shutil.copyfile(_checkpoint(scratch, version), target)
    except FileNotFoundError as exc:
        raise GoneError(f"{name}: the log entries of version {version} are gone") from exc
    except OSError as exc:
        raise translate_os_error(exc, f"checkpoint of {name}@{version}") from exc


def read_checkpoint(path: Path, version: int, folder: Path, *, name: str) -> TableVersion:
    """What a checkpoint alone says about its version.

    Args:
        path: the checkpoint.
        version: whose it is.
        folder: the table's folder, with the data files.
        name: what to call the table in errors.

    Raises:
        GoneError: it is missing.
        IntegrityError: it is damaged, or names files outside the folder.
    """
    with _scratch() as scratch:
        try:
            fetch(path, _checkpoint(scratch, version))
        except FileNotFoundError as exc:
            raise GoneError(f"{path} is missing") from exc
        return describe(open_delta(scratch, version, name=name), folder, name=name)


def add_checkpoint(folder: Path, version: int, *, name: str) -> None:
    """Put the checkpoint of a version into its table's log, where it appears whole.

    delta-rs would not sync it: after a power cut a checkpoint of no bytes would close the table.

    Args:
        folder: the table's folder.
        version: whose it is.
        name: what to call the table in errors.

    Raises:
        IntegrityError: the log is damaged.
        GoneError: log entries of that version are no longer there.
        UnavailableError: disk full, no permission.
    """
    beside, copy = (None, fetch) if is_object(folder) else (folder, os.link)
    try:
        with (
            writing(folder),
            tempfile.TemporaryDirectory(dir=beside, prefix=TEMPORARY_PREFIX) as aside,
        ):
            scratch = Path(aside)
            (scratch / LOG_FOLDER).mkdir()
            for file in segment(folder, version):
                copy(file.path, scratch / LOG_FOLDER / file.path.name)
            with delta_damage(name):
                open_delta(scratch, version, name=name).create_checkpoint()
            hint = checkpoint_version_hint(folder)
            is_newest = hint is None or hint <= version  # else who wrote a newer one was faster
            hints = [scratch / LOG_FOLDER / LAST_CHECKPOINT] if is_newest else []
            for made in (_checkpoint(scratch, version), *hints):
                sync_file(made)
                move(made, folder / LOG_FOLDER / made.name)
        sync_folder(folder / LOG_FOLDER)
        record_checkpoints(folder)
    except OSError as exc:
        raise translate_os_error(exc, f"checkpoint of {name}@{version}") from exc


def record_checkpoints(folder: Path) -> None:
    """Keep the digest of each checkpoint in a table's log that has none yet."""
    records = folder / CHECKPOINTS_FOLDER
    make_folder(records)
    for file in log_files(folder):
        record = records / file.path.name
        if file.parts and not record.exists():
            try:
                sha256, _ = hash_file(file.path)
            except FileNotFoundError:
                continue  # trimmed meanwhile
            write_durably(record, seal(f"{sha256}\n").encode())


def checkpoint_version_hint(folder: Path) -> int | None:
    """The checkpoint that Delta's hint sends readers to; None where there is no hint.

    Raises:
        IntegrityError: the hint does not parse.
    """
    path = folder / LOG_FOLDER / LAST_CHECKPOINT
    try:
        return int(json.loads(path.read_bytes())["version"])
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError) as exc:
        raise IntegrityError(f"{path} does not parse: {exc}") from exc


def checkpoint_records(folder: Path) -> list[Path]:
    """The files that hold the digests of a table's checkpoints, each with its checkpoint's name."""
    return sorted((folder / CHECKPOINTS_FOLDER).glob("*.parquet"))


def _checkpoint(folder: Path, version: int) -> Path:
    return folder / LOG_FOLDER / f"{version:020d}.checkpoint.parquet"


@contextmanager
def _scratch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="backstory-") as name:
        scratch = Path(name)
        (scratch / LOG_FOLDER).mkdir()
        yield scratch
