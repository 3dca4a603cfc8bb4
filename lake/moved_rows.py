"""The files of two snapshots whose rows differ: without those of both, and those that balance.

No data file is opened. Sums are those that rewrites have kept (`kept_sums`); what commits did is
read from the log where it still lies there.

    found = differing_files(open_snapshot(table, 12), open_snapshot(table, 58))
    found.removed, found.added
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from backstory.lake.balance import Logged, Pair, Step, balances, unbalanced
from backstory.lake.commits import file_actions, log_entry, path_in
from backstory.lake.diff import diff_snapshots
from backstory.lake.errors import BackstoryError
from backstory.lake.kept_sums import kept_sums
from backstory.lake.location import inside
from backstory.lake.manifest import ManifestFile
from backstory.lake.pinned import PINS_FOLDER
from backstory.lake.snapshot import Snapshot
from backstory.lake.versions import digest_in_name

_SUM = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True, kw_only=True)
class DifferingFiles:
    """The files that have to be read to know which rows differ.

    Attributes:
        removed: those with rows of the first snapshot.
        added: those with rows of the second.
        cancelled: how many files that only one of the two lists need not be read.
        whole: whether all rows of both have to be read, since their files alone do not say them.
    """

    removed: tuple[ManifestFile, ...]
    added: tuple[ManifestFile, ...]
    cancelled: int = 0
    whole: bool = False

    @property
    def rows(self) -> int:
        """How many rows have to be read."""
        return sum(file.rows for file in (*self.removed, *self.added))


def differing_files(a: Snapshot, b: Snapshot) -> DifferingFiles:
    """The files of two snapshots of one table whose rows differ.

    Raises:
        InvalidError: they are of two tables.
        IntegrityError: the log does not parse.
    """
    files = diff_snapshots(a, b)
    if a.needs_engine or b.needs_engine:
        every = (a.manifest.files, b.manifest.files)
        return DifferingFiles(removed=every[0], added=every[1], whole=True)
    if not (files.added and files.removed and a.ours and b.ours):  # others' sums prove nothing
        return DifferingFiles(removed=files.removed, added=files.added)
    turned = a.version > b.version
    older, newer = (b, a) if turned else (a, b)
    went, came = (files.added, files.removed) if turned else (files.removed, files.added)
    listed = {file.path for file in (*went, *came)}
    sums = kept_sums(table_folder(newer))
    if balances(went, came, sums):
        return DifferingFiles(removed=(), added=(), cancelled=len(listed))
    left: Pair = (went, came)
    if listed & sums.keys():
        logged = _between(older, newer, (*went, *came), sums)
        left = unbalanced(went, came, logged, is_there=lambda file: _is_there(newer, file))
    removed, added = left[::-1] if turned else left
    read = {file.path for file in (*removed, *added)}
    return DifferingFiles(removed=removed, added=added, cancelled=len(listed - read))


def table_folder(snapshot: Snapshot) -> Path:
    """The table's own folder, also of a snapshot that is read from a pin's copies."""
    above = snapshot.folder.parent.parent
    return above.parent if above.name == PINS_FOLDER else snapshot.folder


def _between(
    older: Snapshot, newer: Snapshot, changed: Iterable[ManifestFile], sums: Mapping[str, str]
) -> Logged:
    """What is told of the commits between two versions, and of the files that they added."""
    files = {file.path: file for file in changed}
    steps = []
    for actions in _entries(table_folder(newer), older.version, newer.version):
        steps.append(_step(actions))
        for action in actions:
            if "add" in action:
                _take(action["add"], files)
    return Logged(files=files, sums=sums, steps=steps)


def _entries(folder: Path, after: int, upto: int) -> Iterator[Sequence[Mapping[str, Any]]]:
    for version in range(after + 1, upto + 1):
        if log_entry(folder, version).exists():
            yield file_actions(folder, version)


def _step(actions: Iterable[Mapping[str, Any]]) -> Step:
    kinds: dict[str, set[str]] = {"moved": set(), "add": set(), "remove": set()}
    for action in actions:
        for kind, about in action.items():
            kinds[kind if about.get("dataChange", True) else "moved"].add(path_in(about))
    moved, came, went = map(frozenset, kinds.values())
    return Step(moved=moved, came=came, went=went)


def _take(add: Mapping[str, Any], files: dict[str, ManifestFile]) -> None:
    path = path_in(add)
    if path not in files and (rows := _rows(add)) is not None:
        files[path] = ManifestFile(
            path=path,
            size=add["size"],
            rows=rows,
            sha256=digest_in_name(path),
            partition=add.get("partitionValues") or {},
        )


def _rows(add: Mapping[str, Any]) -> int | None:
    """How many rows a file has, where its statistics tell it."""
    try:
        rows = json.loads(add.get("stats") or "{}")["numRecords"]
    except (ValueError, KeyError, TypeError):
        return None
    return rows if isinstance(rows, int) else None


def _is_there(snapshot: Snapshot, file: ManifestFile) -> bool:
    try:
        return inside(table_folder(snapshot), file.path).stat().st_size == file.size
    except (OSError, BackstoryError):
        return False
