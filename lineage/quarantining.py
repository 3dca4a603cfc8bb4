"""Rows that did not fit: listed, shown, mended and sent again, or given up.

A row is named by the commit of its batch and its number there: `58:3`. Sent again it passes the
gate as it is now, and lands in a commit that names it, so that it lands once whoever sends it again
and whoever dies. A row that still does not fit stays where it is, and so does one that says that
something was left out of it when it was kept. The file of a batch goes when no
row of it waits any more: by whichever command sees that first.
"""

import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from backstory.lake.batch import Batch
from backstory.lake.columns import Role
from backstory.lake.errors import (
    InvalidError,
    LimitExceededError,
    NotFoundError,
    OffsetConflict,
    Rejection,
    UnavailableError,
)
from backstory.lake.gate import judge
from backstory.lake.location import translate_os_error
from backstory.lake.quarantine import MAX_QUARANTINE_BYTES, read_quarantine, sweep
from backstory.lake.quarantined_rows import QuarantinedRow
from backstory.lake.sources.rejections import Rejections
from backstory.lake.sources.text import read_jsonl
from backstory.lake.table import SliceTable
from backstory.lineage.catch_up import register_commits
from backstory.lineage.ingest import own_table, with_actor
from backstory.lineage.parts import Parts
from backstory.lineage.store import quarantines, slices
from backstory.lineage.store.quarantines import DROPPED, QuarantineRecord, to_ranges

KEY_FIELD = "_quarantine"
REASONS_FIELD = "_reasons"
TEXT_FIELD = "_text"
LEFT_OUT_FIELD = "_left_out"
REPLAY_ATTEMPTS = 50
_OWN_FIELDS = {KEY_FIELD, REASONS_FIELD, TEXT_FIELD, LEFT_OUT_FIELD}

_Chosen = Mapping[int, Mapping[str, Any]]  # the fields of rows, by number


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingRow:
    """A row in quarantine, with where it came from.

    Attributes:
        batch: the batch that it came in.
        row: what is kept of it.
    """

    batch: QuarantineRecord
    row: QuarantinedRow

    @property
    def key(self) -> str:
        """Its name: the commit of its batch and its number there."""
        return f"{self.batch.version}:{self.row.row}"

    @property
    def told(self) -> str:
        """Its faults, without its number."""
        return "; ".join(map(_told, self.row.faults))

    def to_json(self) -> dict[str, Any]:
        """The row to be mended: its fields, beside its name and its faults."""
        reasons = list(map(str, self.row.faults))
        about: dict[str, Any] = {KEY_FIELD: self.key, REASONS_FIELD: reasons}
        if self.row.left_out:
            about[LEFT_OUT_FIELD] = list(self.row.left_out)
        if self.row.text is not None:
            about[TEXT_FIELD] = self.row.text
        return about | dict(self.row.fields or {})


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """What became of rows that were sent again.

    Attributes:
        slice: the slice's name.
        accepted: rows that landed now.
        duplicate: rows that had landed before, or whose event had.
        rejected: rows that still wait.
        versions: the commits in which rows landed.
        faults: the first reasons why rows still wait, by the row's name.
    """

    slice: str
    accepted: int
    duplicate: int
    rejected: int
    versions: tuple[int, ...]
    faults: Mapping[str, str]


def quarantined(parts: Parts, slice_name: str | None = None) -> list[QuarantineRecord]:
    """The batches with rejected rows, of one slice or of all, with what became of them.

    Raises:
        NotFoundError: there is no such slice.
    """
    if slice_name is not None:
        own_table(parts, slice_name)
    with parts.store.reader() as conn:
        if slice_name is None:
            return quarantines.quarantines(conn)
        record = slices.slice_by_name(conn, slice_name)
        return quarantines.quarantines(conn, record.id) if record else []


