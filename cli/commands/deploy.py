"""`backstory deploy`: record that a version serves."""

from datetime import datetime

import click

from backstory.cli.command import verb
from backstory.cli.intervals import interval_table
from backstory.cli.parameters import INSTANT, REF_TEXT
from backstory.cli.session import Session


@verb(
    "deploy",
    examples=(
        "backstory deploy ranker@7 --to prod-eu --reason 'won the holdout'",
        "backstory deploy ranker@8 --to prod-eu --mode canary --share 0.1",
    ),
)
@click.argument("version", type=REF_TEXT)
@click.option("--to", metavar="ENV", required=True, help="The environment.")
@click.option(
    "--share",
    metavar="SHARE",
    type=float,
    default=1.0,
    show_default=True,
    help="Its share of the traffic, above 0 and at most 1.",
)
@click.option(
    "--mode",
    type=click.Choice(["live", "canary", "shadow", "holdout"]),
    default="live",
    show_default=True,
    help="A canary takes its share from live; shadow and holdout count nothing.",
)
@click.option("--at", metavar="TIME", type=INSTANT, help="Since when; now by default.")
@click.option("--reason", metavar="TEXT", default="", help="Why, for the audit log.")
def command(
    session: Session,
    *,
    version: str,
    to: str,
    share: float,
    mode: str,
    at: datetime | None,
    reason: str,
) -> None:
    """Record that a version serves in an environment.

    It records and rolls nothing out. A live share of 1 ends the other live versions there.
    """
    from backstory.cli.documents import document

    with session.home() as home:
        made = home.deploy(version, to=to, share=share, mode=mode, at=at, reason=reason)
    session.output.result(document(made), interval_table([made]))
    session.output.note("recorded; Backstory rolls nothing out")
