"""A snapshot with the selection that a reader applies to it: which rows of it are really read."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
from duckdb import DuckDBPyConnection, DuckDBPyRelation

from backstory.lake.snapshot import Snapshot

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """Rows that somebody reads.

    Attributes:
        snapshot: what is read.
        columns: the columns that are read; None for all.
        where: the condition that rows meet; None for all.
        rows: how many rows are read.
    """

    snapshot: Snapshot
    columns: Sequence[str] | None
    where: str | None
    rows: int

    def arrow(self) -> pa.Table:
        """The rows as an Arrow table."""
        return self.snapshot.arrow(self.columns, self.where)

    def pandas(self) -> "pd.DataFrame":
        """The rows as a pandas data frame."""
        return self.snapshot.pandas(self.columns, self.where)

    def polars(self) -> "pl.DataFrame":
        """The rows as a Polars data frame."""
        return self.snapshot.polars(self.columns, self.where)

    def duckdb(self, con: DuckDBPyConnection | None = None) -> DuckDBPyRelation:
        """The rows as a DuckDB relation, on a connection of yours where one is given."""
        return self.snapshot.duckdb(self.columns, self.where, con=con)


def read(
    snapshot: Snapshot, columns: Sequence[str] | None = None, where: str | None = None
) -> Reading:
    """Select rows of a snapshot; counts those that meet the condition.

    Raises:
        InvalidError: the condition is not one scalar expression on the table's columns.
    """
    return Reading(snapshot=snapshot, columns=columns, where=where, rows=snapshot.count(where))
