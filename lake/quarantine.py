"""The rejected rows of a batch on disk: one file, written before the commit that names it.

Keeps true: a file is whole or not there; its name holds the id of the attempt that wrote it and the
digest of its bytes; and it counts only if a commit of the table names it. A file that none names is
left by an attempt that died: nothing reads it, and `sweep` removes it. Nobody but the owner of the
home may read these files.

The form is lines of JSON: first what came in, then a row a line.

    quarantine = write_quarantine(folder, batch, source="app", file="monday.jsonl", ...)
    for row in read_quarantine(folder, quarantine.path).rows: ...
"""

import hashlib
import json
import time
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from backstory.lake.batch import Batch
from backstory.lake.contract import Contract
from backstory.lake.crash import crashpoint
from backstory.lake.errors import GoneError, IntegrityError, LimitExceededError, Rejection
from backstory.lake.files import make_folder, write_durably
from backstory.lake.location import translate_os_error
from backstory.lake.quarantined_rows import QuarantinedRow

QUARANTINE_FOLDER = "_quarantine"
MAX_QUARANTINE_BYTES = 256 << 20
ORPHAN_SECONDS = 24 * 60 * 60  # an attempt that is older has died

_FORMAT = "backstory-quarantine v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantine:
    """The rejected rows of one batch.

    Attributes:
        contract_version: the contract that they do not fit.
        rows: the rows, in their order.
    """

    contract_version: int
    rows: tuple[QuarantinedRow, ...]


def write_quarantine(folder: Path, batch: Batch, contract: Contract, *, attempt: str) -> str:
    """Write the rejected rows of a batch so that they survive a power cut.

    Args:
        folder: the table's folder.
        batch: with at least one rejected row.
        contract: that they do not fit.
        attempt: UUIDv7 text of the attempt.

    Returns:
        The file's path inside the table's folder.

    Raises:
        LimitExceededError: it would be beyond `MAX_QUARANTINE_BYTES`.
        UnavailableError: disk full, no permission; nothing is left behind.
    """
    head = {"format": _FORMAT, "slice": contract.slice, "contract": contract.version}
    lines = [json.dumps(head), *map(_line, batch.rejected), ""]
    body = "\n".join(lines).encode()
    if len(body) > MAX_QUARANTINE_BYTES:
        raise LimitExceededError(
            f"{contract.slice}: the rejected rows are larger than {MAX_QUARANTINE_BYTES} bytes; "
            "nothing was written",
            hint="send the batch in parts",
        )
    path = f"{QUARANTINE_FOLDER}/{attempt}-{hashlib.sha256(body).hexdigest()}.jsonl"
    try:
        make_folder(folder / QUARANTINE_FOLDER, mode=0o700)
    except OSError as exc:
        raise translate_os_error(exc, f"writing into {folder.name}") from exc
    write_durably(folder / path, body)
    crashpoint("quarantine.written")
    return path


def read_quarantine(folder: Path, path: str) -> Quarantine:
    """Read a file that a commit names.

    Raises:
        GoneError: it is not there.
        IntegrityError: its bytes are not what was written.
    """
    try:
        body = (folder / path).read_bytes()
    except FileNotFoundError as exc:
        raise GoneError(
            f"quarantine {path} is no longer there", hint="restore it from a backup"
        ) from exc
    except OSError as exc:
        raise translate_os_error(exc, f"reading {path}") from exc
    if hashlib.sha256(body).hexdigest() != path.removesuffix(".jsonl")[-64:]:
        raise IntegrityError(
            f"quarantine {path} is not what was written", hint="restore it from a backup"
        )
    head, *rows = body.decode().splitlines()
    return Quarantine(contract_version=json.loads(head)["contract"], rows=tuple(map(_row_of, rows)))


def quarantine_files(folder: Path) -> list[Path]:
    """The files with rejected rows of a table, settled or not, sorted by name."""
    return sorted((folder / QUARANTINE_FOLDER).glob("[0-9a-f]*.jsonl"))


def sweep(folder: Path, *, settled: Collection[str], known: Collection[str]) -> Iterator[str]:
    """Remove files that nobody needs; which ones they were.

    Args:
        folder: the table's folder.
        settled: files of which every row is settled.
        known: files that commits name.
    """
    for file in quarantine_files(folder):
        path = f"{QUARANTINE_FOLDER}/{file.name}"
        is_orphan = path not in known and time.time() - file.stat().st_mtime > ORPHAN_SECONDS
        if path in settled or is_orphan:
            file.unlink(missing_ok=True)
            yield path


def _line(row: QuarantinedRow) -> str:
    faults = [[fault.column, fault.expected, fault.found] for fault in row.faults]
    kept = {"row": row.row, "faults": faults, "fields": row.fields, "text": row.text}
    kept["left_out"] = row.left_out
    return json.dumps(kept, separators=(",", ":"))


def _row_of(line: str) -> QuarantinedRow:
    kept = json.loads(line)
    return QuarantinedRow(
        row=kept["row"],
        faults=tuple(_faults(kept["row"], kept["faults"])),
        fields=kept["fields"],
        text=kept["text"],
        left_out=tuple(kept["left_out"]),
    )


def _faults(row: int, faults: Iterable[tuple[str | None, str, str]]) -> Iterator[Rejection]:
    for column, expected, found in faults:
        yield Rejection(row=row, column=column, expected=expected, found=found)
