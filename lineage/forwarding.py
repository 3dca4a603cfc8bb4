"""Events of our own runs, sent on: from the outbox, in order, at least once.

Recording puts each event into the outbox in its own transaction, so a crash loses none. A file is
written when a run starts and ends; a receiver on the network is never spoken to by a training,
which it could stall: a process beside it or `flush` sends what waits. An event is forgotten once
it was taken; a crash between the two sends it again.
"""

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from backstory.lake.crash import crashpoint
from backstory.lake.errors import (
    BackstoryError,
    InvalidError,
    LimitExceededError,
    RefusedError,
    UnavailableError,
)
from backstory.lineage.openlineage.transport import Send, open_transport
from backstory.lineage.parts import Parts
from backstory.lineage.sending import alone, begin
from backstory.lineage.store import outbox

LOCK_FILE = "outbox.lock"
MAX_TIMEOUT_SECONDS = 86_400

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Flushed:
    """What a flush did.

    Attributes:
        sent: events that were taken by the receiver just now.
        waiting: events that still wait.
        refused: events that the receiver will not take.
        error: what stands in the way of the oldest of these, if anything.
    """

    sent: int
    waiting: int
    refused: int
    error: str | None


def flush(parts: Parts, *, retry_refused: bool = False, timeout: float | None = None) -> Flushed:
    """Send the events that wait, oldest first, until one is not taken.

    Args:
        retry_refused: offer what the receiver refused before once more.
        timeout: seconds after which no further event is offered; the one under way is bounded by
            the transport's own timeout.

    Raises:
        InvalidError: no transport is configured.
        LimitExceededError: a timeout beyond a day, or none at all.
    """
    if parts.settings.transport is None:
        raise InvalidError(
            "no OpenLineage transport is configured",
            hint="set [openlineage.transport] in backstory.toml",
        )
    until = None if timeout is None else parts.clock() + _checked(timeout)
    sent = 0
    with _alone(parts) as free:
        if free:
            if retry_refused:
                with parts.store.operating() as connection:
                    outbox.readmit(connection)
            sent = _drain(parts, open_transport(parts.settings.transport), until)
    with parts.store.reader() as connection:
        queue = outbox.queue(connection)
        error = outbox.first_error(connection)
    return Flushed(sent=sent, waiting=queue.waiting, refused=queue.refused, error=error)


def _checked(timeout: float) -> timedelta:
    if not 0 < timeout <= MAX_TIMEOUT_SECONDS:
        raise LimitExceededError(
            f"a timeout of {timeout} s",
            hint=f"say how many seconds, more than 0 and at most {MAX_TIMEOUT_SECONDS:,}",
        )
    return timedelta(seconds=timeout)


def send_now(parts: Parts) -> None:
    """Write what waits to the home's file, or have a process send it; a failure is only logged."""
    try:
        error = _sent_now(parts)
    except BackstoryError as exc:
        error = str(exc)
    if error:
        _log.warning("OpenLineage events were not sent: %s", error)


def _sent_now(parts: Parts) -> str | None:
    """What stands in the way of the file; of a receiver on the network, the outbox tells."""
    kind = (parts.settings.transport or {}).get("type")
    if kind == "file":
        flushed = flush(parts)
        return flushed.error if flushed.waiting else None
    if kind == "http" and parts.settings.send == "background":
        begin(parts.settings)
    return None


def _drain(parts: Parts, send: Send, until: datetime | None) -> int:
    """Offer each event to the receiver, until a time if any; give how many it took."""
    sent = place = 0
    while until is None or parts.clock() < until:
        waiting = _following(parts, place)
        if waiting is None:
            break
        place = waiting.id
        try:
            send(json.loads(waiting.body))
        except RefusedError as exc:
            _keep(parts, waiting, str(exc), refused=True)
            continue
        except UnavailableError as exc:
            _keep(parts, waiting, str(exc), refused=False)
            break  # the next one would overtake it
        crashpoint("outbox.sent")
        with parts.store.operating() as connection:
            outbox.delivered(connection, place)
        sent += 1
    return sent


def _following(parts: Parts, place: int) -> outbox.Waiting | None:
    with parts.store.reader() as connection:
        return outbox.following(connection, place)


def _keep(parts: Parts, waiting: outbox.Waiting, error: str, *, refused: bool) -> None:
    with parts.store.operating() as connection:
        outbox.failed(connection, waiting.id, error=error, next_at=parts.clock(), refused=refused)


@contextmanager
def _alone(parts: Parts) -> Iterator[bool]:
    """Whether nobody else sends: from this home's folder, or from its database on another host."""
    with alone(parts.settings, LOCK_FILE) as free:
        if not free:
            yield False
            return
        with outbox.sole_sender(parts.store.engine) as sole:
            yield sole
