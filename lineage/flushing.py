"""`flush`: what waits for the receivers of events is sent now, and what came of it is told.

Other senders honour the waits between attempts; who flushes asks for one at once.
"""

from dataclasses import dataclass
from datetime import timedelta

from backstory.lake.errors import InvalidError, LimitExceededError, NotFoundError, RefusedError
from backstory.lineage.daemon_thread import in_daemon_thread
from backstory.lineage.draining import Line
from backstory.lineage.openlineage.receivers import SETTING
from backstory.lineage.parts import Parts
from backstory.lineage.store import outbox

MAX_TIMEOUT_SECONDS = 86_400


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
        receivers: for each; also for those that are no longer configured.
    """

    receivers: tuple[FlushedTo, ...]

    @property
    def sent(self) -> int:
        """Events that were taken just now, of all receivers."""
        return sum(one.sent for one in self.receivers)

    @property
    def waiting(self) -> int:
        """Events that still wait."""
        return sum(one.waiting for one in self.receivers)

    @property
    def refused(self) -> int:
        """Events that a receiver will not take."""
        return sum(one.refused for one in self.receivers)

    @property
    def error(self) -> str | None:
        """What stands in the way, if anything."""
        return next((one.error for one in self.receivers if one.error), None)


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

    def over() -> bool:
        return until is not None and parts.clock() >= until

    draining = [in_daemon_thread(line.drain, over, at_once=True) for line in lines]
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
    return Flushed(receivers=tuple(told))


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
