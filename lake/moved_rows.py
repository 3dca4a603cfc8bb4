"""The files of two snapshots whose rows differ: without those of both, and those that balance.

No data file is opened. Sums come from Delta's statistics in the log, or in the checkpoint that a
pin keeps where the log is gone; what commits did is read from the log where it still lies there.

    found = differing_files(open_snapshot(table, 12), open_snapshot(table, 58))
    found.removed, found.added
"""

import json
import re
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from backstory.lake.balance import Logged, Pair, Step, balances, unbalanced
from backstory.lake.commits import file_actions, log_entry, path_in
from backstory.lake.diff import diff_snapshots
from backstory.lake.errors import BackstoryError, GoneError
from backstory.lake.location import inside
from backstory.lake.logical_sum import SUM_KEY
from backstory.lake.manifest import ManifestFile
from backstory.lake.pinned import CHECKPOINT_FILE, PINS_FOLDER
from backstory.lake.segments import segment
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
    sums = sums_of(older, listed) | sums_of(newer, listed)
    if balances(went, came, sums):
        return DifferingFiles(removed=(), added=(), cancelled=len(listed))
    left: Pair = (went, came)
    if sums:
        logged = _between(older, newer, (*went, *came), sums)
        left = unbalanced(went, came, logged, is_there=lambda file: _is_there(newer, file))
    removed, added = left[::-1] if turned else left
    read = {file.path for file in (*removed, *added)}
    return DifferingFiles(removed=removed, added=added, cancelled=len(listed - read))


def table_folder(snapshot: Snapshot) -> Path:
    """The table's own folder, also of a snapshot that is read from a pin's copies."""
    above = snapshot.folder.parent.parent
    return above.parent if above.name == PINS_FOLDER else snapshot.folder


def sums_of(snapshot: Snapshot, wanted: Container[str] | None = None) -> dict[str, str]:
    """The logical sums of a snapshot's files, or of some of them, by path."""
    some = {file.path for file in snapshot.manifest.files} if wanted is None else wanted
    told = ((path_in(add), add) for adds in _adds(snapshot) for add in adds)
    return {path: known[1] for path, add in told if path in some and (known := _weight(add))}


def _adds(snapshot: Snapshot) -> Iterator[Sequence[Mapping[str, Any]]]:
    """What the log says of files up to a version; what its pin says, where the log is gone."""
    folder = table_folder(snapshot)
    try:
        files = segment(folder, snapshot.version)
    except GoneError:
        yield _checkpoint_adds(folder / PINS_FOLDER / snapshot.digest / CHECKPOINT_FILE)
        return
    for file in files:
        if file.parts:
            yield _checkpoint_adds(file.path)
        else:
            yield [a["add"] for a in file_actions(folder, file.version) if "add" in a]


def _checkpoint_adds(path: Path) -> list[Mapping[str, Any]]:
    try:
        adds = pq.ParquetFile(path).read(["add.path", "add.stats"])["add"].to_pylist()
    except (OSError, pa.ArrowException):
        return []  # `verify` names it; without sums more files are read, and the answer is the same
    return [add for add in adds if add is not None]


def _between(
    older: Snapshot, newer: Snapshot, changed: Iterable[ManifestFile], sums: dict[str, str]
) -> Logged:
    """What is told of the commits between two versions, and of the files that they added."""
    files = {file.path: file for file in changed}
    sums, steps = dict(sums), []
    for actions in _entries(table_folder(newer), older.version, newer.version):
        steps.append(_step(actions))
        for action in actions:
            if "add" in action:
                _take(action["add"], files, sums)
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


def _take(add: Mapping[str, Any], files: dict[str, ManifestFile], sums: dict[str, str]) -> None:
    path = path_in(add)
    if path not in files and (known := _weight(add)):
        rows, sums[path] = known
        files[path] = ManifestFile(
            path=path,
            size=add["size"],
            rows=rows,
            sha256=digest_in_name(path),
            partition=add.get("partitionValues") or {},
        )


def _weight(add: Mapping[str, Any]) -> tuple[int, str] | None:
    """Rows and logical sum of a file, where its statistics tell both as we write them."""
    try:
        stats = json.loads(add.get("stats") or "{}")
        rows, total = stats["numRecords"], stats[SUM_KEY]
    except (ValueError, KeyError, TypeError):
        return None
    is_ours = isinstance(rows, int) and isinstance(total, str) and _SUM.fullmatch(total)
    return (rows, total) if is_ours else None


def _is_there(snapshot: Snapshot, file: ManifestFile) -> bool:
    try:
        return inside(table_folder(snapshot), file.path).stat().st_size == file.size
    except (OSError, BackstoryError):
        return False
