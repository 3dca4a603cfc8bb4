r"""Leases: which versions of our tables processes read, so that nobody collects them meanwhile.

    _leases/<version>-<who reads>.json    who reads it, since when, until when

Keeps true: a process has one lease for each version that it reads, however often it does. On its
own host the lease holds for as long as the process lives, and ends with it, killed or not; seen
from another host, where nobody can tell that, it holds until its end, which reading moves on. It
is of the process and not of an object: relations and frames outlive the snapshot that made them.

A lease never fails a read: where none can be written, on a read-only or a full disk, there is
none. It promises nothing that a pin does: nothing is synced, for a power cut ends readers too.

>>> import tempfile
>>> at = datetime(2026, 11, 24, 9, 41, tzinfo=UTC)
>>> with tempfile.TemporaryDirectory() as folder:
...     reader = Reader(
...         folder=Path(folder), slice="thumbs", version=58, size=9, user="mary", clock=lambda: at
...     )
...     reader.renew()
...     [(lease.version, lease.is_live(at)) for lease in leases_in(Path(folder))]
[(58, True)]
"""

import atexit
import hashlib
import json
import logging
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import ClassVar

from backstory.lake.errors import BackstoryError, IntegrityError
from backstory.lake.files import TEMPORARY_PREFIX
from backstory.lake.object_path import is_object
from backstory.lake.process import Process, can_be_told, is_gone, this_process
from backstory.lake.sealed import read_sealed, seal

LEASES_FOLDER = "_leases"
LEASE_LENGTH = timedelta(hours=1)
RENEWED_AFTER = timedelta(minutes=5)
MAX_SWEPT = 32  # leases that a new reader looks at, to remove those that have ended

_FORMAT = 1
_WHO_DIGITS = 16
_LOG = logging.getLogger(__name__)

# Of this process, and of what it was forked from: when each lease began, and when it was renewed.
_Held = tuple[int, Path, int]
_times: dict[_Held, tuple[datetime, datetime]] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """A version that a process reads.

    Attributes:
        strength: what stands for it beside the strengths of pins.
        reason: what stands for it beside the reasons of pins.
        lease_id: its id: the version and who reads.
        slice: the table's name.
        version: the Delta version.
        size: bytes of its data files.
        user: in whose name the process reads.
        process: which process.
        began: when it first read the version.
        until: when the lease ends where nobody can tell whether the process lives.
    """

    strength: ClassVar[str] = "lease"
    reason: ClassVar[str] = "reading"

    lease_id: str
    slice: str
    version: int
    size: int
    user: str
    process: Process
    began: datetime
    until: datetime

    @property
    def holder(self) -> str:
        """Who reads, for people."""
        return f"{self.user}@{self.process.host} {self.process.pid}"

    def is_live(self, now: datetime) -> bool:
        """Whether it holds: the process lives, or may live elsewhere until the lease's end."""
        return not is_gone(self.process) if can_be_told(self.process) else now < self.until


