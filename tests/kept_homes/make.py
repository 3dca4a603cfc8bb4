"""Makes the home of a release, to be kept: `python tests/kept_homes/make.py TARGET.tar.gz`.

Run by the release's own code, it uses public interfaces only. Time and ids are fixed, and nothing
of the machine is in it. What is told of the home here is what later releases must still answer.
"""

import contextlib
import gzip
import hashlib
import itertools
import os
import platform
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import backstory

BEGUN = datetime(2026, 11, 24, 9, tzinfo=UTC)
SLICE, MODEL, ENVIRONMENT = "thumbs/en", "ranker", "prod-eu"
BATCHES, ROWS = 12, 4  # one checkpoint, at version 9
PINNED = 5
EXTERNAL_ID = "zendesk:8812"
CONTRACT = f"""
slice: {SLICE}
purpose: improve the ranker
columns:
  event_id:    {{type: string, role: event_id, nullable: false}}
  at:          {{type: timestamp, role: event_time}}
  user:        {{type: string, role: subject, personal: direct}}
  interaction: {{type: string, role: interaction_id}}
  stars:       {{type: int64}}
"""


class Clock:
    """A second passes each time somebody asks."""

    def __init__(self, now: datetime = BEGUN) -> None:
        self.now = now

    def __call__(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now


class Entropy:
    """Other bytes each time, and the same ones each time that the home is made."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)

    def __call__(self, size: int) -> bytes:
        return hashlib.shake_128(str(next(self._numbers)).encode()).digest(size)


def thumbs(batch: int, interaction: str | None = None) -> list[dict[str, Any]]:
    """Some rows, other ones for each batch."""
    return [
        {
            "event_id": f"e{batch}-{row}",
            "at": BEGUN,
            "user": f"user-{row}@example.org",
            "interaction": interaction,
            "stars": row,
        }
        for row in range(ROWS)
    ]


def fill(home: backstory.Home, code: Path) -> None:
    """Feedback, a pin, two versions, a canary, an alias, an answer and feedback on it."""
    home.create_slice(CONTRACT)
    for batch in range(1, BATCHES + 1):
        home.slice(SLICE).append(thumbs(batch), source="app", offset=batch)
    home.pin(f"{SLICE}@{PINNED}", reason="audit", holder="auditor")
    first = train(home, code, "weights 1")
    home.deploy(first, to=ENVIRONMENT)
    home.alias(first, "champion")
    answered = home.interactions(MODEL).record(
        request={"text": "hello"},
        response={"text": "good day"},
        version=first,
        environment=ENVIRONMENT,
        external_id=EXTERNAL_ID,
        subject="ann",
    )
    home.slice(SLICE).append(thumbs(BATCHES + 1, answered), source="app", offset=BATCHES + 1)
    second = train(home, code, "weights 2")
    home.deploy(first, to=ENVIRONMENT, share=0.9)
    home.deploy(second, to=ENVIRONMENT, share=0.1, mode="canary")


def train(home: backstory.Home, code: Path, weights: str) -> str:
    """One more version, made of a folder."""
    model = code / "model"
    model.mkdir(exist_ok=True)
    (model / "weights.bin").write_text(weights)
    with home.retraining(MODEL, trigger=backstory.Manual("asked for"), code=code) as run:
        run.read(SLICE, where="stars > 0")
        run.log_params(rate=0.1)
        run.log_metrics(ndcg=0.41)
        version = run.register(model)
    return version.ref


def pack(folder: Path, target: Path) -> None:
    """Pack a home, the same bytes for the same files."""
    with (
        target.open("wb") as file,
        gzip.GzipFile(fileobj=file, mode="wb", filename="", mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for path in _sorted_below(folder):
            tar.add(path, path.relative_to(folder).as_posix(), recursive=False, filter=_plain)


def _sorted_below(folder: Path) -> Iterator[Path]:
    return iter(sorted(folder.rglob("*")))


def _plain(entry: tarfile.TarInfo) -> tarfile.TarInfo:
    entry.uid = entry.gid = 0
    entry.uname = entry.gname = ""
    entry.mtime = int(BEGUN.timestamp())
    return entry


def main() -> None:
    target = Path(sys.argv.pop()).absolute()
    # What a run records of the machine and of its command.
    platform.platform = lambda **_: "Linux"
    os.environ["LOGNAME"], sys.argv[0] = "ada", "make.py"
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        home, code = Path("home"), Path("code")  # relative, as paths of artifacts are recorded
        code.mkdir()
        with backstory.init(home, clock=Clock(), entropy=Entropy()) as made:
            fill(made, code)
        pack(home, target)


if __name__ == "__main__":
    main()
