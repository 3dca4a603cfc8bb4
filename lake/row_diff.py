"""Two versions of a table side by side, row by row: added, removed and changed.

Rows are told apart by a key, where a column is one; without it a row that changed is one removed
and one added. Columns that only one version has are NULL in the other; system columns are shown
and not compared. A column whose type changed is compared in the wider of both types, or as text
where neither holds the other. Files that both list are not read, nor those that balance
(`moved_rows`); what has to be read and does not fit in memory is written to a temporary folder.

    with diff_rows(open_snapshot(table, 12), open_snapshot(table, 58), key="event_id") as diff:
        print(diff.counts, diff.by_column())
        for batch in diff.stream(["added"]): ...
"""

import tempfile
from collections.abc import Collection, Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import duckdb
import pyarrow as pa

from backstory.lake.change_shares import (
    MAX_GROUPS,
    ChangeShare,
    ChangeShares,
    ColumnShare,
    RowCounts,
)
from backstory.lake.columns import SYSTEM_COLUMNS
from backstory.lake.disagreements import Disagreements, LabelQuestion, disagreements
from backstory.lake.engine import (
    BATCH_ROWS,
    PlacedFile,
    Room,
    cage,
    duckdb_types,
    engine_errors,
    files_source,
    quoted,
)
from backstory.lake.errors import InvalidError, LimitExceededError
from backstory.lake.expressions import check_expression, unknown_column
from backstory.lake.location import inside
from backstory.lake.manifest import ManifestFile
from backstory.lake.moved_rows import DifferingFiles, differing_files, table_folder
from backstory.lake.object_path import fetched
from backstory.lake.row_sql import (
    ADDED,
    AFTER,
    BEFORE,
    CHANGE,
    COLUMNS,
    REMOVED,
    RESERVED,
    Shape,
    changed_rows,
    column_shares,
    shares,
    statements,
)
from backstory.lake.snapshot import Snapshot, check_present
from backstory.lake.sources.widening import widens

MAX_SAMPLE_ROWS = 10_000
MEMORY_BYTES = 1 << 30
MANY_ROWS = 10_000  # from here on keys with rows of equal hashes are not looked at

EVERY = (ADDED, REMOVED, BEFORE, AFTER)
CHANGED = (BEFORE, AFTER)

_CHANGE_FIELDS = (pa.field(CHANGE, pa.string()), pa.field(COLUMNS, pa.list_(pa.string())))


