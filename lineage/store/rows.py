"""What a row is, in bytes: the digest by which the audit log vouches for the store's rows.

A unit's leaf says for each table how many rows it wrote and the digest over them. A row's bytes are
the JSON of its table and its columns that are not NULL, so that a column added later does not
change the rows that were there before. `ended_seq` belongs to the leaf that ends the row, not to
the one that wrote it.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Column, Float, Table, TypeDecorator

ENDED = "ended_seq"


def recorded_column(table: Table) -> Column[Any]:
    """The column that says which leaf a row came with."""
    return table.c["created_seq" if table.name == "entity" else "recorded_seq"]


def row_hash(table: str, values: Mapping[str, Any]) -> bytes:
    """The hash of one written row; values as the database holds them."""
    present = {name: v for name, v in values.items() if v is not None and name != ENDED}
    return _hash([table, present])


def ended_hash(table: str, key: int) -> bytes:
    """The hash of one ended row."""
    return _hash([table, key, "ended"])


def _hash(value: object) -> bytes:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).digest()


def as_stored(column: Column[Any], value: Any) -> Any:
    """A value as the database will hold it."""
    if isinstance(column.type, TypeDecorator):
        return column.type.process_bind_param(value, None)  # type: ignore[arg-type]  # ours need no dialect
    if isinstance(column.type, Float) and value is not None:
        return float(value)
    return value
