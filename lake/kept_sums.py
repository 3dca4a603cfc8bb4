"""The logical sums of data files: kept by who rewrites files, who reads all their rows anyway.

One sealed file for each rewrite, `_maintenance/sums/<UUIDv7>`, says the sums of the files that went
and of those that came. It is written and synced before the commit. An append computes no sum and
pays for none, and a file that was never part of a rewrite needs none.

A sum says the same of a file for ever, since what a data file holds never changes. A damaged file
of sums tells nothing: rows are then read where sums would have spared it.
"""

import json
import logging
from collections.abc import Container, Iterator, Mapping
from pathlib import Path

from backstory.lake.errors import BackstoryError
from backstory.lake.files import make_folder, sync_folder
from backstory.lake.gone import MAINTENANCE_FOLDER, NOTE_FORMAT, write_note
from backstory.lake.sealed import read_sealed

_SUMS = "sums"
_log = logging.getLogger(__name__)


def keep_sums(folder: Path, name: str, sums: Mapping[str, str]) -> Path:
    """Keep the logical sums of files, durably; where they are kept.

    Args:
        folder: the table's folder.
        name: of the rewrite, UUIDv7 text.
        sums: 32 hex digits, by the path of the file.

    Raises:
        UnavailableError: disk full, no permission.
    """
    make_folder(folder / MAINTENANCE_FOLDER / _SUMS)
    path = folder / MAINTENANCE_FOLDER / _SUMS / name
    write_note(path, {"files": dict(sums)})
    return path


def kept_sums(folder: Path) -> dict[str, str]:
    """The logical sums that are known of a table's files, by path."""
    return {path: total for _, sums in _kept(folder) for path, total in sums.items()}


def forget_sums(folder: Path, gone: Container[str]) -> None:
    """Keep no longer the sums of files that are gone."""
    for path, sums in _kept(folder):
        left = {file: total for file, total in sums.items() if file not in gone}
        if not left:
            path.unlink()
            sync_folder(path.parent)
        elif len(left) < len(sums):
            keep_sums(folder, path.name, left)


def drop_sums(folder: Path, name: str) -> None:
    """Keep no longer what a rewrite said that came to nothing."""
    (folder / MAINTENANCE_FOLDER / _SUMS / name).unlink(missing_ok=True)


def _kept(folder: Path) -> Iterator[tuple[Path, dict[str, str]]]:
    for path in sorted((folder / MAINTENANCE_FOLDER / _SUMS).glob("[0-9a-f]*")):
        try:
            body = json.loads(read_sealed(path))
            if body["v"] == NOTE_FORMAT:
                yield path, body["files"]
        except (BackstoryError, ValueError, KeyError, TypeError) as exc:
            _log.warning("%s tells no sums: %s", path, exc)
