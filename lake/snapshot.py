"""A table at one version: the same rows, in the same order, for as long as its bytes exist.

A snapshot is its manifest. Rows come from exactly the files that the manifest lists, sorted by
path (for our own files: the order of writing), and a file that is missing or has another size is
an error, never fewer rows. System columns stay hidden unless asked for. Tables whose Parquet files
alone do not say what the rows are (deletion vectors, mapped columns) are read through Delta's own
engine; conditions mean the same in both cases, because DuckDB evaluates them.

Opening reads the log, not the data. Versions whose log is gone reopen from a pin (`pins`).

    snapshot = open_snapshot(table, 58)
    frame = snapshot.pandas(["at", "label"], where="label between 3 and 8")
"""

import importlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from deltalake import DeltaTable, QueryBuilder, Schema
from duckdb import DuckDBPyConnection, DuckDBPyRelation

from backstory.lake.engine import (
    BATCH_ROWS,
    cage,
    engine_errors,
    files_source,
    quoted,
    relation,
)
from backstory.lake.errors import (
    GoneError,
    IntegrityError,
    InvalidError,
    UnavailableError,
)
from backstory.lake.expressions import check_expression, unknown_column
from backstory.lake.gone import said_of_file
from backstory.lake.leases import Reader
from backstory.lake.linked import LinkedTable
from backstory.lake.location import inside
from backstory.lake.manifest import Manifest
from backstory.lake.object_path import ObjectPath
from backstory.lake.table import SliceTable
from backstory.lake.versions import delta_damage, open_delta, read_version

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl

Table = SliceTable | LinkedTable

_ONE_THREAD = {"datafusion.execution.target_partitions": "1"}  # keeps the order of rows
_PINNED = "what was pinned is still there: see `backstory pins`"
_VERIFY = "run `backstory verify` to see what else is not as it was"


