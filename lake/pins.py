"""Keeping snapshots on purpose, and letting them go.

Keeps true: a pin is there whole or not at all, since its folder is built aside, synced and renamed
(`backstory.lake.pinned` draws it); the same pin id twice is one pin; nothing is written into the
table's own folder of logs, and nothing at all into a table of others.

Pinning a snapshot that we wrote reads no data file: the digests are in the files' names. Of a
table of others every file is read once, unless an earlier pin knows its digest. What a pin keeps
is not collected by our garbage collection; loss is noticed by `backstory.lake.verify`.

    pin(table, open_snapshot(table), pin_id=new_id(), holder="run:…", reason="training", at=now)
"""

import fcntl
import glob
import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path

from backstory.lake.checkpoints import make_checkpoint
from backstory.lake.contract_files import CONTRACT_FOLDER
from backstory.lake.copying import KnownDigests, copy_files, hash_files, rewrite_rows
from backstory.lake.crash import crashpoint
from backstory.lake.errors import (
    ConflictError,
    InvalidError,
    NotFoundError,
    RefusedError,
)
from backstory.lake.files import (
    TEMPORARY_PREFIX,
    hash_file,
    make_folder,
    move,
    sync_file,
    sync_folder,
    write_durably,
)
from backstory.lake.linked import LinkedTable
from backstory.lake.location import inside, translate_os_error
from backstory.lake.manifest import Manifest
from backstory.lake.object_path import is_object, names_in
from backstory.lake.pinned import (
    CHECKPOINT_FILE,
    COPIED_FILE,
    DIGESTS_FILE,
    FILES_FOLDER,
    HOLDERS_FOLDER,
    MANIFEST_FILE,
    PIN_ID,
    Pin,
    Strength,
    copies_in,
    pin_folders,
    pins_folder,
    read_holder,
    read_manifest,
)
from backstory.lake.sealed import seal
from backstory.lake.segments import segment
from backstory.lake.snapshot import OpenedBy, Snapshot, Table, check_present

_FORMAT = 1
_LOCK_FILE = ".lock"


def default_strength(table: Table, snapshot: Snapshot) -> Strength:
    """The strength that a table's snapshot gets where nothing is said."""
    if not isinstance(table, LinkedTable):
        return Strength.HELD
    copy = snapshot.needs_engine or snapshot.opened_by is OpenedBy.COPY
    return Strength.COPIED if copy else Strength.WATCHED


def pin(
    table: Table,
    snapshot: Snapshot,
    *,
    pin_id: str,
    holder: str,
    reason: str,
    strength: Strength | None = None,
    until: datetime | None = None,
    at: datetime,
) -> Pin:
    """Keep a snapshot; the same pin id again gives the same pin.

    Args:
        table: the snapshot's table.
        snapshot: what to keep.
        pin_id: UUIDv7 text.
        holder: in whose name.
        reason: why; shown to whoever finds the pin in the way.
        strength: what to promise; by default what the table allows.
        until: when it ends; None for never.
        at: now.

    Raises:
        RefusedError: the table cannot promise that strength.
        ConflictError: the pin id holds something else.
        GoneError: the log or a data file of the snapshot is no longer there.
        IntegrityError: the log or a data file is not what the snapshot says.
        UnavailableError: disk full, no permission; nothing was pinned.
    """
    wanted = Pin(
        pin_id=pin_id,
        slice=table.name,
        version=snapshot.version,
        digest=snapshot.digest,
        holder=holder,
        reason=reason,
        strength=strength or default_strength(table, snapshot),
        until=until,
        at=at,
        rewritten=snapshot.needs_engine,
    )
    _check(table, wanted)
    with pins_locked(table) as pins:
        path = _holder(pins, pin_id)
        if path is not None:
            return _same(read_holder(path), wanted)
        return _add(table, snapshot, wanted, pins)


def release(table: Table, pin_id: str) -> None:
    """End a pin; with its last holder the snapshot's folder goes, copies included.

    In an object store it stays: nothing can keep somebody from joining its holders meanwhile.

    Raises:
        NotFoundError: no pin of the table has that id.
    """
    with pins_locked(table) as pins:
        path = _holder(pins, pin_id)
        if path is None:
            raise NotFoundError(
                f"{table.name} has no pin {pin_id}", hint="see `backstory pin --list`"
            )
        path.unlink()
        sync_folder(path.parent)
        if not is_object(pins) and not any(path.parent.iterdir()):
            folder = path.parent.parent
            aside = pins / f"{TEMPORARY_PREFIX}{folder.name}"
            folder.rename(aside)
            sync_folder(pins)  # else a power cut may leave half of it under its name
            shutil.rmtree(aside, ignore_errors=True)


