"""What a command of ours is: a function of a session, two examples, and the options of all.

    @verb("history", examples=("backstory history thumbs/en",))
    @click.argument("ref")
    def command(session: Session, ref: str) -> None:
        '''The commits of a slice, newest first.'''

A family is a noun with verbs below it (`runs`, `runs show`); what follows the noun and is none of
its verbs belongs to its default verb, so that `runs --model ranker` lists.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, Concatenate, ParamSpec

import click

from backstory.cli.errors import Exit
from backstory.cli.session import Session, global_options
from backstory.lake.errors import BackstoryError, IntegrityError

HELP_NAMES = ["-h", "--help"]
_P = ParamSpec("_P")


class Verb(click.Command):
    """A command with examples, and with a hint for who interrupts it."""

    def __init__(
        self, *args: Any, examples: Sequence[str] = (), interrupted: str = "", **kwargs: Any
    ) -> None:
        kwargs.setdefault("context_settings", {"help_option_names": HELP_NAMES})
        super().__init__(*args, **kwargs)
        self.examples = tuple(examples)
        self.interrupted = interrupted
        self.params += global_options(hidden=True)

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; an error that has no hint of its own gets one."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as exc:
            exc.args = (self.interrupted,)
            raise
        except IntegrityError as exc:
            exc.hint = exc.hint or "`backstory verify` names what is damaged"
            raise
        except BackstoryError as exc:
            exc.hint = exc.hint or f"see `{ctx.command_path} --help`"
            raise

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """Write the examples."""
        _write_end(self.examples, formatter)


class Family(click.Group):
    """A noun with verbs; without one of them its default verb is meant."""

    def __init__(
        self, *args: Any, examples: Sequence[str] = (), default: str | None = None, **kwargs: Any
    ) -> None:
        kwargs["invoke_without_command"] = True
        kwargs["context_settings"] = {
            "help_option_names": HELP_NAMES,
            "ignore_unknown_options": default is not None,
        }
        super().__init__(*args, **kwargs)
        self.examples = tuple(examples)
        self.default = default
        self.help = self.help or (self.default_verb.help if self.default_verb else None)
        self.params += global_options(hidden=True)
        self.callback = self._without_verb

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The verb that is named, or the default one with all that was given."""
        default = self.default_verb
        if default is not None and args[0] not in self.commands:
            takes_arguments = any(isinstance(p, click.Argument) for p in default.params)
            if takes_arguments or args[0].startswith("-"):
                return self.default, default, args
        return super().resolve_command(ctx, args)

    @property
    def default_verb(self) -> click.Command | None:
        """The verb that is meant where none is named."""
        return self.commands[self.default] if self.default else None

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        """The default verb's usage, as it is what one mostly means."""
        default = self.default_verb
        return default.collect_usage_pieces(ctx) if default else super().collect_usage_pieces(ctx)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the default verb's options, then the verbs."""
        if default := self.default_verb:
            default.format_options(ctx, formatter)
            self.format_commands(ctx, formatter)
        else:
            super().format_options(ctx, formatter)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's signature
        """Write the examples."""
        _write_end(self.examples, formatter)

    def _without_verb(self) -> Any:
        ctx = click.get_current_context()
        if ctx.invoked_subcommand is not None:
            return None
        if default := self.default_verb:
            return ctx.invoke(default)
        click.echo(ctx.get_help())
        return None


def verb(
    name: str, *, examples: Sequence[str], interrupted: str = ""
) -> Callable[[Callable[Concatenate[Session, _P], Exit | None]], Verb]:
    """Make a command of a function whose first argument is the session.

    The function returns its exit code where it is another than 0; its docstring is the help. The
    hint of `interrupted` is for commands that leave something behind when they are interrupted.
    """

    def made(function: Callable[Concatenate[Session, _P], Exit | None]) -> Verb:
        @functools.wraps(function)
        def called(*args: _P.args, **kwargs: _P.kwargs) -> Exit | None:
            return function(Session.of(click.get_current_context()), *args, **kwargs)

        return click.command(name, cls=Verb, examples=examples, interrupted=interrupted)(called)

    return made


def write_examples(examples: Sequence[str], formatter: click.HelpFormatter) -> None:
    """Write examples at the end of a help text."""
    if examples:
        with formatter.section("Examples"):
            for example in examples:
                formatter.write(f"{' ' * formatter.current_indent}{example}\n")


def _write_end(examples: Sequence[str], formatter: click.HelpFormatter) -> None:
    write_examples(examples, formatter)
    formatter.write_paragraph()
    formatter.write_text("Every command also takes --home, --json, --color, --no-pager, -q and -v.")
