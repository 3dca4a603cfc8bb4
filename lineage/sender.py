"""The process that sends a home's events: `python -m backstory.lineage.sender HOME`.

It offers what waits until all is taken, to each receiver in a thread of its own, and ends after
`LIFETIME`; the next event of the home, the next command that writes, or `serve` begins another one.
An error of the store is met by trying again.
"""

import logging
import sys
import time
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import AbstractContextManager
from datetime import timedelta
from pathlib import Path
from typing import TextIO

from backstory.lake.errors import BackstoryError
from backstory.lineage.daemon_thread import in_daemon_thread
from backstory.lineage.draining import Line, wait_after
from backstory.lineage.forwarding import LOOK_AGAIN, any_due
from backstory.lineage.home import open_home
from backstory.lineage.parts import Parts
from backstory.lineage.sending import SENDER_LOCK, alone, handed_over

LIFETIME = timedelta(minutes=10)

_log = logging.getLogger(__name__)


def send_all(
    parts: Parts,
    *,
    lock: AbstractContextManager[TextIO | None] | None = None,
    sleep: Callable[[float], object] = time.sleep,
) -> None:
    """Send what waits, until nothing does or the lifetime is over; nothing where another does.

    Args:
        parts: the home.
        lock: the lock of senders, where it was taken for us.
        sleep: waits so many seconds.
    """
    until = parts.clock() + LIFETIME

    def over() -> bool:
        return parts.clock() >= until

    while not over():
        with lock or alone(parts.settings, SENDER_LOCK) as held:
            if not held:
                return
            _Sender(parts, sleep, over).send()
        lock = None
        if not any_due(parts):  # seen after the lock was given back
            return


class _Sender:
    """Receivers' lines, each drained when its first event is due."""

    def __init__(
        self, parts: Parts, sleep: Callable[[float], object], over: Callable[[], bool]
    ) -> None:
        self._parts, self._sleep, self._over = parts, sleep, over
        self._lines = [Line(parts=parts, receiver=r) for r in parts.settings.receivers]
        self._at_work: dict[Line, Future[int]] = {}
        self._failures = 0

    def send(self) -> None:
        """Drain all lines until nothing waits; a failure of the store only takes longer."""
        while not self._over():
            try:
                if not self._round():
                    return
                self._failures = 0
            except BackstoryError as exc:
                self._failures += 1
                _log.warning("sending OpenLineage events goes on after: %s", exc)
                self._sleep(wait_after(self._failures, 1.0).total_seconds())

    def _round(self) -> bool:
        """Begin what is due and wait for a moment; whether anything waits or is under way."""
        now = self._parts.clock()
        waiting = {line: at for line in self._lines if (at := line.next_at()) is not None}
        for line, at in waiting.items():
            if at <= now and line not in self._at_work:
                self._at_work[line] = in_daemon_thread(line.drain, self._over)
        if self._at_work:
            self._await_one()
        elif waiting:
            self._sleep(min(LOOK_AGAIN, min(waiting.values()) - now).total_seconds())
        return bool(waiting or self._at_work)

    def _await_one(self) -> None:
        timeout = LOOK_AGAIN.total_seconds()
        done, _ = wait(self._at_work.values(), timeout=timeout, return_when=FIRST_COMPLETED)
        ended = {line: future for line, future in self._at_work.items() if future in done}
        for line in ended:
            del self._at_work[line]
        if done and not sum(future.result() for future in ended.values()):
            self._sleep(timeout)  # somebody else sends, or it was not taken


if __name__ == "__main__":
    taken = handed_over(int(sys.argv[2])) if sys.argv[2:] else None
    with open_home(Path(sys.argv[1]), heal=False) as home:
        send_all(home, lock=taken)
