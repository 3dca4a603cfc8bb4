"""`backstory path`: the shortest way from a cause to an effect."""

from datetime import datetime

import click

from backstory.cli.command import verb
from backstory.cli.parameters import AS_OF, REF_TEXT
from backstory.cli.session import Session
from backstory.cli.walks import show_walk


@verb(
    "path",
    examples=(
        "backstory path thumbs/en@58 ranker@7",
        "backstory path thumbs/en@58 env:prod-eu#3 --json",
    ),
)
@click.argument("a", type=REF_TEXT)
@click.argument("b", type=REF_TEXT)
@click.option("--dot", is_flag=True, help="Write a graph for Graphviz.")
@AS_OF
def command(session: Session, a: str, b: str, *, dot: bool, as_of: datetime | None) -> None:
    """Show the shortest way from a cause to an effect.

    In whichever order the two are given.
    """
    with session.home() as home:
        found = home.path(a, b, as_of=as_of)
    if found is None:
        session.output.result(None, empty=f"no way leads from one to the other: {a}, {b}")
    else:
        show_walk(session, found, dot=dot)
