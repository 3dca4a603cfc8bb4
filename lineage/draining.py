"""One receiver's queue, sent in order: the next event is offered when this one was taken.

What is not taken now waits longer after each failure and is not overtaken, so a run's START arrives
before its end; what a receiver will never take is set aside and holds nothing up. Each receiver has
its own queue, its own waits and its own sender, so one that is down holds up no other.
"""

import json
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from backstory.lake.crash import crashpoint
from backstory.lake.errors import InvalidError, RefusedError, UnavailableError
from backstory.lineage.openlineage.receivers import Receiver
from backstory.lineage.openlineage.transport import Send, open_transport
from backstory.lineage.parts import Parts
from backstory.lineage.sending import alone
from backstory.lineage.store import outbox

FIRST_WAIT = timedelta(seconds=1)
LONGEST_WAIT = timedelta(minutes=1)
DOUBLINGS = 6  # beyond the longest


def lock_of(receiver: Receiver) -> str:
    """The name of the lock that who sends to a receiver holds."""
    return f"outbox-{receiver.name}.lock"


@dataclass(kw_only=True, eq=False)
class Line:
    """What waits for one receiver, and the way to it, which stays open.

    Attributes:
        parts: the home.
        receiver: who gets it.
        jitter: between 0 and 1, so that senders of many homes spread.
    """

    parts: Parts
    receiver: Receiver
    jitter: Callable[[], float] = random.random
    _send: Send | None = field(default=None, init=False)

    def next_at(self) -> datetime | None:
        """From when on its first event may be offered; None where none waits."""
        with self.parts.store.reader() as connection:
            return outbox.next_at(connection, self.receiver.name)

    def drain(self, over: Callable[[], bool], *, at_once: bool = False) -> int:
        """Offer each event that waits until one is not taken; give how many were.

        Args:
            over: whether to offer no further event.
            at_once: offer also what is to be offered later.
        """
        with self._alone() as free:
            return sum(1 for _ in self._taken(over, at_once=at_once)) if free else 0

    def _taken(self, over: Callable[[], bool], *, at_once: bool) -> Iterator[int]:
        place = 0
        while not over():
            waiting = self._following(place)
            if waiting is None or not (at_once or waiting.next_at <= self.parts.clock()):
                return
            place = waiting.event
            try:
                self._offer(waiting.body)
            except RefusedError as exc:
                self._keep(waiting, exc.message, refused=True)
                continue
            except (InvalidError, UnavailableError) as exc:
                self._keep(waiting, exc.message, refused=False)
                return  # the next one would overtake it
            crashpoint("outbox.sent")
            with self.parts.store.operating() as connection:
                outbox.delivered(connection, self.receiver.name, place)
            yield place

    def _offer(self, body: str) -> None:
        if self._send is None:
            self._send = open_transport(self.receiver)
        self._send(json.loads(body))

    def _following(self, place: int) -> outbox.Waiting | None:
        with self.parts.store.reader() as connection:
            return outbox.following(connection, self.receiver.name, place)

    def _keep(self, waiting: outbox.Waiting, error: str, *, refused: bool) -> None:
        next_at = self.parts.clock() + wait_after(waiting.attempts + 1, self.jitter())
        with self.parts.store.operating() as connection:
            outbox.failed(
                connection,
                self.receiver.name,
                waiting.event,
                error=error,
                next_at=next_at,
                refused=refused,
            )

    @contextmanager
    def _alone(self) -> Iterator[bool]:
        """Whether nobody else sends to it: from this home's folder, or from another host."""
        with alone(self.parts.settings, lock_of(self.receiver)) as free:
            if not free:
                yield False
                return
            with outbox.sole_sender(self.parts.store.engine, self.receiver.name) as sole:
                yield sole


def wait_after(failures: int, jitter: float) -> timedelta:
    """How long to wait after so many failures in a row.

    Args:
        failures: how many.
        jitter: between 0 and 1.

    >>> wait_after(2, 1.0)
    datetime.timedelta(seconds=4)
    """
    full = min(FIRST_WAIT * (1 << min(failures, DOUBLINGS)), LONGEST_WAIT)
    return full * ((1 + jitter) / 2)
