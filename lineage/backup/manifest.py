r"""What a backup consists of: every file with its SHA-256, under a seal, in one text.

The text form `v1` has golden files in the tests. One line each, `\n` ended, UTF-8:

    backstory-backup v1
    <facts as JSON: when, by which version, with keys, which lake>
    <path> TAB <size> TAB <sha256>
    sha256 <of all that stands above>

It is written last, so a folder without it is no backup. Who can change a file of a backup can
change this one too: its digest is in the audit log of the home that was backed up.
"""

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from backstory.lake.errors import IntegrityError, NotFoundError, RefusedError
from backstory.lake.sealed import read_sealed, seal
from backstory.lineage.times import time_text

MANIFEST_FILE = "MANIFEST"

_HEADER = "backstory-backup "
_VERSION = "v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupFile:
    """One file of a backup.

    Attributes:
        path: relative to the backup.
        size: bytes.
        sha256: 64 hex digits of the bytes.
    """

    path: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupManifest:
    """A backup, as it was when it was whole.

    Attributes:
        at: the instant that it shows.
        backstory: the version that took it.
        with_keys: whether the subject keys are in it.
        lake: where the lake lies that it refers to; None where the lake is in it.
        files: every file, sorted by path.
    """

    at: datetime
    backstory: str
    with_keys: bool
    lake: str | None
    files: tuple[BackupFile, ...]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files)

    @property
    def digest(self) -> str:
        """SHA-256 of the sealed text: the backup's identity."""
        return hashlib.sha256(self.to_text().encode()).hexdigest()

    def to_text(self) -> str:
        """The sealed text."""
        facts = {
            "at": time_text(self.at),
            "backstory": self.backstory,
            "keys": self.with_keys,
            "lake": self.lake,
        }
        head = f"{_HEADER}{_VERSION}\n{json.dumps(facts, sort_keys=True)}\n"
        lines = (f"{file.path}\t{file.size}\t{file.sha256}\n" for file in self.files)
        return seal(head + "".join(lines))


def read_backup(folder: Path) -> BackupManifest:
    """Read what a backup consists of.

    Raises:
        NotFoundError: the folder is no backup, or one that was never finished.
        RefusedError: a newer Backstory took it.
        IntegrityError: the text is damaged.
    """
    path = folder / MANIFEST_FILE
    if not path.is_file():
        raise NotFoundError(
            f"{folder} is no backup, or half of one: {MANIFEST_FILE} is missing",
            hint="name a folder that `backstory backup` has finished",
        )
    header, _, rest = read_sealed(path).partition("\n")
    if header.startswith(_HEADER) and header != _HEADER + _VERSION:
        raise RefusedError(
            f"{path}: format {header.removeprefix(_HEADER)}; this backstory knows {_VERSION}",
            hint="upgrade backstory",
        )
    try:
        return _parse(rest)
    except (ValueError, KeyError, TypeError) as exc:
        raise IntegrityError(f"{path} is not what was written: {exc}") from exc


def _parse(text: str) -> BackupManifest:
    line, *lines = text.splitlines()
    facts = json.loads(line)
    return BackupManifest(
        at=datetime.fromisoformat(facts["at"]),
        backstory=facts["backstory"],
        with_keys=facts["keys"],
        lake=facts["lake"],
        files=tuple(map(_file, lines)),
    )


def _file(line: str) -> BackupFile:
    path, size, sha256 = line.split("\t")
    return BackupFile(path=path, size=int(size), sha256=sha256)
