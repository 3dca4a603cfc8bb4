"""`backstory trace`: what something came from."""

from datetime import datetime

import click

from backstory.cli.command import verb
from backstory.cli.parameters import AS_OF, REF_TEXT
from backstory.cli.session import Session
from backstory.cli.walks import show_walk, walk_options


@verb(
    "trace",
    examples=("backstory trace ranker@champion", "backstory trace ranker@7 --dot | dot -Tsvg"),
)
@click.argument("ref", type=REF_TEXT)
@walk_options
@AS_OF
def command(
    session: Session, ref: str, depth: int, limit: int, *, dot: bool, as_of: datetime | None
) -> None:
    """Show what something came from.

    From a model version, run, snapshot, component or deployment back to the feedback, as a tree.
    How a step is known is said where it was not observed; a step told twice is told once.
    """
    with session.home() as home:
        found = home.trace(ref, depth=depth, limit=limit, as_of=as_of)
    show_walk(session, found, dot=dot)
