"""`backstory retain`: how long what a version was trained on is kept."""

import click

from backstory.cli.command import verb
from backstory.cli.figures import ID, REF, TEXT, TIME
from backstory.cli.parameters import REF_TEXT
from backstory.cli.session import Session
from backstory.cli.views import Table

_COLUMNS = (
    ("id", ID),
    ("snapshot", REF),
    ("holder", REF),
    ("class", TEXT),
    ("until", TIME),
    ("until, before", TIME),
    ("in use by", REF),
)


@verb(
    "retain",
    examples=(
        "backstory retain ranker@7 --class audit --reason 'the regulator asks for ten years'",
        "backstory retain ranker@7 --class short --dry-run",
    ),
)
@click.argument("ref", type=REF_TEXT, metavar="VERSION|SNAPSHOT|pin:ID")
@click.option(
    "--class", "retention", metavar="NAME", required=True, help="A class of the settings."
)
@click.option(
    "--reason", metavar="TEXT", default="", help="Why, for the audit log; a dry run needs none."
)
@click.option("--dry-run", is_flag=True, help="Change nothing, and show what would be.")
def command(session: Session, ref: str, *, retention: str, reason: str, dry_run: bool) -> None:
    """Give a retention class to what a version was trained on.

    To the pins of the version's run, to all pins of a snapshot, or to one pin. The class says how
    long they hold after the version's last use: after its last deployment or alias has ended, or
    after its registration where it never had any. Nothing is released here: `backstory doctor`
    tells which pins are beyond their time, and `doctor --fix` releases them.
    """
    from backstory.cli.documents import documents

    with session.home() as home:
        given = home.retain(ref, retention=retention, reason=reason, dry_run=dry_run)
    rows = [
        (
            one.pinned.pin_id,
            one.pinned.snapshot.ref,
            one.pinned.holder,
            one.pinned.retention or "",
            one.pinned.until,
            one.before.until,
            " ".join(one.pinned.in_use),
        )
        for one in given
    ]
    session.output.result(documents(given), Table(columns=_COLUMNS, rows=rows))
    if over := sum(one.over for one in given):
        session.output.note(
            f"{over} of {len(given)} {'would be' if dry_run else 'are'} beyond their time; "
            "`backstory doctor --fix` releases such pins"
        )