@dataclass(frozen=True, slots=True, kw_only=True)
class Reader:
    """Who reads a version of a table of ours; another process that is given it reads for itself.

    Attributes:
        folder: the table's folder.
        slice: the table's name.
        version: the Delta version.
        size: bytes of its data files.
        user: in whose name.
        clock: tells the time.
    """

    folder: Path
    slice: str
    version: int
    size: int
    user: str
    clock: Callable[[], datetime]

    def renew(self) -> None:
        """Take the lease, or move its end on where that was not done just now."""
        if is_object(self.folder):
            return  # nothing is collected there, and nobody can tell whose process lives
        now = self.clock()
        held = (os.getpid(), self.folder, self.version)
        began, renewed = _times.get(held, (now, None))
        if renewed is not None and renewed <= now < renewed + RENEWED_AFTER:
            return
        _times[held] = (began, now)  # also where it fails: not every read tries again
        try:
            self._write(began, now)
            if renewed is None:
                sweep(self.folder, now, looked_at=MAX_SWEPT)
        except OSError as exc:
            _LOG.debug("no lease on %s@%s: %s", self.slice, self.version, exc)

    def _write(self, began: datetime, now: datetime) -> None:
        process = this_process()
        body = {
            "v": _FORMAT,
            "slice": self.slice,
            "version": self.version,
            "bytes": self.size,
            "user": self.user,
            "host": process.host,
            "pid": process.pid,
            "started": process.started,
            "began": began.astimezone(UTC).isoformat(),
            "until": (now + LEASE_LENGTH).astimezone(UTC).isoformat(),
        }
        path = _path(self.folder, self.version, process)
        path.parent.mkdir(exist_ok=True)
        aside = path.with_name(f"{TEMPORARY_PREFIX}{path.name}-{threading.get_ident()}")
        try:
            aside.write_text(seal(json.dumps(body, sort_keys=True) + "\n"))
            aside.rename(path)
        except OSError:
            with suppress(OSError):
                aside.unlink()
            raise


def leases_in(folder: Path) -> list[Lease]:
    """All leases on a table, those that have ended too, in order of version.

    Args:
        folder: the table's folder.
    """
    found = (lease for path in _files(folder) if (lease := _read(path)))
    return sorted(found, key=lambda lease: (lease.version, lease.began, lease.lease_id))


def unreadable_leases(folder: Path) -> list[Path]:
    """The leases of which nobody can tell what they hold: damaged, or of a newer format."""
    return [path for path in _files(folder) if _read(path) is None and path.exists()]


def sweep(folder: Path, now: datetime, *, looked_at: int | None = None) -> int:
    """Remove leases that have ended.

    Args:
        folder: the table's folder.
        now: the time now.
        looked_at: how many leases are looked at, at most; None for all.

    Returns:
        How many were removed.
    """
    removed, mine = 0, f"-{_who(this_process())}"
    others = (path for path in _files(folder) if not path.stem.endswith(mine))
    for path in islice(others, looked_at):
        lease = _read(path)
        if lease is not None and not lease.is_live(now):
            path.unlink(missing_ok=True)
            removed += 1
    return removed


def _files(folder: Path) -> Iterator[Path]:
    return (folder / LEASES_FOLDER).glob("[0-9]*-*.json")


def _path(folder: Path, version: int, process: Process) -> Path:
    return folder / LEASES_FOLDER / f"{version}-{_who(process)}.json"


def _who(process: Process) -> str:
    """What tells a process from every other, short enough for a file's name."""
    told = f"{process.host}\n{process.pid}\n{process.started}"
    return hashlib.sha256(told.encode()).hexdigest()[:_WHO_DIGITS]


def _read(path: Path) -> Lease | None:
    """A lease; None where it is damaged, of a newer format, not ours to read, or just removed."""
    with suppress(BackstoryError):
        return _parsed(path)
    return None


def _parsed(path: Path) -> Lease:
    try:
        body = json.loads(read_sealed(path))
        if body["v"] != _FORMAT:
            raise IntegrityError(f"{path} is of format {body['v']}")
        return Lease(
            lease_id=path.stem,
            slice=body["slice"],
            version=body["version"],
            size=body["bytes"],
            user=body["user"],
            process=Process(host=body["host"], pid=body["pid"], started=body["started"]),
            began=datetime.fromisoformat(body["began"]),
            until=datetime.fromisoformat(body["until"]),
        )
    except (ValueError, KeyError, TypeError) as exc:
        raise IntegrityError(f"{path} is no lease of a known format: {exc}") from exc


@atexit.register
def _let_go() -> None:
    """A process that ends in its own time leaves no lease behind."""
    process = this_process()
    for pid, folder, version in list(_times):
        if pid == process.pid:
            with suppress(OSError):
                _path(folder, version, process).unlink(missing_ok=True)
