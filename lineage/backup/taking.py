"""Taking a backup of a home while others append, train and deploy.

A backup is the home at one instant: that at which its store was copied. The lake leads and the
store follows, so everything that the copied store names was in its place by then, and only grows;
it is copied afterwards, and what came later is left out. The one thing that may go meanwhile is a
pin that somebody releases: it is left out, and a restored home ends it too.

Steps, numbered as in the code:

1. What a crash left unregistered is registered.
2. The store is copied, in one transaction.
3. What that copy names is copied: tables up to their last registered version, pins, artifacts.
4. Settings and keys.
5. The manifest, the last file; then all of it gets its name.

Every byte is hashed on its way, and where a file's name claims a digest the two are compared: what
is damaged is not taken for a backup.
"""

import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from backstory.lake.aside import built_aside
from backstory.lake.belongings import data_of_pin, pin_files, table_files
from backstory.lake.crash import crashpoint
from backstory.lake.errors import IntegrityError, InvalidError
from backstory.lake.files import copy_file, hash_file, write_durably
from backstory.lake.pinned import pins_folder
from backstory.lake.snapshot import Table
from backstory.lake.subject_index import SUBJECTS_FOLDER, set_files
from backstory.lake.table import SliceTable
from backstory.lineage.backup.manifest import MANIFEST_FILE, BackupFile, BackupManifest
from backstory.lineage.catch_up import catch_up
from backstory.lineage.keys import KEY_FILE
from backstory.lineage.parts import Parts
from backstory.lineage.settings import SETTINGS_FILE
from backstory.lineage.store import models, slices
from backstory.lineage.store.transfer import sqlite_at, write_out

STORE_PATH = "store.db"
SETTINGS_PATH = "settings.toml"
KEYS_PATH = f"keys/{KEY_FILE}"
LAKE_PATH = "lake"
ARTIFACTS_PATH = "artifacts"

WORKERS = 4  # they wait for the disk more than they hash
PRIVATE = 0o600

_CLAIM = re.compile(r"(?:.*-)?([0-9a-f]{64})(?:\.parquet|\.tree|\.arrow)?")
_Work = Callable[[], list[BackupFile]]


class LakeBy(StrEnum):
    """How a backup has the lake."""

    COPY = "copy"
    REFERENCE = "reference"


@dataclass(frozen=True, slots=True, kw_only=True)
class Backup:
    """A backup that was taken.

    Attributes:
        folder: where it lies.
        manifest: what it consists of.
    """

    folder: Path
    manifest: BackupManifest


def backup(
    parts: Parts, folder: str | Path, *, lake: str = LakeBy.COPY, keys: bool = True
) -> Backup:
    """Take a backup; it is there whole, or not at all.

    Args:
        folder: an empty or absent folder.
        lake: "copy", or "reference" for a lake that is kept safe by other means.
        keys: whether the subject keys are part of it; without them nobody in the backup can be
            matched to a person, and a restored home cannot match anybody either.

    Raises:
        InvalidError: the folder is not empty, or lies in what it is to hold.
        IntegrityError: a file of the home is not what was recorded; nothing was taken.
        UnavailableError: disk full, no permission; nothing is left behind.
    """
    dest, by = Path(folder), _lake_by(lake)
    _refuse_inside(parts, dest)
    catch_up(parts)  # 1
    with built_aside(dest) as aside:
        at = parts.clock()
        write_out(parts.store.engine, aside / STORE_PATH)  # 2
        (aside / STORE_PATH).chmod(PRIVATE)
        store = sqlite_at(aside / STORE_PATH)
        try:
            with store.connect() as conn, conn.begin():
                files = _home_files(parts, conn, aside, by)  # 3
        finally:
            store.dispose()
        files += _small_files(parts, aside, keys=keys)  # 4
        lake_at = parts.settings.lake if by is LakeBy.REFERENCE else None
        manifest = _manifest(at, files, keys=keys, lake=lake_at)
        write_durably(aside / MANIFEST_FILE, manifest.to_text().encode())  # 5
        crashpoint("backup.copied")
    with parts.unit("home.backup", "home") as unit:
        unit.note(manifest=manifest.digest, lake=by.value, keys=keys)
    return Backup(folder=dest, manifest=manifest)


def _lake_by(text: str) -> LakeBy:
    try:
        return LakeBy(text)
    except ValueError as exc:
        raise InvalidError(
            f"a lake is backed up by copy or by reference, not {text!r}",
            hint="copy, unless the lake is kept safe by other means",
        ) from exc


def _refuse_inside(parts: Parts, dest: Path) -> None:
    settings = parts.settings
    for place in (settings.home, settings.lake, settings.artifacts):
        if dest.resolve().is_relative_to(place.resolve()):
            raise InvalidError(
                f"{dest} lies in {place}, and would be lost with it",
                hint="name a folder elsewhere, best on another disk",
            )


def _small_files(parts: Parts, aside: Path, *, keys: bool) -> list[BackupFile]:
    """The store's own line of the manifest, settings and keys."""
    sha256, size = hash_file(aside / STORE_PATH)
    files = [BackupFile(path=STORE_PATH, size=size, sha256=sha256)]
    files += _take(parts.settings.home / SETTINGS_FILE, aside, SETTINGS_PATH, mode=PRIVATE)
    if keys:
        files += _take(parts.settings.keys / KEY_FILE, aside, KEYS_PATH, mode=PRIVATE)
    return files


