"""What the processes do that are killed: `python -m tests.integration.crash_child OPERATION HOME`.

A child says `ready` when everything is imported and the home is open, waits for a line, says
`begin`, does its work and says `done`. Batches that were acknowledged are named as they are.
"""

import importlib
import sys
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
from deltalake import write_deltalake

import backstory
from backstory.lineage.home import Home
from backstory.lineage.input_text import Input
from backstory.lineage.settings import SETTINGS_FILE

SLICE = "thumbs"
MODEL = "ranker"
BATCHES = 10
TRAININGS = 4
COMMANDS = 4
CANARIES = 30
AMENDMENTS = 20
BEGAN = datetime(2026, 11, 14, tzinfo=UTC)
LINKS = 8
COLUMNS = {"id": "order", "at": "ts"}
RETAINED = 30
CLASSES = ("short", "audit")
BATCH_ROWS = 500
CONTRACT = """
slice: thumbs
purpose: be killed
columns:
  event_id: {type: string, role: event_id, nullable: false}
  text:     {type: string}
  label:    {type: int64}
  user:     {type: string, role: subject}
"""


def batch(number: int) -> list[dict[str, object]]:
    """The same rows for the same number, in every process."""
    return [
        {
            "event_id": f"{number}-{row}",
            "text": f"text {number} {row}" * 5,
            "label": row % 7,
            "user": f"user-{row % 11}",
        }
        for row in range(BATCH_ROWS)
    ]


def ingest(home: Home) -> None:
    """Send batches with their offsets."""
    for number in range(1, BATCHES + 1):
        home.slice(SLICE).append(batch(number), source="app", offset=number * BATCH_ROWS)
        say(f"stored {number}")


def pin(home: Home) -> None:
    """Pin every version."""
    for version in range(1, BATCHES + 1):
        kept = home.pin(f"{SLICE}@{version}", reason="keep", holder="auditor")
        say(f"kept {kept.pin_id}")


def train(home: Home) -> None:
    """Train versions from the slice, one after the other."""
    artifact = home.settings.home / "spool" / "weights"
    for number in range(TRAININGS):
        with home.retraining(MODEL, code=home.settings.home) as run:
            rows = run.read(f"{SLICE}@{number + 1}", columns=["label"]).arrow()
            artifact.write_bytes(f"{rows.num_rows}".encode() * 1000)
            run.log_metrics(rows=rows.num_rows)
            made = run.register(artifact)
        say(f"made {made.ref}")


def command(home: Home) -> None:
    """Train versions by a command, one after the other."""
    artifact = home.settings.home / "spool" / "weights"
    script = 'echo "made by $BACKSTORY_RUN_ID" > "$0"'
    for number in range(COMMANDS):
        read = Input(ref=f"{SLICE}@{number + 1}")
        made = home.run_command(
            MODEL, ["sh", "-c", script, str(artifact)], artifact=artifact, inputs=[read]
        )
        say(f"made {made.ref}")


def deploy(home: Home) -> None:
    """Let a canary of version 2 grow and shrink beside version 1, then take all traffic."""
    say(f"deployed {home.deploy(f'{MODEL}@1', to='prod').deployment}")
    for step in range(CANARIES):
        share = (1 + step % 15) / 20
        made = home.deploy(f"{MODEL}@2", to="prod", share=share, mode="canary")
        say(f"deployed {made.deployment}")
    say(f"deployed {home.deploy(f'{MODEL}@2', to='prod').deployment}")
    home.alias(f"{MODEL}@2", "champion")
    say("named champion")


def amend(home: Home) -> None:
    """Correct the begin and the end of two deployments in turn, so that they never overlap."""
    for step in range(AMENDMENTS):
        border = BEGAN + timedelta(hours=2 + step % 2)
        ends: dict[str, dict[str, Any]] = {
            "env:prod#1": {"until_at": border},
            "env:prod#2": {"from_at": border},
        }
        for ref in sorted(ends, reverse=bool(step % 2)):
            with suppress(backstory.InvalidError):  # it was said before the kill
                home.amend(ref, reason=f"step {step}", **ends[ref])


def link(home: Home) -> None:
    """Link tables of others as interactions, one after the other."""
    for number in range(LINKS):
        uri = home.settings.home / "spool" / f"theirs-{number}"
        home.link_interactions(MODEL, str(uri), columns=COLUMNS, environment="shop")
        say(f"linked {number}")


def retain(home: Home) -> None:
    """Give the version's snapshot one class after the other."""
    for step in range(RETAINED):
        home.retain(f"{MODEL}@1", retention=CLASSES[step % 2], reason=f"step {step}")
        say(f"gave {CLASSES[step % 2]}")


OPERATIONS: dict[str, Callable[[Home], None]] = {
    "ingest": ingest,
    "pin": pin,
    "train": train,
    "command": command,
    "deploy": deploy,
    "amend": amend,
    "link": link,
    "retain": retain,
}


def say(line: str) -> None:
    """Tell the parent."""
    print(line, flush=True)


def prepare(home: Home, operation: str) -> None:
    """What must be there before an operation."""
    home.create_slice(CONTRACT)
    if operation != "ingest":
        ingest(home)
    if operation in {"deploy", "amend", "link", "retain"}:
        train(home)
    if operation == "amend":
        home.deploy(f"{MODEL}@1", to="prod", at=BEGAN)
        home.deploy(f"{MODEL}@2", to="prod", at=BEGAN + timedelta(hours=3))
    for number in range(LINKS if operation == "link" else 0):
        at = pa.array([datetime(2026, 11, 20, tzinfo=UTC)], pa.timestamp("us", "UTC"))
        folder = home.settings.home / "spool" / f"theirs-{number}"
        write_deltalake(folder, pa.table({"order": [f"o-{number}"], "ts": at}))
    if operation == "retain":
        path = home.settings.home / SETTINGS_FILE
        given = '[retention.classes]\nshort = "30 days"\naudit = "3650 days"'
        path.write_text(path.read_text().replace("[retention.classes]", given))


def main() -> None:
    operation, folder = sys.argv[1:]
    importlib.import_module("backstory.lineage.openlineage.building")  # half a second of nothing
    home = backstory.open(Path(folder))
    say("ready")
    sys.stdin.readline()
    say("begin")
    OPERATIONS[operation](home)
    say("done")


if __name__ == "__main__":
    main()
