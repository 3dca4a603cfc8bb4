"""What many processes do to one home at once.

The processes are forked from one that has imported everything and used nothing (multiprocessing's
fork server), so a crowd begins within a second. They begin together when all are there.
"""

import multiprocessing
import random
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import datetime, timedelta
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import backstory
from backstory.lineage.home import Home
from tests.integration.small_home import MODEL, SLICE, thumbs

BATCHES = 5
ROWS = 3
SERVED = 4  # versions that are there
PATIENCE = 120  # seconds

Task = Callable[[Home, int, int], Iterator[str]]

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload([__name__, "deltalake", "duckdb", "pyarrow.parquet"])
_meeting: Barrier | None = None


def together(task: Task, home: Path, count: int) -> list[str]:
    """Let so many processes do a task at once; what they said of it."""
    barrier = _context.Barrier(count)
    with ProcessPoolExecutor(
        count, mp_context=_context, initializer=_arrive, initargs=(barrier,)
    ) as pool:
        done = [pool.submit(_work, task, home, number, count) for number in range(count)]
        return [line for future in done for line in future.result(timeout=PATIENCE)]


def _arrive(barrier: Barrier) -> None:
    global _meeting  # noqa: PLW0603 - a worker is told once where the others meet
    _meeting = barrier


def _work(task: Task, home: Path, number: int, of: int) -> list[str]:
    if _meeting is not None:
        _meeting.wait(PATIENCE)
    with backstory.open(home) as opened:
        return list(task(opened, number, of))


def own_source(home: Home, number: int, of: int) -> Iterator[str]:
    """Batches of a source that nobody else uses."""
    for batch in range(BATCHES):
        rows = thumbs(number * BATCHES + batch, ROWS)
        home.slice(SLICE).append(rows, source=f"app-{number}", offset=(batch + 1) * ROWS)
        yield "stored"


def shared_offsets(home: Home, number: int, of: int) -> Iterator[str]:
    """Every `of`-th offset of one source; who is overtaken is refused and says so."""
    for batch in range(BATCHES):
        place = batch * of + number
        try:
            home.slice(SLICE).append(thumbs(place, ROWS), source="log", offset=place + 1)
        except backstory.OffsetConflict:
            yield f"refused {place}"
        else:
            yield f"stored {place}"


def counted_offsets(home: Home, number: int, of: int) -> Iterator[str]:
    """Batches of one source that counts its rows."""
    for batch in range(BATCHES):
        home.slice(SLICE).append(thumbs(number * BATCHES + batch, ROWS), source="sdk")
        yield "stored"


def record(home: Home, number: int, of: int) -> Iterator[str]:
    """Interactions of a model whose table nobody has made yet."""
    for turn in range(BATCHES):
        home.interactions(MODEL).record(
            request=number, response=turn, version=f"{MODEL}@1", external_id=f"{number}-{turn}"
        )
        yield "stored"


def deploy(home: Home, number: int, of: int) -> Iterator[str]:
    """A share that fits beside the others only when not all get one."""
    for version in range(1, BATCHES):
        try:
            home.deploy(f"{MODEL}@{version}", to="prod", share=0.1 * (number + 1))
        except backstory.RefusedError:
            yield "refused"
        else:
            yield "stored"


def serve(home: Home, number: int, of: int, times: int) -> Iterator[str]:
    """Deploys, undeploys, alias moves and amendments, at times of the past and of the future."""
    draw = random.Random(number)
    began = home.clock()
    for turn in range(times):
        version = f"{MODEL}@{draw.randint(1, SERVED)}"
        environment = draw.choice(["prod", "test"])
        at = began + timedelta(minutes=draw.randint(-60, 60))
        try:
            match turn % 5:
                case 0 | 1:
                    share, mode = draw.choice([(1, "live"), (0.4, "live"), (0.2, "canary")])
                    home.deploy(version, to=environment, share=share, mode=mode, at=at)
                case 2:
                    home.alias(version, draw.choice(["champion", "challenger"]))
                case 3:
                    home.undeploy(version, from_environment=environment, at=at)
                case 4:
                    _amend(home, draw, environment, at)
        except (backstory.RefusedError, backstory.NotFoundError, backstory.InvalidError):
            yield "refused"
        else:
            yield "stored"


def _amend(home: Home, draw: random.Random, environment: str, at: datetime) -> None:
    """Say something else of one of an environment's first deployments."""
    said: list[dict[str, Any]] = [
        {"never": True},
        {"share": 0.3},
        {"from_at": at},
        {"until_at": at},
        {"ongoing": True, "share": 0.1},
    ]
    home.amend(f"env:{environment}#{draw.randint(1, 9)}", reason="wrong", **draw.choice(said))


def look(home: Home, number: int, of: int) -> Iterator[str]:
    """Nothing more than opening the home."""
    yield f"sees {len(home.slices())}"
