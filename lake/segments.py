"""Which files of a Delta log build a version: the last whole checkpoint, and the entries after it.

It looks at names only. Files that are no part of the log's history (temporary ones, `.crc`,
`_last_checkpoint`, compacted logs) are passed over.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from backstory.lake.commits import LOG_FOLDER
from backstory.lake.errors import GoneError
from backstory.lake.object_path import names_in

_NAME = re.compile(
    r"(?P<version>\d{20})\.(?:json"
    r"|checkpoint(?:\.(?P<part>\d{10})\.(?P<parts>\d{10})|\.[0-9a-f-]{36})?\.parquet)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class LogFile:
    """A file of a Delta log.

    Attributes:
        log: the log's folder.
        name: of the file there.
        version: which version it belongs to.
        parts: how many files its checkpoint consists of; 0 for a log entry.
    """

    log: Path
    name: str
    version: int
    parts: int

    @property
    def path(self) -> Path:
        """Where it lies; told when asked, because of most files of a log nobody asks."""
        return self.log / self.name


def log_files(folder: Path) -> list[LogFile]:
    """The entries and checkpoints in a table's log, in order of version."""
    log = folder / LOG_FOLDER
    try:
        names = sorted(names_in(log))
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [
        LogFile(log=log, name=match[0], version=int(match["version"]), parts=_parts(match))
        for match in map(_NAME.fullmatch, names)
        if match
    ]


def segment(folder: Path, version: int) -> list[LogFile]:
    """The files that build a version: its last checkpoint and the entries after that.

    Raises:
        GoneError: some of them are no longer there.
    """
    known = [file for file in log_files(folder) if file.version <= version]
    checkpoint = _last_checkpoint(known)
    start = checkpoint[0].version if checkpoint else -1
    entries = [file for file in known if not file.parts and file.version > start]
    if [file.version for file in entries] != list(range(start + 1, version + 1)):
        raise GoneError(
            f"{folder.name}: the log no longer has all entries of version {version}",
            hint="a pinned version reopens from its pin",
        )
    return [*checkpoint, *entries]


def _last_checkpoint(files: Iterable[LogFile]) -> list[LogFile]:
    """The newest checkpoint of which all parts are there."""
    by_version: dict[int, list[LogFile]] = {}
    for file in files:
        if file.parts:
            by_version.setdefault(file.version, []).append(file)
    for _, parts in sorted(by_version.items(), reverse=True):
        single = [file for file in parts if file.parts == 1]
        if single or len(parts) == parts[0].parts:
            return single[:1] or parts
    return []


def _parts(match: re.Match[str]) -> int:
    return 0 if match[0].endswith(".json") else int(match["parts"] or 1)
