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
from datetime import timedelta

from backstory.lake.errors import BackstoryError
from backstory.lineage.draining import Line
from backstory.lineage.parts import Parts
from backstory.lineage.sending import begin, end_begun
from backstory.lineage.settings import SENDERS
from backstory.lineage.store import outbox

# What a run writes to a file itself when it starts or ends; a sender writes the rest.
AT_HAND_AT_ONCE = 16
LOOK_AGAIN = timedelta(seconds=1)

_log = logging.getLogger(__name__)


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
