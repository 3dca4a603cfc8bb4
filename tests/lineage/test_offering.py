"""What a command is told has a format that stays."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import backstory
from backstory.lake.manifest import Manifest, ManifestFile
from backstory.lake.reading import Reading
from backstory.lake.snapshot import OpenedBy, Snapshot
from backstory.lineage.home import Home
from backstory.lineage.input_text import Input
from backstory.lineage.offering import FIELDS, OFFER_FORMAT, offer
from tests.lineage.homes import feed

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


def kinds(value: Any, place: str = "") -> Iterator[tuple[str, str]]:
    """Each place of a JSON value with what stands there."""
    names = {str: "string", bool: "boolean", int: "integer", list: "array", dict: "object"}
    if place:
        yield place, "null" if value is None else names[type(value)]
    if isinstance(value, list):
        for inner in value:
            yield from kinds_within(inner, f"{place}[]")
    elif isinstance(value, dict) and not place.endswith("partition"):
        yield from kinds_within(value, place)


def kinds_within(value: dict[str, Any], place: str) -> Iterator[tuple[str, str]]:
    for name, inner in value.items():
        yield from kinds(inner, f"{place}.{name}" if place else name)


def check_told(told: dict[str, Any]) -> None:
    """Every field of the reference stands in it, of its kind, and nothing else."""
    found = list(kinds(told))
    assert {place for place, _ in found} == FIELDS.keys()
    assert [(place, k) for place, k in found if k not in FIELDS[place][0].split(" or ")] == []


def test_the_reference_names_every_field() -> None:
    check_told(json.loads(GOLDEN.read_text("utf-8")))


def test_a_command_is_told_what_the_reference_says(home: Home, tmp_path: Path) -> None:
    feed(home)
    script = f'cp "$BACKSTORY_INPUTS" "{tmp_path}/told.json"; echo weights > "{tmp_path}/model"'
    home.run_command(
        "ranker",
        ["sh", "-c", script],
        artifact=tmp_path / "model",
        inputs=[Input(ref="thumbs/en@1"), Input(ref="thumbs/en", role="test", where="stars > 1")],
    )
    told = json.loads((tmp_path / "told.json").read_text("utf-8"))
    assert told["v"] == OFFER_FORMAT
    check_told(told)


def test_files_that_do_not_say_their_rows_are_not_offered() -> None:
    hidden = replace(SNAPSHOT, needs_engine=True)
    with pytest.raises(backstory.RefusedError, match="do not say"):
        offer("01a1", "ranker", [("test", "/srv", reading(hidden))])
