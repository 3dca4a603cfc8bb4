"""`backstory completion`: a shell's completion script."""

import click
from click.shell_completion import get_completion_class

from backstory.cli.command import verb
from backstory.cli.session import COMPLETION_VARIABLE, Session
from backstory.cli.views import Verbatim


@verb(
    "completion",
    examples=(
        "backstory completion bash > ~/.local/share/bash-completion/completions/backstory",
        "backstory completion fish > ~/.config/fish/completions/backstory.fish",
    ),
)
@click.argument("shell", metavar="SHELL", type=click.Choice(["bash", "zsh", "fish"]))
def command(session: Session, shell: str) -> None:
    """Print a shell's completion script.

    SHELL is bash, zsh or fish. Put the script where the shell looks for such, or evaluate it in
    the shell's start file.
    """
    root = click.get_current_context().find_root().command
    made = get_completion_class(shell)
    if made is None:
        raise click.BadParameter(f"{shell} is not known", param_hint="SHELL")
    script = made(root, {}, "backstory", COMPLETION_VARIABLE).source()
    session.output.result(script, Verbatim(text=script))
