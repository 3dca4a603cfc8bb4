"""`backstory deployments`: what serves, or served, where."""

from datetime import datetime

import click

from backstory.cli.command import verb
from backstory.cli.intervals import interval_table
from backstory.cli.parameters import INSTANT
from backstory.cli.session import Session


@verb(
    "deployments",
    examples=(
        "backstory deployments prod-eu",
        "backstory deployments prod-eu --at 2026-11-14T09:41Z",
    ),
)
@click.argument("environment", required=False)
@click.option("--at", metavar="TIME", type=INSTANT, help="What served at that time.")
def command(session: Session, environment: str | None, at: datetime | None) -> None:
    """Show what serves, or served, where.

    Every interval in which a version had a share of an environment's traffic, or those in force at
    a time.
    """
    from backstory.cli.documents import documents

    with session.home() as home:
        found = home.deployments(environment, at=at)
    where = f" to {environment}" if environment else ""
    session.output.result(
        documents(found),
        interval_table(found),
        empty="nothing served then" if at else f"nothing was ever deployed{where}",
    )
