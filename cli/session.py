"""One invocation: the options that every command takes, and what follows from them.

The options may stand before the command or after it; the last one counts. They are kept in click's
`Context.meta`, which one invocation shares, and become a `Session` when the command begins.
"""

import contextlib
import logging
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from backstory.cli.output import DEFAULT_PAGER, Look, Output

if TYPE_CHECKING:
    from backstory.lineage.home import Home

COMPLETION_VARIABLE = "_BACKSTORY_COMPLETE"

_META = "backstory.cli."


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What a command works with.

    Attributes:
        home_path: the home that was named; None to find it.
        output: where results, notes and progress go.
        verbose: whether to say more, tracebacks among it.
    """

    home_path: Path | None
    output: Output
    verbose: bool = False

    @classmethod
    def of(cls, ctx: click.Context) -> "Session":
        """The session of an invocation."""
        given = {
            name.removeprefix(_META): value
            for name, value in ctx.meta.items()
            if name.startswith(_META)
        }
        _log_to_stderr(verbose=given.get("verbose", False), quiet=given.get("quiet", False))
        home = given.get("home")
        return cls(
            home_path=Path(home) if home else None,
            output=_output(given, os.environ),
            verbose=given.get("verbose", False),
        )

    @contextlib.contextmanager
    def home(self, *, heal: bool = True) -> Iterator["Home"]:
        """Open the home for the time of a command."""
        from backstory.lineage.home import open_home

        with open_home(self.home_path, heal=heal) as home:
            yield home


def global_options(*, hidden: bool) -> list[click.Option]:
    """The options of every command; told in the help of the program, hidden in the others."""
    options = [
        (["--home"], {"metavar": "PATH", "help": "The home, if not .backstory here or above."}),
        (["--json"], {"is_flag": True, "help": "Write the result as JSON."}),
        (
            ["--color"],
            {
                "type": click.Choice(["auto", "always", "never"]),
                "help": "Colour and drawing; auto looks at the terminal and NO_COLOR.",
            },
        ),
        (["--no-pager"], {"is_flag": True, "help": "Do not show long results in a pager."}),
        (["-q", "--quiet"], {"is_flag": True, "help": "Say nothing beside the result."}),
        (["-v", "--verbose"], {"is_flag": True, "help": "Say more, also about errors."}),
    ]
    return [
        click.Option(names, hidden=hidden, expose_value=False, callback=_remember, **settings)  # type: ignore[arg-type]  # click's own keyword types
        for names, settings in options
    ]


def _remember(ctx: click.Context, param: click.Parameter, value: Any) -> None:
    if value:
        ctx.meta[_META + str(param.name)] = value


def _output(given: Mapping[str, Any], environ: Mapping[str, str]) -> Output:
    color = given.get("color", "auto")
    terminal = sys.stdout.isatty()
    look = Look.PEOPLE if terminal or color == "always" else Look.PLAIN
    colorful = terminal and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"
    pager = environ.get("BACKSTORY_PAGER") or environ.get("PAGER") or DEFAULT_PAGER
    return Output(
        look=Look.JSON if given.get("json") else look,
        color=color == "always" or (color == "auto" and colorful),
        quiet=given.get("quiet", False),
        pager=None if given.get("no_pager") else pager,
    )


def _log_to_stderr(*, verbose: bool, quiet: bool) -> None:
    """Warnings of the layers below are for people too: one line each."""
    level = logging.INFO if verbose else logging.ERROR if quiet else logging.WARNING
    handler = logging.StreamHandler()
    handler.setFormatter(_Line())
    logger = logging.getLogger("backstory")
    logger.handlers[:] = [handler]
    logger.setLevel(level)
    logger.propagate = False


class _Line(logging.Formatter):
    """`warning: …`, as errors are told."""

    def format(self, record: logging.LogRecord) -> str:
        return f"{record.levelname.lower()}: {record.getMessage()}"
