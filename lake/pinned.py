"""Pinned snapshots as they lie on disk: found, read, reopened.

    _pins/<digest>/manifest            the snapshot's identity, in its own words
    _pins/<digest>/checkpoint.parquet  a Delta table of its own, for when the log is gone
    _pins/<digest>/digests             SHA-256 of that checkpoint, and of the log that built it
    _pins/<digest>/holders/<pin id>    who, why, until when
    _pins/<digest>/files/…             the data itself, where a pin's strength is `copied`
    _pins/<digest>/copied              in an object store only: that all of that data is there

Keeps true: a pinned version reopens by its Delta version, else by its checkpoint, else by its
manifest alone, and what a way says must agree with the digest that names the folder. It only
reads; making and ending pins is `backstory.lake.pins`.
"""

import json
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import partial
from pathlib import Path

from backstory.lake.checkpoints import read_checkpoint
from backstory.lake.errors import BackstoryError, IntegrityError, NotFoundError
from backstory.lake.linked import LinkedTable
from backstory.lake.manifest import Manifest
from backstory.lake.object_path import is_object
from backstory.lake.sealed import read_sealed
from backstory.lake.snapshot import OpenedBy, Snapshot, Table, make_snapshot, open_snapshot
from backstory.lake.versions import TableVersion, read_version

PINS_FOLDER = "_pins"
MANIFEST_FILE = "manifest"
CHECKPOINT_FILE = "checkpoint.parquet"
DIGESTS_FILE = "digests"
HOLDERS_FOLDER = "holders"
FILES_FOLDER = "files"
COPIED_FILE = "copied"

PIN_ID = re.compile(r"[A-Za-z0-9-]{1,64}")

_DIGEST = re.compile(r"[0-9a-f]{64}")


class Strength(StrEnum):
    """What a pin promises."""

    HELD = "held"
    COPIED = "copied"
    WATCHED = "watched"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """A snapshot that somebody holds.

    Attributes:
        pin_id: its id.
        slice: the table's name.
        version: the Delta version.
        digest: digest of the manifest that is kept. For a table of others it differs from that of
            the snapshot as opened: there, nobody had hashed the files.
        holder: in whose name.
        reason: why.
        strength: what is promised.
        until: when it ends; None for never.
        at: when it was made.
        rewritten: whether the copy holds the rows in files of ours, because the table's own files
            alone do not say what its rows are.
    """

    pin_id: str
    slice: str
    version: int
    digest: str
    holder: str
    reason: str
    strength: Strength
    until: datetime | None
    at: datetime
    rewritten: bool = False


def pins_of(table: Table) -> list[Pin]:
    """All pins of a table, in order of version.

    Raises:
        IntegrityError: a holder's file is damaged.
    """
    holders = (path for folder in pin_folders(table) for path in holder_files(folder))
    return sorted(map(read_holder, holders), key=lambda pin: (pin.version, pin.at, pin.pin_id))


def reopen(table: Table, wanted: int | str) -> Snapshot:
    """Open a version, or a pinned snapshot by its digest, by the first way that still leads there.

    Args:
        table: the table.
        wanted: a version, pinned or not, or the digest of a pinned snapshot.

    Raises:
        NotFoundError: there is no such version or digest.
        GoneError: the version is not pinned and its log is gone.
        IntegrityError: the pin's own files are too damaged to reopen it.
    """
    folder = _pin_folder(table, wanted)
    if folder is not None:
        return _reopen(table, folder)
    if isinstance(wanted, int):
        return open_snapshot(table, wanted)
    raise NotFoundError(f"{table.name} has no pinned snapshot {wanted}")


def pins_folder(table: Table) -> Path:
    """Where a table's pins lie; for a table of others beside our link to it."""
    home = table.home if isinstance(table, LinkedTable) else table.folder
    return home / PINS_FOLDER


def pin_folders(table: Table) -> list[Path]:
    """The folders of a table's pinned snapshots, each named by its digest."""
    return sorted(p for p in pins_folder(table).glob("*") if _DIGEST.fullmatch(p.name))


def holder_files(folder: Path) -> list[Path]:
    """The holders' files of a pinned snapshot."""
    return sorted(p for p in (folder / HOLDERS_FOLDER).glob("*") if PIN_ID.fullmatch(p.name))


def holder_file(table: Table, digest: str, pin_id: str) -> Path:
    """Where the holder of a pin is kept."""
    return pins_folder(table) / digest / HOLDERS_FOLDER / pin_id


