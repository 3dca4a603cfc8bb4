"""Our trace beside MLflow's, in process, on SQLite, over equally many versions.

MLflow runs in its own environment and process, which `make bench-peers` lays from `peers.lock`; the
two are asked in turn, a few questions at a time, and each measures itself. MLflow's trace is what
its documentation shows: the model version, then its run, then the data sets that the run read; it
gives names and digests.
"""

import json
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.benchmarks.report import Measure, Topic, Work, ratio
from tests.benchmarks.trace import SIZES
from tests.benchmarks.world import GENERATIONS, World, family, grow

PYTHON = Path(__file__).resolve().parents[2] / "build/peers/bin/python"
TURNS = {"trace": 60, "impact": 12}  # a machine has slow seconds; traces are over too soon
AT_A_TIME = {"trace": 20, "impact": 1}  # MLflow takes seconds for an impact among 100,000
WARM = 1  # turns that do not count
FASTER = 10


def measure(sizes: tuple[int, ...] = SIZES, turns: Mapping[str, int] = TURNS) -> Iterator[Topic]:
    """MLflow and ourselves, in turn.

    Raises:
        FileNotFoundError: MLflow is not installed.
    """
    with (
        TemporaryDirectory(prefix="backstory-bench-") as folder,
        _mlflow(Path(folder)) as ask,
        family() as first,
    ):
        version = ask("version")
        times: dict[str, float] = {}
        for size in sizes:
            world = grow(first, f"sqlite:///{folder}/{size}.db", size)
            ask("grow", size)
            times |= _times(world, ask, turns)
        yield Topic(name=f"beside MLflow {version}, on SQLite", measures=_measures(times, sizes))


def _times(world: World, ask: Callable[..., Any], turns: Mapping[str, int]) -> Mapping[str, float]:
    home, size = world.home, world.versions
    ours: Mapping[str, Work] = {
        "trace": lambda at: home.trace(world.version(at), depth=2),
        "impact": lambda at: home.impact(world.base(at), depth=2),
    }
    medians = {}
    for work, do in ours.items():
        taken: dict[str, list[float]] = {work: [], f"MLflow's {work}": []}
        count = AT_A_TIME[work]
        for turn in range(WARM + turns[work]):
            asked = range(turn * count, (turn + 1) * count)
            taken[work] += [_milliseconds(do, at) for at in asked]
            taken[f"MLflow's {work}"] += [ask(work, size, at) for at in asked]
        for who, each in taken.items():
            medians[f"{who} of {size:,}"] = statistics.median(each[WARM * count :])
    return medians


def _milliseconds(do: Work, at: int) -> float:
    started = time.perf_counter()
    do(at)
    return (time.perf_counter() - started) * 1_000


def _measures(times: Mapping[str, float], sizes: tuple[int, ...]) -> list[Measure]:
    told = {
        "trace": "version, run, snapshots",
        "impact": f"snapshot, runs, {GENERATIONS} versions",
    }
    return [
        ratio(
            f"{what}: MLflow's time beside ours, {size:,}",
            times,
            f"MLflow's {work} of {size:,}",
            f"{work} of {size:,}",
            at_least=FASTER,
        )
        for work, what in told.items()
        for size in sizes
    ]


@contextmanager
def _mlflow(folder: Path) -> Iterator[Callable[..., Any]]:
    """Asks MLflow's process, and gives what it answers."""
    if not PYTHON.exists():
        raise FileNotFoundError(f"no MLflow in {PYTHON}: run `make bench-peers`")
    script = Path(__file__).with_name("mlflow_peer.py")
    command = [str(PYTHON), str(script), str(folder)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=folder) as peer:

        def ask(*question: object) -> Any:
            assert peer.stdin is not None
            assert peer.stdout is not None
            print(json.dumps(question), file=peer.stdin, flush=True)
            return json.loads(peer.stdout.readline())

        try:
            yield ask
        finally:
            peer.terminate()
