"""Finding rows by id: one row in the few files that may hold it, and feedback beside its answers.

Of the files that are looked into, only the row groups are read whose bloom filters and statistics
do not exclude the id. Works on any snapshot that DuckDB reads from files. A damaged file may give
other rows, or none: `proved` hashes files before anything in them is believed.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

import duckdb

from backstory.lake.engine import engine_errors, literal
from backstory.lake.errors import GoneError, IntegrityError
from backstory.lake.files import hash_file
from backstory.lake.location import inside
from backstory.lake.snapshot import Snapshot

MAX_ROWS_FOUND = 10


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


def count_answers(
    feedback: Snapshot, column: str, interactions: Snapshot, *, where: str | None = None
) -> dict[int | None, int]:
    """How many feedback rows were given on answers of each version of one model.

    Args:
        feedback: rows that name an interaction.
        column: the column that names it.
        interactions: the interactions of one model.
        where: the selection of feedback rows.

    Returns:
        Rows by version number; None for answers whose version was not recorded.
    """
    with engine_errors(str(feedback)), duckdb.connect(":memory:") as con:
        con.register("feedback", feedback.batches([column], where))
        con.register("answers", interactions.batches(["id", "version"]))
        found = con.execute(
            "SELECT version, count(*) FROM feedback JOIN answers "
            f'ON feedback."{column}" = answers.id GROUP BY version ORDER BY version'
        ).fetchall()
    return {version: rows for version, rows in found}  # noqa: C416 - a typed dict of a row list


def count_versions(interactions: Snapshot, *, where: str | None = None) -> dict[int | None, int]:
    """How many interactions each version of a model answered."""
    with engine_errors(str(interactions)), duckdb.connect(":memory:") as con:
        con.register("answers", interactions.batches(["version"], where))
        found = con.execute("SELECT version, count(*) FROM answers GROUP BY version").fetchall()
    return {version: rows for version, rows in found}  # noqa: C416 - a typed dict of a row list
