"""`backstory pin`: keep a snapshot, list what is kept, let go of it."""

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

import click

from backstory.cli.command import verb
from backstory.cli.figures import ID, REF, STATE, TEXT, TIME
from backstory.cli.parameters import INSTANT, REF_TEXT
from backstory.cli.session import Session
from backstory.cli.views import Sentence, Table

if TYPE_CHECKING:
    from backstory.lineage.pinning import Pinned

_COLUMNS = (
    ("id", ID),
    ("snapshot", REF),
    ("strength", STATE),
    ("holder", REF),
    ("until", TIME),
    ("reason", TEXT),
)


@verb(
    "pin",
    examples=(
        "backstory pin thumbs/en@58 --reason 'audit 2026-Q4' --until 2027-12-31",
        "backstory pin --list thumbs/en",
    ),
)
@click.argument("ref", type=REF_TEXT, required=False)
@click.option("--reason", metavar="TEXT", default="", help="Why it is kept, or let go.")
@click.option("--holder", metavar="NAME", help="In whose name; yours by default.")
@click.option("--until", metavar="TIME", type=INSTANT, help="When the pin ends by itself.")
@click.option(
    "--strength",
    type=click.Choice(["held", "copied", "watched"]),
    help="What is promised; what the table can promise by default.",
)
@click.option("--list", "listed", is_flag=True, help="List the pins, of the slice REF or of all.")
@click.option("--release", metavar="ID", help="End the pin with that id.")
def command(
    session: Session,
    *,
    ref: str | None,
    reason: str,
    holder: str | None,
    until: datetime | None,
    strength: str | None,
    release: str | None,
    listed: bool,
) -> None:
    """Keep a snapshot on purpose, list pins or release one.

    A pinned snapshot stays readable and can be verified. Held: our own clean-up respects it.
    Copied: its files are in our lake. Watched: somebody else's table, whose loss is noticed.
    """
    from backstory.cli.documents import document, documents

    with session.home() as home:
        if listed:
            found = home.pins(ref)
            session.output.result(documents(found), _table(found), empty="nothing is pinned")
        elif release is not None:
            home.release(release, reason=reason)
            session.output.result(
                {"released": release}, Sentence(text=f"released the pin {release}", state="ok")
            )
        elif ref is not None:
            kept = home.pin(
                ref,
                reason=reason,
                holder=holder,
                until=until,
                strength=strength,
            )
            session.output.result(document(kept), _table([kept]))
        else:
            raise click.UsageError("name what to pin, or use --list or --release ID")


def _table(found: Sequence["Pinned"]) -> Table:
    rows = [
        (
            pinned.pin_id,
            pinned.snapshot.ref,
            str(pinned.strength),
            pinned.holder,
            pinned.until,
            pinned.reason,
        )
        for pinned in found
    ]
    return Table(columns=_COLUMNS, rows=rows)
