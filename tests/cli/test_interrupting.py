"""Ctrl-C: the command ends, says so, and what was committed is whole."""

import os
import signal
import subprocess
from pathlib import Path

from tests.cli.running import PROGRAM, Ran, environment, run
from tests.cli.shop import Shop, write_jsonl


def test_an_interrupted_ingest_leaves_a_sound_home(own_shop: Shop) -> None:
    """The second file is a pipe: to open it means that the command has come so far."""
    first = write_jsonl(own_shop.folder / "first.jsonl", 9)
    second = own_shop.folder / "second.jsonl"
    os.mkfifo(second)
    said = interrupted("ingest", "thumbs/en", first, second, shop=own_shop, at=second)
    assert said.code == 130
    assert said.out.splitlines()[1].split("\t")[:2] == ["first.jsonl", "accepted"]
    error, hint = said.err.splitlines()
    assert error == "error: interrupted"
    assert hint.startswith("hint: repeat the command: what was committed is kept whole")
    assert run("slices", home=own_shop.home).rows[0][2] == "1560"
    assert run("verify", home=own_shop.home).code == 0


def test_an_interrupted_question_has_nothing_to_keep(shop: Shop, tmp_path: Path) -> None:
    document = tmp_path / "document.graphql"
    os.mkfifo(document)
    said = interrupted("query", document, shop=shop, at=document)
    assert said == Ran(code=130, out="", err="error: interrupted\n")


def interrupted(*args: str | Path, shop: Shop, at: Path) -> Ran:
    """Run a command and interrupt it where it reads from a pipe."""
    with (
        subprocess.Popen(
            [*PROGRAM, *args],
            cwd=shop.folder,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as child,
        at.open("w"),
    ):
        os.kill(child.pid, signal.SIGINT)
        out, err = child.communicate(timeout=60)
    return Ran(code=child.returncode, out=out, err=err)
