"""What sending its events adds to a training, whose receiver is down, or takes and says nothing.

The same training in homes with a transport and in one without, in turn. A process beside it finds
that nobody is there, or waits; what a training waits for is the row in the outbox and that
process's start.
"""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from backstory.lineage import sending
from backstory.lineage.home import Home, init, open_home
from tests.benchmarks.report import Measure, Topic, interleaved

ROUNDS = 60
MILLISECONDS = 5


def measure(rounds: int = ROUNDS) -> Topic:
    """Trainings with a transport and without, in turn."""
    with TemporaryDirectory(prefix="backstory-bench-") as name, ExitStack() as opened:
        folder = Path(name)
        quiet = opened.enter_context(init(folder / "quiet"))
        telling = {
            what: opened.enter_context(_home_telling(folder / what, opened.enter_context(url)))
            for what, url in {"down": _nobody(), "silent": _silent()}.items()
        }
        opened.callback(sending.end_begun)
        times = interleaved(
            {
                "the receiver down": lambda at: _train(telling["down"], folder, at),
                "the receiver silent": lambda at: _train(telling["silent"], folder, at),
                "without": lambda at: _train(quiet, folder, at),
            },
            rounds,
        )
    return Topic(
        name="emission",
        measures=[
            Measure(
                what=f"a training that tells, {receiver}, beyond one that does not",
                value=times[receiver] - times["without"],
                unit="ms",
                at_most=MILLISECONDS,
                times={what: times[what] for what in (receiver, "without")},
            )
            for receiver in ("the receiver down", "the receiver silent")
        ],
    )


def _home_telling(path: Path, url: str) -> Home:
    init(path).close()
    with (path / "backstory.toml").open("a") as settings:
        settings.write(f'[openlineage.transport]\ntype = "http"\nurl = "{url}"\n')
    return open_home(path)


@contextmanager
def _nobody() -> Iterator[str]:
    """A URL that refuses every connection: its port is taken, and nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


@contextmanager
def _silent() -> Iterator[str]:
    """A URL that accepts every connection, and answers nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def _train(home: Home, folder: Path, at: int) -> None:
    artifact = folder / "model.bin"
    artifact.write_text(str(at))
    with home.retraining("ranker", code=folder) as run:
        run.register(artifact)
