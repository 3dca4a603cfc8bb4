"""`backstory amend`: supersede a wrong record."""

from typing import Any

import click

from backstory.cli.amendments import amendment_table
from backstory.cli.command import verb
from backstory.cli.parameters import INSTANT, REF_TEXT
from backstory.cli.session import Session


@verb(
    "amend",
    examples=(
        "backstory amend env:prod-eu#3 --from 2026-11-14T09:41Z --reason 'rolled out late'",
        "backstory amend ranker@champion --version ranker@6 --reason 'a slip of the pen'",
    ),
)
@click.argument("ref", type=REF_TEXT, metavar="DEPLOYMENT|ALIAS|VERSION")
@click.option("--reason", metavar="TEXT", required=True, help="Why the record is wrong.")
@click.option(
    "--at",
    metavar="TIME",
    type=INSTANT,
    help="Of several intervals or moves, the one in force then.",
)
@click.option("--from", "from_at", metavar="TIME", type=INSTANT, help="Since when it was so.")
@click.option("--until", "until_at", metavar="TIME", type=INSTANT, help="Until when.")
@click.option("--ongoing", is_flag=True, help="It has not ended.")
@click.option("--share", metavar="SHARE", type=float, help="The share that it had.")
@click.option("--version", metavar="REF", type=REF_TEXT, help="The version that an alias named.")
@click.option("--artifact", metavar="URI", help="Where the bytes of a version lie.")
@click.option("--digest", metavar="SHA256", help="The digest of a version's bytes.")
@click.option(
    "--trained-on",
    metavar="SNAPSHOT",
    type=REF_TEXT,
    multiple=True,
    help="What a version was trained on, all of it; may be given again.",
)
@click.option("--never", is_flag=True, help="It did not happen.")
def command(session: Session, /, ref: str, *, trained_on: tuple[str, ...], **said: Any) -> None:
    """Supersede a wrong record by what is so instead.

    Both stay: `backstory amendments` shows them, and `--as-of` a time before answers as then. No
    other record changes; what does not fit beside the others is refused. What was observed is not
    amended.
    """
    from backstory.cli.documents import document

    with session.home() as home:
        made = home.amend(ref, trained_on=trained_on or None, **said)
    session.output.result(document(made), amendment_table([made]))
