"""The process that sends a home's events: `python -m backstory.lineage.sender HOME`.

It offers what waits until all is taken, waits longer after each failure, and ends after
`LIFETIME`; the next event of the home begins another one.
"""

import random
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TextIO

from backstory.lineage.forwarding import flush
from backstory.lineage.home import open_home
from backstory.lineage.parts import Parts
from backstory.lineage.sending import SENDER_LOCK, alone, handed_over
from backstory.lineage.store import outbox

LIFETIME = timedelta(minutes=10)
FIRST_WAIT = timedelta(seconds=1)
LONGEST_WAIT = timedelta(minutes=1)
DOUBLINGS = 6  # beyond the longest


def send_all(
    parts: Parts,
    *,
    lock: AbstractContextManager[TextIO | None] | None = None,
    sleep: Callable[[float], None] = time.sleep,
    jitter: Callable[[], float] = random.random,
) -> None:
    """Send what waits, until nothing does or the lifetime is over; nothing where another does.

    Args:
        parts: the home.
        lock: the lock of senders, where it was taken for us.
        sleep: waits so many seconds.
        jitter: between 0 and 1.
    """
    until = parts.clock() + LIFETIME
    while parts.clock() < until:
        with lock or alone(parts.settings, SENDER_LOCK) as held:
            if not held or not _send(parts, until, sleep, jitter):
                return
        lock = None
        if not _waits(parts):  # seen after the lock was given back
            return


def _send(
    parts: Parts, until: datetime, sleep: Callable[[float], None], jitter: Callable[[], float]
) -> bool:
    """Whether all was taken in time."""
    failures = 0
    while (left := until - parts.clock()) > timedelta():
        done = flush(parts, timeout=left.total_seconds())
        if not done.waiting:
            return True
        failures = 0 if done.sent else failures + 1
        sleep(min(wait_after(failures, jitter()), left).total_seconds())
    return False


def wait_after(failures: int, jitter: float) -> timedelta:
    """How long to wait after so many failures in a row; senders of many homes spread.

    Args:
        failures: how many.
        jitter: between 0 and 1.

    >>> wait_after(2, 1.0)
    datetime.timedelta(seconds=4)
    """
    full = min(FIRST_WAIT * (1 << min(failures, DOUBLINGS)), LONGEST_WAIT)
    return full * ((1 + jitter) / 2)


def _waits(parts: Parts) -> bool:
    with parts.store.reader() as connection:
        return outbox.queue(connection).waiting > 0


if __name__ == "__main__":
    taken = handed_over(int(sys.argv[2])) if sys.argv[2:] else None
    with open_home(Path(sys.argv[1])) as home:
        send_all(home, lock=taken)