def _check(table: Table, wanted: Pin) -> None:
    if not PIN_ID.fullmatch(wanted.pin_id):
        raise InvalidError(f"{wanted.pin_id!r} is no pin id", hint="letters, digits and '-'")
    if wanted.at.tzinfo is None or (wanted.until is not None and wanted.until.tzinfo is None):
        raise InvalidError(
            "the times of a pin need an offset", hint="for example 2026-11-14T00:00Z"
        )
    if wanted.rewritten and wanted.strength is not Strength.COPIED:
        raise RefusedError(
            f"{table.name} can only be pinned as a copy: its files alone do not say its rows",
            hint="use the strength copied",
        )
    if isinstance(table, LinkedTable) and wanted.strength is Strength.HELD:
        raise RefusedError(
            f"{table.name} belongs to others: nobody here can hold its files",
            hint="use watched (loss is noticed) or copied (its files are kept here)",
        )
    if not isinstance(table, LinkedTable) and wanted.strength is Strength.WATCHED:
        raise RefusedError(f"{table.name} is ours, no need to watch it", hint="use held or copied")


def _same(existing: Pin, wanted: Pin) -> Pin:
    if (existing.version, existing.holder) != (wanted.version, wanted.holder):
        raise ConflictError(
            f"pin {wanted.pin_id} holds {existing.slice}@{existing.version} for {existing.holder}",
            hint="give the new pin its own id",
        )
    return existing


def _add(table: Table, snapshot: Snapshot, wanted: Pin, pins: Path) -> Pin:
    """Make the pin's folder aside and rename it; or join the holders of an existing one."""
    if _has(pins / wanted.digest, wanted):
        return _join(pins / wanted.digest, wanted)
    with _aside(pins) as aside:
        return _build(table, snapshot, wanted, pins, aside)


@contextmanager
def _aside(pins: Path) -> Iterator[Path]:
    """A folder to build a pin in; gone afterwards where it did not become one.

    For pins in an object store it lies on this machine, for others where they lie.
    """
    aside = Path(tempfile.mkdtemp(dir=None if is_object(pins) else pins, prefix=TEMPORARY_PREFIX))
    try:
        yield aside
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _build(table: Table, snapshot: Snapshot, wanted: Pin, pins: Path, aside: Path) -> Pin:
    manifest = _manifest(table, snapshot, wanted.strength, aside / FILES_FOLDER)
    text = manifest.to_text().encode()
    wanted = replace(wanted, digest=hashlib.sha256(text).hexdigest())
    folder = pins / wanted.digest
    if (folder / MANIFEST_FILE).exists():
        if not _has(folder, wanted):
            _put_copies(aside, folder)
        return _join(folder, wanted)
    (aside / MANIFEST_FILE).write_bytes(text)
    crashpoint("pin.manifest")
    _write_checkpoint(table, snapshot, wanted, aside)
    crashpoint("pin.checkpoint")
    (aside / HOLDERS_FOLDER).mkdir()
    (aside / HOLDERS_FOLDER / wanted.pin_id).write_text(_holder_text(wanted))
    _sync(aside)
    crashpoint("pin.holder")
    _put_pin(aside, folder)
    return wanted


def _put_pin(aside: Path, folder: Path) -> None:
    """Give a snapshot's folder its place; in an object store its holder comes last, and counts."""
    if not is_object(folder):
        aside.rename(folder)
        sync_folder(folder.parent)
        return
    if (aside / FILES_FOLDER).exists():
        _put_copies(aside, folder)
    own = [CHECKPOINT_FILE, DIGESTS_FILE, MANIFEST_FILE]
    holders = sorted((aside / HOLDERS_FOLDER).iterdir())
    for path in (*(aside / name for name in own if (aside / name).exists()), *holders):
        move(path, folder / path.relative_to(aside))


def _put_copies(aside: Path, folder: Path) -> None:
    """Give a pin's copies of data their place; in an object store a mark says: all of it."""
    if not is_object(folder):
        (aside / FILES_FOLDER).rename(folder / FILES_FOLDER)
        sync_folder(folder)
        return
    for path in [path for path in (aside / FILES_FOLDER).rglob("*") if path.is_file()]:
        move(path, folder / path.relative_to(aside))
    (folder / COPIED_FILE).write_bytes(b"")