def page(
    parts: Parts, slice_id: int, *, limit: int, before: int | None, as_of: datetime | None
) -> list[QuarantineRecord]:
    """Some batches with rejected rows of a slice, newest first.

    Args:
        slice_id: the slice.
        limit: at most so many.
        before: only commits before this one.
        as_of: as it was known then.
    """
    with parts.store.reader(as_of) as conn:
        found = quarantines.quarantines(conn, slice_id)
    return [one for one in reversed(found) if before is None or one.version < before][:limit]


def rows_of(parts: Parts, slice_name: str, version: int | None = None) -> Iterator[WaitingRow]:
    """The rows of a slice that wait, batch by batch.

    Args:
        slice_name: the slice.
        version: the commit of one batch; all where nothing is said.

    Raises:
        NotFoundError: that commit rejected nothing.
        IntegrityError: a file of the quarantine is damaged.
    """
    folder = own_table(parts, slice_name).folder
    for batch in _batches(parts, slice_name, version):
        if batch.waiting:
            settled = batch.settled
            for row in read_quarantine(folder, batch.path).rows:
                if row.row not in settled:
                    yield WaitingRow(batch=batch, row=row)


def replay(
    parts: Parts,
    slice_name: str,
    mended: Path | Iterable[str] | None = None,
    *,
    version: int | None = None,
) -> Replayed:
    """Send rows in quarantine again, under the contract as it is now.

    Args:
        slice_name: the slice.
        mended: JSON lines as `WaitingRow.to_json` gives them, mended; the rows as they are where
            nothing is said.
        version: the commit of one batch; all where nothing is said.

    Raises:
        InvalidError: a line names no row in quarantine.
    """
    table = own_table(parts, slice_name)
    chosen = _as_they_are(parts, slice_name, version) if mended is None else _mended(mended)
    accepted = duplicate = rejected = 0
    versions: list[int] = []
    faults: dict[str, str] = {}
    for number, rows in sorted(chosen.items()):
        (batch,) = _batches(parts, slice_name, number)
        landed = _Replay(parts, table, batch, rows).run()
        versions += landed.versions
        faults |= landed.faults
        accepted += landed.accepted
        duplicate += landed.duplicate
        rejected += landed.rejected
    _sweep(parts, table)
    return Replayed(
        slice=slice_name,
        accepted=accepted,
        duplicate=duplicate,
        rejected=rejected,
        versions=tuple(versions),
        faults=faults,
    )


def drop(parts: Parts, slice_name: str, keys: Sequence[str] | None = None, *, reason: str) -> int:
    """Give rows in quarantine up; their file goes with the last row of their batch.

    Args:
        slice_name: the slice.
        keys: the rows' names; all that wait where nothing is said.
        reason: why; it goes into the audit log.

    Returns:
        How many rows waited and wait no more.
    """
    table = own_table(parts, slice_name)
    chosen = None if keys is None else _numbers(keys)
    for number in chosen or ():
        _batches(parts, slice_name, number)
    dropped = 0
    with parts.unit("quarantine.drop", f"slice:{slice_name}", reason=reason) as unit:
        record = slices.slice_by_name(unit.connection, slice_name)
        for batch in quarantines.quarantines(unit.connection, record.id) if record else []:
            waiting = set(_row_numbers(table, batch)) - batch.settled if batch.waiting else set()
            rows = waiting if chosen is None else waiting & chosen.get(batch.version, set())
            if rows:
                ranges = to_ranges(rows)
                quarantines.end(unit, batch.id, ranges, outcome=DROPPED, version=None)
                dropped += len(rows)
        unit.note(rows=dropped)
    _sweep(parts, table)
    return dropped


def _row_numbers(table: SliceTable, batch: QuarantineRecord) -> list[int]:
    return [row.row for row in read_quarantine(table.folder, batch.path).rows]


def _batches(parts: Parts, slice_name: str, version: int | None) -> list[QuarantineRecord]:
    found = quarantined(parts, slice_name)
    if version is None:
        return found
    chosen = [batch for batch in found if batch.version == version]
    if not chosen:
        raise NotFoundError(
            f"{slice_name}@{version} put no row into quarantine",
            hint=f"see `backstory quarantine list {slice_name}`",
        )
    return chosen


