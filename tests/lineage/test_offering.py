"""What a command is told has a format that stays."""

import json
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest

import backstory
from backstory.lake.manifest import Manifest, ManifestFile
from backstory.lake.reading import Reading
from backstory.lake.snapshot import OpenedBy, Snapshot
from backstory.lineage.offering import offer

GOLDEN = Path(__file__).parent / "golden" / "inputs-v1.json"
SNAPSHOT = Snapshot(
    slice="thumbs/en",
    manifest=Manifest(
        table_id="7d1f",
        version=58,
        schema_json="{}",
        files=(
            ManifestFile(path="a.parquet", size=10, rows=3, sha256="ab" * 32),
            ManifestFile(path="d=1/b.parquet", size=20, rows=4, sha256="", partition={"d": "1"}),
        ),
    ),
    folder=Path("/srv/lake/thumbs__en"),
    opened_by=OpenedBy.DELTA,
    full_schema=pa.schema(
        [pa.field("id", pa.string(), nullable=False), ("at", pa.timestamp("us", "UTC"))]
    ),
    ours=True,
)


def reading(snapshot: Snapshot) -> Reading:
    return Reading(snapshot=snapshot, columns=None, where="d = 1", rows=4)


def test_format_1_is_as_it_was() -> None:
    told = offer("01a1", "ranker", [("test", "/srv/lake/thumbs__en", reading(SNAPSHOT))])
    assert told == json.loads(GOLDEN.read_text("utf-8"))


def test_files_that_do_not_say_their_rows_are_not_offered() -> None:
    hidden = replace(SNAPSHOT, needs_engine=True)
    with pytest.raises(backstory.RefusedError, match="do not say"):
        offer("01a1", "ranker", [("test", "/srv", reading(hidden))])
