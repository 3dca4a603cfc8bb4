"""`backstory deployments`: what serves, or served, where."""

from datetime import datetime
from typing import TYPE_CHECKING

import click

from backstory.cli.amendments import when_and_why
from backstory.cli.command import verb
from backstory.cli.figures import moment
from backstory.cli.intervals import interval_table
from backstory.cli.parameters import AS_OF, INSTANT
from backstory.cli.session import Session

if TYPE_CHECKING:
    from backstory.lineage.observing import Served


@verb(
    "deployments",
    examples=(
        "backstory deployments prod-eu",
        "backstory deployments prod-eu --at 2026-11-14T09:41Z",
    ),
)
@click.argument("environment", required=False)
@click.option("--at", metavar="TIME", type=INSTANT, help="What served at that time.")
@AS_OF
def command(
    session: Session, environment: str | None, at: datetime | None, as_of: datetime | None
) -> None:
    """Show what serves, or served, where.

    Every interval in which a version had a share of an environment's traffic, or those in force at
    a time. Beside what serves then, or now, stands what each host there had really loaded last; a
    load of something else than is declared is said. `--at` asks when it was so, `--as-of` what was
    known of it.
    """
    from backstory.cli.documents import documents

    with session.home() as home:
        found = home.deployments(environment, at=at, as_of=as_of)
    where = f" to {environment}" if environment else ""
    session.output.result(
        documents(found),
        interval_table(
            found,
            loads={i.id: _loads(i) for i in found if i.loads},
            amended={i.id: said for i in found if (said := when_and_why(i.amended))},
        ),
        empty="nothing served then" if at or as_of else f"nothing was ever deployed{where}",
    )
    for said in dict.fromkeys(text for interval in found for text in interval.disagreements):
        session.output.note(said)


def _loads(interval: "Served") -> str:
    """`host-a 2026-11-24T08:00:00Z, host-b …`: who loaded it when."""
    return ", ".join(f"{load.host} {moment(load.at)}" for load in interval.loads)
