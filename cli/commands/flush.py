"""`backstory flush`: send the OpenLineage events that wait."""

import click

from backstory.cli.command import verb
from backstory.cli.errors import Exit
from backstory.cli.figures import NUMBER, TEXT
from backstory.cli.session import Session
from backstory.cli.views import Sentence, Table

_COLUMNS = (
    ("receiver", TEXT),
    ("sent", NUMBER),
    ("waiting", NUMBER),
    ("refused", NUMBER),
    ("error", TEXT),
)


@verb(
    "flush",
    examples=(
        "backstory flush --timeout 30 --retry-refused --json",
        "backstory flush --forget marquez",
    ),
)
@click.option(
    "--timeout", metavar="SECONDS", type=float, help="Offer no further event after so long."
)
@click.option("--retry-refused", is_flag=True, help="Offer what was refused once more.")
@click.option(
    "--forget", metavar="RECEIVER", help="Only drop what waits for one that is not configured."
)
def command(
    session: Session, *, timeout: float | None, retry_refused: bool, forget: str | None
) -> Exit | None:
    """Send the OpenLineage events that wait.

    To each receiver the oldest first, at once, until one is not taken. What a receiver refuses is
    kept with its answer and holds nothing up. Where events still wait or were refused, the exit
    code is 1.
    """
    from backstory.cli.documents import document

    with session.home() as home:
        if forget is not None:
            gone = home.forget_receiver(forget)
            told = f"dropped {gone.forgotten:,} events that waited for {gone.receiver}"
            session.output.result(document(gone), Sentence(text=told))
            return None
        done = home.flush(retry_refused=retry_refused, timeout=timeout)
    rows = [(to.receiver, to.sent, to.waiting, to.refused, to.error) for to in done.receivers]
    session.output.result(document(done), Table(columns=_COLUMNS, rows=rows))
    return Exit.FAILURE if done.waiting or done.refused else None
