"""Homes for tests of the use cases, and what is done in them."""

import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import write_deltalake

import backstory
from backstory.lake.pinned import Strength
from backstory.lake.pins import pin
from backstory.lake.snapshot import open_snapshot
from backstory.lineage.home import Home

MORNING = datetime(2026, 11, 24, 8, tzinfo=UTC)
CONTRACT = """
slice: thumbs/en
purpose: improve the ranker
columns:
  event_id: {type: string, role: event_id, nullable: false}
  at:       {type: timestamp, role: event_time}
  answer:   {type: string, role: interaction_id}
  stars:    {type: int64}
"""
LOST = """
import os, sys, backstory
with backstory.open(sys.argv[1]) as home:
    home.retraining("ranker").__enter__()
    os._exit(0)
"""


def thumbs(batch: int, count: int = 4, answer: str | None = None) -> list[dict[str, Any]]:
    """Some rows, other ones for each batch."""
    return [
        {"event_id": f"e{batch}-{row}", "at": MORNING, "answer": answer, "stars": row}
        for row in range(count)
    ]


def feed(home: Home, batches: int = 1, *, first: int = 1, source: str = "app", **rows: Any) -> None:
    """A slice with so many more commits of four rows."""
    if "thumbs/en" not in {summary.slice.name for summary in home.slices()}:
        home.create_slice(CONTRACT)
    for batch in range(first, first + batches):
        home.slice("thumbs/en").append(thumbs(batch, **rows), source=source, offset=batch)


def pin_unrecorded(home: Home) -> None:
    """A pin in the lake that the store does not know, as a killed command leaves it."""
    table = home.lake.table("thumbs/en")
    pin(
        table,
        open_snapshot(table),
        pin_id=home.new_id(),
        holder="nobody",
        reason="a killed command",
        strength=Strength.HELD,
        at=home.clock(),
    )


def link(home: Home, folder: Path, name: str = "clicks") -> Path:
    """A table that others write, with ten rows."""
    write_deltalake(folder / name, pa.table({"n": pa.array(range(10), pa.int64())}))
    home.link_slice(name, str(folder / name))
    return folder / name


def train(home: Home, *reads: str, model: str = "ranker", content: str = "weights") -> str:
    """One more version of a model, which read slices."""
    artifact = home.settings.spool / "model.bin"
    artifact.write_text(content)
    with home.retraining(model, code=home.settings.spool) as run:
        for ref in reads:
            run.read(ref)
        version = run.register(artifact)
    return version.ref


def answer(home: Home, version: str | None = "ranker@1", **more: Any) -> str:
    """An interaction of the ranker."""
    log = home.interactions("ranker")
    return log.record(request={"q": 1}, response={"a": 2}, version=version, **more)


def names_of(checks: list[Any], health: str) -> list[str]:
    return [check.name for check in checks if check.health == health]


def backstory_error(error: Any) -> str:
    """Message and hint of what was caught."""
    caught = error.value
    assert isinstance(caught, backstory.BackstoryError)
    return f"{caught.message} | {caught.hint}"


def lost_run(home: Home) -> str:
    """A run whose process ended without a word."""
    subprocess.run([sys.executable, "-c", LOST, str(home.settings.home)], check=True)
    [run] = home.runs("ranker")
    return run.run_id
