"""One attempt to append a batch: what it writes, and what its commit says.

What became of rows that a commit does not add stands in its `gate`, in `commitInfo`:

    duplicate    rows whose event id came before
    duplicates   how many of them each part of the batch brought, where it was joined of several
    rejected     rows in quarantine
    quarantine   their file, relative to the table
    reasons      how many of them for each reason
    warnings     how many good rows miss each expectation that only warns
    replayed     the rows of a quarantine that this batch is, as its file and row numbers
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import accumulate
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import CommitProperties, Transaction
from deltalake.transaction import AddAction, RemoveAction

from backstory.lake.batch import Batch, reasons_of
from backstory.lake.commits import COMMIT_KEY, AppendRecord
from backstory.lake.contract import SYSTEM_COLUMNS, Contract, Role
from backstory.lake.errors import InvalidError
from backstory.lake.expectations import repeated
from backstory.lake.files import DataFile

MAX_SOURCE_CHARS = 200
MAX_OFFSET = 2**63 - 1
MAX_REBASES = 100  # over appends of other sources
RESERVED_SOURCES = "lake."  # application transactions that are not sources, such as lake.mutate


@dataclass(slots=True, kw_only=True)
class Attempt:
    """An attempt while it is under way.

    Attributes:
        id: UUIDv7 text, which is also in the names of its files.
        batch: what the gate gave.
        contract: the one that its rows passed.
        source: who sends it.
        offset: its end position there.
        at: the time of the commit.
        info: what else to record.
        replayed: see `gate`.
        digest: of the batch.
        rows: those that are new as far as was looked.
        looked_at: the version up to which earlier events were looked at; -1 for none.
        file: the data file, where there are rows to add.
        quarantine: the file of the rejected rows, where there are any.
    """

    id: str
    batch: Batch
    contract: Contract
    source: str
    offset: int
    at: datetime
    info: Mapping[str, Any]
    rows: pa.Table
    looked_at: int = -1
    replayed: Mapping[str, str] | None = None
    digest: str = ""
    file: DataFile | None = None
    quarantine: str | None = None

    def record(self) -> AppendRecord:
        """What the commit says of itself."""
        return AppendRecord(
            attempt=self.id,
            source=self.source,
            offset=self.offset,
            batch=self.digest,
            rows=self.rows.num_rows,
            contract_version=self.contract.version,
            at=self.at,
            info=self.info,
            gate=self._gate(),
        )

    def _gate(self) -> dict[str, Any]:
        rejected = self.batch.rejected
        said = {
            "duplicate": self.batch.rows.num_rows - self.rows.num_rows,
            "duplicates": self._duplicates_by_run(),
            "rejected": len(rejected),
            "quarantine": self.quarantine,
            "reasons": reasons_of(rejected),
            "warnings": dict(self.batch.warnings),
            "replayed": self.replayed,
        }
        return {name: value for name, value in said.items() if value}

    def _duplicates_by_run(self) -> list[int]:
        """How many rows of each run are not added; empty where none is, or there are no runs."""
        column = self.contract.column_with(Role.EVENT_ID)
        if not column or not self.batch.runs or self.rows.num_rows == self.batch.rows.num_rows:
            return []
        given, kept = (rows.column(column.name) for rows in (self.batch.rows, self.rows))
        came_before = pc.invert(pc.is_in(given, value_set=kept.combine_chunks()))
        left_out = pc.and_(pc.or_(came_before, repeated(given)), pc.is_valid(given))
        starts = [0, *accumulate(self.batch.runs)]
        return [
            pc.sum(left_out.slice(start, length)).as_py() or 0
            for start, length in zip(starts, self.batch.runs, strict=False)
        ]

    def actions(self) -> list[AddAction | RemoveAction]:
        """What the commit adds."""
        if self.file is None:
            return []
        at = int(self.at.timestamp() * 1000)
        return [AddAction(self.file.path, self.file.size, {}, at, True, self.file.stats_json)]

    def properties(self, *, may_rebase: bool) -> CommitProperties:
        """How it is committed.

        Args:
            may_rebase: whether others may append between the handle's version and this commit.
        """
        return CommitProperties(
            custom_metadata={COMMIT_KEY: self.record().to_json()},
            max_commit_retries=MAX_REBASES if may_rebase else 0,
            app_transactions=[Transaction(self.source, self.offset)],
        )

    def stored(self) -> pa.Table:
        """The new rows with the system columns behind them."""
        schema = self.contract.stored_schema
        values = {"_source": self.source, "_offset": self.offset, "_ingested_at": self.at}
        system = [
            pa.repeat(pa.scalar(values[name], schema.field(name).type), self.rows.num_rows)
            for name in SYSTEM_COLUMNS
        ]
        return pa.Table.from_arrays([*self.rows.columns, *system], schema=schema)


def check_append(source: str, offset: int, at: datetime) -> None:
    """Refuse a source, an offset or a time of the wrong kind.

    Raises:
        InvalidError: one is.
    """
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