class _Replay:
    """Rows of one batch on their way back."""

    def __init__(
        self, parts: Parts, table: SliceTable, batch: QuarantineRecord, rows: _Chosen
    ) -> None:
        self.accepted = self.duplicate = self.rejected = 0
        self.versions: list[int] = []
        self.faults: dict[str, str] = {}
        self._parts = parts
        self._table = table
        self._batch = batch
        self._rows = rows
        self._source = f"quarantine:{batch.version}"

    def run(self) -> "_Replay":
        """Send rows until each of them has landed, by us or by somebody else, or still waits."""
        self._check_known()
        mine: set[int] = set()
        for _ in range(REPLAY_ATTEMPTS):
            waiting, last = self._look()
            numbers = sorted(waiting & self._rows.keys())
            good, batch = self._judge(numbers)
            if not good:
                self.rejected = len(numbers)
                self.duplicate += len(self._rows) - len(numbers) - len(mine)
                return self
            if self._append(batch, good, last + 1):
                mine.update(good)
        raise UnavailableError(f"{self._table.name}: others replay the same rows", hint="try again")

    def _check_known(self) -> None:
        unknown = self._rows.keys() - self._batch.settled
        if unknown and self._batch.waiting:
            unknown -= set(_row_numbers(self._table, self._batch))
        if unknown:
            raise InvalidError(
                f"{self._batch.version}:{min(unknown)} is no row in quarantine",
                hint=f"see `backstory quarantine show {self._table.name}`",
            )

    def _look(self) -> tuple[set[int], int]:
        """The numbers that wait, and how often rows of this batch were sent again: of one time."""
        register_commits(self._parts, self._table.name)
        with self._parts.store.reader() as conn:
            record = slices.slice_by_name(conn, self._table.name)
            slice_id = record.id if record else 0
            last = slices.last_offset(conn, slice_id, self._source)
            found = quarantines.quarantines(conn, slice_id)
        now = next(batch for batch in found if batch.id == self._batch.id)
        return self._rows.keys() - now.settled, last

    def _judge(self, waiting: Sequence[int]) -> tuple[list[int], Batch]:
        """The numbers of rows that fit now, and those rows."""
        left_out = {n: self._rows[n][LEFT_OUT_FIELD] for n in waiting if self._lacks(n)}
        numbers = [number for number in waiting if number not in left_out]
        lenient = replace(self._table.contract, max_rejected_share=1.0)
        rejections = Rejections(lenient, strict=False)
        lines = [_without_ours(self._rows[number]) for number in numbers]
        typed = read_jsonl(io.BytesIO("\n".join(lines).encode()), lenient, rejections=rejections)
        batch = judge(
            typed,
            lenient,
            self._parts.key,
            rejections,
            at=self._parts.clock(),
            hidden=self._pseudonyms(numbers),
        )
        faults = {numbers[row.row - 1]: _told(row.faults[0]) for row in batch.rejected}
        told = {n: f"left out: {', '.join(map(str, names))}" for n, names in left_out.items()}
        self.faults = {f"{self._batch.version}:{n}": one for n, one in (told | faults).items()}
        return [n for n in numbers if n not in faults], Batch(rows=batch.rows)

    def _lacks(self, number: int) -> bool:
        """Whether what was left out of a row is said to be missing still."""
        return isinstance(self._rows[number].get(LEFT_OUT_FIELD), list)

    def _pseudonyms(self, numbers: Sequence[int]) -> dict[str, bool]:
        """The subjects of rows that are hidden already, and whether there was no fault in them.

        Another subject that is given is not hidden.
        """
        column = self._table.contract.column_with(Role.SUBJECT)
        if column is None or not numbers:
            return {}
        kept = read_quarantine(self._table.folder, self._batch.path).rows
        found = (((row.fields or {}).get(column.name), row.faults) for row in kept)
        return {
            subject: column.name not in {fault.column for fault in faults}
            for subject, faults in found
            if subject is not None
        }

    def _append(self, batch: Batch, numbers: Sequence[int], offset: int) -> bool:
        """Whether these rows landed by us: somebody else may have sent some in the meantime."""
        try:
            receipt = self._table.append(
                batch,
                source=self._source,
                offset=offset,
                at=self._parts.clock(),
                info=with_actor(self._parts, {}),
                new_id=self._parts.new_id,
                replayed={self._batch.path: to_ranges(numbers)},
            )
        except OffsetConflict:
            return False
        if receipt.outcome != "accepted":
            return False
        self.accepted += receipt.accepted
        self.duplicate += receipt.duplicate
        if receipt.version is not None:
            self.versions.append(receipt.version)
        return True


