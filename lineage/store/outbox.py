"""Events that wait to be sent: for each receiver a queue, in the order in which they were recorded.

An event is put here by the transaction that records it, once for each receiver, and deleted once it
is delivered. The table is operational: it tells nothing of the past, so no leaf of the audit log
vouches for it, and a change of it is no unit of work.
"""

import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine

from backstory.lineage.store import tables as t
from backstory.lineage.store.engine import is_sqlite, translated
from backstory.lineage.store.unit_of_work import Unit
from backstory.lineage.times import EPOCH

# The first key of PostgreSQL's advisory locks: "bkso" in ASCII. The second is the receiver.
_SENDER = 0x626B736F


class Waiting(NamedTuple):
    """An event that waits: its number, its JSON, what was tried, and when to try again."""

    event: int
    body: str
    attempts: int
    next_at: datetime


class Queue(NamedTuple):
    """All that is in the outbox for one receiver.

    Attributes:
        waiting: how many events are to be sent.
        refused: how many the receiver will never take.
        oldest: since when the first of all of these is here.
    """

    waiting: int
    refused: int
    oldest: datetime


_OF_RECEIVER = t.outbox.c.receiver == sa.bindparam("to")
_NEXT_AT = (
    sa.select(t.outbox.c.next_at)
    .where(_OF_RECEIVER, ~t.outbox.c.refused)
    .order_by(t.outbox.c.event)
    .limit(1)
)
_NEXT = (
    sa.select(t.outbox.c.event, t.openlineage_event.c.body, t.outbox.c.attempts, t.outbox.c.next_at)
    .join(t.openlineage_event, t.openlineage_event.c.id == t.outbox.c.event)
    .where(_OF_RECEIVER, ~t.outbox.c.refused, t.outbox.c.event > sa.bindparam("after"))
    .order_by(t.outbox.c.event)
    .limit(1)
)
_REFUSED = sa.func.coalesce(sa.func.sum(sa.cast(t.outbox.c.refused, sa.Integer)), 0)
_QUEUES = (
    sa.select(t.outbox.c.receiver, sa.func.count() - _REFUSED, _REFUSED, sa.func.min(t.outbox.c.at))
    .group_by(t.outbox.c.receiver)
    .order_by(t.outbox.c.receiver)
)
_ERROR = (
    sa.select(t.outbox.c.error)
    .where(_OF_RECEIVER, t.outbox.c.error.is_not(None))
    .order_by(t.outbox.c.event)
    .limit(1)
)


def put(unit: Unit, event: int, receivers: Iterable[str]) -> None:
    """Let a recorded event wait for its receivers, from the transaction that records it."""
    # Due at once, also where this clock is behind the one of the last record.
    row = {"event": event, "at": unit.at, "attempts": 0, "next_at": EPOCH, "refused": False}
    if rows := [{**row, "receiver": name} for name in receivers]:
        unit.connection.execute(sa.insert(t.outbox), rows)


@contextmanager
def sole_sender(engine: Engine, receiver: str) -> Iterator[bool]:
    """Whether nobody else sends to it from this database, on whichever host; while it lasts."""
    if is_sqlite(engine):  # on one host, where a lock of a file says it
        yield True
        return
    keys = _SENDER, zlib.crc32(receiver.encode()) - (1 << 31)
    with translated(engine), engine.connect() as plain:
        # No transaction stays open meanwhile: it would hold up the database's clearing away.
        connection = plain.execution_options(isolation_level="AUTOCOMMIT")
        alone = bool(connection.scalar(sa.select(sa.func.pg_try_advisory_lock(*keys))))
        try:
            yield alone
        finally:
            if alone:
                connection.execute(sa.select(sa.func.pg_advisory_unlock(*keys)))


def next_at(connection: Connection, receiver: str) -> datetime | None:
    """From when on the first waiting event may be offered; None where none waits."""
    found: datetime | None = connection.scalar(_NEXT_AT, {"to": receiver})
    return found


def following(connection: Connection, receiver: str, after: int) -> Waiting | None:
    """The first waiting event behind another one."""
    row = connection.execute(_NEXT, {"to": receiver, "after": after}).first()
    return None if row is None else Waiting(*row)


def delivered(connection: Connection, receiver: str, event: int) -> None:
    """Forget an event that has arrived."""
    connection.execute(sa.delete(t.outbox).where(*_one(receiver, event)))


def failed(
    connection: Connection,
    receiver: str,
    event: int,
    *,
    error: str,
    next_at: datetime,
    refused: bool,
) -> None:
    """Say that an attempt failed, from when on the next one may be made, and whether never."""
    connection.execute(
        sa.update(t.outbox)
        .where(*_one(receiver, event))
        .values(attempts=t.outbox.c.attempts + 1, error=error, next_at=next_at, refused=refused)
    )


def readmit(connection: Connection) -> None:
    """Let refused events wait again."""
    connection.execute(sa.update(t.outbox).where(t.outbox.c.refused).values(refused=False))


def forget(connection: Connection, receiver: str) -> int:
    """Drop all that is here for a receiver; give how many events that were."""
    gone = connection.execute(sa.delete(t.outbox).where(t.outbox.c.receiver == receiver))
    return gone.rowcount


def queues(connection: Connection) -> dict[str, Queue]:
    """How many events wait or were refused, and since when, for each receiver that has any."""
    return {name: Queue(*counts) for name, *counts in connection.execute(_QUEUES)}


def first_error(connection: Connection, receiver: str) -> str | None:
    """What stands in the way of the oldest event that was tried in vain."""
    found: str | None = connection.scalar(_ERROR, {"to": receiver})
    return found


def _one(receiver: str, event: int) -> tuple[sa.ColumnElement[bool], ...]:
    return t.outbox.c.receiver == receiver, t.outbox.c.event == event
