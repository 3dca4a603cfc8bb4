"""Who works on a home without pause: `python -m tests.integration.busy_child TASK HOME`.

It says `began` after its first round, and goes on until its input is closed.
"""

import itertools
import select
import sys
from collections.abc import Callable
from pathlib import Path

import backstory
from backstory.lineage.home import Home
from tests.integration.small_home import MODEL, SLICE, thumbs


def append(home: Home, turn: int) -> None:
    """One more batch."""
    home.slice(SLICE).append(thumbs(1000 + turn), source="busy", offset=turn + 1)


def train(home: Home, turn: int) -> None:
    """One more version, and a pin that comes and goes."""
    artifact = home.settings.spool / "busy"
    artifact.write_text(f"weights {turn}")
    with home.retraining(MODEL, code=home.settings.spool) as run:
        run.read(SLICE)
        run.register(artifact)
    kept = home.pin(SLICE, reason="for a moment", holder=f"busy-{turn}")
    home.release(kept.pin_id, reason="it is over")


def deploy(home: Home, turn: int) -> None:
    """Another share of shadow traffic, and an answer."""
    home.deploy(f"{MODEL}@1", to="prod-eu", share=(1 + turn % 9) / 20, mode="shadow")
    home.interactions(MODEL).record(request=turn, response=turn, version=f"{MODEL}@1")


TASKS: dict[str, Callable[[Home, int], None]] = {"append": append, "train": train, "deploy": deploy}


def main() -> None:
    task, folder = sys.argv[1:]
    with backstory.open(Path(folder)) as home:
        for turn in itertools.count():
            TASKS[task](home, turn)
            if turn == 0:
                print("began", flush=True)
            if select.select([sys.stdin], [], [], 0)[0]:
                break


if __name__ == "__main__":
    main()
