"""The program: its commands, its help, the options of all, and how little it loads."""

import json
import shlex
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest

from backstory import __version__
from backstory.cli.command import Family, Verb
from backstory.cli.main import COMMANDS, main
from tests.cli.running import Ran, process, run, terminal
from tests.cli.shop import Shop

HEAVY = {
    "alembic",
    "deltalake",
    "duckdb",
    "graphene",
    "openlineage",
    "pandas",
    "pyarrow",
    "rich",
    "sqlalchemy",
    "starlette",
}
SUMMARIES = {name: text for section in COMMANDS.values() for name, text in section.items()}


def every_command() -> Iterator[tuple[str, click.Command]]:
    context = click.Context(main)
    for name in main.list_commands(context):
        command = main.get_command(context, name)
        assert command is not None
        yield name, command
        if isinstance(command, Family):
            yield from ((f"{name} {below}", found) for below, found in command.commands.items())


EVERY = dict(every_command())
each_command = pytest.mark.parametrize("name", EVERY)


@pytest.mark.parametrize("show", [process, terminal], ids=["in a pipe", "on a terminal"])
@pytest.mark.parametrize("args", [["--version"], ["--help"], [], ["slics"]], ids=str)
def test_what_needs_no_home_loads_no_library(
    args: list[str], show: Callable[..., Ran], tmp_path: Path
) -> None:
    listing = "import atexit, json, sys; atexit.register(lambda: print(json.dumps([*sys.modules])))"
    program = [sys.executable, "-c", f"{listing}\nfrom backstory.cli.main import main; main()"]
    shown = show(*args, folder=tmp_path, program=program)
    loaded = {name.partition(".")[0] for name in json.loads(shown.out.splitlines()[-1])}
    assert not HEAVY & loaded
    assert "click" in loaded


@pytest.mark.parametrize("args", [["--json", "--version"], ["--version", "--json"]], ids=" ".join)
def test_the_version_as_json(args: list[str]) -> None:
    assert run(*args).data == {"version": __version__}


@pytest.mark.parametrize("name", SUMMARIES)
def test_the_list_says_what_the_command_says(name: str) -> None:
    assert EVERY[name].get_short_help_str(limit=200) == SUMMARIES[name]


@each_command
def test_every_command_has_two_examples(name: str) -> None:
    command = EVERY[name]
    assert isinstance(command, Verb | Family)
    assert len(command.examples) == 2


@each_command
def test_examples_are_commands_that_parse(name: str) -> None:
    command = EVERY[name]
    assert isinstance(command, Verb | Family)
    for example in command.examples:
        words = shlex.split(example)
        ours = words[words.index("backstory") + 1 :]
        ends = [ours.index(word) for word in ("|", ">", "&&") if word in ours]
        if "<(" not in example:
            _parses(ours[: min(ends, default=None)], name)


def _parses(words: list[str], name: str) -> None:
    context: click.Context = main.make_context("backstory", list(words))
    command: click.Command = main
    while isinstance(command, click.Group) and (rest := _rest(context)):
        below, found, args = command.resolve_command(context, rest)
        assert found is not None
        context = found.make_context(below, args, parent=context)
        command = found
    assert context.command_path.startswith(f"backstory {name.removesuffix(' list')}")


def _rest(context: click.Context) -> list[str]:
    return [*context._protected_args, *context.args]


@each_command
def test_every_option_and_command_says_what_it_does(name: str) -> None:
    command = EVERY[name]
    assert command.help
    options = [p for p in command.params if isinstance(p, click.Option) and not p.hidden]
    assert [option.name for option in options if not option.help] == []


@each_command
def test_help_fits_eighty_columns(name: str) -> None:
    shown = run(*name.split(), "--help")
    assert shown.code == 0
    prose, _, examples = shown.out.partition("Examples:")
    assert max(map(len, prose.splitlines())) <= 80
    assert f"backstory {name.partition(' ')[0]}" in examples


@pytest.mark.parametrize(
    "args",
    [["--json", "slices"], ["slices", "--json"], ["slices", "list", "--json"]],
    ids=" ".join,
)
def test_options_of_all_stand_before_and_after(args: list[str], shop: Shop) -> None:
    assert run(*args, home=shop.home).data[0]["name"] == "thumbs/en"


def test_the_last_home_counts(shop: Shop, tmp_path: Path) -> None:
    assert run("slices", "--home", shop.home, home=tmp_path).code == 0


def test_a_home_is_found_from_below(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    below = shop.folder / "some/where"
    below.mkdir(parents=True, exist_ok=True)
    monkeypatch.chdir(below)
    assert run("slices").code == 0
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BACKSTORY_HOME", str(shop.folder))
    assert run("slices").code == 0


@pytest.mark.parametrize(
    ("args", "hint"),
    [
        (["slics"], "did you mean 'slices'?"),
        (["trace", "x", "--limt", "3"], "did you mean '--limit'?"),
        (["slices", "creat"], "did you mean 'create'?"),
        (["trace"], "see `backstory trace --help`"),
        (["help", "ref"], "did you mean 'refs'?"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_slip_is_told_with_what_is_near(args: list[str], hint: str) -> None:
    said = run(*args)
    assert said.code in {2, 3}
    assert said.err.splitlines()[1] == f"hint: {hint}"


def test_a_noun_alone_lists_and_takes_the_options_of_its_list(shop: Shop) -> None:
    assert run("models", home=shop.home).out == run("models", "list", home=shop.home).out
    assert len(run("runs", "--limit", "2", home=shop.home).rows) == 2
    assert len(run("models", "ranker", home=shop.home).rows) == 3


@pytest.mark.parametrize("args", [["slices"], ["--version"], ["no-command"]], ids=str)
def test_a_closed_stdout_is_one_line(args: list[str], shop: Shop) -> None:
    said = process(*args, folder=shop.folder, before=shell("exec >&-"))
    assert (said.code, said.err.splitlines()) == (
        1,
        ["error: stdout is closed", "hint: to see no result, send it to /dev/null"],
    )


def test_a_closed_stderr_loses_what_is_said_beside_the_result(shop: Shop) -> None:
    closed = shell("exec 2>&-")
    assert process("slices", folder=shop.folder, before=closed).rows[0][0] == "thumbs/en"
    assert process("history", "nothing", folder=shop.folder, before=closed).code == 3
    assert process("slices", folder=shop.folder, before=shell("exec >&- 2>&-")).code == 1


def test_a_closed_stdin_is_empty(shop: Shop) -> None:
    said = process("query", "-", folder=shop.folder, before=shell("exec <&-"))
    assert "unexpected" not in said.err


def shell(first: str) -> list[str]:
    """A shell that does something, then becomes the program."""
    return ["sh", "-c", f'{first}; exec "$0" "$@"']
