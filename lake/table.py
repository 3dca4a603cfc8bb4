"""A slice as a Delta table, and the protocol by which batches get into it exactly once.

Keeps true: a batch of a source is in the table once or not at all, whoever dies or races; offsets
of a source strictly increase; an acknowledged batch survives a power cut. The Delta log decides:
each commit carries its source as an application transaction, checked and written on one handle, so
of two rivals one is refused and decides again from what the log then says. The outcome of an append
is always read back from the log, never inferred from a call that returned.

A data file whose commit did not happen is an orphan: no version lists it and nothing reads it.
This module appends and creates; it never rewrites, optimizes or vacuums.

    table = SliceTable.create(root, contract, at=now)
    receipt = table.append(rows, source="app", offset=42, at=now, new_id=new_id)
"""

import logging
import tempfile
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, PostCommitHookProperties, Transaction
from deltalake.exceptions import CommitFailedError, DeltaError
from deltalake.transaction import AddAction

from backstory.lake.checkpoints import add_checkpoint
from backstory.lake.commits import (
    COMMIT_KEY,
    LOG_FOLDER,
    AppendRecord,
    find_append,
    latest_version,
)
from backstory.lake.contract import SYSTEM_COLUMNS, Contract
from backstory.lake.crash import crashpoint
from backstory.lake.delta import (
    CHECKPOINT_INTERVAL,
    create_delta,
    not_now,
    open_for_append,
    sync_log,
)
from backstory.lake.errors import (
    BackstoryError,
    ConflictError,
    GoneError,
    IntegrityError,
    InvalidError,
    NotFoundError,
    OffsetConflict,
)
from backstory.lake.files import (
    TEMPORARY_PREFIX,
    DataFile,
    make_folder,
    sync_folder,
    write_data_file,
    write_durably,
)
from backstory.lake.location import folder_of, translate_os_error
from backstory.lake.rows import batch_digest
from backstory.lake.versions import delta_damage

CONTRACT_FOLDER = "_contract"
MAX_SOURCE_CHARS = 200
MAX_OFFSET = 2**63 - 1
MAX_REBASES = 100  # over appends of other sources, inside delta-rs
MAX_ATTEMPTS = 20  # against rivals of the same source, each decided anew
RESERVED_SOURCES = "lake."  # application transactions that are not sources, such as lake.mutate

_HOOKS = PostCommitHookProperties(create_checkpoint=False, cleanup_expired_logs=False)
_log = logging.getLogger(__name__)
_NOTHING: Mapping[str, Any] = MappingProxyType({})