class OpenedBy(StrEnum):
    """The way by which a snapshot was opened; each needs less of the table than the one before."""

    DELTA = "delta"
    CHECKPOINT = "checkpoint"
    MANIFEST = "manifest"
    COPY = "copy"


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """One version of a table, ready to be read.

    Attributes:
        slice: the table's name.
        manifest: its exact files.
        folder: the folder that the manifest's paths are relative to.
        opened_by: which way led here.
        full_schema: all columns, system columns too.
        ours: whether our own writer made the table: then columns with a leading `_` are system
            columns, and statistics in its files can be relied on.
        needs_engine: whether rows must be read through Delta's own engine.
        at: when the version was committed, if the opener knows.
        reader: who holds a lease while reading; None where a pin, or nothing, keeps the files.
    """

    slice: str
    manifest: Manifest
    folder: Path
    opened_by: OpenedBy
    full_schema: pa.Schema
    ours: bool
    needs_engine: bool = False
    at: datetime | None = None
    reader: Reader | None = field(default=None, repr=False, compare=False)

    def __str__(self) -> str:
        return f"{self.slice}@{self.version}"

    @property
    def version(self) -> int:
        """The Delta version."""
        return self.manifest.version

    @property
    def digest(self) -> str:
        """The manifest's digest: the snapshot's identity."""
        return self.manifest.digest

    @property
    def rows(self) -> int:
        """Number of rows."""
        return self.manifest.rows

    @property
    def size(self) -> int:
        """Bytes of its data files."""
        return self.manifest.size

    @property
    def schema(self) -> pa.Schema:
        """The columns, without system columns."""
        return pa.schema(
            [f for f in self.full_schema if not (self.ours and f.name.startswith("_"))]
        )

    def arrow(
        self,
        columns: Sequence[str] | None = None,
        where: str | None = None,
        *,
        system: bool = False,
    ) -> pa.Table:
        """Read rows as an Arrow table.

        Args:
            columns: which, in this order; all by default.
            where: an SQL condition over the columns, system columns included.
            system: read system columns too, where `columns` does not say.

        Raises:
            InvalidError: unknown columns, or a condition that is not allowed.
            GoneError: a data file is no longer there.
            IntegrityError: a data file is not what the manifest says.
        """
        schema = self._selected(columns, system=system)
        with engine_errors(str(self)):
            return self._relation(schema, where).to_arrow_table(BATCH_ROWS).cast(schema)

    def batches(
        self,
        columns: Sequence[str] | None = None,
        where: str | None = None,
        *,
        system: bool = False,
    ) -> pa.RecordBatchReader:
        """Read rows batch by batch, for tables larger than memory; as `arrow` otherwise."""
        schema = self._selected(columns, system=system)
        with engine_errors(str(self)):
            reader = self._relation(schema, where).to_arrow_reader(BATCH_ROWS)
        return pa.RecordBatchReader.from_batches(schema, self._cast(reader, schema))

    def pandas(
        self,
        columns: Sequence[str] | None = None,
        where: str | None = None,
        *,
        system: bool = False,
    ) -> "pd.DataFrame":
        """Read rows as a pandas frame; as `arrow` otherwise."""
        _needed("pandas")
        frame: pd.DataFrame = self.arrow(columns, where, system=system).to_pandas()
        return frame

    def polars(
        self,
        columns: Sequence[str] | None = None,
        where: str | None = None,
        *,
        system: bool = False,
    ) -> "pl.DataFrame":
        """Read rows as a Polars frame; as `arrow` otherwise."""
        frame: pl.DataFrame = _needed("polars").from_arrow(
            self.arrow(columns, where, system=system)
        )
        return frame

    def duckdb(
        self,
        columns: Sequence[str] | None = None,
        where: str | None = None,
        *,
        system: bool = False,
        con: DuckDBPyConnection | None = None,
    ) -> DuckDBPyRelation:
        """Rows as a DuckDB relation; as `arrow` otherwise.

        Args:
            columns: which, in this order; all by default.
            where: an SQL condition over the columns, system columns included.
            system: read system columns too, where `columns` does not say.
            con: a connection of yours, to join with other relations: the rows are then read into
                memory. Without it the relation is lazy, on a connection that can read nothing
                else, and tells its errors in DuckDB's words.
        """
        if con is not None:
            return con.from_arrow(self.arrow(columns, where, system=system))
        schema = self._selected(columns, system=system)
        with engine_errors(str(self)):
            return self._relation(schema, where, repeatable=True)

    def head(
        self,
        rows: int,
        columns: Sequence[str] | None = None,
        where: str | None = None,
        *,
        system: bool = False,
    ) -> list[dict[str, Any]]:
        """The first rows as Python values by column; no more is read than they need."""
        schema = self._selected(columns, system=system)
        with engine_errors(str(self)):
            found = self._relation(schema, where).limit(rows).to_arrow_table().cast(schema)
        values: list[dict[str, Any]] = found.to_pylist()
        return values

    def count(self, where: str | None = None) -> int:
        """Count rows, without reading any where there is no condition."""
        if where is None:
            return self.rows
        with engine_errors(str(self)):
            found = self._relation(self.full_schema, where).count("*").fetchall()
        return int(found[0][0])

    def _selected(self, columns: Sequence[str] | None, *, system: bool) -> pa.Schema:
        if columns is None:
            return self.full_schema if system else self.schema
        if len(set(columns)) != len(columns) or not columns:
            raise InvalidError(
                f"{self}: columns must be named once each, and at least one",
                hint="name them like event_id,at",
            )
        for name in columns:
            if name not in self.full_schema.names:
                raise unknown_column(name, self.schema)
        return pa.schema([self.full_schema.field(name) for name in columns])

    def _relation(
        self, schema: pa.Schema, where: str | None, *, repeatable: bool = False
    ) -> DuckDBPyRelation:
        condition = check_expression(where, self.full_schema) if where is not None else None
        if self.reader is not None:
            self.reader.renew()
        files = [(inside(self.folder, f.path), f) for f in self.manifest.files]
        # Of an object store one listing tells what else would be asked for file by file.
        there = self.folder.sizes() if isinstance(self.folder, ObjectPath) else {}
        for path, file in files:
            if there.get(file.path) != file.size:
                check_present(self, path, file.size)
        pushdown = self.ours or not self._has_floats
        if self.needs_engine:
            con = cage([])
            rows = self._rows_of_engine(self.full_schema if condition else schema)
            con.register("delta_rows", rows.read_all() if repeatable else rows)
            source = "SELECT * FROM delta_rows"
        elif isinstance(self.folder, ObjectPath):
            from backstory.lake.object_rows import object_rows  # pandas comes with it, if installed

            con = cage([], pushdown=pushdown)
            con.register("object_rows", object_rows(self.folder, self.manifest, self.full_schema))
            source = "SELECT * FROM object_rows"
        else:
            con = cage([path for path, _ in files], pushdown=pushdown)
            source = files_source([(path, f.partition) for path, f in files], self.full_schema)
        return relation(con, source, self.full_schema, schema.names, condition)

    @property
    def _has_floats(self) -> bool:
        return any(pa.types.is_floating(kind) for kind in self.full_schema.types)

    def _rows_of_engine(self, schema: pa.Schema) -> pa.RecordBatchReader:
        delta: DeltaTable = open_delta(self.folder, self.version, name=self.slice)
        engine = QueryBuilder(_ONE_THREAD).register("t", delta)
        names = ", ".join(map(quoted, schema.names))
        with delta_damage(str(self)):
            rows = engine.execute(f"SELECT {names} FROM t")
        return pa.RecordBatchReader.from_batches(schema, self._of_engine(rows, schema))

    def _of_engine(self, rows: Iterable[Any], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        # Batch by batch in Python: a panic that meets Arrow's C stream ends the whole process.
        with delta_damage(str(self)):
            for batch in rows:
                yield pa.record_batch(batch).cast(schema)

    def _cast(self, reader: pa.RecordBatchReader, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        with engine_errors(str(self)):
            for batch in reader:
                yield batch.cast(schema)


def open_snapshot(
    table: Table, version: int | None = None, *, at: datetime | None = None
) -> Snapshot:
    """Open a version of a table through its Delta log; the latest by default.

    Args:
        table: a slice or a linked table.
        version: which.
        at: when that version was committed, to be told by the snapshot.

    Raises:
        NotFoundError: there is no such version.
        GoneError: it existed and its log is no longer there; a pin may still hold it.
        IntegrityError: its log is damaged, or names a file outside the table.
    """
    if isinstance(table, SliceTable):
        table.check_log()
    found = read_version(table.folder, version, name=table.name)
    return make_snapshot(
        table,
        found.manifest,
        folder=table.folder,
        opened_by=OpenedBy.DELTA,
        needs_engine=found.needs_engine,
        at=at,
    )


def make_snapshot(
    table: Table,
    manifest: Manifest,
    *,
    folder: Path,
    opened_by: OpenedBy,
    needs_engine: bool = False,
    at: datetime | None = None,
) -> Snapshot:
    """The snapshot that a manifest describes, read from the files in a folder."""
    columns = pa.schema(Schema.from_json(manifest.schema_json).to_arrow())
    return Snapshot(
        slice=table.name,
        manifest=manifest,
        folder=folder,
        opened_by=opened_by,
        full_schema=pa.schema([pa.field(f.name, f.type, f.nullable) for f in columns]),
        ours=isinstance(table, SliceTable),
        needs_engine=needs_engine,
        at=at,
    )


def check_present(snapshot: Snapshot, path: Path, size: int) -> None:
    """Look whether a data file of a snapshot is there, with its size.

    Raises:
        GoneError: it is no longer there.
        IntegrityError: it has another size.
    """
    try:
        found = path.stat().st_size
    except FileNotFoundError as exc:
        if said := said_of_file(snapshot.folder, path.name):
            raise GoneError(
                f"{snapshot}: data file {path.name} is no longer there: {said}", hint=_PINNED
            ) from exc
        raise GoneError(
            f"{snapshot}: data file {path.name} is no longer there", hint=_VERIFY
        ) from exc
    if found != size:
        raise IntegrityError(
            f"{snapshot}: data file {path.name} has {found} bytes instead of {size}", hint=_VERIFY
        )


def _needed(library: str) -> Any:
    try:
        return importlib.import_module(library)
    except ImportError as exc:
        raise UnavailableError(
            f"{library} is not installed", hint=f"pip install 'backstory[{library}]'"
        ) from exc
