"""A page of documentation, walked through as a reader would: its files saved, its commands run.

    `thumbs.yaml`:                      the block below is saved under that name
    Add to `.backstory/backstory.toml`: the block below is added to that file
    ```console                          after "$ " a command, "> " goes on with it, then its output
    ```python                           a program, run; a ```text below it is what it prints
    ```sh  ```text  ```graphql          for reading only

All of it is one bash session on a terminal of `COLUMNS` columns, in an empty folder. Commands have
to succeed. What differs from one walk to the next is not compared, see `settled`.

    REWRITE_PAGES=yes make test

writes what is printed into the pages, where it is not what they say.
"""

import fcntl
import os
import pty
import re
import socket
import struct
import subprocess
import sys
import termios
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import pytest

from tests.conftest import REPOSITORY

COLUMNS = 110
SHOWN_FOLDER = "/home/ada/tour"  # where the pages say they are
SHOWN_HOST = "ada-laptop"
SERVE = "backstory serve"
SHOWN_PORT = "8400"

_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_SAVED = re.compile(r"`([\w./-]+)`:$")
_ADDED = re.compile(r"\bAdd to `([\w./-]+)`:$")
_COMMAND = re.compile(r"^\$ (.*(?:\n> .*)*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)
_MARK = "\x1e"
# A bar of progress, which takes itself away again, and the switches of bold text.
_PASSING = re.compile(r"\x1b\[\?25l.*?\x1b\[\?25h(\s*\x1b\[1A\x1b\[2K)*|\x1b\[[\d;]*m", re.DOTALL)
_DIFFERS = (
    (r"\b[0-9a-f]{8}-[0-9a-f]{4}(-[0-9a-f]{4}){2}-[0-9a-f]{12}\b", "ID"),
    (r"\b(run|int):[0-9a-f]{8}-[0-9a-f]{4}\b", r"\1:ID"),
    (r"\b[0-9a-f]{12,64}\b", "DIGEST"),
    (r"\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z|\+00:00|\b)", "TIME"),
    (r"\b\d+(\.\d+)? ([kMG]i?)?B\b", "SIZE"),
    (r"\b\d+(\.\d+)? s\b", "DURATION"),
    (r"\b[\d,]+ (days?|h|min)\b( late\b)?", "LATE"),
    (r"\b\d+\.\d+\.\d+\b", "RELEASE"),  # of a library
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Something that a reader does.

    Attributes:
        script: the same as bash.
        output: what the page says that it prints; None where it says nothing.
        span: where in the page it says so.
    """

    script: str
    output: str | None
    span: tuple[int, int]


def settled(text: str) -> str:
    """Output without what differs from walk to walk: ids, digests, times, sizes, durations, spaces.

    >>> settled("run:01a20c5d-4ff5   took 0.5 s")
    'run:IDtookDURATION'
    """
    for pattern, name in _DIFFERS:
        text = re.sub(pattern, name, text)
    return "".join(text.split())  # a line breaks elsewhere where a path is longer


def steps(page: str) -> Iterator[Step]:
    """What a page tells its reader to do, in its order."""
    fences = list(_FENCE.finditer(page))
    for fence, following in pairwise([*fences, None]):
        assert fence is not None
        language, body = fence.groups()
        before = page[: fence.start()].rstrip().rpartition("\n")[2]
        if language == "console":
            for command in _COMMAND.finditer(body):
                start = fence.start(2)
                yield Step(
                    script=command[1].replace("\n> ", "\n"),
                    output=command[2],
                    span=(start + command.start(2), start + command.end(2)),
                )
        elif added := _ADDED.search(before):
            yield _silent(_here_document(f"cat >> {added[1]}", body))
        elif saved := _SAVED.search(before):
            yield _silent(_here_document(f"cat > {saved[1]}", body))
        elif language == "python":
            script = _here_document("python -", body)
            prints = (
                following is not None
                and following[1] == "text"
                and not page[fence.end() : following.start()].strip()
            )
            if prints and following is not None:
                yield Step(script=script, output=following[2], span=following.span(2))
            else:
                yield _silent(script)


def walk(page: str, folder: Path, replace: Mapping[str, str] | None = None) -> list[str]:
    """Do what a page says, in a folder; what each step printed.

    Args:
        folder: where.
        replace: texts of the page that stand for something of this machine, with what they are.
    """
    todo = list(steps(page))
    replace = {SHOWN_PORT: str(_free_port()), **(replace or {})} if SERVE in page else replace or {}
    lines = ["trap 'kill $(jobs -p) 2>/dev/null' EXIT"]
    for step in todo:
        script = step.script
        for shown, real in replace.items():
            script = script.replace(shown, real)
        lines += [_serving(replace) if script == SERVE else script, f"printf '{_MARK}%s{_MARK}' $?"]
    printed = _on_a_terminal("\n".join(lines), folder)
    printed = printed.replace(str(folder.resolve()), SHOWN_FOLDER)
    printed = re.sub(rf"\b{re.escape(socket.gethostname())}\b", SHOWN_HOST, printed)
    for shown, real in replace.items():
        printed = printed.replace(real, shown)
    *parts, _rest = printed.split(_MARK)
    outputs, codes = parts[::2], parts[1::2]
    for step, output, code in zip(todo, outputs, codes, strict=True):
        assert code == "0", f"exit code {code} of {step.script}\n{output}"
    return outputs


def check(page: Path, folder: Path, replace: Mapping[str, str] | None = None) -> None:
    """Fail at the first step that prints something else than its page says, or mend the page."""
    text = page.read_text("utf-8")
    outputs = walk(text, folder, replace)
    if os.environ.get("REWRITE_PAGES"):
        page.write_text(rewritten(text, outputs), "utf-8")
        return
    for step, output in zip(steps(text), outputs, strict=True):
        if settled(output) != settled(step.output or ""):
            pytest.fail(f"{page.name} is not true: {step.script}\n\n{output}", pytrace=False)


def rewritten(page: str, outputs: list[str]) -> str:
    """The page with the outputs that differ from what it says.

    Raises:
        ValueError: something is printed where the page has no place for it.
    """
    for step, output in reversed(list(zip(steps(page), outputs, strict=True))):
        if settled(output) == settled(step.output or ""):
            continue
        if step.output is None:
            raise ValueError(f"nothing is said about what this prints: {step.script}\n{output}")
        end = "\n" if step.output.endswith("\n\n") else ""
        shown = "\n".join(line.rstrip() for line in output.strip("\n").splitlines())
        page = page[: step.span[0]] + f"{shown}\n{end}" + page[step.span[1] :]
    return page


def _silent(script: str) -> Step:
    return Step(script=script, output=None, span=(0, 0))


def _here_document(command: str, body: str) -> str:
    return f"{command} <<'END_OF_BLOCK'\n{body}END_OF_BLOCK"


def _serving(replace: Mapping[str, str]) -> str:
    """Start the server beside the session, and go on when it has answered."""
    port = replace[SHOWN_PORT]
    return f"""\
{SERVE} --port {port} &
until (exec 3<>/dev/tcp/127.0.0.1/{port} || exit
    printf 'GET /healthz HTTP/1.0\\r\\nHost: 127.0.0.1:{port}\\r\\n\\r\\n' >&3
    read -r <&3) 2>/dev/null
do sleep 0.1; done"""


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _on_a_terminal(script: str, folder: Path) -> str:
    """Run a script on a terminal of its own; everything that appears there."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, COLUMNS, 0, 0))
    bash = ["bash", "-c", script]
    with subprocess.Popen(
        bash, cwd=folder, env=_environment(), stdin=theirs, stdout=theirs, stderr=theirs
    ):
        os.close(theirs)
        with os.fdopen(ours, "rb", buffering=0) as screen:
            printed = b"".join(_read(screen.fileno())).decode().replace("\r\n", "\n")
    return _PASSING.sub("", printed)


def _read(screen: int) -> Iterator[bytes]:
    try:
        while data := os.read(screen, 65536):
            yield data
    except OSError:  # Linux says so when nobody is left on the other side
        return


def _environment() -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("BACKSTORY_", "COLUMNS"))}
    programs = Path(sys.executable).parent
    return {
        **kept,
        "PATH": f"{programs}{os.pathsep}{kept['PATH']}",
        "LOGNAME": "ada",
        "TERM": "xterm",
        "NO_COLOR": "1",
        "LC_ALL": "C.UTF-8",
        "BACKSTORY_PAGER": "cat",
        # The demo lies in this repository: what is uncommitted here is no part of a page.
        "GIT_CEILING_DIRECTORIES": os.pathsep.join(map(str, (REPOSITORY / "cli", REPOSITORY))),
    }
