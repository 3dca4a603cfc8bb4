"""Bringing a home back from a backup.

Steps, numbered as in the code:

1. Every file that the manifest lists is there, with its size; else nothing is begun.
2. All files are copied, each hashed on its way and compared with the manifest.
3. The store is brought to the revision that this Backstory works with, and into PostgreSQL where
   that was asked for; the settings name the new places.
4. Commits that the store does not know are registered: with a lake by reference, all since the
   backup.
5. Pins that the lake does not keep are ended: somebody released them while the backup was taken, or
   since where the lake is a reference.
6. The home gets its name.
"""

import logging
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime
from functools import partial
from pathlib import Path

from backstory.lake.aside import built_aside
from backstory.lake.crash import crashpoint
from backstory.lake.errors import IntegrityError, InvalidError, NotFoundError
from backstory.lake.files import copy_file, write_durably
from backstory.lake.location import check_openable, inside, place_of
from backstory.lake.pinned import holder_file
from backstory.lineage.backup.manifest import BackupFile, BackupManifest, read_backup
from backstory.lineage.backup.taking import (
    ARTIFACTS_PATH,
    KEYS_PATH,
    LAKE_PATH,
    PRIVATE,
    SETTINGS_PATH,
    STORE_PATH,
    WORKERS,
)
from backstory.lineage.catch_up import catch_up
from backstory.lineage.home import GITIGNORE, STORE_FILE, Home, assemble, open_home
from backstory.lineage.settings import SETTINGS_FILE, load_settings, with_setting
from backstory.lineage.store import slices, tables, writes
from backstory.lineage.store.engine import connect
from backstory.lineage.store.sqlite_file import write_ahead
from backstory.lineage.store.transfer import fill, sqlite_at
from backstory.lineage.store.upgrade import upgrade
from backstory.lineage.times import time_text, utc_now

_log = logging.getLogger(__name__)

_PLACES = {SETTINGS_PATH: SETTINGS_FILE, STORE_PATH: STORE_FILE}
_PRIVATE = {SETTINGS_PATH, STORE_PATH, KEYS_PATH}


def restore(
    source: str | Path,
    to: str | Path,
    *,
    database_url: str | None = None,
    lake: str | Path | None = None,
    clock: Callable[[], datetime] = utc_now,
    entropy: Callable[[int], bytes] = secrets.token_bytes,
) -> Home:
    """Make a home from a backup, and open it; it is there whole, or not at all.

    Args:
        source: the backup's folder; it is only read.
        to: the home to make; an empty or absent folder.
        database_url: the store, an empty database; a SQLite file in the home where nothing is said.
        lake: where the lake lies now that the backup refers to; where it lay where nothing is said.
        clock: tells the time.
        entropy: gives so many random bytes, for ids.

    Raises:
        NotFoundError: the source is no backup, or half of one, or the lake is not where it was.
        IntegrityError: a file of the backup is missing or damaged; its name is told.
        InvalidError: the home's folder is not empty.
        ConflictError: the database has a store already.
        UnavailableError: disk full, no permission; no home was made.
    """
    folder, home = Path(source), Path(to)
    manifest = read_backup(folder)
    lake_path = _lake(manifest, place_of(str(lake)) if lake is not None else None)
    check_openable(lake_path or home)
    _check_present(folder, manifest)  # 1
    with built_aside(home) as aside:
        _copy(folder, manifest, aside)  # 2
        _furnish(aside, database_url, lake_path)  # 3
        with assemble(load_settings(aside), clock, entropy, must_exist=True) as made:
            catch_up(made)  # 4
            _end_lost_pins(made, manifest)  # 5
        crashpoint("restore.built")
    return open_home(home, clock=clock, entropy=entropy)  # 6


def _lake(manifest: BackupManifest, lake: Path | None) -> Path | None:
    """Where the lake lies that a backup refers to; None where it is part of the backup."""
    if manifest.lake is None:
        if lake is not None:
            raise InvalidError(
                "the lake is part of this backup, and is restored into the home",
                hint="leave --lake out",
            )
        return None
    place = lake or place_of(manifest.lake)
    if not place.is_dir():
        raise NotFoundError(
            f"the lake that the backup refers to is not at {place}",
            hint="bring it back first, or say with --lake where it lies",
        )
    return place.resolve()


def _check_present(folder: Path, manifest: BackupManifest) -> None:
    for file in manifest.files:
        path = inside(folder, file.path)
        try:
            size = path.stat().st_size
        except FileNotFoundError as exc:
            raise _damaged(file, "is missing") from exc
        if size != file.size:
            raise _damaged(file, f"has {size} bytes instead of {file.size}")


def _copy(folder: Path, manifest: BackupManifest, home: Path) -> None:
    for name in (LAKE_PATH, ARTIFACTS_PATH, "spool", "keys"):
        (home / name).mkdir(mode=0o700)
    with ThreadPoolExecutor(WORKERS) as pool:
        for _ in pool.map(partial(_copy_one, folder, home), manifest.files):
            pass  # the first failure is raised here, and drops what waits


def _copy_one(folder: Path, home: Path, file: BackupFile) -> None:
    target = inside(home, _PLACES.get(file.path, file.path))
    target.parent.mkdir(parents=True, exist_ok=True)
    mode = PRIVATE if file.path in _PRIVATE else 0o666
    if copy_file(inside(folder, file.path), target, mode=mode) != (file.sha256, file.size):
        raise _damaged(file, "is not what was backed up")


def _furnish(home: Path, database_url: str | None, lake: Path | None) -> None:
    write_durably(home / ".gitignore", GITIGNORE.encode())
    settings = home / SETTINGS_FILE
    text = settings.read_text("utf-8")
    text = with_setting(text, "store", "url", database_url or f"sqlite:///{STORE_FILE}")
    text = with_setting(text, "lake", "path", str(lake) if lake else LAKE_PATH)
    write_durably(settings, with_setting(text, "artifacts", "path", ARTIFACTS_PATH).encode())
    store = sqlite_at(home / STORE_FILE)
    try:
        upgrade(store)
        if database_url is None:
            write_ahead(store)
        else:
            target = connect(database_url)
            try:
                fill(store, target)
            finally:
                target.dispose()
    finally:
        store.dispose()
    if database_url is not None:
        for path in home.glob(f"{STORE_FILE}*"):
            path.unlink()


def _end_lost_pins(home: Home, manifest: BackupManifest) -> None:
    with home.unit("home.restore", "home") as unit:
        snapshots = slices.snapshots(unit.connection, slices.pinned_snapshots(unit.connection))
        held = slices.pins_of(unit.connection, list(snapshots))
        pins = [(snapshots[key], pin) for key, pins in held.items() for pin in pins]
        lost = [pin for snapshot, pin in pins if _is_lost(home, snapshot, pin.pin_id)]
        for pin in lost:
            writes.end(unit, tables.pin, pin.id)
            _log.warning("pin %s of %s was released since", pin.pin_id, pin.holder)
        unit.note(manifest=manifest.digest, taken=time_text(manifest.at), pins_ended=len(lost))


def _is_lost(home: Home, snapshot: slices.SnapshotRecord, pin_id: str) -> bool:
    """Whether a table that is there does not keep a pin; of one that is gone `verify` tells."""
    with suppress(NotFoundError):
        table = home.lake.table(snapshot.slice_name)
        return not holder_file(table, snapshot.digest, pin_id).exists()
    return False


def _damaged(file: BackupFile, problem: str) -> IntegrityError:
    return IntegrityError(
        f"{file.path} of the backup {problem}", hint="restore another backup; this one is not whole"
    )
