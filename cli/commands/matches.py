"""`backstory matches`: of which versions' answers the rows of a slice speak."""

from datetime import datetime

import click

from backstory.cli.command import verb
from backstory.cli.figures import NUMBER, REF
from backstory.cli.parameters import AS_OF, REF_TEXT
from backstory.cli.session import Session
from backstory.cli.views import Table

_COLUMNS = (("version", REF), ("rows", NUMBER))


@verb("matches", examples=("backstory matches thumbs/en", "backstory matches thumbs/en@58 --json"))
@click.argument("ref", type=REF_TEXT, metavar="SLICE[@VERSION]")
@AS_OF
def command(session: Session, ref: str, *, as_of: datetime | None) -> None:
    """Count which versions' answers feedback speaks of.

    A row names an interaction, by its id or by what the calling system calls it, or else its
    conversation: then it speaks of the last answer before it. Rows that speak of no answer that is
    known are counted as unmatched, and looked at again here when answers have come in since.
    """
    from backstory.cli.documents import document

    with session.home() as home:
        if as_of is None:
            home.match_again(ref)
        found = home.matches(ref, as_of=as_of)
    rows: list[tuple[object, ...]] = [(match.ref, match.rows) for match in found.found]
    rows += [
        (name, count)
        for name, count in (("unmatched", found.unmatched), ("not looked at", found.not_looked_at))
        if count
    ]
    table = Table(columns=_COLUMNS, rows=rows)
    session.output.result(document(found), table, empty=f"{found.ref} has no rows")