def _sync(folder: Path) -> None:
    """Have a pin's own files survive a power cut; copies were synced as they were made."""
    paths = [*folder.glob("*"), *folder.glob(f"{HOLDERS_FOLDER}/*"), folder]
    with ThreadPoolExecutor(max_workers=len(paths)) as pool:  # at once, they share a journal commit
        list(pool.map(lambda path: sync_folder(path) if path.is_dir() else sync_file(path), paths))


def _manifest(table: Table, snapshot: Snapshot, strength: Strength, files: Path) -> Manifest:
    """What is kept, with the digest of every file; copies are made on the way."""
    if strength is Strength.HELD:
        _check_all_there(snapshot)
        return snapshot.manifest
    if strength is Strength.WATCHED:
        return hash_files(snapshot, _known_digests(table))
    files.mkdir()
    return rewrite_rows(snapshot, files) if snapshot.needs_engine else copy_files(snapshot, files)


def _check_all_there(snapshot: Snapshot) -> None:
    """What was collected since the snapshot was opened cannot be held; nothing is from now on."""
    names = set(names_in(snapshot.folder))
    for file in snapshot.manifest.files:
        if file.path not in names:
            check_present(snapshot, inside(snapshot.folder, file.path), file.size)


def _known_digests(table: Table) -> KnownDigests:
    known: dict[tuple[str, int], str] = {}
    for folder in pin_folders(table):
        if not copies_in(folder):  # copies may be rewritten files of other names
            known |= {(f.path, f.size): f.sha256 for f in read_manifest(folder).files}
    return known


def _write_checkpoint(table: Table, snapshot: Snapshot, wanted: Pin, aside: Path) -> None:
    """Keep what builds the version: its checkpoint, and digests of that and of the log."""
    digests = []
    log = [file.path for file in segment(table.folder, snapshot.version)]
    if not wanted.rewritten:  # a checkpoint of the others' files would not say these rows
        checkpoint = aside / CHECKPOINT_FILE
        make_checkpoint(log, snapshot.manifest, checkpoint, name=table.name)
        digests.append((hash_file(checkpoint)[0], CHECKPOINT_FILE))
    contracts = sorted((table.folder / CONTRACT_FOLDER).glob("*.json"))
    digests += [
        (hash_file(path)[0], path.relative_to(table.folder).as_posix())
        for path in (*log, *contracts)
    ]
    text = "".join(f"{sha256}  {path}\n" for sha256, path in digests)
    (aside / DIGESTS_FILE).write_text(seal(text))


def _has(folder: Path, wanted: Pin) -> bool:
    """Whether a pinned snapshot's folder keeps what the pin promises."""
    is_copied = wanted.strength is not Strength.COPIED or copies_in(folder) is not None
    return (folder / MANIFEST_FILE).exists() and is_copied


def _join(folder: Path, wanted: Pin) -> Pin:
    write_durably(folder / HOLDERS_FOLDER / wanted.pin_id, _holder_text(wanted).encode())
    return wanted


def _holder(pins: Path, pin_id: str) -> Path | None:
    return next(pins.glob(f"*/{HOLDERS_FOLDER}/{glob.escape(pin_id)}"), None)


def _holder_text(wanted: Pin) -> str:
    body = {
        "v": _FORMAT,
        **asdict(wanted),
        "at": _time_text(wanted.at),
        "until": _time_text(wanted.until) if wanted.until else None,
    }
    return seal(json.dumps(body, sort_keys=True) + "\n")


def _time_text(time: datetime) -> str:
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")


@contextmanager
def pins_locked(table: Table) -> Iterator[Path]:
    """The folder of a table's pins, for one process alone; what a crash left half made is gone.

    In an object store others may be at work, and nothing that they need is ever removed.
    """
    pins = pins_folder(table)
    try:
        if is_object(pins):
            yield pins
            return
        make_folder(pins)
        with (pins / _LOCK_FILE).open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            for leftover in pins.glob(f"{TEMPORARY_PREFIX}*"):
                shutil.rmtree(leftover)
            try:
                yield pins
            except BaseException:
                for leftover in pins.glob(f"{TEMPORARY_PREFIX}*"):
                    shutil.rmtree(leftover, ignore_errors=True)
                raise
    except OSError as exc:
        raise translate_os_error(exc, f"pinning {table.name}") from exc
