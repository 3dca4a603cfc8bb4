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
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pyarrow as pa
from deltalake import DeltaTable, PostCommitHookProperties
from deltalake.exceptions import CommitFailedError, DeltaError

from backstory.lake.attempt import MAX_REBASES, Attempt, check_append
from backstory.lake.batch import Batch
from backstory.lake.checkpoints import add_checkpoint
from backstory.lake.commits import (
    LOG_FOLDER,
    find_append,
    latest_version,
    log_entry,
)
from backstory.lake.contract import Contract
from backstory.lake.contract_commit import bring_under, contract_version_of
from backstory.lake.contract_files import (
    CONTRACT_FOLDER,
    contract_file,
    other_contracts,
    read_contract,
    write_first,
)
from backstory.lake.crash import crashpoint
from backstory.lake.delta import (
    CHECKPOINT_INTERVAL,
    check_settings,
    create_delta,
    not_now,
    place_table,
    sync_log,
)
from backstory.lake.derived import discard, write_with_derived
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
    make_folder,
    sync_folder,
)
from backstory.lake.location import folder_of
from backstory.lake.messages import cause_of
from backstory.lake.object_path import is_object
from backstory.lake.profiles import SharedEdges
from backstory.lake.quarantine import write_quarantine
from backstory.lake.receipt import Outcome, Receipt
from backstory.lake.recent_events import RecentEvents
from backstory.lake.subject_index import join_sets
from backstory.lake.versions import delta_damage, open_delta
from backstory.lake.writers import writing

MAX_ATTEMPTS = 20  # against rivals of the same source, each decided anew

_HOOKS = PostCommitHookProperties(create_checkpoint=False, cleanup_expired_logs=False)
_log = logging.getLogger(__name__)
_NOTHING: Mapping[str, Any] = MappingProxyType({})


