"""What maintenance took away from a table: remembered, so that whoever misses it is told.

    _maintenance/trimmed               where the log begins since when, and by which command
    _maintenance/collected/<time>      the files that one collection removed

Beside them lie the list of the condemned (`garbage`) and the sums of files (`kept_sums`).

Each note is written before what it speaks of goes: it may say too much after a crash, and never too
little. A note that is damaged tells nothing; it is asked only for what is missing anyway.
"""

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from backstory.lake.errors import BackstoryError
from backstory.lake.files import make_folder, write_durably
from backstory.lake.sealed import read_sealed, seal

MAINTENANCE_FOLDER = "_maintenance"
NOTE_FORMAT = 1

_TRIMMED = "trimmed"
_COLLECTED = "collected"


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """Who took something away, and when.

    Attributes:
        at: when.
        by: the command.
    """

    at: datetime
    by: str


def maintenance_files(folder: Path) -> list[Path]:
    """What maintenance keeps of a table, each file under its seal; sorted."""
    found = (folder / MAINTENANCE_FOLDER).rglob("[0-9a-z]*")
    return sorted(path for path in found if path.is_file())


def write_note(path: Path, body: Mapping[str, object]) -> None:
    """Write a note of maintenance under its seal, in the format that all of them have.

    Raises:
        UnavailableError: disk full, no permission; nothing is left behind.
    """
    text = json.dumps({"v": NOTE_FORMAT, **body}, sort_keys=True, indent=0)
    write_durably(path, seal(f"{text}\n").encode())


def note_trimmed(folder: Path, begin: int, act: Act) -> None:
    """Remember that versions before one cannot be opened any more.

    Raises:
        UnavailableError: disk full, no permission.
    """
    make_folder(folder / MAINTENANCE_FOLDER)
    write_note(folder / MAINTENANCE_FOLDER / _TRIMMED, {"begin": begin, **_told(act)})


def note_collected(folder: Path, names: Iterable[str], act: Act) -> None:
    """Remember that files are about to go.

    Raises:
        UnavailableError: disk full, no permission.
    """
    notes = folder / MAINTENANCE_FOLDER / _COLLECTED
    make_folder(notes)
    name = act.at.astimezone(UTC).strftime("%Y%m%dT%H%M%S%fZ")
    write_note(notes / name, {"files": sorted(names), **_told(act)})


def said_of_version(folder: Path, version: int | None) -> str:
    """Why a version cannot be opened; empty where it was not we who took its log away."""
    with suppress(BackstoryError, KeyError, TypeError, ValueError):
        body = json.loads(read_sealed(folder / MAINTENANCE_FOLDER / _TRIMMED))
        if version is not None and version < body["begin"]:
            return f"its log was trimmed to version {body['begin']} {_words(body)}"
    return ""


def said_of_file(folder: Path, name: str) -> str:
    """Why a data file is gone; empty where it was not we who collected it."""
    for note in sorted((folder / MAINTENANCE_FOLDER / _COLLECTED).glob("*Z"), reverse=True):
        with suppress(BackstoryError, KeyError, TypeError, ValueError):
            body = json.loads(read_sealed(note))
            if name in body["files"]:
                return f"it was collected {_words(body)}"
    return ""


def _told(act: Act) -> dict[str, str]:
    return {"at": act.at.astimezone(UTC).isoformat(timespec="seconds"), "by": act.by}


def _words(body: dict[str, str]) -> str:
    return f"on {body['at'].replace('+00:00', 'Z')} by `{body['by']}`"
