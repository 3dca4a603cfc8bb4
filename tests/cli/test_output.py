"""The three looks of a result: for people, for a pipe, as JSON."""

import json
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstory.cli import figures
from backstory.cli.output import Look, Output, drawn_lines
from backstory.cli.views import Branch, Facts, Sentence, Table, Verbatim
from tests.cli.running import COLOURS, PROGRAM, draw, environment, process, run, terminal
from tests.cli.shop import Shop

TABLE = Table(
    columns=(("ref", figures.REF), ("rows", figures.NUMBER), ("digest", figures.DIGEST)),
    rows=[("thumbs@1", 10214, "ab" * 32), ("t@2", None, None)],
)
TREE = Branch(
    relation="",
    ref="ranker@7",
    children=[
        Branch(
            relation="made by",
            ref="run:019a8f3c-5b1e-7abc-8def-0123456789ab",
            notes=[("completed", figures.STATE), ("after \x1b[2J complaints", figures.TEXT)],
        )
    ],
)


def test_people_see_short_values_and_marks() -> None:
    assert drawn_lines(TABLE) == [
        "ref         rows  digest",
        "thumbs@1  10,214  abababababab",
        "t@2            -  -",
    ]
    assert drawn_lines(Sentence(text="kept", state="ok")) == ["✓ kept"]
    assert drawn_lines(TREE) == [
        "ranker@7",
        "└── made by run:019a8f3c-5b1e  ✓ completed · after \\x1b[2J complaints",
    ]


def test_columns_without_values_are_left_out_unless_they_are_data() -> None:
    columns = (("a", figures.NUMBER), ("b", figures.TEXT))
    assert drawn_lines(Table(columns=columns, rows=[(1, None)])) == ["a", "1"]
    assert drawn_lines(Table(columns=columns, rows=[(1, None)], whole=True)) == ["a  b", "1  -"]


def test_a_table_that_is_too_wide_becomes_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    columns = [(f"column {n}", figures.VALUE) for n in range(6)]
    lines = drawn_lines(Table(columns=columns, rows=[["x" * 30] * 6]))
    assert lines[0] == "row 1"
    assert lines[1].startswith("column 0  xxxx")
    assert max(map(len, lines)) <= 40


def test_facts_without_value_are_not_told() -> None:
    told = Facts(heading="t@1", lines=[("size", 0, figures.SIZE), ("until", None, figures.TIME)])
    assert drawn_lines(told) == ["t@1", "size  0 B"]


def test_a_pipe_gets_exact_values(capsys: pytest.CaptureFixture[str]) -> None:
    output = Output(look=Look.PLAIN, color=False)
    output.result([1], TABLE, Facts(heading="t@1", lines=[("rows", 10214, figures.NUMBER)]), TREE)
    table, facts, tree = capsys.readouterr().out.split("\n\n")
    assert table == f"ref\trows\tdigest\nthumbs@1\t10214\t{'ab' * 32}\nt@2\t\t"
    assert facts == "ref\tt@1\nrows\t10214"
    assert tree == (
        "depth\trelation\tref\n0\t\tranker@7\n"
        "1\tmade by\trun:019a8f3c-5b1e-7abc-8def-0123456789ab\n"
    )


def test_a_sentence_for_people_goes_beside_the_result_of_a_pipe(
    capsys: pytest.CaptureFixture[str],
) -> None:
    Output(look=Look.PLAIN, color=False).result([], Sentence(text="kept", state="ok"))
    assert capsys.readouterr() == ("", "kept\n")
    Output(look=Look.PLAIN, color=False, quiet=True).result([], Sentence(text="kept"))
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("look", Look)
def test_nothing_to_show_is_a_sentence_on_stderr(
    look: Look, capsys: pytest.CaptureFixture[str]
) -> None:
    empty = Table(columns=TABLE.columns, rows=[])
    Output(look=look, color=False).result([], empty, empty="there are none")
    out, err = capsys.readouterr()
    assert err == "there are none\n"
    expected = {
        Look.JSON: '{\n  "schemaVersion": 1,\n  "data": []\n}\n',
        Look.PLAIN: "ref\trows\tdigest\n",
        Look.PEOPLE: "",
    }
    assert out == expected[look]


JSON_LIKE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()
    | st.datetimes() | st.dates() | st.decimals() | st.timedeltas(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
    max_leaves=8,
)  # fmt: skip


@given(JSON_LIKE)
def test_every_value_of_a_row_has_a_json_form(value: Any) -> None:
    once = figures.json_value(value)
    assert json.loads(json.dumps(once, allow_nan=False)) == once
    assert figures.json_value(once) == once


@given(st.text())
def test_no_text_leaves_its_cell(text: str) -> None:
    assert figures.one_line(text).isprintable()


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (999_999, "1.0 MB"), (4_200_000, "4.2 MB")],
)
def test_sizes(value: int, shown: str) -> None:
    assert figures.size(value) == shown