class SliceTable:
    """One slice of the lake; safe to share between threads.

    Attributes:
        name: the slice's name.
        folder: where the table lies.
        contract: what its rows promise: the newest that this process knows.
    """

    def __init__(self, folder: Path, contract: Contract) -> None:
        self.name = contract.slice
        self.folder = folder
        self.contract = contract
        self._lock = threading.Lock()  # guards the handle: a check and its commit belong together
        self._delta: DeltaTable | None = None
        self._opened_at = 0
        self._under = 0  # the version of the contract that Delta was under when it was opened
        self._events = RecentEvents(folder, contract)
        self._edges = SharedEdges(folder)
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
        beside = None if is_object(root) else root
        try:
            make_folder(root)
            with tempfile.TemporaryDirectory(dir=beside, prefix=TEMPORARY_PREFIX) as aside:
                table = Path(aside) / folder.name
                write_first(table, contract)
                create_delta(table, contract, at=at, table_id=table_id)
                sync_folder(table)
                crashpoint("slice.built")
                place_table(table, folder)
            sync_folder(root)
        except (OSError, DeltaError) as exc:
            if folder.exists():
                raise ConflictError(
                    f"slice {contract.slice} exists already", hint="choose another name"
                ) from exc
            raise not_now(exc, f"creating {contract.slice}") from cause_of(exc)
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
        return cls(folder, read_contract(folder, name))

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
        rows: pa.Table | Batch,
        *,
        source: str,
        offset: int,
        at: datetime,
        after: int | None = None,
        info: Mapping[str, Any] = _NOTHING,
        new_id: Callable[[], str],
        replayed: Mapping[str, str] | None = None,
    ) -> Receipt:
        """Append rows that passed the gate, exactly once, and put the others into quarantine.

        Rows whose event id came before, in this batch or lately, are counted and not added.

        Args:
            rows: what `pass_gate` or `judge` returned for a contract of this table.
            source: who sends; one writer at a time, enforced by the log.
            offset: end position of the batch in its source, strictly increasing.
            at: the time of the commit and of its rows' `_ingested_at`.
            after: where the source must stand now, if that matters; -1 before its first batch.
            info: what else to record with the commit, as JSON values.
            new_id: makes UUIDv7 text, for the data file and the attempt.
            replayed: the quarantined rows that these are; see `attempt`.

        Returns:
            The receipt; `DUPLICATE` when the log holds this very batch at this offset.

        Raises:
            OffsetConflict: the offset is not behind the source's last, and not a repetition; or
                that is not where it must stand.
            InvalidError: rows, source, offset or time are not of the right kind.
            UnavailableError: disk full, no permission, or too many rivals; send the batch again.
        """
        batch = Batch.of(rows)
        contract = self._passed(batch.rows)
        check_append(source, offset, at)
        with self._lock:
            is_known = offset <= self._last(source)
            if contract.version > self._under:
                self._come_under(contract, at=at, info=info)
        attempt = Attempt(
            id=new_id(),
            batch=batch,
            contract=contract,
            source=source,
            offset=offset,
            at=at,
            info=info,
            rows=batch.rows,
            replayed=replayed,
        )
        with ThreadPoolExecutor(max_workers=1) as pool:  # hashlib and pyarrow drop the GIL
            digest = pool.submit(batch.digested)
            if not is_known:
                self._write(attempt)
            attempt.digest = digest.result()
        with self._lock:
            return self._commit(attempt, after)

    def last_offset(self, source: str) -> int:
        """Where a source stands as of now, by the log; -1 before its first batch."""
        with self._lock:
            return self._last(source)

    def refresh(self) -> Contract:
        """The newest contract, whoever wrote it; one look at the folder where it is known.

        Raises:
            IntegrityError: it is damaged.
        """
        if contract_file(self.folder, self.contract.version + 1).exists():
            self.contract = read_contract(self.folder, self.name)
            self._events = RecentEvents(self.folder, self.contract)
        return self.contract

    def settle(self, *, at: datetime, info: Mapping[str, Any] = _NOTHING) -> int | None:
        """Bring the Delta table under its newest contract, where a crash came between.

        Returns:
            The Delta version that did; None where there was nothing to do.
        """
        contract = self.refresh()
        with self._lock:
            self._handle()
            if contract.version > self._under:
                return self._come_under(contract, at=at, info=info)
        return None

    def digests(self, rows: pa.Table | Batch) -> list[str]:
        """The digest of a batch, then those that it had or would have under other contracts."""
        batch = Batch.of(rows)
        contract = self.refresh()
        known = [contract, *other_contracts(self.folder, contract)] if contract.version > 1 else []
        return [batch.digested(), *batch.digests_under(known)]

    def sync_commits(self, versions: Iterable[int]) -> None:
        """Have commits survive a power cut, whoever made them: he may not have come as far.

        Raises:
            UnavailableError: the disk failed.
        """
        if unsure := [version for version in versions if version != self._synced]:
            sync_log(self.folder, *unsure)

    def _passed(self, rows: pa.Table) -> Contract:
        """The contract that rows have passed; between gate and append it may have changed."""
        if _has_schema(rows, self.contract):
            return self.contract
        for contract in other_contracts(self.folder, self.contract):
            if _has_schema(rows, contract):
                return contract
        raise InvalidError(
            f"{self.name}: rows did not pass the gate of its contract",
            hint="pass them through pass_gate first",
        )

    def _come_under(
        self, contract: Contract, *, at: datetime, info: Mapping[str, Any]
    ) -> int | None:
        version = bring_under(self.folder, contract, at=at, info=info)
        crashpoint("contract.committed")
        self._delta = None
        self._handle()
        return version

    def _write(self, attempt: Attempt) -> None:
        """Write what the commit will name, without rows whose event came before."""
        with self._lock:
            attempt.looked_at = self._events.follow(self._handle())
            attempt.rows = self._events.fresh(attempt.rows)
        if attempt.batch.rejected:
            attempt.quarantine = write_quarantine(
                self.folder, attempt.batch, attempt.contract, attempt=attempt.id
            )
        try:
            self._write_rows(attempt)
        except BackstoryError:
            self._discard(attempt)
            raise

    def _write_rows(self, attempt: Attempt) -> None:
        attempt.file = None
        if not attempt.rows.num_rows:
            return
        attempt.file = write_with_derived(
            attempt.stored(),
            self.folder,
            attempt.contract,
            file_id=attempt.id,
            edges=self._edges,
            version=attempt.looked_at,
        )

    def _commit(self, attempt: Attempt, after: int | None) -> Receipt:
        """Try to commit until the log holds the source's offset, by us or by somebody else."""
        attempts = 0
        while True:
            last = self._last(attempt.source)
            if attempt.offset <= last:
                return self._outcome(attempt, last)
            if after not in {None, last}:
                self._discard(attempt)
                raise OffsetConflict(source=attempt.source, offset=attempt.offset, last=last)
            attempts += 1
            self._look_again(attempt)
            try:
                self._try(attempt)
            except (DeltaError, OSError) as exc:
                self._delta = None  # it may lag behind what just happened
                most = MAX_ATTEMPTS if self._may_rebase(attempt) else MAX_REBASES
                may_try_again = isinstance(exc, CommitFailedError) and attempts < most
                if not may_try_again and attempt.offset > self._last(attempt.source):
                    self._discard(attempt)
                    what = f"appending {attempt.source}@{attempt.offset} to {self.name}"
                    raise not_now(exc, what) from cause_of(exc)
            else:
                return self._outcome(attempt, attempt.offset)

    def _look_again(self, attempt: Attempt) -> None:
        """Leave out rows whose event came meanwhile, on the handle that the commit will use."""
        looked_at = self._events.follow(self._handle())
        if looked_at == attempt.looked_at:
            return
        fresh = self._events.fresh(attempt.rows)
        attempt.looked_at = looked_at
        if fresh.num_rows != attempt.rows.num_rows:
            self._discard_rows(attempt)
            attempt.rows = fresh
            self._write_rows(attempt)

    def _may_rebase(self, attempt: Attempt) -> bool:
        """Whether a commit may pass over others' appends: not where their events count."""
        return not self._events.window or attempt.file is None

    def _outcome(self, attempt: Attempt, last: int) -> Receipt:
        """What the log says about the source's offset, made to survive a power cut."""
        head = latest_version(self.folder, after=self._handle().version())
        found = find_append(self.folder, source=attempt.source, offset=attempt.offset, head=head)
        is_ours = found is not None and found.attempt == attempt.id
        if not is_ours:
            self._discard(attempt)
        if found is None or not (
            found.batch == attempt.digest or found.batch in self.digests(attempt.batch)
        ):
            raise OffsetConflict(source=attempt.source, offset=attempt.offset, last=last)
        sync_log(self.folder, found.version)
        self._synced = found.version
        if is_ours and (found.version + 1) % CHECKPOINT_INTERVAL == 0:
            self._add_checkpoint(found.version)
        accepted = attempt.rows.num_rows if is_ours else 0
        if is_ours:
            self._join_sets()
        return Receipt(
            slice=self.name,
            outcome=Outcome.ACCEPTED if is_ours else Outcome.DUPLICATE,
            accepted=accepted,
            duplicate=attempt.batch.rows.num_rows - accepted,
            rejected=len(attempt.batch.rejected),
            version=found.version,
            contract_version=found.contract_version,
            source=attempt.source,
            offset=attempt.offset,
            warnings=attempt.batch.warnings,
        )

    def _try(self, attempt: Attempt) -> None:
        """One attempt to commit, on the handle that `_last` looked at."""
        crashpoint("commit.before")
        with writing(self.folder):
            if attempt.file:  # who slept for days may find it collected
                (self.folder / attempt.file.path).stat()
                self._events.committing(attempt.file.path, attempt.rows)
            self._handle().create_write_transaction(
                attempt.actions(),
                "append",
                self._handle().schema(),
                commit_properties=attempt.properties(may_rebase=self._may_rebase(attempt)),
                post_commithook_properties=_HOOKS,
            )
        crashpoint("commit.after")

    def _add_checkpoint(self, version: int) -> None:
        """Shorten what the next handle reads; the commit stands without it."""
        try:
            add_checkpoint(self.folder, version, name=self.name)
        except BackstoryError as exc:
            _log.warning("%s has no checkpoint at version %s: %s", self.name, version, exc.message)

    def _join_sets(self) -> None:
        """Shorten what the next lookup of a subject reads; the commit stands without it."""
        try:
            join_sets(self.folder)
        except BackstoryError as exc:
            _log.warning("%s: its subject index is not joined: %s", self.name, exc.message)

    def _discard(self, attempt: Attempt) -> None:
        """Remove the files of an attempt of which the log shows that no version names them."""
        self._discard_rows(attempt)
        if attempt.quarantine:
            (self.folder / attempt.quarantine).unlink(missing_ok=True)

    def _discard_rows(self, attempt: Attempt) -> None:
        if attempt.file:
            discard(self.folder, attempt.file.path)

    def _last(self, source: str) -> int:
        """The source's last offset as of now; -1 before its first."""
        handle = self._handle()
        if handle.version() - self._opened_at >= CHECKPOINT_INTERVAL:
            self._delta = None  # a handle that never reopens never profits from checkpoints
        elif log_entry(self.folder, handle.version() + 1).exists():
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
        if self._delta is None or self._is_cut(self._delta.version()):
            self.check_log()
            delta = open_delta(self.folder, name=self.name)
            self._under = contract_version_of(delta, self.folder)
            if self._under > self.contract.version:
                self.refresh()
            contract = self.contract
            if self._under < contract.version:
                contract = read_contract(self.folder, self.name, self._under)
            self._delta = check_settings(delta, contract)
            self._opened_at = self._delta.version()
        return self._delta

    def _is_cut(self, version: int) -> bool:
        """Whether the log was trimmed behind a version, as it is in folders only."""
        return not is_object(self.folder) and not log_entry(self.folder, version).exists()


def _has_schema(rows: pa.Table, contract: Contract) -> bool:
    return [(f.name, f.type) for f in rows.schema] == [(f.name, f.type) for f in contract.schema]
