"""`backstory loads`: what processes really loaded, beside what was declared."""

from datetime import datetime

import click

from backstory.cli.command import verb
from backstory.cli.figures import REF, STATE, TEXT, TIME
from backstory.cli.parameters import AS_OF, REF_TEXT
from backstory.cli.session import Session
from backstory.cli.views import Table

_COLUMNS = (
    ("at", TIME),
    ("host", TEXT),
    ("version", REF),
    ("asked", TEXT),
    ("environment", TEXT),
    ("agrees", STATE),
)
_WORDS = {True: "yes", False: "no", None: None}


@verb(
    "loads",
    examples=("backstory loads ranker", "backstory loads --environment prod-eu --json"),
)
@click.argument("ref", type=REF_TEXT, required=False, metavar="[MODEL[@VERSION]]")
@click.option("--environment", metavar="ENV", help="Only what was loaded there.")
@click.option("--limit", metavar="N", default=50, show_default=True, help="How many at most.")
@AS_OF
def command(
    session: Session,
    ref: str | None,
    *,
    environment: str | None,
    limit: int,
    as_of: datetime | None,
) -> None:
    """List what processes really loaded.

    Of a version, of a model or of all, the last first: on which host, what was asked for, and
    whether that agrees with what was declared to serve in its environment then. Bytes are compared,
    not names. A process that did not say where it serves is compared with nothing.
    """
    from backstory.cli.documents import documents

    with session.home() as home:
        found = home.loads(ref, environment=environment, limit=limit, as_of=as_of)
    rows = [
        (load.at, load.host, load.ref, load.asked, load.environment, _WORDS[load.agrees])
        for load in found
    ]
    session.output.result(
        documents(found),
        Table(columns=_COLUMNS, rows=rows),
        empty="no load is recorded; `backstory load` and `version-of --loaded` record one",
    )
    if len(found) == limit:
        session.output.note(f"there may be more: the last {limit} are shown, see --limit")
