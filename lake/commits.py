"""The history of a Delta table, read from its log entries and from nothing else.

The time of a commit is the one that was recorded in it: Backstory's own, else the writer's clock in
`commitInfo`. File times are never looked at, so a copied or touched table has the same history.
Times never run backwards: a commit is at least as late as the one before it.

Reading costs what is new: `read_commits(folder, after=n)` opens the entries behind `n` only.
"""

import itertools
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import unquote

from backstory.lake.errors import GoneError, IntegrityError, LimitExceededError, NotFoundError
from backstory.lake.location import name_of
from backstory.lake.manifest import ManifestFile

LOG_FOLDER = "_delta_log"
ARCHIVE_FOLDER = "_log_archive"  # entries that were cut off the log
COMMIT_KEY = "backstory"  # our part of Delta's commitInfo
COMMIT_FORMAT = 1
MAX_ENTRY_BYTES = 1 << 30

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MALFORMED = (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError)
_RECORDED = ("attempt", "source", "offset", "batch", "contract_version")
_GATE = "gate"
_OWN_FIELDS = {"v", "at", "rows", "operation", _GATE, *_RECORDED}


@dataclass(frozen=True, slots=True, kw_only=True)
class AppendRecord:
    """What an append writes about itself into its commit, under `COMMIT_KEY` of `commitInfo`.

    Attributes:
        attempt: id of the attempt that writes, which is also in its data file's name.
        source: who sent the batch.
        offset: end position of the batch in its source.
        batch: digest of the batch.
        rows: rows that it adds.
        contract_version: the contract that they passed.
        at: the time of the commit.
        info: what else to record (actor, origin …), as JSON values.
        gate: what became of the other rows of the batch, as JSON values; see `attempt`.
    """

    attempt: str
    source: str
    offset: int
    batch: str
    rows: int
    contract_version: int
    at: datetime
    info: Mapping[str, Any]
    gate: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """The record as JSON values; `read_commit` reads it back."""
        info = {name: value for name, value in self.info.items() if name != _GATE}
        own = {name: getattr(self, name) for name in _RECORDED}
        gate = {_GATE: dict(self.gate)} if self.gate else {}
        return {**info, **own, **gate, "rows": self.rows, **stamp(self.at)}


