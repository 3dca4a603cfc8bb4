"""`backstory doctor`: is this home well, and can it be mended?"""

import click

from backstory.cli.command import verb
from backstory.cli.errors import Exit
from backstory.cli.figures import STATE, TEXT
from backstory.cli.session import Session
from backstory.cli.views import Sentence, Table

_COLUMNS = (("check", TEXT), ("health", STATE), ("found", TEXT), ("what to do", TEXT))
_MENDED = (("check", TEXT), ("mended", STATE), ("what was done", TEXT))
_NOTHING = Sentence(text="there was nothing to mend")


@verb("doctor", examples=("backstory doctor", "backstory doctor --fix"))
@click.option("--fix", is_flag=True, help="Mend what can be mended, then look.")
def command(session: Session, *, fix: bool) -> Exit | None:
    """Look whether the home is well.

    Versions, access, store, tables, unregistered commits, pins, open runs, events to be sent, keys,
    file system, leftovers, disk and clock: one line each, with what to do. A problem gives exit
    code 1. It changes nothing without --fix, which registers commits, releases pins whose time is
    over, removes what killed commands left, and closes keys and settings to others.
    """
    from backstory.cli.documents import documents
    from backstory.lineage.diagnosing import Health, worst

    with session.home(heal=False) as home:
        mended = home.mend() if fix else []
        checks = home.doctor()
    rows = [(c.name, c.health.value, c.found, c.remedy or None) for c in checks]
    table = Table(columns=_COLUMNS, rows=rows)
    if fix:
        done = [(m.name, "yes" if m.succeeded else "no", m.done) for m in mended]
        data = {"mended": documents(mended), "checks": documents(checks)}
        told = Table(columns=_MENDED, rows=done) if done else _NOTHING
        session.output.result(data, told, table)
    else:
        session.output.result(documents(checks), table)
    failed = not all(one.succeeded for one in mended)
    return Exit.FAILURE if failed or worst(checks) is Health.PROBLEM else None
