"""Running commands: in this process, as a process in a pipe, and as one on a terminal."""

import json
import os
import pty
import re
import subprocess
import sys
import termios
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from backstory.cli.main import main

COLOURS = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")
PROGRAM = [sys.executable, "-c", "from backstory.cli.main import main; main()"]


@dataclass(frozen=True, kw_only=True)
class Ran:
    """What a command said."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        """The data of a `--json` result."""
        body = json.loads(self.out)
        assert body["schemaVersion"] == 1
        return body["data"]

    @property
    def rows(self) -> list[list[str]]:
        """The lines of a table in a pipe, without its header."""
        return [line.split("\t") for line in self.out.splitlines()[1:]]


def run(*args: str | Path, home: Path | None = None, stdin: str | None = None) -> Ran:
    """Run a command in this process, as in a pipe."""
    before = ["--home", str(home)] if home else []
    outcome = CliRunner().invoke(main, [*before, *map(str, args)], input=stdin)
    assert outcome.exception is None or isinstance(outcome.exception, SystemExit)
    return Ran(code=outcome.exit_code, out=outcome.stdout, err=outcome.stderr)


def draw(*args: str | Path, home: Path, width: int = 100) -> list[str]:
    """What a person sees of a command, without colours."""
    outcome = CliRunner(env={"COLUMNS": str(width), "TERM": "xterm"}).invoke(
        main, ["--color", "always", "--home", str(home), *map(str, args)]
    )
    assert outcome.exit_code == 0, outcome.stderr
    return COLOURS.sub("", outcome.stdout).splitlines()


def environment(**more: str) -> dict[str, str]:
    """The environment of a process, without what the machine of the test has set."""
    unset = {"NO_COLOR", "PAGER", "BACKSTORY_PAGER", "BACKSTORY_HOME", "COLUMNS"}
    kept = {name: value for name, value in os.environ.items() if name not in unset}
    return {**kept, "TERM": "xterm-256color", **more}


def process(
    *args: str | Path,
    folder: Path,
    before: Sequence[str] = (),
    program: Sequence[str] = PROGRAM,
    **more: Any,
) -> Ran:
    """Run a command as a process in a pipe, by another program where one stands before it."""
    done = subprocess.run(
        [*before, *program, *map(str, args)],
        cwd=folder,
        env=more.pop("env", environment()),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        **more,
    )
    return Ran(code=done.returncode, out=done.stdout, err=done.stderr)


def terminal(
    *args: str | Path,
    folder: Path,
    env: dict[str, str] | None = None,
    program: Sequence[str] = PROGRAM,
) -> Ran:
    """Run a command as a process on a terminal; stdout and stderr arrive as one, with colours."""
    reader, writer = pty.openpty()
    with os.fdopen(reader, "rb", buffering=0) as screen:
        termios.tcsetwinsize(writer, (40, 100))
        child = subprocess.Popen(
            [*program, *map(str, args)],
            cwd=folder,
            env=environment(**(env or {})),
            stdin=writer,
            stdout=writer,
            stderr=writer,
        )
        os.close(writer)
        shown = _until_closed(screen)
        return Ran(code=child.wait(timeout=120), out=shown.replace("\r\n", "\n"), err="")


def _until_closed(screen: Any) -> str:
    """Everything that is written; on Linux a terminal without writers is an error to read."""
    read = b""
    while True:
        try:
            more = screen.read(65536)
        except OSError:
            return read.decode()
        if not more:
            return read.decode()
        read += more
