"""Snapshots made of rows alone: Parquet files and a manifest, no log."""

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from backstory.lake.columns import SYSTEM_FIELDS
from backstory.lake.manifest import Manifest, ManifestFile
from backstory.lake.snapshot import OpenedBy, Snapshot
from tests.lake.thumbs import NOW

SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("n", pa.int64()),
        ("f", pa.float64()),
        ("tags", pa.list_(pa.string())),
        ("about", pa.struct([("a", pa.int64())])),
        ("more", pa.map_(pa.string(), pa.int64())),
    ]
)
STORED = pa.schema([*SCHEMA, *SYSTEM_FIELDS])

Row = dict[str, Any]


def stored(rows: Sequence[Row], schema: pa.Schema = STORED) -> pa.Table:
    """Rows as they lie on disk; what a row does not say is null, or its place in the list."""
    sent = [
        {"_source": "app", "_offset": place, "_ingested_at": NOW, **row}
        for place, row in enumerate(rows)
    ]
    return pa.Table.from_pylist(sent, schema)


def snapshot(
    folder: Path,
    files: Sequence[pa.Table],
    *,
    version: int = 0,
    ours: bool = True,
    count: Iterator[int] = itertools.count(),  # noqa: B008 - one count a process
) -> Snapshot:
    """A version with these files; a table that was written before is the same file again."""
    listed = []
    for table in files:
        name = next((n for n, known in _written(folder) if known is table), None)
        if name is None:
            name = f"part-{next(count):06d}.parquet"
            pq.write_table(table, folder / name)
            _written(folder).append((name, table))
        listed.append(
            ManifestFile(
                path=name, size=(folder / name).stat().st_size, rows=table.num_rows, sha256=""
            )
        )
    schema = files[-1].schema if files else STORED
    return Snapshot(
        slice="thumbs",
        manifest=Manifest(table_id="t", version=version, schema_json="{}", files=tuple(listed)),
        folder=folder,
        opened_by=OpenedBy.MANIFEST,
        full_schema=pa.schema([field.with_nullable(True) for field in schema]),
        ours=ours,
    )


_FOLDERS: dict[Path, list[tuple[str, pa.Table]]] = {}


def _written(folder: Path) -> list[tuple[str, pa.Table]]:
    return _FOLDERS.setdefault(folder, [])
