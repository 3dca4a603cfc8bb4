"""A home with one of everything that leaves a file, small enough to damage each file in turn."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import write_deltalake

import backstory
from backstory.lineage.home import Home
from tests.lineage.store.recording import ticking

SLICE, LINKED, MODEL = "thumbs/en", "clicks", "ranker"
COMMITS = 12  # one checkpoint, at version 9
CONTRACT = f"""
slice: {SLICE}
purpose: improve the ranker
columns:
  event_id:    {{type: string, role: event_id, nullable: false}}
  at:          {{type: timestamp, role: event_time}}
  user:        {{type: string, role: subject, personal: direct}}
  interaction: {{type: string, role: interaction_id}}
  note:        {{type: string, personal: indirect}}
  stars:       {{type: int64}}
"""
AT = datetime(2026, 11, 14, 8, tzinfo=UTC)


def thumbs(batch: int, count: int = 4, **more: Any) -> list[dict[str, Any]]:
    """Some rows, other ones for each batch."""
    return [
        {
            "event_id": f"e{batch}-{row}",
            "at": AT,
            "user": f"user-{row}@example.org",
            "interaction": None,
            "note": f"note {row}",
            "stars": row,
            **more,
        }
        for row in range(count)
    ]


def make_home(
    folder: Path, *, commits: int = COMMITS, clock: Callable[[], datetime] | None = None
) -> Home:
    """A slice with a checkpoint, pins, a linked table as a copy, a version of files, answers."""
    home = backstory.init(folder / "home", clock=clock or ticking())
    home.create_slice(CONTRACT)
    for batch in range(1, commits + 1):
        home.slice(SLICE).append(thumbs(batch), source="app", offset=batch)
    write_deltalake(folder / "theirs", pa.table({"n": pa.array(range(10), pa.int64())}))
    home.link_slice(LINKED, str(folder / "theirs"))
    home.pin(f"{SLICE}@{commits // 2}", reason="audit", holder="auditor")
    home.pin(LINKED, reason="audit", holder="auditor", strength="copied")
    train(home, folder)
    answer(home)
    return home


def train(home: Home, folder: Path) -> str:
    """A version made of a folder, with a component that is a file."""
    prompt, model = folder / "prompt.txt", folder / "model"
    prompt.write_text("be kind")
    (model / "deep").mkdir(parents=True, exist_ok=True)
    (model / "weights.bin").write_bytes(bytes(range(256)))
    (model / "deep" / "vocabulary.txt").write_text("a b c")
    with home.retraining(MODEL, trigger=backstory.Manual("asked for"), code=folder) as run:
        run.read(SLICE, where="stars > 0")
        run.read(LINKED)
        run.log_params(rate=0.1)
        run.use_component("prompt", "greeting", "4", path=prompt)
        version = run.register(model)
    home.deploy(version.ref, to="prod-eu")
    home.alias(version.ref, "champion")
    return version.ref


def answer(home: Home, **more: Any) -> str:
    """An interaction that version 1 answered."""
    return home.interactions(MODEL).record(
        request={"text": "hello"},
        response={"text": "good day"},
        version=f"{MODEL}@1",
        **{"environment": "prod-eu", "external_id": "zendesk:8812", "subject": "ann", **more},
    )


def files_of(home: Path) -> Iterator[Path]:
    """Every file, in a fixed order."""
    return (path for path in sorted(home.rglob("*")) if path.is_file())