def test_moments_are_shown_in_whole_seconds() -> None:
    at = datetime(2026, 11, 14, 9, 41, 7, 900_000, UTC)
    assert figures.TIME.people(at) == "2026-11-14T09:41:07Z"
    assert figures.TIME.plain(at) == "2026-11-14T09:41:07.9Z"


def test_a_terminal_gets_colour_a_pipe_none(shop: Shop) -> None:
    shown = terminal("--no-pager", "slices", folder=shop.folder)
    assert "\x1b[36mthumbs/en" in shown.out
    assert "\x1b" not in process("slices", folder=shop.folder).out


@pytest.mark.parametrize("env", [{"NO_COLOR": "1"}, {"TERM": "dumb"}], ids=str)
def test_colour_can_be_refused(env: dict[str, str], shop: Shop) -> None:
    shown = terminal("--no-pager", "slices", folder=shop.folder, env=env)
    assert "thumbs/en        3  1,540" in shown.out
    assert "\x1b[3" not in shown.out


def test_colour_never_and_always(shop: Shop) -> None:
    never = terminal("--color", "never", "--no-pager", "slices", folder=shop.folder)
    assert "\x1b[3" not in never.out
    assert "\x1b[36m" in process("--color", "always", "slices", folder=shop.folder).out


def test_what_is_long_goes_through_the_pager(shop: Shop, tmp_path: Path) -> None:
    paged = tmp_path / "paged"
    pager = f"tee {paged}"
    args = ("show", "thumbs/en", "--rows", "60")
    terminal(*args, folder=shop.folder, env={"BACKSTORY_PAGER": pager})
    assert paged.read_text().count("\n") >= 61
    paged.unlink()
    terminal(*args, "--no-pager", folder=shop.folder, env={"BACKSTORY_PAGER": pager})
    terminal("slices", folder=shop.folder, env={"BACKSTORY_PAGER": pager})
    assert not paged.exists()


def test_a_missing_pager_hides_nothing(shop: Shop) -> None:
    shown = terminal(
        "show", "thumbs/en", "--rows", "60", folder=shop.folder, env={"PAGER": "/no/pager"}
    )
    assert shown.code == 0
    assert shown.out.count("\n") >= 61


def test_a_reader_that_goes_away_is_no_error(shop: Shop) -> None:
    command = [*PROGRAM, "show", "thumbs/en", "--rows", "1500"]
    with subprocess.Popen(
        command,
        cwd=shop.folder,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as writer:
        assert writer.stdout
        assert writer.stderr
        writer.stdout.readline()
        writer.stdout.close()
        assert writer.stderr.read() == b""
        assert writer.wait(60) == 128 + signal.SIGPIPE


def test_an_encoding_without_a_character_gets_its_escape(shop: Shop) -> None:
    env = environment(PYTHONIOENCODING="latin-1", COLUMNS="100")
    shown = process("--color", "always", "runs", folder=shop.folder, env=env)
    assert shown.code == 0
    assert "\\u2713 completed" in shown.out


def test_progress_without_a_terminal_is_a_line_now_and_then(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backstory.cli.output.SECONDS_BETWEEN_LINES", 0.01)
    said = ""
    with Output(look=Look.PLAIN, color=False).working("ingesting", total=7) as step:
        step("monday.jsonl")
        deadline = time.monotonic() + 30
        while "monday" not in said and time.monotonic() < deadline:
            said += capsys.readouterr().err
    assert "ingesting monday.jsonl, 1 of 7 (" in said


def test_progress_on_a_terminal_leaves_nothing_behind(own_shop: Shop) -> None:
    at_once = "import backstory.cli.output as o; o.SECONDS_BEFORE_BAR = 0; "
    program = [sys.executable, "-c", at_once + "from backstory.cli.main import main; main()"]
    shown = terminal("--no-pager", "verify", folder=own_shop.folder, program=program)
    assert "verifying everything" in shown.out
    last = shown.out.rpartition("\x1b[2K")[2]  # behind what cleared the line
    assert COLOURS.sub("", last).startswith("✓ intact")


def test_what_is_done_at_once_shows_no_progress(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setattr("backstory.cli.output.SECONDS_BEFORE_BAR", 60)
    with Output(look=Look.PEOPLE, color=True).working("ingesting", total=1) as step:
        step("monday.jsonl")
    assert capsys.readouterr().err == ""


def test_quiet_says_only_the_result(own_shop: Shop) -> None:
    assert run("--quiet", "verify", home=own_shop.home).err == ""
    assert run("--quiet", "trace", "ranker@1", home=own_shop.home).err == ""


def test_lines_of_a_drawing_end_without_blanks(shop: Shop) -> None:
    for args in (["slices"], ["trace", "ranker@3"], ["runs"], ["doctor"]):
        assert [line for line in draw(*args, home=shop.home) if line != line.rstrip()] == []


def test_yaml_and_scripts_are_written_as_they_are() -> None:
    long = "x" * 500
    assert "".join(drawn_lines(Verbatim(text=long))) == long
