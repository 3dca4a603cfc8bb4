"""What a pin costs beyond opening its snapshot, by the number of its files.

Data files are blanked before anything is pinned, at the same size: a pin that looked into one would
fail. Each round pins a version that no pin has kept yet.
"""

import statistics
import time
from collections.abc import Callable
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
        beyond: dict[str, list[float]] = {"few": [], "many": []}
        for at in range(rounds + 1):
            for name, files in (("few", few), ("many", many)):
                beyond[name].append(_beyond_opening(home, f"{name}@{files + at}"))
    more = [large - small for small, large in zip(beyond["few"], beyond["many"], strict=True)]
    per_hundred = statistics.median(more[1:]) / (many - few) * 100
    cost = {name: statistics.median(times[1:]) for name, times in beyond.items()}
    return Topic(
        name="pin",
        measures=[
            Measure(
                what="a pin beyond opening, for each 100 files",
                value=per_hundred,
                unit="ms",
                at_most=MILLISECONDS,
                times={f"{few} files": cost["few"], f"{many} files": cost["many"]},
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


def _beyond_opening(home: Home, ref: str) -> float:
    opening = _milliseconds(lambda: open_at(home, resolve_slice_at(home, ref)))
    return _milliseconds(lambda: home.pin(ref, reason="measured")) - opening


def _milliseconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1_000
