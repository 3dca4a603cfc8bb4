"""Finding rows by id: one row in the few files that may hold it, and feedback beside its answers.

Reads only the files named by the caller, and of those only the row groups whose bloom filters and
statistics do not exclude the id. Works on any snapshot that DuckDB reads from files.
"""

from collections.abc import Collection
from dataclasses import replace
from typing import Any

import duckdb

from backstory.lake.engine import engine_errors, literal
from backstory.lake.snapshot import Snapshot

MAX_ROWS_FOUND = 10


def rows_where(
    snapshot: Snapshot,
    column: str,
    low: str,
    high: str | None = None,
    *,
    files: Collection[str] | None = None,
) -> list[dict[str, Any]]:
    """Rows of a text column equal to `low`, or between `low` and `high`.

    Args:
        snapshot: where to look.
        column: a text column.
        low: the value, or the lowest one.
        high: the highest one.
        files: paths of the data files to look into; all by default.

    Returns:
        At most `MAX_ROWS_FOUND` rows with all columns of the contract.
    """
    if files is not None:
        wanted = tuple(f for f in snapshot.manifest.files if f.path in files)
        snapshot = replace(snapshot, manifest=replace(snapshot.manifest, files=wanted))
    where = (
        f'"{column}" = {literal(low)}'
        if high is None
        else f'"{column}" BETWEEN {literal(low)} AND {literal(high)}'
    )
    table = snapshot.arrow(where=where)
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
