"""`backstory profile`: what the rows of a slice look like, column by column."""

from datetime import datetime
from typing import TYPE_CHECKING

import click

from backstory.cli.command import verb
from backstory.cli.figures import NUMBER, TEXT, VALUE, count, number
from backstory.cli.parameters import AS_OF, REF_TEXT
from backstory.cli.session import Session
from backstory.cli.views import Facts, Table

if TYPE_CHECKING:
    from backstory.lake.profile import ColumnProfile
    from backstory.lineage.profiling import SliceProfile

_COLUMNS = (
    ("column", TEXT),
    ("kind", TEXT),
    ("nulls", NUMBER),
    ("distinct", TEXT),
    ("least", VALUE),
    ("greatest", VALUE),
    ("most frequent", VALUE),
)
_SHOWN = 3  # most frequent values


@verb(
    "profile",
    examples=("backstory profile thumbs/en", "backstory profile thumbs/en@41..58 --json"),
)
@click.argument("ref", type=REF_TEXT)
@AS_OF
def command(session: Session, ref: str, *, as_of: datetime | None) -> None:
    """Show what the rows of a slice look like, column by column.

    At a version or a time, of the commits that SLICE@M..N names, or of what a model version was
    trained on. It is told from what was kept with each commit; only files without that are read. Of
    personal data no value is told.
    """
    from backstory.cli.documents import document

    with session.home() as home:
        found = home.profile(ref, as_of=as_of)
    rows = [
        (
            name,
            str(column.kind),
            column.nulls,
            _distinct(column),
            column.low,
            column.high,
            _frequent(column),
        )
        for name, column in found.profile.columns.items()
    ]
    session.output.result(document(found), heading(found), Table(columns=_COLUMNS, rows=rows))


def heading(found: "SliceProfile") -> Facts:
    """What was profiled, and what had to be read for it."""
    files = count(found.files, "file")
    return Facts(
        heading=found.ref,
        lines=[
            ("rows", found.profile.rows, NUMBER),
            ("files", f"{files}, {found.read:,} of them read" if found.read else files, TEXT),
            ("damaged", f"{count(len(found.damaged), 'profile')}" if found.damaged else None, TEXT),
        ],
    )


def _distinct(column: "ColumnProfile") -> str | None:
    if column.distinct is None:
        return None
    about = "" if column.distinct.exact else "about "
    is_part = column.sampled and column.kind == "text"
    return f"{'at least ' if is_part else about}{number(column.distinct.estimate)}"


def _frequent(column: "ColumnProfile") -> str | None:
    if column.top is None:
        return None
    about = "~" if column.sampled or column.top.missed else ""
    shown = list(column.top.counts.items())[:_SHOWN]
    return ", ".join(f"{value} ({about}{hits:,})" for value, hits in shown) or None
