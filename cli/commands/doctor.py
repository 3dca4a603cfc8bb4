"""`backstory doctor`: is this home well?"""

from backstory.cli.command import verb
from backstory.cli.errors import Exit
from backstory.cli.figures import STATE, TEXT
from backstory.cli.session import Session
from backstory.cli.views import Table

_COLUMNS = (("check", TEXT), ("health", STATE), ("found", TEXT), ("what to do", TEXT))


@verb("doctor", examples=("backstory doctor", "backstory --home /srv/backstory doctor --json"))
def command(session: Session) -> Exit | None:
    """Look whether the home is well.

    Versions, access, store, tables, unregistered commits, pins, open runs, key, disk and clock: one
    line each, with what to do. A problem gives exit code 1. It changes nothing.
    """
    from backstory.cli.documents import documents
    from backstory.lineage.diagnosing import Health, worst

    with session.home(heal=False) as home:
        checks = home.doctor()
    rows = [(c.name, c.health.value, c.found, c.remedy or None) for c in checks]
    session.output.result(documents(checks), Table(columns=_COLUMNS, rows=rows))
    return Exit.FAILURE if worst(checks) is Health.PROBLEM else None
