"""Runs as a retraining describes them, over a real slice."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from backstory.lake.blobs import Artifact
from backstory.lake.snapshot import Snapshot, open_snapshot
from backstory.lineage.capturing import Code, Environment
from backstory.lineage.model import ComponentUse
from backstory.lineage.openlineage.events import (
    CommandDescription,
    InputDescription,
    OutputDescription,
    RunDescription,
    run_event,
    to_json,
)
from backstory.lineage.trigger import CommitRange, Observation, Threshold, evaluate
from tests.lake import thumbs

AT = datetime(2026, 11, 24, 9, 41, 7, 5, tzinfo=UTC)
RUN_ID = "01a1d96e-7fe0-7000-8000-000000000000"
DIGEST = "ab" * 32


def make_snapshot(root: Path) -> Snapshot:
    table = thumbs.create(root)
    thumbs.append(table, thumbs.rows(10))
    return open_snapshot(table, at=thumbs.NOW)


def make_input(snapshot: Snapshot, **more: Any) -> InputDescription:
    row: dict[str, Any] = {
        "slice": snapshot.slice,
        "uri": "/srv/lake/thumbs__en",
        "snapshot": snapshot,
        "at": snapshot.at,
        "rows_read": 7,
    }
    return InputDescription(**(row | more))


def make_output(**more: Any) -> OutputDescription:
    row: dict[str, Any] = {
        "number": 7,
        "artifact": Artifact(digest=DIGEST, kind="tree", size=12, files=2, name="model"),
        "uri": "/srv/artifacts/sha256/ab",
        "components": (ComponentUse(kind="prompt", name="greeting", version="4"),),
    }
    return OutputDescription(**(row | more))


def make_run(**more: Any) -> RunDescription:
    seen = CommitRange(slice="thumbs/en", first=41, last=58, rows=10_214)
    row: dict[str, Any] = {
        "run_id": RUN_ID,
        "namespace": "backstory",
        "job": "retrain.ranker",
        "model": "ranker",
        "trigger": evaluate(Threshold("thumbs/en", rows=10_000), Observation(commits=seen)),
        "code": Code(
            commit="0" * 40,
            repository="https://git.test/ranker.git",
            patch=b"diff",
            dirty=True,
            command=("train.py", "--lr", "0.1"),
            patch_digest=DIGEST,
        ),
        "environment": Environment(
            python="3.11.7", platform="Linux", lock_file="uv.lock", lock_digest=DIGEST
        ),
        "params": {"lr": 0.1, "layers": [64, 32], "name": "big"},
        "metrics": {"ndcg": 0.41},
        "seed": 7,
        "command": CommandDescription(argv=("train.sh",), exit_code=0),
        "abandoned": "its process was lost",
        "dataset_rows": 7,
        "dataset_digest": DIGEST,
    }
    return RunDescription(**(row | more))


def make_event(event_type: str = "COMPLETE", at: datetime = AT, **more: Any) -> dict[str, Any]:
    return to_json(run_event(make_run(**more), event_type, at))