def read_holder(path: Path) -> Pin:
    """Read a holder's file.

    Raises:
        IntegrityError: it is damaged or of an unknown format.
    """
    try:
        body = json.loads(read_sealed(path))
        until = body["until"]
        return Pin(
            pin_id=body["pin_id"],
            slice=body["slice"],
            version=body["version"],
            digest=body["digest"],
            holder=body["holder"],
            reason=body["reason"],
            strength=Strength(body["strength"]),
            until=None if until is None else datetime.fromisoformat(until),
            at=datetime.fromisoformat(body["at"]),
            rewritten=body["rewritten"],
        )
    except (ValueError, KeyError, TypeError) as exc:
        raise IntegrityError(f"{path} is not a holder of a known format: {exc}") from exc


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a pinned snapshot, proved by its folder's name.

    Raises:
        IntegrityError: it is missing or damaged.
    """
    path = folder / MANIFEST_FILE
    try:
        manifest = Manifest.from_text(path.read_bytes().decode())
    except (OSError, UnicodeDecodeError) as exc:
        raise IntegrityError(f"{path} cannot be read: {exc}") from exc
    if manifest.digest != folder.name:
        raise IntegrityError(f"{path} does not have the digest that names its folder")
    return manifest


def snapshot_kept(table: Table, folder: Path, manifest: Manifest) -> Snapshot:
    """A pinned snapshot by its manifest alone, over the copies where the pin has some."""
    if copies := copies_in(folder):
        return make_snapshot(table, manifest, folder=copies, opened_by=OpenedBy.COPY)
    return make_snapshot(table, manifest, folder=table.folder, opened_by=OpenedBy.MANIFEST)


def copies_in(folder: Path) -> Path | None:
    """Where a pinned snapshot has its data a second time; None where it has no whole copy."""
    copies = folder / FILES_FOLDER
    whole = folder / COPIED_FILE if is_object(folder) else copies
    return copies if whole.exists() else None


def read_digests(folder: Path) -> Mapping[str, str]:
    """SHA-256 by path: the pin's checkpoint, and files of the table's log and contract.

    Raises:
        IntegrityError: the file is missing or damaged.
    """
    lines = read_sealed(folder / DIGESTS_FILE).splitlines()
    return {path: sha256 for sha256, _, path in (line.partition("  ") for line in lines)}


def same_content(one: Manifest, other: Manifest) -> bool:
    """Whether two manifests list the same files, whoever hashed them."""
    return _unhashed(one) == _unhashed(other)


def _unhashed(manifest: Manifest) -> tuple[object, ...]:
    files = [(f.path, f.size, f.rows, dict(f.partition)) for f in manifest.files]
    return manifest.table_id, manifest.version, manifest.schema_json, files


def _pin_folder(table: Table, wanted: int | str) -> Path | None:
    if isinstance(wanted, int):
        return next((f for f in pin_folders(table) if _version_of(f) == wanted), None)
    folder = pins_folder(table) / wanted
    return folder if _DIGEST.fullmatch(wanted) and folder.is_dir() else None


def _version_of(folder: Path) -> int | None:
    """The version that a pin's folder is about, from the first of its files that can be read."""
    for path in holder_files(folder):
        with suppress(BackstoryError):
            return read_holder(path).version
    with suppress(BackstoryError):
        return read_manifest(folder).version
    return None


def _reopen(table: Table, folder: Path) -> Snapshot:
    """Open a pinned snapshot; whatever way is taken agrees with the digest."""
    manifest: Manifest | None = None
    fault: IntegrityError | None = None
    try:
        manifest = read_manifest(folder)
    except IntegrityError as exc:
        fault = exc
    if manifest and copies_in(folder):
        return snapshot_kept(table, folder, manifest)
    for opened_by, read in _ways(table, folder, _version_of(folder)):
        with suppress(BackstoryError):
            said = read().manifest
            if said.digest == folder.name or (manifest and same_content(said, manifest)):
                return make_snapshot(
                    table, manifest or said, folder=table.folder, opened_by=opened_by
                )
    if manifest is None:
        raise fault or IntegrityError(f"{folder / MANIFEST_FILE} cannot be read")
    return snapshot_kept(table, folder, manifest)


def _ways(
    table: Table, folder: Path, version: int | None
) -> list[tuple[OpenedBy, Callable[[], TableVersion]]]:
    if version is None:
        return []
    checkpoint = folder / CHECKPOINT_FILE
    return [
        (OpenedBy.DELTA, partial(read_version, table.folder, version, name=table.name)),
        (
            OpenedBy.CHECKPOINT,
            partial(read_checkpoint, checkpoint, version, table.folder, name=table.name),
        ),
    ]
