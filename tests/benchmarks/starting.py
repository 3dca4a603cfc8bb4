"""How long the command line takes to say its version, beside Python alone."""

import subprocess
import sys
from pathlib import Path

from tests.benchmarks.report import Measure, Topic, interleaved, ratio

ROUNDS = 15
SECONDS = 0.3


def measure(rounds: int = ROUNDS) -> Topic:
    """`backstory --version` and an empty program, in turn."""
    ours, python = [str(Path(sys.executable).with_name("backstory")), "--version"], "python -c pass"
    times = interleaved(
        {
            "backstory --version": lambda _: _run(ours),
            python: lambda _: _run([sys.executable, "-c", "pass"]),
        },
        rounds,
        warm=1,
    )
    version = "backstory --version"
    return Topic(
        name="start",
        measures=[
            Measure(what=version, value=times[version] / 1_000, unit="s", at_most=SECONDS),
            ratio("the same beside Python alone", times, version, python),
        ],
    )


def _run(command: list[str]) -> None:
    subprocess.run(command, check=True, capture_output=True)
