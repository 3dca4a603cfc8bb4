"""Every text in a home's files, whatever they are packed in."""

import gzip
import json
import sqlite3
import zlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pyarrow.parquet as pq

from tests.integration.small_home import files_of


def files_with(home: Path, needle: str) -> list[str]:
    """The files that hold a text, raw or decoded."""
    return [
        str(path.relative_to(home))
        for path in files_of(home)
        if any(needle in text for text in texts_of(path))
    ]


def texts_of(path: Path) -> Iterator[str]:
    """The file's bytes as they are, and what they mean."""
    content = path.read_bytes()
    yield content.decode("latin-1")
    yield content.decode("utf-16-le", errors="replace")
    if content.startswith(b"PAR1"):
        yield from _of_parquet(path)
    elif content.startswith(b"SQLite"):
        yield from _of_sqlite(path)
    elif content.startswith(b"\x1f\x8b"):
        yield gzip.decompress(content).decode("latin-1")


def _of_parquet(path: Path) -> Iterator[str]:
    yield json.dumps(pq.read_table(path).to_pylist(), default=str, ensure_ascii=False)
    about = pq.read_metadata(path)
    for group in range(about.num_row_groups):
        for column in range(about.num_columns):
            yield repr(about.row_group(group).column(column).statistics)
    yield repr(about.metadata)


def _of_sqlite(path: Path) -> Iterator[str]:
    with closing(sqlite3.connect(path)) as conn:
        yield from conn.iterdump()
        for (name,) in conn.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table'"
        ).fetchall():
            for row in conn.execute(f'SELECT * FROM "{name}"'):
                yield from (_inflated(value) for value in row if isinstance(value, bytes))


def _inflated(value: bytes) -> str:
    try:
        return zlib.decompress(value, wbits=47).decode("latin-1")  # zlib or gzip
    except zlib.error:
        return value.decode("latin-1")
