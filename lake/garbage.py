"""Garbage: data files that nobody needs any more go, in two steps that lie days apart.

Keeps true: no file goes that the newest version, a pin, or a live lease needs. What each of them
needs is asked anew under two locks: nobody pins, and nobody commits, between the question and the
last removal. Whoever pins later what was collected is refused, since its files are looked for.

1. Condemn: what nobody needs is written down with the date, durably. It stays where it is.
2. Collect: what was condemned longer than the grace ago, and still is needed by nobody, is noted as
   gone and removed. What came to be needed meanwhile is rescued, and forgotten by the list.

It refuses to remove anything where it cannot know all that is needed: a pin or a lease that does
not parse, something in the folder of pins that is none, a Delta table below this one. It removes
only what has the name of a data file of ours, or of a temporary one; `fate` says why of each file.
"""

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import Path

from backstory.lake.commits import LOG_FOLDER
from backstory.lake.crash import crashpoint
from backstory.lake.errors import IntegrityError, RefusedError
from backstory.lake.files import TEMPORARY_PREFIX, make_folder, sync_folder
from backstory.lake.gone import (
    MAINTENANCE_FOLDER,
    NOTE_FORMAT,
    Act,
    note_collected,
    said_of_file,
    write_note,
)
from backstory.lake.grace import check_grace
from backstory.lake.kept_sums import forget_sums
from backstory.lake.leases import leases_in, unreadable_leases
from backstory.lake.location import translate_os_error
from backstory.lake.pinned import (
    MANIFEST_FILE,
    PINS_FOLDER,
    copies_in,
    holder_files,
    pin_folders,
)
from backstory.lake.pins import pins_locked
from backstory.lake.profiles import profile_file
from backstory.lake.sealed import read_sealed
from backstory.lake.table import SliceTable
from backstory.lake.versions import digest_in_name, open_delta, read_version, sizes
from backstory.lake.writers import collecting

_LIST = "condemned"
_HEADER = re.compile(rb"backstory-manifest v1\ntable [^\n]*\nversion (\d+)\nschema [^\n]*\n")


class Fate(StrEnum):
    """What becomes of a file."""

    NEEDED = "needed"
    CONDEMNED = "condemned"
    DUE = "due"
    NOT_OURS = "not ours"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFate:
    """What becomes of a file, and why.

    Attributes:
        path: relative to the table.
        size: bytes.
        reasons: why, one line each.
        until: when it may go; None while it is needed, and where it is not ours.
    """

    path: str
    size: int
    fate: Fate
    reasons: tuple[str, ...]
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Collection:
    """What a collection does.

    Attributes:
        condemned: files that are newly condemned.
        waiting: files that were condemned before, whose grace is not over.
        rescued: files that were condemned and are needed again.
        removed: files that go.
        freed: bytes of those that go.
    """

    condemned: tuple[str, ...]
    waiting: tuple[str, ...]
    rescued: tuple[str, ...]
    removed: tuple[str, ...]
    freed: int


def look(
    table: SliceTable, now: datetime, grace: timedelta, *, replaced: Iterable[str] = ()
) -> Collection:
    """What `collect` would do now.

    Args:
        table: one of ours.
        now: the time now.
        grace: how long what is condemned stays.
        replaced: files of the newest version that are about to be replaced.

    Raises:
        RefusedError: not all that is needed can be known; nothing may be removed.
        IntegrityError: a pin, the log or the list of the condemned is damaged.
    """
    check_grace(grace)
    needed = _needed(table, now, frozenset(replaced))
    return _decided(table.folder, needed, now, grace)[0]


def collect(table: SliceTable, now: datetime, grace: timedelta, *, by: str) -> Collection:
    """Condemn what nobody needs, and remove what was condemned longer than the grace ago.

    Args:
        table: one of ours.
        now: the time now.
        grace: how long what is condemned stays.
        by: the command, for whoever misses a file.

    Raises:
        RefusedError: not all that is needed can be known; nothing was removed.
        IntegrityError: a pin, the log or the list of the condemned is damaged.
        UnavailableError: disk full, no permission.
    """
    check_grace(grace)
    folder = table.folder
    try:
        with pins_locked(table), collecting(folder):
            done, listed = _decided(folder, _needed(table, now, frozenset()), now, grace)
            _write_list(folder, listed)
            crashpoint("collect.condemned")
            if not done.removed:
                return done
            note_collected(folder, done.removed, Act(at=now, by=by))
            crashpoint("collect.noted")
            forget_sums(folder, frozenset(done.removed))
            for path in done.removed:
                _remove(folder / path)
                profile_file(folder, path).unlink(missing_ok=True)  # it repeats words of rows
            crashpoint("collect.deleted")
            sync_folder(folder)
            _write_list(folder, {p: at for p, at in listed.items() if p not in set(done.removed)})
            return done
    except OSError as exc:
        raise translate_os_error(exc, f"collecting files of {table.name}") from exc


