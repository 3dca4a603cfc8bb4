"""Ctrl-C: the command ends, says so, and what was committed is whole."""

import os
import signal
import subprocess

from tests.cli.running import PROGRAM, environment, run
from tests.cli.shop import Shop, write_jsonl


def test_an_interrupted_ingest_leaves_a_sound_home(own_shop: Shop) -> None:
    """The second file is a pipe: to open it means that the command has come so far."""
    first = write_jsonl(own_shop.folder / "first.jsonl", 9)
    second = own_shop.folder / "second.jsonl"
    os.mkfifo(second)
    with (
        subprocess.Popen(
            [*PROGRAM, "ingest", "thumbs/en", first, second],
            cwd=own_shop.folder,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as child,
        second.open("w"),
    ):
        os.kill(child.pid, signal.SIGINT)
        out, err = child.communicate(timeout=60)
    assert child.returncode == 130
    assert out.splitlines()[1].split("\t")[:2] == ["first.jsonl", "accepted"]
    error, hint = err.splitlines()
    assert error.startswith("error: interrupted; what was committed is kept whole")
    assert hint.startswith("hint: repeat the command")
    assert run("slices", home=own_shop.home).rows[0][2] == "1560"
    assert run("verify", home=own_shop.home).code == 0
