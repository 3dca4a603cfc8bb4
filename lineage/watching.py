"""A folder whose files go into a slice as they come: each once, when it is complete.

A file is complete when it has the same size, time and inode at two looks one after the other; who
writes it elsewhere and renames it into the folder is safe in any case. Each is ingested like a file
that is named: what is stored already is recognised, after a crash too, and a file that is refused
holds no other one up. It is looked at again once it has changed. Names that begin with `.` or `_`,
and those that do not say what a file is, are left alone.
"""

import os
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from backstory.lake.errors import (
    BackstoryError,
    InvalidError,
    LimitExceededError,
    NotFoundError,
    UnavailableError,
)
from backstory.lake.location import translate_os_error
from backstory.lake.receipt import Receipt
from backstory.lake.sources.files import format_of
from backstory.lineage.ingest import own_table
from backstory.lineage.parts import Parts
from backstory.lineage.taking_files import ingest_files

LOOK_SECONDS = 2.0
MAX_WATCHED_FILES = 100_000


class _Signature(NamedTuple):
    """What changes when a file does."""

    size: int
    modified: int
    inode: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What became of a file: it has a receipt, or it was refused."""

    path: Path
    receipt: Receipt | None = None
    error: BackstoryError | None = None


def watch(
    parts: Parts,
    slice_name: str,
    folder: Path,
    *,
    wait: Callable[[float], bool],
    seconds: float = LOOK_SECONDS,
    once: bool = False,
    source: str | None = None,
    file_format: str | None = None,
) -> Iterator[Found]:
    """Ingest the files of a folder as they become complete.

    Args:
        slice_name: where their rows go.
        folder: the folder; folders in it are not looked into.
        wait: waits so many seconds, and says whether to end.
        seconds: between two looks.
        once: end when all that is there is dealt with.
        source: who sends them; `file:` and the first part of the file's name where not given.
        file_format: what the files are, whatever their names say.

    Yields:
        Each file that was dealt with.

    Raises:
        NotFoundError: there is no such folder, or no such slice.
        LimitExceededError: there are more than `MAX_WATCHED_FILES`.
    """
    own_table(parts, slice_name)
    before: dict[Path, _Signature] = {}
    dealt_with: dict[Path, _Signature] = {}
    while True:
        files = _files(folder, file_format)
        dealt_with = {path: known for path, known in dealt_with.items() if path in files}
        for path, signature in files.items():
            if before.get(path) == signature != dealt_with.get(path):
                found = _taken(parts, slice_name, path, source, file_format)
                if not isinstance(found.error, UnavailableError):  # which passes
                    dealt_with[path] = signature
                yield found
        before = files
        if (once and dealt_with == files) or wait(seconds):
            return


def _files(folder: Path, file_format: str | None) -> dict[Path, _Signature]:
    try:
        with os.scandir(folder) as entries:
            listed = list(islice(entries, MAX_WATCHED_FILES + 1))
    except (FileNotFoundError, NotADirectoryError) as exc:
        raise NotFoundError(f"there is no folder {folder}", hint="check its path") from exc
    except OSError as exc:
        raise translate_os_error(exc, f"reading {folder}") from exc
    if len(listed) > MAX_WATCHED_FILES:
        raise LimitExceededError(
            f"{folder} holds more than {MAX_WATCHED_FILES:,} files",
            hint="move away those that are stored",
        )
    listed.sort(key=lambda entry: entry.name)
    found = {Path(entry.path): _signature(entry) for entry in listed if _is_meant(entry.name)}
    return {
        path: signature
        for path, signature in found.items()
        if signature and (file_format or _says_what_it_is(path))
    }


def _is_meant(name: str) -> bool:
    return not name.startswith((".", "_"))


def _says_what_it_is(path: Path) -> bool:
    try:
        format_of(path)
    except InvalidError:
        return False
    return True


def _signature(entry: "os.DirEntry[str]") -> _Signature | None:
    """None for what is no file, or is gone by now."""
    try:
        found = entry.stat()
    except OSError:
        return None
    if not stat.S_ISREG(found.st_mode):
        return None
    return _Signature(found.st_size, found.st_mtime_ns, found.st_ino)


def _taken(
    parts: Parts, slice_name: str, path: Path, source: str | None, file_format: str | None
) -> Found:
    try:
        [(_, receipt)] = ingest_files(
            parts, slice_name, [path], source=source, file_format=file_format
        )
    except BackstoryError as exc:
        return Found(path=path, error=exc)
    return Found(path=path, receipt=receipt)