def stamp(at: datetime) -> dict[str, Any]:
    """What every commit of ours says: the record's format and the recorded time."""
    return {"v": COMMIT_FORMAT, "at": at.astimezone(UTC).isoformat().replace("+00:00", "Z")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Commit:
    """One Delta version with what is known of it; what a foreign writer did not say is None.

    Attributes:
        slice: name of the table.
        version: Delta version.
        at: when it was committed, never before an earlier version.
        operation: Delta's word for what was done.
        source: who sent the batch.
        offset: end position of the batch in its source.
        batch: digest of the batch.
        attempt: id of the attempt that wrote it.
        rows: rows that the commit added.
        contract_version: the contract that the rows passed.
        info: what else the writer recorded.
        gate: what became of the rows of the batch that it did not add; see `attempt`.
    """

    slice: str
    version: int
    at: datetime
    operation: str
    source: str | None
    offset: int | None
    batch: str | None
    attempt: str | None
    rows: int | None
    contract_version: int | None
    info: Mapping[str, Any]
    gate: Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class AddedFile:
    """A data file that one commit added, with the range that one of its columns covers."""

    path: str
    rows: int
    low: str
    high: str


def read_commits(
    folder: Path,
    *,
    name: str | None = None,
    after: int = -1,
    not_before: datetime = _EPOCH,
    limit: int | None = None,
) -> list[Commit]:
    """Commits of a table in order of version.

    Args:
        folder: the table's folder.
        name: the table's name, where the folder does not tell it (linked tables).
        after: the last version that is known already.
        not_before: the time of that version, so that times go on from there.
        limit: read no more than so many.

    Raises:
        IntegrityError: a log entry does not parse.
    """
    commits: list[Commit] = []
    version = _first_version(folder, after)
    while version is not None and (limit is None or len(commits) < limit):
        try:
            commit = read_commit(folder, version, name=name)
        except NotFoundError:
            break
        not_before = max(commit.at, not_before)
        commits.append(replace(commit, at=not_before))
        version += 1
    return commits


def read_commit(folder: Path, version: int, *, name: str | None = None) -> Commit:
    """One commit, with the time as its writer recorded it.

    Raises:
        NotFoundError: the log has no entry of that version.
        IntegrityError: the entry does not parse.
    """
    name = name or name_of(folder.name)
    entry = log_entry(folder, version)
    info: dict[str, Any] = {}
    added: list[int | None] = []
    try:
        for action in _actions(entry):
            info = action.get("commitInfo", info)
            if "add" in action:
                added.append(_rows_of(action["add"]))
        return _commit(name, version, info, None if None in added else sum(filter(None, added)))
    except FileNotFoundError as exc:
        raise NotFoundError(f"{name} has no version {version}") from exc
    except _MALFORMED as exc:
        raise IntegrityError(f"{name}: log entry {entry.name} does not parse: {exc}") from exc


def find_append(folder: Path, *, source: str, offset: int, head: int) -> Commit | None:
    """The commit of a source's batch, searched backwards from version `head`, archive included."""
    for version in range(head, -1, -1):
        try:
            commit = read_commit(folder, version)
        except NotFoundError:
            return None  # what came before is not there, nor archived
        if commit.source == source and commit.offset is not None and commit.offset <= offset:
            return commit if commit.offset == offset else None  # offsets only ever grow
    return None


def added_files(folder: Path, version: int, column: str) -> list[AddedFile]:
    """The files of our own that a commit added, by the statistics in its log entry."""
    added = [action["add"] for action in _actions(log_entry(folder, version)) if "add" in action]
    stats = [(add["path"], json.loads(add["stats"])) for add in added]
    return [
        AddedFile(
            path=path,
            rows=stat["numRecords"],
            low=stat["minValues"][column],
            high=stat["maxValues"][column],
        )
        for path, stat in stats
        if stat["numRecords"]
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class FileChange:
    """A data file that begins or ends with a version.

    Attributes:
        path: relative to the table.
        added: whether it begins to be of the table; else it ends.
        rows: how many it has; None where that is not said.
    """

    path: str
    added: bool
    rows: int | None


def file_changes(folder: Path, version: int) -> list[FileChange]:
    """The data files that a commit added and removed.

    Raises:
        IntegrityError: the entry does not parse.
    """
    return [
        FileChange(path=path_in(body), added=kind == "add", rows=_rows_in(body))
        for action in file_actions(folder, version)
        for kind, body in action.items()
        if kind in {"add", "remove"}
    ]


def paths_added(folder: Path, version: int, *, new_rows: bool = False) -> list[str]:
    """The data files that a commit added, relative to the table.

    Args:
        folder: the table's folder.
        version: the commit.
        new_rows: leave out those that only hold rows anew.

    Raises:
        IntegrityError: the entry does not parse.
    """
    adds = [action["add"] for action in file_actions(folder, version) if "add" in action]
    return [path_in(add) for add in adds if not new_rows or add.get("dataChange", True)]


def file_actions(folder: Path, version: int) -> list[dict[str, Any]]:
    """What a commit did with files: its `add` and `remove` actions; `path_in` tells their paths.

    Raises:
        IntegrityError: the entry does not parse.
    """
    entry = log_entry(folder, version)
    try:
        found = [a for a in _actions(entry) if "add" in a or "remove" in a]
        for action in found:
            path_in(action.get("add") or action["remove"])
    except _MALFORMED as exc:
        raise IntegrityError(
            f"{folder.name}: log entry {entry.name} does not parse: {exc}"
        ) from exc
    return found


def path_in(action: Mapping[str, Any]) -> str:
    """The data file that an action is about, relative to the table; paths in logs are encoded."""
    return unquote(action["path"])


def data_added(folder: Path, version: int) -> list[ManifestFile]:
    """The data files whose rows a commit brought, as its log entry tells them; no digest with them.

    Files that only hold again what was there, as a compaction writes them, are none.

    Raises:
        GoneError: the entry is no longer there.
        IntegrityError: the entry does not parse, or does not say how many rows a file has.
    """
    entry = log_entry(folder, version)
    try:
        adds = [action["add"] for action in _actions(entry) if "add" in action]
        return [
            ManifestFile(
                path=unquote(add["path"]),
                size=add["size"],
                rows=json.loads(add["stats"])["numRecords"],
                sha256="",
                partition=MappingProxyType(add.get("partitionValues") or {}),
            )
            for add in adds
            if add["dataChange"]
        ]
    except FileNotFoundError as exc:
        raise GoneError(f"{folder.name}: the log entry of version {version} is gone") from exc
    except _MALFORMED as exc:
        raise IntegrityError(
            f"{folder.name}: log entry {entry.name} does not parse: {exc}"
        ) from exc


def latest_version(folder: Path, *, after: int | None = None) -> int:
    """The newest version in the log.

    Args:
        folder: the table's folder.
        after: a version that is known to be there; then nothing is listed.

    Raises:
        NotFoundError: the folder has no Delta log.
    """
    if after is not None:
        return next(v for v in itertools.count(after) if not log_entry(folder, v + 1).exists())
    versions = _versions(folder)
    if not versions:
        raise NotFoundError(f"{folder.name} is no Delta table: it has no log")
    return max(versions)


def log_entry(folder: Path, version: int) -> Path:
    """Where the log entry of a version lies."""
    return folder / LOG_FOLDER / f"{version:020d}.json"


def kept_entry(entry: Path) -> Path:
    """Where a log entry lies by now: in the log, or in the archive of what was cut off it."""
    archived = entry.parent.parent / ARCHIVE_FOLDER / entry.name
    return archived if not entry.exists() and archived.exists() else entry


def _first_version(folder: Path, after: int) -> int | None:
    """The version to go on with; behind a trimmed log that is not the next number."""
    if log_entry(folder, after + 1).exists():
        return after + 1
    if after >= 0 and log_entry(folder, after).exists():
        return None
    return min((v for v in _versions(folder) if v > after), default=None)


def _versions(folder: Path) -> list[int]:
    names = (path.stem for path in (folder / LOG_FOLDER).glob("*.json"))
    return [int(name) for name in names if name.isdigit()]


def _actions(entry: Path) -> Iterator[dict[str, Any]]:
    entry = kept_entry(entry)
    if entry.stat().st_size > MAX_ENTRY_BYTES:
        raise LimitExceededError(
            f"log entry {entry.name} is larger than {MAX_ENTRY_BYTES} bytes",
            hint="commit fewer files at a time",
        )
    with entry.open(encoding="utf-8") as lines:
        for line in lines:
            if line.strip():
                yield json.loads(line)


def _rows_of(add: Mapping[str, Any]) -> int | None:
    """Rows that an `add` brings; None where its writer did not count."""
    if not add["dataChange"]:
        return 0
    return _rows_in(add)


def _rows_in(action: Mapping[str, Any]) -> int | None:
    rows = json.loads(action.get("stats") or "{}").get("numRecords")
    return rows if isinstance(rows, int) else None


def _commit(table: str, version: int, info: Mapping[str, Any], added: int | None) -> Commit:
    own: Mapping[str, Any] = info.get(COMMIT_KEY) or {}
    at = _EPOCH + timedelta(milliseconds=int(info.get("timestamp", 0)))
    if own:
        at = datetime.fromisoformat(own["at"])
    if at.tzinfo is None:
        raise ValueError(f"time {own['at']!r} has no offset")
    return Commit(
        slice=table,
        version=version,
        at=at,
        operation=str(own.get("operation") or info.get("operation", "UNKNOWN")),
        rows=own.get("rows", added),
        info=MappingProxyType({k: v for k, v in own.items() if k not in _OWN_FIELDS}),
        gate=MappingProxyType(dict(own.get(_GATE, {}))),
        **{name: own.get(name) for name in _RECORDED},
    )