class Outcome(StrEnum):
    """What became of a batch."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    EMPTY = "empty"


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """The outcome of an append.

    Attributes:
        slice: the table's name.
        outcome: whether the rows are new; empty where there was no row and no offset to record.
        accepted: rows that this append added.
        duplicate: rows that were there already.
        rejected: rows that were refused.
        version: the Delta version that holds the batch; None where there was nothing to commit.
        contract_version: the contract that the stored rows passed; None likewise.
        source: who sent the batch.
        offset: end position of the batch in its source.
    """

    slice: str
    outcome: Outcome
    accepted: int
    duplicate: int
    rejected: int
    version: int | None
    contract_version: int | None
    source: str
    offset: int


class SliceTable:
    """One slice of the lake; safe to share between threads.

    Attributes:
        name: the slice's name.
        folder: where the table lies.
        contract: what its rows promise.
    """

    def __init__(self, folder: Path, contract: Contract) -> None:
        self.name = contract.slice
        self.folder = folder
        self.contract = contract
        self._lock = threading.Lock()  # guards the handle: a check and its commit belong together
        self._delta: DeltaTable | None = None
        self._opened_at = 0
        self._synced = -1  # what an append has just synced is not synced again to be registered

    @classmethod
    def create(
        cls, root: Path, contract: Contract, *, at: datetime, table_id: str | None = None
    ) -> "SliceTable":
        """Make a table: all of it or nothing, since it is built aside and renamed into place.

        Raises:
            ConflictError: the slice exists.
            IntegrityError: Delta did not keep the settings that keep history alive.
            UnavailableError: disk full, no permission.
        """
        folder = root / folder_of(contract.slice)
        try:
            make_folder(root)
            with tempfile.TemporaryDirectory(dir=root, prefix=TEMPORARY_PREFIX) as aside:
                table = Path(aside) / folder.name
                _write_contract(table, contract)
                create_delta(table, contract, at=at, table_id=table_id)
                sync_folder(table)
                crashpoint("slice.built")
                table.rename(folder)  # refused where a table is
            sync_folder(root)
        except (OSError, DeltaError) as exc:
            if folder.exists():
                raise ConflictError(
                    f"slice {contract.slice} exists already", hint="choose another name"
                ) from exc
            raise not_now(exc, f"creating {contract.slice}") from exc
        crashpoint("slice.created")
        return cls(folder, contract)

    @classmethod
    def open(cls, root: Path, name: str) -> "SliceTable":
        """Open an existing table; one whose log is gone too, because its pins need none.

        Raises:
            NotFoundError: there is none of that name.
            IntegrityError: its contract is missing or belongs to another table.
        """
        folder = root / folder_of(name)
        if not any((folder / part).is_dir() for part in (LOG_FOLDER, CONTRACT_FOLDER)):
            raise NotFoundError(f"there is no slice {name}", hint="see `backstory slices`")
        return cls(folder, _read_contract(folder, name))

    @property
    def uri(self) -> str:
        """The table's address."""
        return str(self.folder)

    @property
    def table_id(self) -> str:
        """Delta's id of the table, which stays when it moves."""
        with self._lock:
            return str(self._handle().metadata().id)

    @property
    def version(self) -> int:
        """The newest version."""
        self.check_log()
        return latest_version(self.folder)

    def check_log(self) -> None:
        """Look whether the Delta log is there, without which only pinned versions can be read.

        Raises:
            GoneError: it is not.
        """
        if not (self.folder / LOG_FOLDER).is_dir():
            raise GoneError(
                f"{self.name}: its Delta log is gone: {self.folder / LOG_FOLDER}",
                hint="restore that folder from a backup; `backstory verify` names all damage",
            )

    def append(
        self,
        rows: pa.Table,
        *,
        source: str,
        offset: int,
        at: datetime,
        after: int | None = None,
        info: Mapping[str, Any] = _NOTHING,
        new_id: Callable[[], str],
    ) -> Receipt:
        """Append rows that passed the gate, exactly once.

        Args:
            rows: what `pass_gate` returned for this table's contract.
            source: who sends; one writer at a time, enforced by the log.
            offset: end position of the batch in its source, strictly increasing.
            at: the time of the commit and of its rows' `_ingested_at`.
            after: where the source must stand now, if that matters; -1 before its first batch.
            info: what else to record with the commit, as JSON values.
            new_id: makes UUIDv7 text, for the data file and the attempt.

        Returns:
            The receipt; `DUPLICATE` when the log holds this very batch at this offset.

        Raises:
            OffsetConflict: the offset is not behind the source's last, and not a repetition; or the
                source stands elsewhere than it must.
            InvalidError: rows, source, offset or time are not of the right kind.
            UnavailableError: disk full, no permission, or too many rivals; send the batch again.
        """
        _check(rows, self.contract, source, offset, at)
        attempt = new_id()
        with self._lock:
            is_known = offset <= self._seen(source)
        digest, file = (
            (batch_digest(rows), None)
            if is_known or rows.num_rows == 0
            else self._write(rows, _stored(rows, self.contract, source, offset, at), attempt)
        )
        record = AppendRecord(
            attempt=attempt,
            source=source,
            offset=offset,
            batch=digest,
            rows=rows.num_rows,
            contract_version=self.contract.version,
            at=at,
            info=info,
        )
        with self._lock:
            return self._commit(record, file, after)

    def last_offset(self, source: str) -> int:
        """Where a source stands as of now, by the log; -1 before its first batch."""
        with self._lock:
            return self._last(source)

    def sync_commits(self, versions: Iterable[int]) -> None:
        """Have commits survive a power cut, whoever made them: he may not have come as far.

        Raises:
            UnavailableError: the disk failed.
        """
        if unsure := [version for version in versions if version != self._synced]:
            sync_log(self.folder, *unsure)

    def _write(self, rows: pa.Table, stored: pa.Table, attempt: str) -> tuple[str, DataFile]:
        """Digest the batch and write its file side by side: hashlib and pyarrow drop the GIL."""
        with ThreadPoolExecutor(max_workers=1) as pool:
            digest = pool.submit(batch_digest, rows)
            file = write_data_file(stored, self.folder, self.contract, file_id=attempt)
            return digest.result(), file

    def _commit(self, record: AppendRecord, file: DataFile | None, after: int | None) -> Receipt:
        """Try to commit until the log holds the source's offset, by us or by somebody else."""
        attempts = 0
        while True:
            last = self._last(record.source)
            if record.offset <= last:
                return self._outcome(record, file, last)
            if after not in {None, last}:
                self._discard(file)
                raise OffsetConflict(source=record.source, offset=record.offset, last=last)
            attempts += 1
            try:
                self._try(record, file)
            except (DeltaError, OSError) as exc:
                self._delta = None  # it may lag behind what just happened
                may_try_again = isinstance(exc, CommitFailedError) and attempts < MAX_ATTEMPTS
                if not may_try_again and record.offset > self._last(record.source):
                    self._discard(file)
                    what = f"appending {record.source}@{record.offset} to {self.name}"
                    raise not_now(exc, what) from exc
            else:
                return self._outcome(record, file, record.offset)

    def _outcome(self, record: AppendRecord, file: DataFile | None, last: int) -> Receipt:
        """What the log says about the source's offset, made to survive a power cut."""
        head = latest_version(self.folder, after=self._handle().version())
        found = find_append(self.folder, source=record.source, offset=record.offset, head=head)
        is_ours = found is not None and found.attempt == record.attempt
        if not is_ours:
            self._discard(file)
        if found is None or found.batch != record.batch:
            raise OffsetConflict(source=record.source, offset=record.offset, last=last)
        sync_log(self.folder, found.version)
        self._synced = found.version
        if is_ours and (found.version + 1) % CHECKPOINT_INTERVAL == 0:
            self._add_checkpoint(found.version)
        return Receipt(
            slice=self.name,
            outcome=Outcome.ACCEPTED if is_ours else Outcome.DUPLICATE,
            accepted=record.rows if is_ours else 0,
            duplicate=0 if is_ours else record.rows,
            rejected=0,
            version=found.version,
            contract_version=found.contract_version,
            source=record.source,
            offset=record.offset,
        )

    def _try(self, record: AppendRecord, file: DataFile | None) -> None:
        """One attempt to commit, on the handle that `_last` looked at."""
        crashpoint("commit.before")
        self._handle().create_write_transaction(
            [_add_action(file, record.at)] if file else [],
            "append",
            self._handle().schema(),
            commit_properties=_properties(record),
            post_commithook_properties=_HOOKS,
        )
        crashpoint("commit.after")

    def _add_checkpoint(self, version: int) -> None:
        """Shorten what the next handle reads; the commit stands without it."""
        try:
            add_checkpoint(self.folder, version, name=self.name)
        except BackstoryError as exc:
            _log.warning("%s has no checkpoint at version %s: %s", self.name, version, exc.message)

    def _discard(self, file: DataFile | None) -> None:
        """Remove a file of which the log shows that no version lists it."""
        if file:
            (self.folder / file.path).unlink(missing_ok=True)

    def _last(self, source: str) -> int:
        """The source's last offset as of now; -1 before its first."""
        handle = self._handle()
        if handle.version() - self._opened_at >= CHECKPOINT_INTERVAL:
            self._delta = None  # a handle that never reopens never profits from checkpoints
        else:
            try:
                with delta_damage(self.name):
                    handle.update_incremental()
            except (IntegrityError, OSError):
                self._delta = None  # opening it anew says what is wrong, if something still is
        return self._seen(source)

    def _seen(self, source: str) -> int:
        """The source's last offset when the log was last looked at; offsets only grow."""
        last = self._handle().transaction_version(source)
        return -1 if last is None else last

    def _handle(self) -> DeltaTable:
        if self._delta is None:
            self.check_log()
            self._delta = open_for_append(self.folder, self.contract)
            self._opened_at = self._delta.version()
        return self._delta


