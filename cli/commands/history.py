"""`backstory history`: a slice's commits, and who used them."""

from datetime import datetime

import click

from backstory.cli.command import verb
from backstory.cli.figures import DIGEST, LATE, NUMBER, REF, TEXT, TIME
from backstory.cli.parameters import AS_OF, REF_TEXT
from backstory.cli.session import Session
from backstory.cli.views import Table
from backstory.lineage.graph import run_key

_COLUMNS = (
    ("version", NUMBER),
    ("at", TIME),
    ("operation", TEXT),
    ("source", TEXT),
    ("rows", NUMBER),
    ("snapshot", DIGEST),
    ("pins", NUMBER),
    ("read by", REF),
    ("late", LATE),
)


@verb(
    "history",
    examples=("backstory history thumbs/en", "backstory history thumbs/en@58 --limit 5"),
)
@click.argument("ref", type=REF_TEXT, metavar="SLICE[@VERSION]")
@click.option("--limit", metavar="N", default=50, show_default=True, help="How many at most.")
@AS_OF
def command(session: Session, ref: str, limit: int, *, as_of: datetime | None) -> None:
    """Show a slice's commits, newest first.

    Up to the version, where one is named. A commit that somebody pinned or read is a snapshot and
    has a digest.
    """
    from backstory.cli.documents import documents

    with session.home() as home:
        found = home.history(ref, limit=limit, as_of=as_of)
    rows = [
        (
            use.commit.version,
            use.commit.at,
            use.commit.operation,
            use.commit.source,
            use.commit.rows,
            use.snapshot.digest if use.snapshot else None,
            len(use.pins) or None,
            ", ".join(run_key(run) for run in use.runs) or None,
            use.commit.late,
        )
        for use in found
    ]
    session.output.result(
        documents(found), Table(columns=_COLUMNS, rows=rows), empty=f"{ref} has no commits"
    )
    if len(found) == limit:
        session.output.note(f"there may be more: the last {limit} are shown, see --limit")
