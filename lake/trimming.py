"""A log that stays short: entries are archived and cut off before a checkpoint.

Keeps true: the newest version and every version behind the cut open as before; nothing is cut that
the store has not registered, that a live reader holds, or that is younger than the grace, unless
the log is longer than `MAX_LOG_COMMITS`. Entries are the audit trail: each is in `_log_archive/`,
byte for byte, before it leaves the log. Pins need none of it. An unpinned version before the cut
cannot be opened any more, and whoever asks for it is told when it went and by which command.

    trimmed = trim(table, plan_trim(table, registered=58, now=now, grace=grace), now, by="…")
"""

import os
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from backstory.lake.checkpoints import (
    CHECKPOINTS_FOLDER,
    checkpoint_version_hint,
    read_checkpoint,
)
from backstory.lake.commits import ARCHIVE_FOLDER, LOG_FOLDER, read_commit
from backstory.lake.crash import crashpoint
from backstory.lake.errors import IntegrityError, NotFoundError
from backstory.lake.files import make_folder, sync_folder
from backstory.lake.gone import Act, note_trimmed
from backstory.lake.leases import leases_in
from backstory.lake.location import translate_os_error
from backstory.lake.replay import replay
from backstory.lake.segments import LogFile, log_files
from backstory.lake.table import SliceTable
from backstory.lake.writers import collecting

MAX_LOG_COMMITS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Trim:
    """What is cut off a log.

    Attributes:
        begin: the version of the checkpoint that the log begins with afterwards; None to cut
            nothing.
        entries: how many entries are archived.
        checkpoints: how many older checkpoints go.
    """

    begin: int | None
    entries: int
    checkpoints: int


def plan_trim(table: SliceTable, *, registered: int, now: datetime, grace: timedelta) -> Trim:
    """What `trim` would do now.

    Args:
        table: one of ours.
        registered: the last version that the store knows.
        now: the time now.
        grace: how long a version can be opened at least, while the log is not too long.
    """
    files = log_files(table.folder)
    head = max((file.version for file in files), default=-1)
    limit = min([registered, _hinted(table), *_leased(table, now)])
    for file in sorted(files, key=lambda one: one.version, reverse=True):
        is_whole = file.parts == 1 and file.version <= limit
        if is_whole and _is_old(table, file.version, head, now - grace):
            entries, checkpoints = _before(files, file.version)
            if entries or checkpoints:
                return Trim(begin=file.version, entries=len(entries), checkpoints=len(checkpoints))
            break
    return Trim(begin=None, entries=0, checkpoints=0)


def trim(table: SliceTable, plan: Trim, *, now: datetime, by: str) -> Trim:
    """Archive entries and cut the log before a checkpoint; the same again does nothing.

    Args:
        table: one of ours.
        plan: what to cut.
        now: the time now.
        by: the command, for whoever misses a version.

    Raises:
        IntegrityError: the checkpoint does not say what the log says; nothing was cut.
        UnavailableError: disk full, no permission.
    """
    if plan.begin is None:
        return plan
    try:
        with collecting(table.folder):  # who writes a checkpoint may need the entries that go
            if _checkpoint(table, plan.begin).exists():  # else a rival cut more by now
                _check_checkpoint(table, plan.begin)
                _cut(table, plan.begin, Act(at=now, by=by))
    except OSError as exc:
        raise translate_os_error(exc, f"trimming the log of {table.name}") from exc
    return plan


def _cut(table: SliceTable, begin: int, act: Act) -> None:
    folder = table.folder
    entries, checkpoints = _before(log_files(folder), begin)
    _archive(table, entries)
    crashpoint("trim.archived")
    note_trimmed(folder, begin, act)
    for file in (*entries, *checkpoints):
        file.path.unlink(missing_ok=True)
    sync_folder(folder / LOG_FOLDER)
    crashpoint("trim.cut")
    for file in checkpoints:
        (folder / CHECKPOINTS_FOLDER / file.path.name).unlink(missing_ok=True)


def _archive(table: SliceTable, entries: list[LogFile]) -> None:
    archive = table.folder / ARCHIVE_FOLDER
    make_folder(archive)
    for file in entries:
        if not (archive / file.path.name).exists():
            os.link(file.path, archive / file.path.name)  # the very same bytes, synced long ago
    sync_folder(archive)


def _before(files: list[LogFile], begin: int) -> tuple[list[LogFile], list[LogFile]]:
    """The entries and the checkpoints before a version, oldest first."""
    older = [file for file in files if file.version < begin]
    return [file for file in older if not file.parts], [file for file in older if file.parts]


def _is_old(table: SliceTable, version: int, head: int, before: datetime) -> bool:
    if head - version >= MAX_LOG_COMMITS:
        return True
    try:
        return read_commit(table.folder, version).at <= before
    except NotFoundError:
        return False


def _leased(table: SliceTable, now: datetime) -> list[int]:
    return [lease.version for lease in leases_in(table.folder) if lease.is_live(now)]


def _hinted(table: SliceTable) -> int:
    """The checkpoint that readers begin with: what lies before it is read by nobody."""
    hint = checkpoint_version_hint(table.folder)
    return -1 if hint is None else hint


def _checkpoint(table: SliceTable, version: int) -> Path:
    return table.folder / LOG_FOLDER / f"{version:020d}.checkpoint.parquet"


def _check_checkpoint(table: SliceTable, version: int) -> None:
    """What the log begins with must say, alone, what the entries say that lead up to there."""
    path = _checkpoint(table, version)
    alone = read_checkpoint(path, version, table.folder, name=table.name).manifest
    replayed = {}
    for _, state in replay([f for f in log_files(table.folder) if f.version <= version]):
        replayed = state.files
    if {path: added.size for path, added in replayed.items()} != {
        file.path: file.size for file in alone.files
    }:
        raise IntegrityError(
            f"{table.name}: checkpoint {path.name} contradicts the log; nothing was cut",
            hint="run `backstory verify`",
        )
