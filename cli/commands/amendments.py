"""`backstory amendments`: what was recorded wrongly, and what is so instead."""

from datetime import datetime

import click

from backstory.cli.amendments import amendment_table
from backstory.cli.command import verb
from backstory.cli.parameters import AS_OF, REF_TEXT
from backstory.cli.session import Session


@verb(
    "amendments",
    examples=("backstory amendments", "backstory amendments env:prod-eu#3 --json"),
)
@click.argument("ref", type=REF_TEXT, required=False)
@click.option("--limit", metavar="N", default=50, show_default=True, help="How many at most.")
@AS_OF
def command(session: Session, ref: str | None, limit: int, *, as_of: datetime | None) -> None:
    """Show what was amended, newest first.

    What was recorded, what is so instead, why, and by whom: of one thing or of all.
    """
    from backstory.cli.documents import documents

    with session.home() as home:
        found = home.amendments(ref, limit=limit, as_of=as_of)
    of = f" of {ref}" if ref else ""
    session.output.result(
        documents(found), amendment_table(found), empty=f"no record{of} was amended"
    )
    if len(found) == limit:
        session.output.note(f"there may be more: the last {limit} are shown, see --limit")