def fate(table: SliceTable, name: str, now: datetime, grace: timedelta) -> FileFate | None:
    """What becomes of one file and why; None where no version, pin or folder knows it.

    Raises:
        RefusedError: not all that is needed can be known.
        IntegrityError: a pin, the log or the list of the condemned is damaged.
    """
    since = _read_list(table.folder).get(name)
    reasons = tuple(_reasons(table, name, now))
    path = table.folder / name
    size = path.lstat().st_size if path.exists() else 0
    if reasons:
        return FileFate(path=name, size=size, fate=Fate.NEEDED, reasons=reasons)
    if not path.exists():
        said = said_of_file(table.folder, name)
        gone = (f"gone: {said}",)
        return FileFate(path=name, size=0, fate=Fate.DUE, reasons=gone) if said else None
    if not _is_ours(name):
        kept = ("its name is none that Backstory gives: it is never removed",)
        return FileFate(path=name, size=size, fate=Fate.NOT_OURS, reasons=kept)
    unneeded = "no version, pin or lease needs it"
    if since is None:
        said = f"{unneeded}; the next `backstory maintain` condemns it"
        return FileFate(
            path=name, size=size, fate=Fate.CONDEMNED, reasons=(said,), until=now + grace
        )
    until = since + grace
    reasons = (unneeded, f"condemned since {_text(since)}", f"grace until {_text(until)}")
    is_due = Fate.DUE if until <= now else Fate.CONDEMNED
    return FileFate(path=name, size=size, fate=is_due, reasons=reasons, until=until)


def _decided(
    folder: Path, needed: set[str], now: datetime, grace: timedelta
) -> tuple[Collection, dict[str, datetime]]:
    """What to do, and the list of the condemned as it is then."""
    before = _read_list(folder)
    unneeded = dict(_unneeded_in(folder, needed))
    listed = {path: min(before.get(path, now), now) for path in unneeded}
    removed = sorted(path for path in before if path in listed and listed[path] + grace <= now)
    done = Collection(
        condemned=tuple(sorted(listed.keys() - before.keys())),
        waiting=tuple(sorted((listed.keys() & before.keys()) - set(removed))),
        rescued=tuple(sorted(before.keys() & needed)),
        removed=tuple(removed),
        freed=sum(unneeded[path] for path in removed),
    )
    return done, listed


def _needed(table: SliceTable, now: datetime, replaced: frozenset[str]) -> set[str]:
    """The files that somebody needs.

    Raises:
        RefusedError: not all that is needed can be known.
        IntegrityError: a pin or the log is damaged.
    """
    _check_no_table_below(table)
    lines: set[bytes] = set()
    for _, body in _pinned(table):
        lines.update(body.split(b"\n"))  # most are the same in all pins
    needed = {line.partition(b"\t")[0].decode() for line in lines}
    for _, files in _leased(table, now):
        needed |= files
    return needed | (_live(table)[1] - replaced)  # last, so that it is not older than these


def _reasons(table: SliceTable, name: str, now: datetime) -> Iterator[str]:
    """Who needs a file."""
    _check_no_table_below(table)
    for reason, files in (_live(table), *_leased(table, now)):
        if name in files:
            yield reason
    for reason, body in _pinned(table):
        if f"\n{name}\t".encode() in body:
            yield reason


def _live(table: SliceTable) -> tuple[str, set[str]]:
    newest = open_delta(table.folder, name=table.name)
    return f"live at version {newest.version()}", set(sizes(newest))


