"""`backstory undeploy`: record that a version serves no longer."""

from datetime import datetime

import click

from backstory.cli.command import verb
from backstory.cli.intervals import interval_table
from backstory.cli.parameters import INSTANT, REF_TEXT
from backstory.cli.session import Session


@verb(
    "undeploy",
    examples=(
        "backstory undeploy ranker@8 --from prod-eu --reason 'complaints doubled'",
        "backstory undeploy env:prod-eu#3",
    ),
)
@click.argument("ref", type=REF_TEXT, metavar="VERSION|DEPLOYMENT")
@click.option("--from", "environment", metavar="ENV", help="Where, if it serves in several.")
@click.option("--at", metavar="TIME", type=INSTANT, help="Since when; now by default.")
@click.option("--reason", metavar="TEXT", default="", help="Why, for the audit log.")
def command(
    session: Session, ref: str, environment: str | None, at: datetime | None, reason: str
) -> None:
    """Record that a version serves no longer.

    What it served before stays in the record. A canary's share goes back to the live versions.
    """
    from backstory.cli.documents import documents

    with session.home() as home:
        ended = home.undeploy(ref, from_environment=environment, at=at, reason=reason)
    session.output.result(documents(ended), interval_table(ended))
    session.output.note("recorded; Backstory rolls nothing back")
