"""`backstory pins`: what is kept and what is being read, by whom, until when, and its bytes."""

from datetime import datetime
from typing import TYPE_CHECKING

import click

from backstory.cli.command import verb
from backstory.cli.figures import ID, REF, SIZE, STATE, TEXT, TIME
from backstory.cli.parameters import AS_OF, REF_TEXT
from backstory.cli.session import Session
from backstory.cli.views import Table

if TYPE_CHECKING:
    from backstory.lake.leases import Lease
    from backstory.lineage.pinning import Pinned
    from backstory.lineage.weighing import PinSize

_COLUMNS = (
    ("id", ID),
    ("snapshot", REF),
    ("strength", STATE),
    ("holder", REF),
    ("class", TEXT),
    ("until", TIME),
    ("size", SIZE),
    ("alone", SIZE),
    ("reason", TEXT),
)


@verb("pins", examples=("backstory pins", "backstory pins thumbs/en --json"))
@click.argument("ref", type=REF_TEXT, required=False)
@AS_OF
def command(session: Session, ref: str | None, *, as_of: datetime | None) -> None:
    """List what is pinned, by whom, why, until when, and its bytes.

    Of the slice REF or of all. The column alone has the bytes that would be free if that pin ended:
    those that neither the newest version nor another pin needs. Where a pin has a retention class,
    that decides when it ends, and never while its version serves or an alias names it. A pin whose
    time is over goes on to hold until it is released, by `backstory doctor --fix` or by hand.

    Leases of processes that read a version now come last, with the strength lease. They end with
    their process; the column until counts for processes of other hosts, and reading moves it on.
    With --as-of there are none, and nothing is weighed: the files of pins that have ended are gone.
    """
    from backstory.cli.documents import documents

    with session.home() as home:
        if as_of is None:
            sizes = home.pin_sizes(ref)
            leases = home.leases(ref)
            told = documents([*sizes, *leases])
            rows = [*map(_weighed, sizes), *map(_lease, leases)]
        else:
            pins = home.pins(ref, as_of=as_of)
            told, rows = documents(pins), [_row(pinned, None, None) for pinned in pins]
    session.output.result(told, Table(columns=_COLUMNS, rows=rows), empty="nothing is pinned")


def _weighed(one: "PinSize") -> tuple[object, ...]:
    return _row(one.pinned, one.size, one.alone)


def _lease(lease: "Lease") -> tuple[object, ...]:
    return (
        lease.lease_id,
        f"{lease.slice}@{lease.version}",
        lease.strength,
        lease.holder,
        None,
        lease.until,
        lease.size,
        None,
        lease.reason,
    )


def _row(pinned: "Pinned", size: int | None, alone: int | None) -> tuple[object, ...]:
    return (
        pinned.pin_id,
        pinned.snapshot.ref,
        str(pinned.strength),
        pinned.holder,
        pinned.retention,
        pinned.until,
        size,
        alone,
        pinned.reason,
    )
