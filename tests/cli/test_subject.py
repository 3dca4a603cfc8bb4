"""Asking for a person on the command line: the id comes in by standard input, and stays unsaid."""

import subprocess
from pathlib import Path

import pytest

import backstory
from tests.cli.running import PROGRAM, environment, run

ANN = "ann.k@example.org"
CONTRACT = """
slice: thumbs
purpose: improve the ranker
columns: {event_id: {type: string}, user: {type: string, role: subject}}
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    with backstory.init(tmp_path / "home") as opened:
        opened.create_slice(CONTRACT)
        opened.slice("thumbs").append([{"event_id": "1", "user": ANN}])
        opened.pin("thumbs", reason="audit")
    return tmp_path / "home"


def ask(home: Path, body: bytes, *more: str) -> subprocess.CompletedProcess[bytes]:
    command = [*PROGRAM, "--home", str(home), *more, "subject", "-"]
    return subprocess.run(
        command, input=body, capture_output=True, check=False, env=environment(), timeout=120
    )


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_an_id_is_read_from_standard_input(home: Path, end: str) -> None:
    found = run("--json", "subject", "-", home=home, stdin=ANN + end).data
    [thumbs] = found["slices"]
    assert (thumbs["name"], thumbs["rows"], thumbs["held"]) == (
        "thumbs",
        1,
        [{"first": 1, "last": None}],
    )
    assert found["notLookedInto"] == []
    [pseudonym] = found["pseudonyms"]
    assert run("--json", "subject", "--pseudonym", pseudonym, home=home).data == found


def test_people_see_tables_and_pipes_too(home: Path) -> None:
    told = run("subject", "-", home=home, stdin=ANN).out
    assert "thumbs@1\t1\t1\t1.." in told.splitlines()
    assert ANN not in told
    nobody = run("subject", "-", home=home, stdin="nobody")
    assert (nobody.code, nobody.err.strip()) == (0, "no row of this person was found")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "standard input is empty"),
        (b"\n", "standard input is empty"),
        (b"secret-1\nsecret-2\n", "more than one line"),
        (b"secret-1\rsecret-2", "more than one line"),
        (b"secret" * 2_000_000, "more than the 65,536 bytes"),
        (b"secret\xff", "not UTF-8"),
        (b"secret\xed\xa0\x80", "not UTF-8"),
    ],
)
def test_bad_input_is_one_line_and_repeats_nothing(home: Path, body: bytes, said: str) -> None:
    done = ask(home, body)
    assert done.returncode == 2
    assert said in done.stderr.decode()
    assert b"secret" not in done.stdout + done.stderr


@pytest.mark.parametrize("more", ["-v", "--json"])
def test_more_words_repeat_nothing_either(home: Path, more: str) -> None:
    done = ask(home, b"secret-1\nsecret-2\n", more)
    assert done.returncode == 2
    assert b"secret" not in done.stdout + done.stderr


@pytest.mark.parametrize("given", [["secret"], [], ["--", "-x-secret"]])
def test_an_id_on_the_command_line_is_refused(home: Path, given: list[str]) -> None:
    done = run("subject", *given, home=home)
    assert done.code != 0
    assert "secret" not in done.out + done.err


def test_nothing_of_the_id_is_in_the_list_of_processes(home: Path) -> None:
    command = [*PROGRAM, "--home", str(home), "subject", "-"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment()
    ) as going:
        assert going.stdin is not None
        going.stdin.write(ANN.encode())
        going.stdin.flush()
        for name in ("cmdline", "environ"):
            assert ANN.encode() not in Path(f"/proc/{going.pid}/{name}").read_bytes()
        out, _ = going.communicate()
    assert b"thumbs@1" in out
    assert ANN.encode() not in out