class RowDiff:
    """The rows that differ between two snapshots, on a connection of its own: close it.

    Attributes:
        files: the files that had to be read.
        schema: the columns of both, without those that say how a row changed.
        shape: which of them are compared, and by which rows and sources are told apart.
    """

    def __init__(
        self,
        a: Snapshot,
        b: Snapshot,
        *,
        shape: Shape,
        schema: pa.Schema,
        files: DifferingFiles,
        label: LabelQuestion | None,
        hidden: Collection[str],
        memory: int,
        many: int,
    ) -> None:
        self.files, self.schema, self.shape = files, schema, shape
        self._what, self._label = f"{a} → {b}", label
        self._told = pa.schema([field for field in schema if field.name not in hidden])
        self._room = tempfile.TemporaryDirectory(prefix="backstory-diff-")
        try:
            self._con = self._open(a, b, Room(memory=memory, folder=Path(self._room.name)))
            with engine_errors(self._what):
                old, new = (self._rows(*side) for side in ((a, files.removed), (b, files.added)))
                for statement in statements(shape, old, new, many=files.rows > many):
                    self._con.execute(statement)
                if label:
                    self._con.execute(f"CREATE VIEW head AS {self._rows(b, b.manifest.files)}")
        except BaseException:
            self._room.cleanup()
            raise

    @property
    def folder(self) -> str:
        """Where goes what does not fit in memory; gone when the comparison is closed."""
        return self._room.name

    @cached_property
    def counts(self) -> RowCounts:
        """How many rows were added, removed and changed."""
        [found] = self._ask("SELECT * FROM counts")
        return RowCounts(**found)

    def by_source(self) -> ChangeShares | None:
        """Changes by who sent the row; None where no column says it."""
        return self._shares(quoted(self.shape.source)) if self.shape.source else None

    def by_column(self) -> list[ColumnShare]:
        """How many changed rows differ in each column, most first; none without a key."""
        found = self._ask(column_shares())
        return [ColumnShare(column=row["name"], changed=row["changed"]) for row in found]

    def by_expression(self, text: str) -> ChangeShares:
        """Changes by the value of one SQL expression over the row.

        Raises:
            InvalidError: it is no such expression, or does not fit the columns' types.
        """
        return self._shares(check_expression(text, self._told, what="by"), what="by")

    def disagreements(self) -> Disagreements:
        """The rows of the second snapshot that came, of which another source says another label.

        Raises:
            InvalidError: no label was named when the two were compared.
        """
        if self._label is None:
            raise InvalidError("no label is named", hint="name the column of the label")
        return disagreements(self._ask, self.shape, self._label)

    def stream(self, kinds: Sequence[str] = EVERY) -> pa.RecordBatchReader:
        """The rows that differ, batch by batch, each with its kind and the columns that changed.

        A changed row is given twice, as it was before and as it is after. The order of the rest is
        not the same each time.

        Args:
            kinds: which are wanted: `EVERY`, `CHANGED` or some of them.
        """
        schema = pa.schema([*_CHANGE_FIELDS, *self.schema])
        return pa.RecordBatchReader.from_batches(schema, self._batches(kinds, schema))

    def sample(self, rows: int) -> list[dict[str, Any]]:
        """The first added, removed and changed rows, as Python values; so many of each kind.

        Raises:
            LimitExceededError: more than `MAX_SAMPLE_ROWS` are asked for.
        """
        if not 0 <= rows <= MAX_SAMPLE_ROWS:
            raise LimitExceededError(
                f"a sample has 0 to {MAX_SAMPLE_ROWS} rows of each kind, not {rows}",
                hint="have all of them written with --out",
            )
        wanted = (((ADDED,), rows), ((REMOVED,), rows), (CHANGED, 2 * rows))
        return [
            row
            for kinds, limit in wanted
            for row in self._ask(changed_rows(self.shape, kinds, limit=limit))
        ]

    def close(self) -> None:
        """Give memory and disk back; streams end."""
        self._con.close()
        self._room.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _open(self, a: Snapshot, b: Snapshot, room: Room) -> duckdb.DuckDBPyConnection:
        """A connection that can read what has to be read."""
        if self.files.whole:
            con = cage([], room=room)
            for name, snapshot in (("old_rows", a), ("new_rows", b)):
                con.register("stream", snapshot.batches(system=True))
                with engine_errors(self._what):
                    con.execute(f"CREATE TABLE {name} AS SELECT * FROM stream")
            self._tables = {id(a): "old_rows", id(b): "new_rows"}
            return con
        self._tables = {}
        wanted = [(a, self.files.removed), (b, self.files.added)]
        if self._label:
            wanted.append((b, b.manifest.files))
        paths = [path for side in wanted for path, _ in self._placed(*side)]
        floats = any(pa.types.is_floating(kind) for kind in self.schema.types)
        return cage(paths, pushdown=(a.ours and b.ours) or not floats, room=room)

    def _placed(self, snapshot: Snapshot, files: Iterable[ManifestFile]) -> list[PlacedFile]:
        """Where files can be read: those of an object store where they were fetched to."""
        room = Path(self._room.name)
        return [(fetched(path, room), partition) for path, partition in _placed(snapshot, files)]

    def _rows(self, snapshot: Snapshot, files: Sequence[ManifestFile]) -> str | None:
        """The SQL of the rows in some files, in the columns of both; None for no file."""
        if not files and self.files.rows:
            return None
        known = {field.name: field.type for field in snapshot.full_schema}
        own = pa.schema([(f.name, known.get(f.name, f.type)) for f in self.schema])
        table = self._tables.get(id(snapshot))
        names = known if table else own.names
        source = (
            f"SELECT * FROM {table}" if table else files_source(self._placed(snapshot, files), own)
        )
        columns = (
            f"CAST({quoted(name) if name in names else 'NULL'} AS {kind}) AS {quoted(name)}"
            for name, kind in zip(self.schema.names, duckdb_types(self.schema), strict=True)
        )
        return f"SELECT {', '.join(columns)} FROM ({source})"

    def _shares(self, expression: str, *, what: str = "") -> ChangeShares:
        found = self._ask(shares(expression, MAX_GROUPS + 1), what=what)
        groups = [
            ChangeShare(
                value=row["value"],
                added=row[ADDED],
                removed=row[REMOVED],
                changed_from=row[BEFORE],
                changed_to=row[AFTER],
            )
            for row in found[:MAX_GROUPS]
        ]
        return ChangeShares(groups=groups, truncated=len(found) > MAX_GROUPS)

    def _ask(self, query: str, *, what: str = "") -> list[dict[str, Any]]:
        with engine_errors(what or self._what):
            found: list[dict[str, Any]] = self._con.sql(query).to_arrow_table().to_pylist()
        return found

    def _batches(self, kinds: Sequence[str], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        wanted = [[kind] for kind in (ADDED, REMOVED) if kind in kinds]
        wanted += [[kind for kind in CHANGED if kind in kinds]]
        with engine_errors(self._what):
            for some in filter(None, wanted):
                con = self._con.cursor()  # so that streams do not end each other
                for batch in con.sql(changed_rows(self.shape, some)).to_arrow_reader(BATCH_ROWS):
                    yield batch.cast(schema)


def diff_rows(
    a: Snapshot,
    b: Snapshot,
    *,
    key: str | None = None,
    source: str | None = None,
    label: LabelQuestion | None = None,
    hidden: Collection[str] = (),
    files: DifferingFiles | None = None,
    memory: int = MEMORY_BYTES,
    many: int = MANY_ROWS,
) -> RowDiff:
    """Compare the rows of two snapshots of one table.

    Args:
        a: the first.
        b: the second.
        key: the column that tells which rows are one and the same.
        source: the column that says who sent a row, where Backstory does not write it.
        label: what to compare with what other sources say.
        hidden: columns whose values must not be told by groups.
        files: what has to be read; found from manifests and logs where nothing is said.
        memory: bytes of memory to use before the disk is.
        many: from how many rows on hashes may be relied on.

    Raises:
        InvalidError: they are of two tables, or a column is not there.
        GoneError: a data file is no longer there.
    """
    files = differing_files(a, b) if files is None else files
    schema = _both(a.full_schema, b.full_schema)
    system = [name for name in schema.names if a.ours and b.ours and name in SYSTEM_COLUMNS]
    source = SYSTEM_COLUMNS[0] if SYSTEM_COLUMNS[0] in system else source
    _check_names(schema, key, source, label, hidden)
    for snapshot in (a, b):
        if snapshot.reader is not None:
            snapshot.reader.renew()
    return RowDiff(
        a,
        b,
        shape=Shape(
            columns=[name for name in schema.names if name not in system],
            system=system,
            key=key,
            source=source,
        ),
        schema=schema,
        files=files,
        label=label,
        hidden=hidden,
        memory=memory,
        many=many,
    )


def _check_names(
    schema: pa.Schema,
    key: str | None,
    source: str | None,
    label: LabelQuestion | None,
    hidden: Collection[str],
) -> None:
    asked = [label.label, *label.about] if label else []
    for name in filter(None, (key, source, *asked)):
        if name not in schema.names:
            raise unknown_column(name, schema)
    if label and label.label in hidden:
        raise InvalidError(
            f"column {label.label!r} names people, and is no label", hint="name another column"
        )
    if label and source is None:
        raise InvalidError(
            "no column says who sent a row, so no other source can disagree",
            hint="leave the label out; a slice of your own knows its sources",
        )
    if taken := RESERVED & {name.lower() for name in schema.names}:
        raise InvalidError(
            f"a column is called {min(taken)!r}, as one that says how a row changed",
            hint="rename it in its table",
        )


def _placed(snapshot: Snapshot, files: Iterable[ManifestFile]) -> list[PlacedFile]:
    """Where files lie; one that the snapshot does not list lay in the table's folder meanwhile."""
    listed = {file.path for file in snapshot.manifest.files}
    placed = []
    for file in files:
        folder = snapshot.folder if file.path in listed else table_folder(snapshot)
        path = inside(folder, file.path)
        check_present(snapshot, path, file.size)
        placed.append((path, file.partition))
    return placed


def _both(before: pa.Schema, after: pa.Schema) -> pa.Schema:
    """The columns of both: those of the second in its order, then those that are gone."""
    old = {field.name: field.type for field in before}
    gone = [(name, kind) for name, kind in old.items() if name not in after.names]
    kept = [(field.name, _widest(old.get(field.name, field.type), field.type)) for field in after]
    return pa.schema([*kept, *gone])


def _widest(one: pa.DataType, other: pa.DataType) -> pa.DataType:
    if widens(one, other):
        return other
    return one if widens(other, one) else pa.string()
