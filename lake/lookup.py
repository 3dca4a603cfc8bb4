"""Finding rows by id: one row in the few files that may hold it.

Of the files that are looked into, only the row groups are read whose bloom filters and statistics
do not exclude the id. Works on any snapshot that DuckDB reads from files. A damaged file may give
other rows, or none: `proved` hashes files before anything in them is believed.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import duckdb
import pyarrow as pa

from backstory.lake.engine import engine_errors, literal, quoted
from backstory.lake.errors import GoneError, IntegrityError
from backstory.lake.expressions import check_expression
from backstory.lake.files import hash_file
from backstory.lake.location import inside
from backstory.lake.snapshot import OpenedBy, Snapshot
from backstory.lake.versions import column_bounds

MAX_ROWS_FOUND = 10

_CUT = timedelta(milliseconds=1)  # Delta's statistics cut times to milliseconds
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def proved(snapshot: Snapshot, paths: Collection[str]) -> Snapshot:
    """The rows of a snapshot that lie in some of its files, each hashed again.

    Raises:
        GoneError: a file is no longer there.
        IntegrityError: a file is not what was written, or the snapshot does not list it.
    """
    files = [file for file in snapshot.manifest.files if file.path in paths]
    if unlisted := set(paths) - {file.path for file in files}:
        raise IntegrityError(f"{snapshot}: its log does not list data file {min(unlisted)}")
    for file in files:
        try:
            found, _ = hash_file(inside(snapshot.folder, file.path))
        except FileNotFoundError as exc:
            raise GoneError(f"{snapshot}: data file {file.path} is no longer there") from exc
        if found != file.sha256:
            raise IntegrityError(f"{snapshot}: data file {file.path} is not what was written")
    return replace(snapshot, manifest=replace(snapshot.manifest, files=tuple(files)))


def rows_where(
    snapshot: Snapshot,
    column: str,
    low: str,
    high: str | None = None,
    *,
    columns: Sequence[str] | None = None,
) -> list[dict[str, Any]]:
    """Rows of a text column equal to `low`, or between `low` and `high`.

    Args:
        snapshot: where to look.
        column: a text column.
        low: the value, or the lowest one.
        high: the highest one.
        columns: what to give of a row; all columns of the contract by default.

    Returns:
        At most `MAX_ROWS_FOUND` rows.

    Raises:
        IntegrityError: a file cannot be read; it is named.
    """
    where = (
        f'"{column}" = {literal(low)}'
        if high is None
        else f'"{column}" BETWEEN {literal(low)} AND {literal(high)}'
    )
    try:
        table = snapshot.arrow(columns, where)
    except IntegrityError:
        proved(snapshot, [file.path for file in snapshot.manifest.files])  # names the file
        raise
    rows: list[dict[str, Any]] = table.slice(0, MAX_ROWS_FOUND).to_pylist()
    return rows


def count_versions(interactions: Snapshot, *, where: str | None = None) -> dict[int | None, int]:
    """How many interactions each version of a model answered."""
    with engine_errors(str(interactions)), duckdb.connect(":memory:") as con:
        con.register("answers", interactions.batches(["version"], where))
        found = con.execute("SELECT version, count(*) FROM answers GROUP BY version").fetchall()
    return {version: rows for version, rows in found}  # noqa: C416 - a typed dict of a row list


def within(snapshot: Snapshot, paths: Collection[str]) -> Snapshot:
    """The rows of a snapshot that lie in some of its files."""
    files = tuple(file for file in snapshot.manifest.files if file.path in paths)
    return replace(snapshot, manifest=replace(snapshot.manifest, files=files))


def having(column: str, texts: Collection[str], where: str | None, schema: pa.Schema) -> str:
    """The condition that a column has one of some texts, and that another condition holds too.

    Raises:
        InvalidError: the other condition is not one that may be run over this schema.
    """
    own = f"{quoted(column)} IN ({', '.join(map(literal, sorted(texts)))})"
    return own if where is None else f"{own} AND ({check_expression(where, schema)})"


def may_hold(snapshot: Snapshot, column: str, low: Any, high: Any) -> Snapshot:
    """The snapshot without the files whose statistics say that no value lies between the two.

    A file whose writer left no statistics stays, and so does every file of a table whose files
    alone do not say what its rows are.
    """
    if snapshot.needs_engine or snapshot.opened_by is not OpenedBy.DELTA:
        return snapshot
    known = column_bounds(snapshot.folder, snapshot.version, column, name=snapshot.slice)
    slack = _CUT if isinstance(high, datetime) else None
    files = tuple(
        file
        for file in snapshot.manifest.files
        if file.path not in known or _meets(*known[file.path], low, high, slack)
    )
    return replace(snapshot, manifest=replace(snapshot.manifest, files=files))


def rows_between(
    snapshot: Snapshot, column: str, low: Any, high: Any, *, columns: Sequence[str], most: int
) -> list[dict[str, Any]]:
    """Rows whose value lies between two, both included, from the few files that may hold them.

    Args:
        snapshot: where to look.
        column: a column of texts, whole numbers or times.
        low: the lowest value.
        high: the highest one.
        columns: what to give of a row.
        most: how many rows at most.
    """
    where = f"{quoted(column)} BETWEEN {sql_value(low)} AND {sql_value(high)}"
    return may_hold(snapshot, column, low, high).head(most, columns, where)


def nearest(
    snapshot: Snapshot,
    column: str,
    at: datetime,
    within: timedelta | None,
    *,
    columns: Sequence[str],
    equal: Mapping[str, str],
) -> dict[str, Any] | None:
    """The row whose time is nearest to one; of two as near, the earlier.

    Args:
        snapshot: where to look.
        column: the column of the time.
        at: the time.
        within: how far away it may lie; anywhere where nothing is said.
        columns: what to give of a row, the time among it.
        equal: texts that other columns must have.
    """
    terms = [f"{quoted(name)} = {literal(text)}" for name, text in equal.items()]
    if within is not None:
        low, high = _moved(at, -within), _moved(at, within)
        terms.append(f"{quoted(column)} BETWEEN {sql_value(low)} AND {sql_value(high)}")
        snapshot = may_hold(snapshot, column, low, high)
    order = f"abs(epoch_us({quoted(column)}) - {(at - _EPOCH) // timedelta(microseconds=1)})"
    with engine_errors(str(snapshot)):
        found = (
            snapshot.duckdb(columns, " AND ".join([f"{quoted(column)} IS NOT NULL", *terms]))
            .order(f"{order}, {quoted(column)}, {quoted(columns[0])}")
            .limit(1)
            .to_arrow_table()
        )
    rows: list[dict[str, Any]] = found.to_pylist()
    return rows[0] if rows else None


def sql_value(value: Any) -> str:
    """A text, whole number or time as an SQL literal."""
    if isinstance(value, datetime):
        return f"TIMESTAMPTZ {literal(value.isoformat())}"
    return str(value) if isinstance(value, int) else literal(value)


def _meets(least: Any, most: Any, low: Any, high: Any, slack: timedelta | None) -> bool:
    return bool(least <= high and (most if slack is None else most + slack) >= low)


def _moved(at: datetime, by: timedelta) -> datetime:
    try:
        return at + by
    except OverflowError:
        return datetime.max.replace(tzinfo=UTC) if by > timedelta() else _EPOCH
