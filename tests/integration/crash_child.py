"""What the processes do that are killed: `python -m tests.integration.crash_child OPERATION HOME`.

A child says `ready` when everything is imported and the home is open, waits for a line, says
`begin`, does its work and says `done`. Batches that were acknowledged are named as they are.
"""

import importlib
import sys
from collections.abc import Callable
from pathlib import Path

import backstory
from backstory.lineage.home import Home
from backstory.lineage.settings import SETTINGS_FILE

SLICE = "thumbs"
MODEL = "ranker"
BATCHES = 10
TRAININGS = 4
CANARIES = 30
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
"""


def batch(number: int) -> list[dict[str, object]]:
    """The same rows for the same number, in every process."""
    return [
        {"event_id": f"{number}-{row}", "text": f"text {number} {row}" * 5, "label": row % 7}
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
        home.pin(f"{SLICE}@{version}", reason="keep", holder="auditor")


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


def deploy(home: Home) -> None:
    """Let a canary of version 2 grow and shrink beside version 1, then take all traffic."""
    home.deploy(f"{MODEL}@1", to="prod")
    for step in range(CANARIES):
        home.deploy(f"{MODEL}@2", to="prod", share=(1 + step % 15) / 20, mode="canary")
    home.deploy(f"{MODEL}@2", to="prod")
    home.alias(f"{MODEL}@2", "champion")


def retain(home: Home) -> None:
    """Give the version's snapshot one class after the other."""
    for step in range(RETAINED):
        home.retain(f"{MODEL}@1", retention=CLASSES[step % 2], reason=f"step {step}")
        say(f"gave {CLASSES[step % 2]}")


OPERATIONS: dict[str, Callable[[Home], None]] = {
    "ingest": ingest,
    "pin": pin,
    "train": train,
    "deploy": deploy,
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
    if operation in {"deploy", "retain"}:
        train(home)
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