def _pinned(table: SliceTable) -> Iterator[tuple[str, bytes]]:
    """Each pin with the lines of its manifest, one at a time: they may be large."""
    folders = pin_folders(table)
    known = {folder.name for folder in folders}
    for path in (table.folder / PINS_FOLDER).glob("*"):
        if path.name not in known and not path.name.startswith("."):
            raise RefusedError(
                f"{path} is no pin that this program knows: what it needs cannot be told",
                hint="move it away, or upgrade backstory; nothing was removed",
            )
    for folder in folders:
        if not copies_in(folder):  # a copy needs nothing of its table
            yield _pin(folder)


def _pin(folder: Path) -> tuple[str, bytes]:
    """A pin with the lines of its manifest, proved by the digest that names its folder."""
    path = folder / MANIFEST_FILE
    try:
        text = path.read_bytes()
    except OSError as exc:
        raise IntegrityError(
            f"{path} cannot be read, so nobody knows which files it pins: {exc.strerror}",
            hint="restore it, or release that pin; nothing was removed",
        ) from exc
    header = _HEADER.match(text)
    if header is None or hashlib.sha256(text).hexdigest() != folder.name:
        raise IntegrityError(
            f"{path} is not what was written, so nobody knows which files it pins",
            hint="restore it, or release that pin; nothing was removed",
        )
    holders = ", ".join(path.name for path in holder_files(folder)) or "nobody"
    return f"pinned at version {int(header[1])} by {holders}", text[header.end() - 1 :]


def _leased(table: SliceTable, now: datetime) -> Iterator[tuple[str, set[str]]]:
    """The files of each version that a live reader holds."""
    if damaged := unreadable_leases(table.folder):
        raise RefusedError(
            f"{damaged[0]} does not parse: what its reader needs cannot be told",
            hint="remove it when no such process runs; nothing was removed",
        )
    readers: dict[int, list[str]] = {}
    for lease in leases_in(table.folder):
        if lease.is_live(now):
            readers.setdefault(lease.version, []).append(lease.holder)
    for version, holders in readers.items():
        files = read_version(table.folder, version, name=table.name).manifest.files
        reason = f"leased at version {version} by {', '.join(holders)}"
        yield reason, {file.path for file in files}


def _check_no_table_below(table: SliceTable) -> None:
    for folder, below, _ in os.walk(table.folder):
        below[:] = [name for name in below if not name.startswith(TEMPORARY_PREFIX)]
        if LOG_FOLDER in below and Path(folder) != table.folder:
            raise RefusedError(
                f"{folder} is a Delta table inside {table.name}: its files cannot be told apart",
                hint="move it elsewhere; nothing was removed",
            )
        if LOG_FOLDER in below:
            below.remove(LOG_FOLDER)


def _unneeded_in(folder: Path, needed: set[str]) -> Iterator[tuple[str, int]]:
    """The files of ours in a table that nobody needs, with their bytes."""
    places = [folder, *(path for path in folder.glob("_*") if path.is_dir())]
    for place in places:
        if place.name in {LOG_FOLDER, PINS_FOLDER}:
            continue
        with os.scandir(place) as entries:
            for entry in entries:
                name = entry.name if place == folder else f"{place.name}/{entry.name}"
                if name not in needed and _is_ours(name):
                    with suppress(FileNotFoundError):  # somebody's temporary file, done by now
                        yield name, entry.stat(follow_symlinks=False).st_size


def _is_ours(name: str) -> bool:
    return bool(digest_in_name(name)) or name.rpartition("/")[2].startswith(TEMPORARY_PREFIX)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _read_list(folder: Path) -> dict[str, datetime]:
    """The condemned, with since when.

    Raises:
        IntegrityError: the list is damaged, or of a newer format.
    """
    path = folder / MAINTENANCE_FOLDER / _LIST
    if not path.exists():
        return {}
    try:
        body = json.loads(read_sealed(path))
        if body["v"] != NOTE_FORMAT:
            raise IntegrityError(f"{path} is of format {body['v']}", hint="upgrade backstory")
        return {name: datetime.fromisoformat(at) for name, at in body["files"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as exc:
        raise IntegrityError(
            f"{path} does not parse: {exc}", hint="remove it: every grace then begins anew"
        ) from exc


def _write_list(folder: Path, listed: Mapping[str, datetime]) -> None:
    path = folder / MAINTENANCE_FOLDER / _LIST
    if _read_list(folder) == listed:
        return
    make_folder(path.parent)
    files = {name: at.astimezone(UTC).isoformat() for name, at in listed.items()}
    write_note(path, {"files": files})


def _text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