def _told(fault: Rejection) -> str:
    return str(replace(fault, row=None)).removeprefix("batch: ")


def _without_ours(fields: Mapping[str, Any]) -> str:
    return json.dumps({n: v for n, v in fields.items() if n not in _OWN_FIELDS})


def _as_they_are(parts: Parts, name: str, version: int | None) -> dict[int, dict[int, Any]]:
    chosen: dict[int, dict[int, Any]] = {}
    for waiting in rows_of(parts, name, version):
        chosen.setdefault(waiting.batch.version, {})[waiting.row.row] = waiting.to_json()
    return chosen


def _mended(lines: Path | Iterable[str]) -> dict[int, dict[int, Any]]:
    chosen: dict[int, dict[int, Any]] = {}
    for place, line in enumerate(_lines(lines), start=1):
        if not line.strip():
            continue
        try:
            fields = json.loads(line)
        except (ValueError, RecursionError) as exc:
            raise InvalidError(
                f"line {place} is no JSON object", hint="mend it, as `quarantine export` wrote it"
            ) from exc
        key = fields.get(KEY_FIELD) if isinstance(fields, dict) else None
        if not isinstance(key, str):
            raise InvalidError(
                f"line {place} names no row in quarantine",
                hint=f"keep the field {KEY_FIELD} that `quarantine export` wrote",
            )
        ((version, numbers),) = _numbers([key]).items()
        chosen.setdefault(version, {})[numbers.pop()] = fields
    return chosen


def _lines(lines: Path | Iterable[str]) -> Iterable[str]:
    if not isinstance(lines, Path):
        return lines
    try:
        if lines.stat().st_size > MAX_QUARANTINE_BYTES:
            raise LimitExceededError(
                f"{lines.name} is larger than {MAX_QUARANTINE_BYTES} bytes",
                hint="replay it in parts",
            )
        return lines.read_text("utf-8").splitlines()
    except FileNotFoundError as exc:
        raise NotFoundError(f"there is no file {lines.name}", hint="check its path") from exc
    except OSError as exc:
        raise translate_os_error(exc, f"reading {lines.name}") from exc
    except UnicodeDecodeError as exc:
        raise InvalidError(f"{lines.name} is not UTF-8 text", hint="write it as UTF-8") from exc


def _numbers(keys: Iterable[str]) -> dict[int, set[int]]:
    """Row numbers by the commit of their batch."""
    found: dict[int, set[int]] = {}
    for key in keys:
        version, _, row = key.partition(":")
        if not (version.isascii() and version.isdigit() and row.isascii() and row.isdigit()):
            raise InvalidError(
                f"{key[:40]!r} names no row in quarantine", hint="write COMMIT:ROW, such as 58:3"
            )
        found.setdefault(int(version), set()).add(int(row))
    return found


def _sweep(parts: Parts, table: SliceTable) -> None:
    """Remove the files of which no row waits, and those of attempts that died."""
    found = quarantined(parts, table.name)
    settled = {batch.path for batch in found if not batch.waiting}
    list(sweep(table.folder, settled=settled, known={batch.path for batch in found}))
