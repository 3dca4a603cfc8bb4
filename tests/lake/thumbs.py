"""The slice that the tests of tables use: thumbs on answers, with a subject and free text.

Its event ids are not compared, so that the same rows make a batch at every offset.
"""

import itertools
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa

from backstory.lake.contract import Contract
from backstory.lake.receipt import Receipt
from backstory.lake.subjects import SubjectKey
from backstory.lake.table import SliceTable

NOW = datetime(2026, 11, 24, 9, 41, tzinfo=UTC)
KEY = SubjectKey(key_id="k1", secret=b"0123456789abcdef")
CONTRACT = """
slice: thumbs/en
purpose: improve the ranker
duplicate_window: 0
columns:
  event_id: {type: string, role: event_id, nullable: false}
  at: {type: timestamp, role: event_time}
  user: {type: string, role: subject, personal: direct}
  interaction: {type: string, role: interaction_id}
  age: {type: int32, personal: indirect}
  label: {type: int64}
  score: {type: float64}
  tags: {type: "list<string>"}
"""


def contract(text: str = CONTRACT) -> Contract:
    return Contract.from_yaml(text)


def new_id(count: Iterator[int] = itertools.count()) -> str:  # noqa: B008 - one count a process
    """Text in the form of UUIDv7: sorted within a process, unique over processes."""
    return f"{next(count):08x}-0000-7000-8000-{os.getpid():012x}"


def rows(count: int = 3, *, first: int = 0, source: str = "app") -> pa.Table:
    """Rows as the gate gives them; each event id is used once per source."""
    numbers = range(first, first + count)
    return pa.table(
        {
            "event_id": [f"{source}-{n}" for n in numbers],
            "at": [NOW + timedelta(seconds=n, microseconds=n) for n in numbers],
            "user": [KEY.pseudonym(f"user-{n % 7}") for n in numbers],
            "interaction": [f"int-{n}" for n in numbers],
            "age": [20 + n % 60 for n in numbers],
            "label": [n % 10 for n in numbers],
            "score": [n / 8 for n in numbers],
            "tags": [["a", None] if n % 2 else None for n in numbers],
        },
        schema=contract().schema,
    )


def create(root: Path, *, table_id: str | None = None) -> SliceTable:
    return SliceTable.create(root, contract(), at=NOW, table_id=table_id)


def append(table: SliceTable, batch: pa.Table, *, source: str = "app", offset: int = 0) -> Receipt:
    return table.append(batch, source=source, offset=offset, at=NOW, new_id=new_id)
