"""`backstory impact`: what something led to."""

from datetime import datetime

import click

from backstory.cli.command import verb
from backstory.cli.parameters import AS_OF, REF_TEXT
from backstory.cli.session import Session
from backstory.cli.walks import show_walk, walk_options


@verb(
    "impact",
    examples=("backstory impact thumbs/en@58", "backstory impact thumbs/en@58 --depth 2 --json"),
)
@click.argument("ref", type=REF_TEXT)
@walk_options
@AS_OF
def command(
    session: Session, ref: str, depth: int, limit: int, *, dot: bool, as_of: datetime | None
) -> None:
    """Show what something led to.

    From a snapshot, run, component or version to every run, version and deployment that it reached,
    and how many interactions those versions answered.
    """
    with session.home() as home:
        found = home.impact(ref, depth=depth, limit=limit, as_of=as_of)
    show_walk(session, found, dot=dot)