def _write_contract(folder: Path, contract: Contract) -> None:
    path = folder / CONTRACT_FOLDER / f"v{contract.version}.json"
    path.parent.mkdir(parents=True)
    write_durably(path, contract.to_json().encode())


def newest_contract(folder: Path) -> Path | None:
    """The file of a table's newest contract."""
    versions = [
        int(path.stem[1:])
        for path in (folder / CONTRACT_FOLDER).glob("v*.json")
        if path.stem[1:].isdigit()
    ]
    return folder / CONTRACT_FOLDER / f"v{max(versions)}.json" if versions else None


def _read_contract(folder: Path, name: str) -> Contract:
    """The newest contract of a table."""
    path = newest_contract(folder)
    if path is None:
        raise IntegrityError(f"{name}: its contract is missing")
    try:
        contract = Contract.from_json(path.read_text(encoding="utf-8"))
    except (InvalidError, UnicodeDecodeError) as exc:
        raise IntegrityError(
            f"{name}: contract {path.name} is not what was written: {exc}"
        ) from exc
    except OSError as exc:
        raise translate_os_error(exc, f"reading the contract of {name}") from exc
    if contract.slice != name:
        raise IntegrityError(f"{name}: {path.name} is the contract of {contract.slice}")
    return contract


def _check(rows: pa.Table, contract: Contract, source: str, offset: int, at: datetime) -> None:
    if [(f.name, f.type) for f in rows.schema] != [(f.name, f.type) for f in contract.schema]:
        raise InvalidError(
            f"{contract.slice}: rows did not pass the gate of its contract",
            hint="pass them through pass_gate first",
        )
    if not 0 < len(source) <= MAX_SOURCE_CHARS or not source.isprintable():
        raise InvalidError(
            f"source {source[:40]!r} is no name: 1 to {MAX_SOURCE_CHARS} characters",
            hint="choose a short, printable one, for example app",
        )
    if source.startswith(RESERVED_SOURCES):
        raise InvalidError(f"source {source!r} is reserved", hint="choose another name")
    if not 0 <= offset <= MAX_OFFSET:
        raise InvalidError(
            f"source {source!r}: offset {offset} is not between 0 and {MAX_OFFSET}",
            hint="give the end position of the batch in its source",
        )
    if at.tzinfo is None:
        raise InvalidError(f"time {at.isoformat()} has no offset", hint="give it in UTC")


def _stored(rows: pa.Table, contract: Contract, source: str, offset: int, at: datetime) -> pa.Table:
    """The rows with the system columns behind them."""
    schema = contract.stored_schema
    values = {"_source": source, "_offset": offset, "_ingested_at": at}
    system = [
        pa.repeat(pa.scalar(values[name], schema.field(name).type), rows.num_rows)
        for name in SYSTEM_COLUMNS
    ]
    return pa.Table.from_arrays([*rows.columns, *system], schema=schema)


def _add_action(file: DataFile, at: datetime) -> AddAction:
    return AddAction(file.path, file.size, {}, int(at.timestamp() * 1000), True, file.stats_json)


def _properties(record: AppendRecord) -> CommitProperties:
    return CommitProperties(
        custom_metadata={COMMIT_KEY: record.to_json()},
        max_commit_retries=MAX_REBASES,
        app_transactions=[Transaction(record.source, record.offset)],
    )
