"""Maintenance: tables stay quick and small, and whatever somebody needs stays what it is.

Small files are compacted, files that nobody needs are condemned and later removed, and the log is
cut. What will be done is decided first, by the very functions that a dry run asks, and told after:
each act is a leaf of the audit log. Commits are registered before and after, and nothing is cut
that is not. A table that somebody else changes at the same time is tried again.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from backstory.lake.compaction import Compacted, compact, small_files
from backstory.lake.errors import (
    BackstoryError,
    ConflictError,
    InvalidError,
    NotFoundError,
    RefusedError,
)
from backstory.lake.garbage import Collection, FileFate, collect, fate, look
from backstory.lake.manifest import ManifestFile
from backstory.lake.object_path import is_object
from backstory.lake.snapshot import open_snapshot
from backstory.lake.table import SliceTable
from backstory.lake.trimming import Trim, plan_trim, trim
from backstory.lineage.catch_up import register_commits
from backstory.lineage.parts import Parts
from backstory.lineage.store import slices

MAX_RIVALS = 3  # other changes that come first, one after the other, before it is given up


@dataclass(frozen=True, slots=True, kw_only=True)
class Maintained:
    """What was done to a table, or would be.

    Attributes:
        slice: its name.
        replaced: how many data files were compacted, or would be.
        written: by how many they were replaced; None in a dry run.
        condemned: files that nobody needs any more; they stay until their grace is over.
        waiting: files that were condemned before and stay.
        rescued: files that were condemned and are needed again.
        removed: files that are gone.
        freed: bytes of those.
        log_begin: the version that the log begins with; None where nothing was cut.
        log_entries: how many log entries were archived.
        keeps_all: whether nothing is ever removed where the table lies, in an object store.
        problem: why not all of it was done; empty where it was.
    """

    slice: str
    replaced: int = 0
    written: int | None = None
    condemned: tuple[str, ...] = ()
    waiting: tuple[str, ...] = ()
    rescued: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    freed: int = 0
    log_begin: int | None = None
    log_entries: int = 0
    keeps_all: bool = False
    problem: str = ""


def maintain(parts: Parts, name: str | None = None, *, dry_run: bool = False) -> list[Maintained]:
    """Compact tables, remove what nobody needs any more, and cut their logs.

    Nothing goes that the newest version, a pin or a live reader needs, and nothing before it was
    condemned for as long as `maintenance.grace` of the settings says.

    Args:
        name: one table, a slice or interactions; all tables of ours where nothing is said. Of one
            that cannot be maintained the answer then tells, and the others are.
        dry_run: change nothing, and tell what would be done.

    Raises:
        NotFoundError: there is no such table.
        RefusedError: it is a linked table; or not all that is needed can be known.
        IntegrityError: a pin, the log or a data file is damaged.
        ConflictError: others change the table all the time.
    """
    if name is not None:
        return [_maintained(parts, parts.lake.slice(name), dry_run=dry_run)]
    return [_tried(parts, table, dry_run=dry_run) for table in _own_tables(parts)]


def explain_file(parts: Parts, name: str, file: str) -> FileFate:
    """Why a file of a table stays or goes.

    Args:
        name: the table.
        file: the file, relative to the table's folder.

    Raises:
        NotFoundError: there is no such table or file.
        InvalidError: the path leaves the table.
        RefusedError: not all that is needed can be known.
    """
    if file.startswith("/") or ".." in file.split("/"):
        raise InvalidError(
            f"{file[:80]!r} leaves its table", hint=f"name a file in the folder of {name}"
        )
    table = parts.lake.slice(name)
    if is_object(table.folder):
        raise RefusedError(
            f"{name} lies in an object store, from which nothing is removed",
            hint="ask for files of tables in folders",
        )
    found = fate(table, file, parts.clock(), parts.settings.maintenance.grace)
    if found is None:
        raise NotFoundError(
            f"{name} has no file {file[:200]}, and none was removed by Backstory",
            hint=f"name a file in {table.folder}",
        )
    return found


def _own_tables(parts: Parts) -> list[SliceTable]:
    tables = map(parts.lake.table, parts.lake.names())
    return [table for table in tables if isinstance(table, SliceTable)]


def _tried(parts: Parts, table: SliceTable, *, dry_run: bool) -> Maintained:
    try:
        return _maintained(parts, table, dry_run=dry_run)
    except BackstoryError as exc:
        return Maintained(slice=table.name, problem=exc.message)


def _maintained(parts: Parts, table: SliceTable, *, dry_run: bool) -> Maintained:
    if not dry_run:
        register_commits(parts, table.name)
    if is_object(table.folder):
        return _joined_only(parts, table, dry_run=dry_run)
    cut = _trim_planned(parts, table)
    if dry_run:
        groups = small_files(open_snapshot(table))
        replaced = [file.path for group in groups for file in group]
        found = look(table, parts.clock(), parts.settings.maintenance.grace, replaced=replaced)
        return _told(table, found, cut, replaced=len(replaced), written=None)
    done = _compacted(parts, table)
    found = _collected(parts, table)
    _trimmed(parts, table, cut)
    return _told(
        table,
        found,
        cut,
        replaced=sum(one.before for one in done),
        written=sum(one.after for one in done),
    )


def _joined_only(parts: Parts, table: SliceTable, *, dry_run: bool) -> Maintained:
    """Compact a table in an object store, where no lock keeps others from what is removed."""
    groups = small_files(open_snapshot(table)) if dry_run else []
    done = [] if dry_run else _compacted(parts, table)
    return Maintained(
        slice=table.name,
        replaced=sum(map(len, groups)) + sum(one.before for one in done),
        written=None if dry_run else sum(one.after for one in done),
        keeps_all=True,
    )


def _told(
    table: SliceTable, found: Collection, cut: Trim, *, replaced: int, written: int | None
) -> Maintained:
    return Maintained(
        slice=table.name,
        replaced=replaced,
        written=written,
        condemned=found.condemned,
        waiting=found.waiting,
        rescued=found.rescued,
        removed=found.removed,
        freed=found.freed,
        log_begin=cut.begin,
        log_entries=cut.entries,
    )


def _trim_planned(parts: Parts, table: SliceTable) -> Trim:
    with parts.store.reader() as conn:
        record = slices.slice_by_name(conn, table.name)
    return plan_trim(
        table,
        registered=record.last_version if record else -1,
        now=parts.clock(),
        grace=parts.settings.maintenance.grace,
    )


def _compacted(parts: Parts, table: SliceTable) -> list[Compacted]:
    """Compact each group that there is now; what is appended meanwhile waits for the next time."""
    done = [
        compacted
        for group in small_files(open_snapshot(table))
        if (compacted := _compacted_group(parts, table, group))
    ]
    register_commits(parts, table.name)
    for one in done:
        with parts.unit("maintain.compact", f"slice:{table.name}") as unit:
            unit.note(version=one.version, before=one.before, after=one.after, rows=one.rows)
            unit.note(sum=one.logical)
    return done


def _compacted_group(
    parts: Parts, table: SliceTable, group: Sequence[ManifestFile]
) -> Compacted | None:
    """Compact files; None where a rival did."""
    paths = {file.path for file in group}
    info = {"actor": parts.actor.name}
    for rivals in range(1, MAX_RIVALS + 1):
        try:
            return compact(table, group, at=parts.clock(), new_id=parts.new_id, info=info)
        except ConflictError:
            if rivals == MAX_RIVALS:
                raise
            if not paths <= {file.path for file in open_snapshot(table).manifest.files}:
                break
    return None


def _collected(parts: Parts, table: SliceTable) -> Collection:
    grace = parts.settings.maintenance.grace
    found = collect(table, parts.clock(), grace, by=f"backstory maintain {table.name}")
    if found.condemned or found.rescued or found.removed:
        with parts.unit("maintain.collect", f"slice:{table.name}") as unit:
            for name in ("condemned", "rescued", "removed"):
                files = getattr(found, name)
                digest = hashlib.sha256("\n".join(files).encode()).hexdigest()
                unit.note(**{name: {"files": len(files), "sha256": digest}})
            unit.note(freed=found.freed)
    return found


def _trimmed(parts: Parts, table: SliceTable, cut: Trim) -> None:
    trim(table, cut, now=parts.clock(), by=f"backstory maintain {table.name}")
    if cut.begin is not None:
        with parts.unit("maintain.trim", f"slice:{table.name}") as unit:
            unit.note(begin=cut.begin, entries=cut.entries)
