"""What a pin costs beyond opening its snapshot, by the number of its files.

Data files are blanked before anything is pinned, at the same size: a pin that looked into one would
fail. Each round pins a version that no pin has kept yet.
"""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from backstory.lake.location import folder_of
from backstory.lineage.home import Home, init
from backstory.lineage.pinning import open_at
from backstory.lineage.resolving import resolve_slice_at
from tests.benchmarks.report import Measure, Topic

FEW, MANY = 20, 420
ROUNDS = 21
MILLISECONDS = 2  # for each 100 files

_CONTRACT = """
slice: {name}
purpose: measure
columns:
  event_id: {{type: string, role: event_id, nullable: false}}
  value: {{type: float64}}
"""


def measure(few: int = FEW, many: int = MANY, rounds: int = ROUNDS) -> Topic:
    """Pins of versions with few files and with many, in turn."""
    with (
        TemporaryDirectory(prefix="backstory-bench-") as folder,
        init(Path(folder, "home")) as home,
    ):
        for name, files in (("few", few), ("many", many)):
            _write(home, name, files + rounds)
        opening: dict[str, list[float]] = {"few": [], "many": []}
        pinning: dict[str, list[float]] = {"few": [], "many": []}
        for at in range(rounds):
            for name, files in (("few", few), ("many", many)):
                ref = f"{name}@{files + at}"
                opening[name].append(_milliseconds(partial(_open, home, ref)))
                pinning[name].append(_milliseconds(partial(home.pin, ref, reason="measured")))
    # The quickest of each: what is looked for is smaller than what a busy disk adds.
    beyond = {name: min(pinning[name]) - min(opening[name]) for name in pinning}
    per_hundred = (beyond["many"] - beyond["few"]) / (many - few) * 100
    return Topic(
        name="pin",
        measures=[
            Measure(
                what="a pin beyond opening, for each 100 files",
                value=per_hundred,
                unit="ms",
                at_most=MILLISECONDS,
                times={f"{few} files": beyond["few"], f"{many} files": beyond["many"]},
            )
        ],
        notes=["every data file was blanked before: no pin read one"],
    )


def _write(home: Home, name: str, files: int) -> None:
    home.create_slice(_CONTRACT.format(name=name))
    for number in range(files):
        rows = [{"event_id": f"{number}-{row}", "value": float(row)} for row in range(3)]
        home.slice(name).append(rows, source="bench", offset=number + 1)
    for path in (home.lake.root / folder_of(name)).rglob("part-*.parquet"):
        path.write_bytes(bytes(path.stat().st_size))


def _open(home: Home, ref: str) -> None:
    open_at(home, resolve_slice_at(home, ref))


def _milliseconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1_000
