"""`backstory flush`: send the OpenLineage events that wait."""

import click

from backstory.cli.command import verb
from backstory.cli.errors import Exit
from backstory.cli.figures import NUMBER, TEXT
from backstory.cli.session import Session
from backstory.cli.views import Table

_COLUMNS = (("sent", NUMBER), ("waiting", NUMBER), ("refused", NUMBER), ("error", TEXT))


@verb("flush", examples=("backstory flush", "backstory flush --timeout 30 --retry-refused --json"))
@click.option(
    "--timeout", metavar="SECONDS", type=float, help="Offer no further event after so long."
)
@click.option("--retry-refused", is_flag=True, help="Offer what was refused once more.")
def command(session: Session, *, timeout: float | None, retry_refused: bool) -> Exit | None:
    """Send the OpenLineage events that wait.

    Oldest first, until one is not taken. What the receiver refuses is kept with its answer and
    holds nothing up. Where events still wait or were refused, the exit code is 1.
    """
    from backstory.cli.documents import document

    with session.home() as home:
        done = home.flush(retry_refused=retry_refused, timeout=timeout)
    rows = [(done.sent, done.waiting, done.refused, done.error)]
    session.output.result(document(done), Table(columns=_COLUMNS, rows=rows))
    return Exit.FAILURE if done.waiting or done.refused else None
