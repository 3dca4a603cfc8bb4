"""Two snapshots of a slice row by row: what came, went and changed, and by what it can be told.

Rows are told apart by the column with the role event_id. Columns that a link says to name people
hold pseudonyms wherever rows leave by this module, but for the streams that Python reads: those
have what lies in the table. The rest of a slice's personal columns is masked in samples.

    with home.diff_rows("thumbs@12", "thumbs@58") as diff:
        print(diff.counts, diff.rows.by_column())
        table = diff.added.read_all()
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from backstory.lake.change_shares import ChangeShares, ColumnShare, RowCounts
from backstory.lake.columns import Role
from backstory.lake.contract import Contract
from backstory.lake.diff import SchemaChange, schema_changes
from backstory.lake.disagreements import LabelQuestion
from backstory.lake.errors import InvalidError, LimitExceededError
from backstory.lake.expressions import unknown_column
from backstory.lake.moved_rows import differing_files
from backstory.lake.row_diff import CHANGED, RowDiff
from backstory.lake.row_diff import diff_rows as diff_rows_of
from backstory.lake.row_file import write_rows
from backstory.lake.row_sql import ADDED, REMOVED
from backstory.lake.snapshot import Snapshot
from backstory.lineage.comparing import both_versions
from backstory.lineage.leasing import under_lease
from backstory.lineage.linked_interactions import hidden, subject_columns
from backstory.lineage.parts import Parts
from backstory.lineage.pinning import open_at
from backstory.lineage.resolving import SliceAt

MASK = "•••"
SIGNAL_COLUMN = "signal"
DEFAULT_SAMPLE = 5
MAX_ROWS_COUNTED = 1_000_000  # that have to be read, for a count that others ask for


@dataclass(frozen=True, kw_only=True)
class RowsCompared:
    """The rows that differ between two versions of a slice. Close it, or use it in a `with`.

    Attributes:
        base, head: the two, as asked; `head` may be the older one.
        contract: what the slice's rows promise.
        rows: the comparison, with all that can be counted.
        schema_changes: columns that are not the same in both, by name.
        people: columns of others that name people.
        parts: what the slice lies in.
    """

    base: SliceAt
    head: SliceAt
    contract: Contract
    rows: RowDiff
    schema_changes: Sequence[SchemaChange]
    people: Collection[str]
    parts: Parts

    @property
    def counts(self) -> RowCounts:
        """How many rows were added, removed and changed."""
        return self.rows.counts

    @property
    def added(self) -> Any:
        """The added rows as an Arrow `RecordBatchReader`."""
        return self.rows.stream((ADDED,))

    @property
    def removed(self) -> Any:
        """The removed rows likewise."""
        return self.rows.stream((REMOVED,))

    @property
    def changed(self) -> Any:
        """The changed rows likewise, each as it was before and, next, as it is after."""
        return self.rows.stream(CHANGED)

    def by_signal(self) -> ChangeShares | None:
        """Changes by signal; None where the slice has no column `signal`."""
        return _by_signal(self.rows, self.people)

    def by(self, what: str) -> ChangeShares:
        """Changes by source, by signal or by the value of one SQL expression.

        Raises:
            InvalidError: the slice does not say it, or it is no such expression.
        """
        if what not in {"source", "signal"}:
            return self.rows.by_expression(what)
        found = self.rows.by_source() if what == "source" else self.by_signal()
        if found is None:
            raise InvalidError(
                f"no column of {self.head.slice.name} tells the {what}",
                hint="name a column or an SQL expression",
            )
        return found

    def sample(
        self, rows: int = DEFAULT_SAMPLE, columns: Sequence[str] | None = None
    ) -> list[dict[str, Any]]:
        """The first rows of each kind; personal columns are masked where they are not named.

        Args:
            rows: how many of each kind, at most.
            columns: these only, beside those that say how a row changed.
        """
        for name in columns or ():
            if name not in self.rows.schema.names:
                raise unknown_column(name, self.rows.schema)
        own = [name for name in self.rows.schema.names if name not in self.rows.shape.system]
        shown = ["_change", "_columns", *(own if columns is None else columns)]
        masked = self.contract.personal_columns if columns is None else ()
        found = hidden(self.parts, self.rows.sample(rows), self.people)
        return [
            {
                name: MASK if name in masked and row[name] is not None else row[name]
                for name in shown
            }
            for row in found
        ]

    def write(self, path: str | Path) -> int:
        """Write all rows that differ to a file: `.jsonl`, `.csv` or `.parquet`.

        Returns:
            How many rows it has; a changed row counts twice.

        Raises:
            ConflictError: the file is there already.
        """
        rows = self.rows.stream()
        return write_rows(
            Path(path), self.parts.key.hide(rows, self.people) if self.people else rows
        )

    def close(self) -> None:
        """Give memory and disk back."""
        self.rows.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def diff_rows(
    parts: Parts,
    base: str,
    head: str,
    *,
    key: str | None = None,
    label: str | None = None,
    about: Sequence[str] | None = None,
    as_of: datetime | None = None,
) -> RowsCompared:
    """Compare the rows of two versions of a slice.

    Args:
        base: the one.
        head: the other; either may be the older one.
        key: the column that tells which rows are one and the same; that with the role event_id
            where nothing is said. Without any, a row that changed is one removed and one added.
        label: a column that other sources may fill differently, to be asked for by
            `rows.disagreements()`.
        about: the columns in which rows agree that speak of one thing; that with the role
            interaction_id where nothing is said.
        as_of: as it was known then; as it is known now where nothing is said.

    Raises:
        InvalidError: the two are not versions of one slice, or a column is not there.
        GoneError: the files of one are no longer there.
    """
    older, newer = both_versions(parts, base, head, as_of)
    a, b = (under_lease(parts, open_at(parts, found)) for found in (older, newer))
    contract = parts.lake.table(newer.slice.name).contract
    question = None if label is None else _question(contract, label, about)
    rows = diff_rows_of(
        a,
        b,
        key=key or _key(contract, a, b),
        label=question,
        hidden=(people := _people(parts, newer, as_of)),
    )
    return RowsCompared(
        base=older,
        head=newer,
        contract=contract,
        rows=rows,
        schema_changes=schema_changes(a.schema, b.schema),
        people=people,
        parts=parts,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RowsCounted:
    """How many rows differ between two versions of a slice, and by what they can be told."""

    base: SliceAt
    head: SliceAt
    counts: RowCounts
    by_source: ChangeShares | None
    by_column: Sequence[ColumnShare]
    by_signal: ChangeShares | None


def count_rows(parts: Parts, base: str, head: str, *, as_of: datetime | None = None) -> RowsCounted:
    """Count the rows that differ; tells no row.

    Raises:
        LimitExceededError: more than `MAX_ROWS_COUNTED` rows have to be read.
        InvalidError: the two are not versions of one slice.
        GoneError: the files of one are no longer there.
    """
    older, newer = both_versions(parts, base, head, as_of)
    a, b = open_at(parts, older), open_at(parts, newer)
    contract = parts.lake.table(newer.slice.name).contract
    files = differing_files(a, b)
    if files.rows > MAX_ROWS_COUNTED:
        raise LimitExceededError(
            f"{files.rows:,} rows have to be read; at most {MAX_ROWS_COUNTED:,} are",
            hint=f"ask at the command line: `backstory diff {base} {head} --rows`",
        )
    key, people = _key(contract, a, b), _people(parts, newer, as_of)
    with diff_rows_of(a, b, key=key, files=files, hidden=people) as rows:
        return RowsCounted(
            base=older,
            head=newer,
            counts=rows.counts,
            by_source=rows.by_source(),
            by_column=rows.by_column(),
            by_signal=_of_words(_by_signal(rows, people), {one.name for one in contract.signals}),
        )


def _people(parts: Parts, found: SliceAt, as_of: datetime | None) -> Collection[str]:
    """The columns of a linked slice that name people."""
    with parts.store.reader(as_of) as conn:
        return subject_columns(conn, found.slice.id)


def _by_signal(rows: RowDiff, people: Collection[str]) -> ChangeShares | None:
    if SIGNAL_COLUMN not in rows.schema.names or SIGNAL_COLUMN in people:
        return None
    return rows.by_expression(f'"{SIGNAL_COLUMN}"')


def _of_words(shares: ChangeShares | None, words: Collection[str]) -> ChangeShares | None:
    """The groups of words that a contract names: any other value is what a row says."""
    if shares is None:
        return None
    return replace(shares, groups=[group for group in shares.groups if group.value in words])


def _key(contract: Contract, *snapshots: Snapshot) -> str | None:
    """The column of event ids, where one of the snapshots has it."""
    column = contract.column_with(Role.EVENT_ID)
    if column is None or not any(column.name in s.full_schema.names for s in snapshots):
        return None
    return column.name


def _question(contract: Contract, label: str, about: Sequence[str] | None) -> LabelQuestion:
    if about is None:
        column = contract.column_with(Role.INTERACTION)
        about = [column.name] if column else []
    if not about:
        raise InvalidError(
            f"no column of {contract.slice} says which interaction a row is about",
            hint="name the columns that say it with --about",
        )
    return LabelQuestion(label=label, about=tuple(about))
