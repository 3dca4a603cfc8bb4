"""DuckDB over a fixed list of Parquet files, in a cage: nothing else can be read or changed.

A connection from `cage` reads the files it was made for and no other, cannot write, load
extensions or change its settings, and keeps time in UTC. Rows come in the order of the file list
and, within a file, as they lie there. Column types are those of the schema given, also where a
file lacks a column or there is no file at all.

It knows no Delta and no manifest: whoever calls it knows which files make up a table. Files with
deletion vectors or mapped columns must not come here.

>>> con = cage([])
>>> query = select(files_source([], pa.schema([("label", pa.int64())])), ["label"], "label > 3")
>>> con.sql(query).to_arrow_table().num_rows
0
>>> con.sql("SELECT * FROM read_text('/etc/hostname')")
Traceback (most recent call last):
...
_duckdb.PermissionException: Permission Error: Cannot access file "/etc/hostname"...
"""

import glob
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path

import duckdb
import pyarrow as pa

from backstory.lake.errors import IntegrityError, InvalidError, UnavailableError
from backstory.lake.location import translate_os_error
from backstory.lake.messages import plain, system_error

BATCH_ROWS = 65_536
SPILL_ABOVE = "512MB"

PlacedFile = tuple[Path, Mapping[str, str | None]]
"""A data file and the values of its partition columns."""

_SETTINGS = (
    "SET TimeZone='UTC'",
    "SET preserve_insertion_order=true",
    "SET temp_directory=''",
    "SET python_enable_replacements=false",
    "SET autoinstall_known_extensions=false",
    "SET autoload_known_extensions=false",
)
_LOCKS = ("SET enable_external_access=false", "SET lock_configuration=true")

_USERS_FAULTS = (
    duckdb.BinderException,
    duckdb.ConversionException,
    duckdb.OutOfRangeException,
    duckdb.ParserException,
)


def cage(
    files: Sequence[Path], *, pushdown: bool = True, spill: Path | None = None
) -> duckdb.DuckDBPyConnection:
    """Open a connection that can read these files and nothing else.

    Args:
        files: what may be read.
        pushdown: whether conditions may be answered from the files' statistics. Other writers
            leave NaN out of them, which DuckDB orders above all numbers: it would miss rows.
        spill: a folder for what does not fit into `SPILL_ABOVE`; without one all is in memory.
    """
    con = duckdb.connect(":memory:")
    for setting in _SETTINGS:
        con.execute(setting)
    if spill is not None:
        con.execute("SET temp_directory=?", [str(spill)])
        con.execute(f"SET memory_limit='{SPILL_ABOVE}'")
    if not pushdown:
        con.execute("SET disabled_optimizers='filter_pushdown,statistics_propagation'")
    paths = [str(path) for path in files]
    # A name with `*`, `?` or `[` is read through its escaped form, which must be allowed too.
    con.execute("SET allowed_paths=?", [sorted({*paths, *map(glob.escape, paths)})])
    for lock in _LOCKS:
        con.execute(lock)
    return con


def files_source(files: Sequence[PlacedFile], schema: pa.Schema) -> str:
    """The SQL of all rows of these files, as columns of this schema.

    Partition columns are not in the files: their values are added as constants.
    """
    kinds = dict(zip(schema.names, duckdb_types(schema), strict=True))
    no_rows = f"SELECT {_constants(dict.fromkeys(kinds), kinds)} WHERE false"
    parts = [no_rows]  # gives names, types and order
    for partition, group in groupby(files, key=lambda file: dict(file[1])):
        rows = _parquet([path for path, _ in group])
        if partition:
            inside = ", ".join(literal(name.lower()) for name in partition)
            kept = f"COLUMNS(lambda c: lower(c) NOT IN ({inside}))"
            parts.append(f"SELECT {kept}, {_constants(partition, kinds)} FROM {rows}")
        else:
            parts.append(f"SELECT * FROM {rows}")
    return " UNION ALL BY NAME ".join(parts)


def select(source: str, columns: Sequence[str], where: str | None) -> str:
    """The SQL of some columns of the rows that meet a condition.

    Args:
        source: SQL of the rows.
        columns: what to keep, in this order.
        where: a condition that `check_expression` returned, or None for all rows.
    """
    condition = f" WHERE {where}" if where else ""
    return f"SELECT {', '.join(map(quoted, columns))} FROM ({source}){condition}"


def relation(
    con: duckdb.DuckDBPyConnection,
    source: str,
    schema: pa.Schema,
    columns: Sequence[str],
    where: str | None,
) -> duckdb.DuckDBPyRelation:
    """The rows that `select` speaks of.

    Args:
        con: a connection from `cage`.
        source: SQL of the rows.
        schema: all columns of the source.
        columns: what to keep, in this order.
        where: a condition that `check_expression` returned, or None for all rows.

    Raises:
        InvalidError: the condition itself is at fault, such as a pattern that does not parse.
    """
    try:
        return con.sql(select(source, columns, where))
    except duckdb.InvalidInputException:
        if where is not None:
            _check_without_files(schema, where)
        raise


def _check_without_files(schema: pa.Schema, where: str) -> None:
    # DuckDB tells damaged files by the same class: where there are none, the condition is at fault.
    try:
        cage([]).sql(select(files_source([], schema), schema.names, where))
    except duckdb.InvalidInputException as exc:
        raise InvalidError(
            f"where: {plain(exc)}", hint="mend the pattern or value that it speaks of"
        ) from exc


def duckdb_types(schema: pa.Schema) -> list[str]:
    """How DuckDB writes the types of these columns."""
    with duckdb.connect(":memory:") as con:
        return [str(kind) for kind in con.from_arrow(schema.empty_table()).types]


def quoted(name: str) -> str:
    """A column's name as an SQL identifier."""
    return f'"{name.replace(chr(34), chr(34) * 2)}"'


def literal(value: str | None) -> str:
    """A text as an SQL literal."""
    return "NULL" if value is None else "'" + value.replace("'", "''") + "'"


@contextmanager
def engine_errors(what: str) -> Iterator[None]:
    """Turn DuckDB's errors into ours.

    Raises:
        InvalidError: the condition does not fit the columns' types.
        UnavailableError: memory ran out, or the operating system stands in the way.
        NotPermittedError: a file may not be read.
        IntegrityError: a file cannot be read as Parquet with these columns.
    """
    try:
        yield
    except _USERS_FAULTS as exc:
        raise InvalidError(
            f"{what}: {plain(exc)}", hint="compare columns with values of their own type"
        ) from exc
    except duckdb.OutOfMemoryException as exc:
        raise UnavailableError(
            f"{what}: {plain(exc)}", hint="read fewer columns, or read in batches"
        ) from exc
    except (duckdb.Error, pa.ArrowInvalid) as exc:
        if met := system_error(exc):
            raise translate_os_error(met, what) from exc
        raise IntegrityError(
            f"{what}: rows cannot be read: {plain(exc)}",
            hint="run `backstory verify` to see which bytes are not what was recorded",
        ) from exc


def _parquet(paths: Sequence[Path]) -> str:
    listed = ", ".join(literal(glob.escape(str(path))) for path in paths)
    return f"read_parquet([{listed}], union_by_name=true, hive_partitioning=false)"


def _constants(values: Mapping[str, str | None], kinds: Mapping[str, str]) -> str:
    return ", ".join(
        f"CAST({literal(value)} AS {kinds[name]}) AS {quoted(name)}"
        for name, value in values.items()
    )
