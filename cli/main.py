"""The program `backstory`: its commands by name, each loaded only when it is used.

`backstory --version` and `--help` import none of the libraries below the commands, so that they
answer at once. What a command raises becomes one line and an exit code here and nowhere else.
"""

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any, NoReturn

import click

from backstory import __version__
from backstory.cli.command import HELP_NAMES, write_examples
from backstory.cli.errors import Exit, failure_of, report
from backstory.cli.session import COMPLETION_VARIABLE, Session, global_options
from backstory.cli.views import Verbatim

# The help lists these without loading them; a test compares them with the commands themselves.
COMMANDS: dict[str, dict[str, str]] = {
    "Begin": {
        "init": "Make a home.",
        "demo": "Run the whole loop on real data, in a minute.",
        "help": "Explain a topic or a command.",
    },
    "Feedback": {
        "ingest": "Append files of feedback to a slice, each exactly once.",
        "quarantine": "List the batches with rows that did not fit, with reasons.",
        "watch": "Ingest the files of a folder as they come, each once, until Ctrl-C.",
        "consume": "Store the messages of a Kafka topic, each once, until Ctrl-C.",
        "slices": "List the slices.",
        "contract": "Show the contract of a slice, as YAML.",
        "history": "Show a slice's commits, newest first.",
        "show": "Show a slice at a version or a time, or a run.",
        "diff": "Show what changed between two versions of a slice.",
        "matches": "Count which versions' answers feedback speaks of.",
        "profile": "Show what the rows of a slice look like, column by column.",
        "drift": "Show how far the values of B lie from those of A, column by column.",
        "pin": "Keep a snapshot on purpose, list pins or release one.",
        "pins": "List what is pinned, by whom, why, until when, and its bytes.",
        "retain": "Give a retention class to what a version was trained on.",
    },
    "Models": {
        "run": "Train by a command, and record it as a run.",
        "runs": "List the training runs.",
        "triggers": "List the triggers of the settings.",
        "models": "List the model versions.",
        "deploy": "Record that a version serves in an environment.",
        "undeploy": "Record that a version serves no longer.",
        "deployments": "Show what serves, or served, where.",
        "amend": "Supersede a wrong record by what is so instead.",
        "amendments": "Show what was amended, newest first.",
        "interactions": "List the tables that hold interactions.",
        "load": "Print the path of a version's artifact, verified.",
        "loads": "List what processes really loaded.",
        "version-of": "Say which model version a file or folder is.",
    },
    "Asking": {
        "trace": "Show what something came from.",
        "impact": "Show what something led to.",
        "path": "Show the shortest way from a cause to an effect.",
        "state": "Show the model state behind an interaction.",
        "subject": "Show what the home holds of a person.",
        "verify": "Check that the bytes are still what was recorded.",
        "query": "Answer a GraphQL document.",
    },
    "House": {
        "serve": "Answer GraphQL and take feedback on this machine.",
        "flush": "Send the OpenLineage events that wait.",
        "doctor": "Look whether the home is well.",
        "maintain": "Compact tables, and remove what nobody needs any more.",
        "backup": "Take a backup of the home, while it is at work.",
        "restore": "Make a home from a backup.",
        "db": "Upgrade the store, or show its revision.",
        "completion": "Print a shell's completion script.",
    },
}

EXAMPLES = (
    "backstory init",
    "backstory trace ranker@champion",
    "backstory state int:019a8f3c-5b1e --verify",
)


class Program(click.Group):
    """All commands."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Every command, in the order of the help."""
        return [name for section in COMMANDS.values() for name in section]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load a command."""
        if cmd_name not in self.list_commands(ctx):
            return None
        module = import_module(f"backstory.cli.commands.{cmd_name.replace('-', '_')}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that is named, or the nearest ones in the error."""
        if args[0] not in self.list_commands(ctx):
            raise click.NoSuchCommand(args[0], possibilities=self.list_commands(ctx), ctx=ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """Write the commands by section."""
        for section, commands in COMMANDS.items():
            with formatter.section(section):
                formatter.write_dl(list(commands.items()), col_max=12)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """Write the examples."""
        write_examples(EXAMPLES, formatter)

    def main(self, args: Sequence[str] | None = None, *_: Any, **__: Any) -> NoReturn:
        """Run the program and end the process with the command's exit code."""
        _stand_in_for_closed_streams()
        for stream in filter(None, (sys.stdout, sys.stderr)):
            stream.reconfigure(errors="backslashreplace")
        sys.exit(self._run(list(sys.argv[1:] if args is None else args)))

    def _run(self, args: list[str]) -> int:
        if instruction := os.environ.get(COMPLETION_VARIABLE):
            from click.shell_completion import shell_complete

            return shell_complete(self, {}, "backstory", COMPLETION_VARIABLE, instruction)
        try:
            _check_stdout()
            with self.make_context("backstory", args.copy()) as ctx:
                code = self.invoke(ctx)
            sys.stdout.flush()
        except click.exceptions.Exit as exc:
            return exc.exit_code
        except BrokenPipeError:
            # What is still buffered would be tried again at the end of the process.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return Exit.OUTPUT_CLOSED
        except (Exception, KeyboardInterrupt) as exc:  # noqa: BLE001 - the edge: nothing goes further
            failure = failure_of(exc, home=_home(args))
            report(failure, sys.stderr, as_json="--json" in args, verbose=_verbose(args))
            return failure.exit
        return int(code or Exit.OK)


def _stand_in_for_closed_streams() -> None:
    """Where a shell has closed stdin or stderr (`<&-`, `2>&-`), Python has None instead."""
    sys.stdin = sys.stdin or Path(os.devnull).open()  # noqa: SIM115 - to the end
    sys.stderr = sys.stderr or Path(os.devnull).open("w")  # noqa: SIM115 - to the end


def _check_stdout() -> None:
    """Refuse to work for nobody; the next file that is opened would be taken for stdout."""
    if sys.stdout is None:
        from backstory.lake.errors import UnavailableError

        raise UnavailableError("stdout is closed", hint="to see no result, send it to /dev/null")


def _verbose(args: list[str]) -> bool:
    return bool({"-v", "--verbose"} & set(args))


def _home(args: list[str]) -> Path | None:
    """The home that an invocation spoke of, as far as it can be told."""
    from backstory.lake.errors import BackstoryError
    from backstory.lineage.settings import find_home

    named = [after for option, after in pairwise(args) if option == "--home"]
    try:
        return Path(named[-1]) if named else find_home(Path.cwd())
    except (BackstoryError, OSError):
        return None


@click.command(
    "backstory",
    cls=Program,
    invoke_without_command=True,
    context_settings={"help_option_names": HELP_NAMES},
)
@click.option("--version", is_flag=True, help="Show the version and exit.")
@click.pass_context
def main(ctx: click.Context, *, version: bool) -> None:
    """Backstory tells any deployed model's backstory.

    Which feedback made it, and what it was at the moment it answered.

    Refs name things: ranker@7, ranker@champion, thumbs/en@58, thumbs/en@2026-11-14T09:41Z,
    run:019a8f3c-5b1e, int:019a8f3c-5b1e, env:prod-eu#3 (`backstory help refs`).
    """
    if version:
        text = f"{ctx.info_name} {__version__}"
        Session.of(ctx).output.result({"version": __version__}, Verbatim(text=text))
        ctx.exit()
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


main.params += global_options(hidden=False)
