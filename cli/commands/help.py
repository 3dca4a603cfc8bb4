"""`backstory help`: topics that belong to no single command, and the help of each command."""

from collections.abc import Callable

import click

from backstory.cli import topics
from backstory.cli.command import verb
from backstory.cli.session import Session
from backstory.cli.views import Verbatim
from backstory.lake.errors import NotFoundError
from backstory.lineage.refs import did_you_mean

TOPICS: dict[str, Callable[[], str]] = {
    "environment": topics.environment,
    "exit-codes": topics.exit_codes,
    "json": topics.json_shape,
    "refs": topics.refs,
}


@verb("help", examples=("backstory help refs", "backstory help trace"))
@click.argument("topic", required=False)
def command(session: Session, topic: str | None) -> None:
    """Explain a topic or a command.

    Topics: refs, exit-codes, environment, json.
    """
    root = click.get_current_context().find_root()
    text = _text(root, topic)
    session.output.result(text, Verbatim(text=text))


def _text(root: click.Context, topic: str | None) -> str:
    if topic is None:
        return root.get_help()
    if topic in TOPICS:
        return TOPICS[topic]()
    group = root.command
    found = group.get_command(root, topic) if isinstance(group, click.Group) else None
    if found is not None:
        return found.get_help(click.Context(found, parent=root, info_name=topic))
    names = group.list_commands(root) if isinstance(group, click.Group) else []
    raise NotFoundError(
        f"no topic or command is called {topic!r}",
        hint=did_you_mean(topic, [*TOPICS, *names]) or f"topics are {', '.join(TOPICS)}",
    )
