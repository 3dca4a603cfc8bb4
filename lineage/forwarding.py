"""Events of our own runs, sent on: from the outbox, in order, at least once, to each receiver.

Recording puts each event into the outbox in its own transaction, so a crash loses none. A file is
written when a run starts and ends; a receiver on the network is never spoken to by a training,
which it could stall: a process beside it, `serve` or `flush` sends what waits. An event is
forgotten once it was taken; a crash between the two sends it again.
"""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

from backstory.lake.errors import (
    BackstoryError,
    InvalidError,
    LimitExceededError,
    NotFoundError,
    RefusedError,
)
from backstory.lineage.aside import aside
from backstory.lineage.draining import Line
from backstory.lineage.openlineage.receivers import SETTING
from backstory.lineage.parts import Parts
from backstory.lineage.sending import begin, end_begun
from backstory.lineage.settings import SENDERS
from backstory.lineage.store import outbox

MAX_TIMEOUT_SECONDS = 86_400
# What a run writes to a file itself when it starts or ends; a sender writes the rest.
AT_HAND_AT_ONCE = 16
LOOK_AGAIN = timedelta(seconds=1)

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class FlushedTo:
    """What a flush did for one receiver.

    Attributes:
        receiver: its name.
        sent: events that it has taken just now.
        waiting: events that still wait for it.
        refused: events that it will not take.
        error: what stands in the way of the oldest of these, if anything.
    """

    receiver: str
    sent: int
    waiting: int
    refused: int
    error: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Flushed:
    """What a flush did.

    Attributes:
        sent: events that were taken just now, of all receivers.
        waiting: events that still wait.
        refused: events that a receiver will not take.
        error: what stands in the way, if anything.
        receivers: the same for each; also for those that are no longer configured.
    """

    sent: int
    waiting: int
    refused: int
    error: str | None
    receivers: tuple[FlushedTo, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgotten:
    """What was dropped from the outbox.

    Attributes:
        receiver: for whom it waited.
        forgotten: how many events; all of them are still in the store.
    """

    receiver: str
    forgotten: int


def flush(parts: Parts, *, retry_refused: bool = False, timeout: float | None = None) -> Flushed:
    """Send the events that wait, to each receiver the oldest first, until one is not taken.

    Args:
        retry_refused: offer what a receiver refused before once more.
        timeout: seconds after which no further event is offered; the one under way is bounded by
            the transport's own timeout.

    Raises:
        InvalidError: no transport is configured.
        LimitExceededError: a timeout beyond a day, or none at all.
    """
    if not parts.settings.receivers:
        raise InvalidError(
            "no OpenLineage transport is configured", hint=f"set [{SETTING}] in backstory.toml"
        )
    until = None if timeout is None else parts.clock() + _checked(timeout)
    lines = [Line(parts=parts, receiver=receiver) for receiver in parts.settings.receivers]
    if retry_refused:
        with parts.store.operating() as connection:
            outbox.readmit(connection)
    draining = [
        aside(line.drain, lambda: until is not None and parts.clock() >= until, at_once=True)
        for line in lines
    ]
    sent = {line.receiver.name: done.result() for line, done in zip(lines, draining, strict=True)}
    return _flushed(parts, sent)


def _checked(timeout: float) -> timedelta:
    if not 0 < timeout <= MAX_TIMEOUT_SECONDS:
        raise LimitExceededError(
            f"a timeout of {timeout} s",
            hint=f"say how many seconds, more than 0 and at most {MAX_TIMEOUT_SECONDS:,}",
        )
    return timedelta(seconds=timeout)


def _flushed(parts: Parts, sent: dict[str, int]) -> Flushed:
    with parts.store.reader() as connection:
        queues = outbox.queues(connection)
        errors = {name: outbox.first_error(connection, name) for name in queues}
    told = []
    for name in dict.fromkeys([*sent, *queues]):
        error = errors.get(name)
        if name not in sent:
            error = f"no receiver is called {name} any more: see `flush --forget`"
        waiting, refused = queues[name][:2] if name in queues else (0, 0)
        told.append(
            FlushedTo(
                receiver=name,
                sent=sent.get(name, 0),
                waiting=waiting,
                refused=refused,
                error=error,
            )
        )
    return Flushed(
        sent=sum(one.sent for one in told),
        waiting=sum(one.waiting for one in told),
        refused=sum(one.refused for one in told),
        error=next((one.error for one in told if one.error), None),
        receivers=tuple(told),
    )


def forget_receiver(parts: Parts, receiver: str) -> Forgotten:
    """Drop what waits for a receiver that is no longer configured; the store keeps the events.

    Raises:
        RefusedError: it is configured.
        NotFoundError: nothing waits for it.
    """
    if receiver in {known.name for known in parts.settings.receivers}:
        raise RefusedError(
            f"{receiver} is a receiver of this home",
            hint=f"take it out of [{SETTING}] first",
        )
    with parts.store.operating() as connection:
        forgotten = outbox.forget(connection, receiver)
    if not forgotten:
        raise NotFoundError(
            f"nothing waits for a receiver called {receiver!r}",
            hint="see `backstory doctor`",
        )
    return Forgotten(receiver=receiver, forgotten=forgotten)


def send_now(parts: Parts) -> None:
    """Write what waits to files at hand, and have a process send the rest; failures are logged."""
    try:
        for receiver in parts.settings.receivers:
            if receiver.at_hand:
                _write(Line(parts=parts, receiver=receiver))
        if any_due(parts):
            _begin_sender(parts)
    except BackstoryError as exc:
        _log.warning("OpenLineage events were not sent: %s", exc)


def send_later(parts: Parts) -> None:
    """Have a process send what earlier commands could not, where this one has changed something."""
    try:
        if parts.settings.receivers and parts.store.changed and any_due(parts):
            _begin_sender(parts)
    except BackstoryError as exc:
        _log.warning("OpenLineage events were not sent: %s", exc)


@contextmanager
def keep_sending(parts: Parts) -> Iterator[None]:
    """Have a process send what becomes due beside other work, which ends with that work."""
    if not parts.settings.receivers or parts.settings.send != SENDERS[0]:
        yield
        return
    stop = threading.Event()
    looking = threading.Thread(target=_keep_looking, args=(parts, stop))
    looking.start()
    try:
        yield
    finally:
        stop.set()
        looking.join()
        end_begun()


def _keep_looking(parts: Parts, stop: threading.Event) -> None:
    while not stop.wait(LOOK_AGAIN.total_seconds()):
        try:
            if any_due(parts):
                begin(parts.settings)
        except BackstoryError as exc:
            _log.warning("OpenLineage events were not sent: %s", exc)


def any_due(parts: Parts) -> bool:
    """Whether an event may be offered now."""
    lines = (Line(parts=parts, receiver=receiver) for receiver in parts.settings.receivers)
    return any((at := line.next_at()) is not None and at <= parts.clock() for line in lines)


def _begin_sender(parts: Parts) -> None:
    if parts.settings.send == SENDERS[0]:
        begin(parts.settings)


def _write(line: Line) -> None:
    """Write to a file at hand; the outbox tells what stands in the way."""
    left = iter(range(AT_HAND_AT_ONCE))
    line.drain(lambda: next(left, None) is None)
    with line.parts.store.reader() as connection:
        error = outbox.first_error(connection, line.receiver.name)
    if error:
        _log.warning("OpenLineage events were not sent to %s: %s", line.receiver.name, error)
