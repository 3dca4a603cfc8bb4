"""`backstory pins`: what is kept, by whom, until when, and how much of it."""

import click

from backstory.cli.command import verb
from backstory.cli.figures import ID, REF, SIZE, STATE, TEXT, TIME
from backstory.cli.parameters import REF_TEXT
from backstory.cli.session import Session
from backstory.cli.views import Table

_COLUMNS = (
    ("id", ID),
    ("snapshot", REF),
    ("strength", STATE),
    ("holder", REF),
    ("until", TIME),
    ("size", SIZE),
    ("alone", SIZE),
    ("reason", TEXT),
)


@verb("pins", examples=("backstory pins", "backstory pins thumbs/en --json"))
@click.argument("ref", type=REF_TEXT, required=False)
def command(session: Session, ref: str | None) -> None:
    """List what is pinned, by whom, why, until when, and its bytes.

    Of the slice REF or of all. The column alone has the bytes that would be free if that pin ended:
    those that neither the newest version nor another pin needs. A pin whose time is over goes on to
    hold until it is released, by `backstory doctor --fix` or by hand.
    """
    from backstory.cli.documents import documents

    with session.home() as home:
        found = home.pin_sizes(ref)
    rows = [
        (
            one.pinned.pin_id,
            one.pinned.snapshot.ref,
            str(one.pinned.strength),
            one.pinned.holder,
            one.pinned.until,
            one.size,
            one.alone,
            one.pinned.reason,
        )
        for one in found
    ]
    session.output.result(
        documents(found), Table(columns=_COLUMNS, rows=rows), empty="nothing is pinned"
    )
