"""What sending its events adds to a training, whose receiver is down.

The same training in a home with a transport and in one without, in turn. A process beside it finds
that nobody is there; what a training waits for is the row in the outbox and that process's start.
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
    with TemporaryDirectory(prefix="backstory-bench-") as folder, ExitStack() as opened:
        url = opened.enter_context(_nobody())
        silent = opened.enter_context(init(Path(folder, "silent")))
        init(Path(folder, "telling")).close()
        with Path(folder, "telling/backstory.toml").open("a") as settings:
            settings.write(f'[openlineage.transport]\ntype = "http"\nurl = "{url}"\n')
        telling = opened.enter_context(open_home(Path(folder, "telling")))
        opened.callback(_end_senders)
        times = interleaved(
            {
                "with a transport": lambda at: _train(telling, Path(folder), at),
                "without": lambda at: _train(silent, Path(folder), at),
            },
            rounds,
        )
    return Topic(
        name="emission",
        measures=[
            Measure(
                what="a training that tells, the receiver down, beyond one that does not",
                value=times["with a transport"] - times["without"],
                unit="ms",
                at_most=MILLISECONDS,
                times=times,
            )
        ],
    )


@contextmanager
def _nobody() -> Iterator[str]:
    """A URL that refuses every connection: its port is taken, and nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


def _end_senders() -> None:
    for sender in sending.begun():
        sender.terminate()
        sender.wait()


def _train(home: Home, folder: Path, at: int) -> None:
    artifact = folder / "model.bin"
    artifact.write_text(str(at))
    with home.retraining("ranker", code=folder) as run:
        run.register(artifact)
