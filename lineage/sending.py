"""Senders of a home: one at a time, told by a lock of a file, and begun beside a training.

The sender is a process of its own, so that a training neither waits for a receiver nor ends with a
thread. It looks once more after it gave its lock back: whoever saw the lock held may go away.
"""

import fcntl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from backstory.lake.location import translate_os_error
from backstory.lineage.settings import Settings

SENDER_LOCK = "sender.lock"
SENDER_LOG = "sender.log"
SENDER_MODULE = "backstory.lineage.sender"

# Kept until they have ended, so that none stays a zombie of a long process.
_begun: list[subprocess.Popen[bytes]] = []


@contextmanager
def alone(settings: Settings, name: str) -> Iterator[bool]:
    """Whether nobody else holds this lock of the home; held for as long as it lasts."""
    path = settings.spool / name
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
        lock = path.open("w")
    except OSError as exc:
        raise translate_os_error(exc, f"opening {path}") from exc
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def begin(settings: Settings) -> None:
    """Have a process send what waits, unless one is at it.

    Raises:
        BackstoryError: the home cannot be written, or no process can be started.
    """
    _begun[:] = [sender for sender in _begun if sender.poll() is None]
    with alone(settings, SENDER_LOCK) as free:
        pass
    if not free:
        return
    home = settings.home.resolve()
    try:
        with (settings.spool / SENDER_LOG).open("wb") as log:
            sender = subprocess.Popen(  # noqa: S603 - this interpreter and our own module
                [sys.executable, "-P", "-m", SENDER_MODULE, str(home)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd=home,
            )
    except OSError as exc:
        raise translate_os_error(exc, "starting the sender of OpenLineage events") from exc
    _begun.append(sender)
