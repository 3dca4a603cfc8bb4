"""Events that wait to be sent, in the order in which they were recorded.

An event is put here by the transaction that records it and deleted once it is delivered. The table
is operational: it tells nothing of the past, so no leaf of the audit log vouches for it, and a
change of it is no unit of work.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from backstory.lineage.store import tables as t
from backstory.lineage.store.engine import is_sqlite, translated
from backstory.lineage.store.unit_of_work import Unit

# One key of PostgreSQL's advisory locks: "bkso" in ASCII.
_SENDER = 0x626B736F


class Waiting(NamedTuple):
    """An event that waits: its place and its JSON."""

    id: int
    body: str


class Queue(NamedTuple):
    """All that is in the outbox.

    Attributes:
        waiting: how many events are to be sent.
        refused: how many the receiver will never take.
        oldest: since when the first of all of these is here; None where none is.
    """

    waiting: int
    refused: int
    oldest: datetime | None


_NEXT = (
    sa.select(t.outbox.c.id, t.openlineage_event.c.body)
    .join(t.openlineage_event, t.openlineage_event.c.id == t.outbox.c.event)
    .where(~t.outbox.c.refused, t.outbox.c.id > sa.bindparam("after"))
    .order_by(t.outbox.c.id)
    .limit(1)
)
_REFUSED = sa.func.coalesce(sa.func.sum(sa.cast(t.outbox.c.refused, sa.Integer)), 0)
_QUEUE = sa.select(sa.func.count() - _REFUSED, _REFUSED, sa.func.min(t.outbox.c.at))
_ERROR = (
    sa.select(t.outbox.c.error)
    .where(t.outbox.c.error.is_not(None))
    .order_by(t.outbox.c.id)
    .limit(1)
)


def put(unit: Unit, event: int) -> None:
    """Let a recorded event wait, from the transaction that records it."""
    unit.connection.execute(
        sa.insert(t.outbox),
        {"event": event, "at": unit.at, "attempts": 0, "next_at": unit.at, "refused": False},
    )


@contextmanager
def sole_sender(engine: Engine) -> Iterator[bool]:
    """Whether nobody else sends from this database, on whichever host; for as long as it lasts."""
    if is_sqlite(engine):  # on one host, where a lock of a file says it
        yield True
        return
    with translated(engine), engine.connect() as plain:
        # No transaction stays open meanwhile: it would hold up the database's clearing away.
        connection = plain.execution_options(isolation_level="AUTOCOMMIT")
        alone = bool(connection.scalar(sa.select(sa.func.pg_try_advisory_lock(_SENDER))))
        try:
            yield alone
        finally:
            if alone:
                connection.execute(sa.select(sa.func.pg_advisory_unlock(_SENDER)))


def following(connection: Connection, after: int) -> Waiting | None:
    """The first waiting event behind a place."""
    row = connection.execute(_NEXT, {"after": after}).first()
    return None if row is None else Waiting(*row)


def delivered(connection: Connection, place: int) -> None:
    """Forget an event that has arrived."""
    connection.execute(sa.delete(t.outbox).where(t.outbox.c.id == place))


def failed(
    connection: Connection, place: int, *, error: str, next_at: datetime, refused: bool
) -> None:
    """Say that an attempt failed, since when the next one may be made, and whether never."""
    connection.execute(
        sa.update(t.outbox)
        .where(t.outbox.c.id == place)
        .values(attempts=t.outbox.c.attempts + 1, error=error, next_at=next_at, refused=refused)
    )


def readmit(connection: Connection) -> None:
    """Let refused events wait again."""
    connection.execute(sa.update(t.outbox).where(t.outbox.c.refused).values(refused=False))


def queue(connection: Connection) -> Queue:
    """How many events wait or were refused, and since when."""
    return Queue(*connection.execute(_QUEUE).one())


def first_error(connection: Connection) -> str | None:
    """What stands in the way of the oldest event that was tried in vain."""
    return connection.scalar(_ERROR)