def _manifest(
    at: datetime, files: list[BackupFile], *, keys: bool, lake: Path | None
) -> BackupManifest:
    return BackupManifest(
        at=at,
        backstory=version("backstory"),
        with_keys=keys,
        lake=None if lake is None else str(lake.resolve()),
        files=tuple(sorted(files, key=lambda file: file.path)),
    )


def _home_files(parts: Parts, conn: Any, aside: Path, by: LakeBy) -> list[BackupFile]:
    """Copy what the store names; of a pin its own files first, which say what else it needs."""
    artifacts = _run(_artifact_work(parts, conn, aside))
    if by is LakeBy.REFERENCE:
        return artifacts
    pins = _run(_pin_work(parts, conn, aside))
    _check_released(parts, conn, {Path(file.path).name for file in pins})
    return [*artifacts, *pins, *_run(_table_work(parts, conn, aside))]


def _run(work: Iterator[_Work]) -> list[BackupFile]:
    """Do all work, some at a time; the first failure ends it, and drops what waits."""
    with ThreadPoolExecutor(WORKERS) as pool:
        return [file for files in pool.map(lambda one: one(), work) for file in files]


def _artifact_work(parts: Parts, conn: Any, aside: Path) -> Iterator[_Work]:
    blobs = parts.lake.blobs
    present = list(blobs.files())
    missing = models.artifact_kinds(conn).keys() - {digest for digest, _ in present}
    if missing:
        raise _damaged(f"artifact {min(missing)}", "is missing")
    for _, path in present:
        relative = path.relative_to(parts.settings.artifacts)
        yield partial(_take, path, aside, f"{ARTIFACTS_PATH}/{relative.as_posix()}")


def _pin_work(parts: Parts, conn: Any, aside: Path) -> Iterator[_Work]:
    for record in slices.slices(conn):
        for digest, pin_ids in _held(conn, record.name).items():
            table = parts.lake.table(record.name)
            yield partial(_take_pin, parts.lake.root, table, digest, pin_ids, aside)


def _table_work(parts: Parts, conn: Any, aside: Path) -> Iterator[_Work]:
    root = parts.lake.root
    for record in slices.slices(conn):
        table = parts.lake.table(record.name)
        contracts = slices.contract_digests(conn, record.id)
        paths = dict.fromkeys(table_files(table, record.last_version, contracts))
        for digest in _held(conn, record.name):
            own = aside / LAKE_PATH / pins_folder(table).relative_to(root) / digest
            paths |= dict.fromkeys(data_of_pin(table, own))
        for path in paths:
            yield partial(_take, path, aside, _in_lake(root, path))
        if isinstance(table, SliceTable):
            yield partial(_take_index, root, table, aside)


def _held(conn: Any, name: str) -> Mapping[str, list[str]]:
    """The pins of a table that hold, by the digest of what they hold."""
    snapshots = slices.snapshots(conn, slices.pinned_snapshots(conn, name))
    pins = slices.pins_of(conn, list(snapshots))
    return {snapshots[key].digest: [pin.pin_id for pin in held] for key, held in pins.items()}


def _take_pin(
    root: Path, table: Table, digest: str, pin_ids: list[str], aside: Path
) -> list[BackupFile]:
    """Copy a pinned snapshot's own files; again where a pin was released meanwhile."""
    target = aside / LAKE_PATH / pins_folder(table).relative_to(root) / digest
    while paths := pin_files(table, digest, pin_ids):
        try:
            return [file for path in paths for file in _take_one(path, aside, _in_lake(root, path))]
        except FileNotFoundError:
            shutil.rmtree(target, ignore_errors=True)
    return []


def _take_index(root: Path, table: SliceTable, aside: Path) -> list[BackupFile]:
    """Copy a table's subject index; again where sets were joined meanwhile."""
    while True:
        try:
            return [
                file
                for path in set_files(table.folder)
                for file in _take_one(path, aside, _in_lake(root, path))
            ]
        except FileNotFoundError:
            own = aside / _in_lake(root, table.folder / SUBJECTS_FOLDER)
            shutil.rmtree(own, ignore_errors=True)


def _check_released(parts: Parts, conn: Any, taken: set[str]) -> None:
    """Of a pin that is not in the lake somebody must have let go since the store was copied."""
    for name in slices.last_versions(conn):
        for digest, pin_ids in _held(conn, name).items():
            for pin_id in set(pin_ids) - taken:
                with parts.store.reader() as live:
                    found = slices.pin_by_id(live, pin_id)
                if found is None or found[1] is None:
                    raise _damaged(f"pin {pin_id} of {name} ({digest})", "has no files")


def _take(source: Path, aside: Path, path: str, *, mode: int = 0o666) -> list[BackupFile]:
    try:
        return _take_one(source, aside, path, mode=mode)
    except FileNotFoundError as exc:
        raise _damaged(str(source), "is missing") from exc


def _take_one(source: Path, aside: Path, path: str, *, mode: int = 0o666) -> list[BackupFile]:
    target = aside / path
    target.parent.mkdir(parents=True, exist_ok=True)
    sha256, size = copy_file(source, target, mode=mode)
    claim = _CLAIM.fullmatch(source.name)
    if claim and claim[1] != sha256:
        raise _damaged(str(source), "is not what its name says")
    return [BackupFile(path=path, size=size, sha256=sha256)]


def _in_lake(root: Path, path: Path) -> str:
    return f"{LAKE_PATH}/{path.relative_to(root).as_posix()}"


def _damaged(what: str, problem: str) -> IntegrityError:
    return IntegrityError(
        f"{what} {problem}; no backup was taken",
        hint="`backstory verify` names all damage; restore it from an earlier backup",
    )
