"""Senders of a home: one at a time, told by a lock of a file, and begun beside a training.

The sender is a process of its own, so that a training neither waits for a receiver nor ends with a
thread. It looks once more after it gave its lock back: whoever saw the lock held may go away.
"""

import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from backstory.lake.location import translate_os_error
from backstory.lineage.settings import Settings

SENDER_LOCK = "sender.lock"
SENDER_LOG = "sender.log"
SENDER_MODULE = "backstory.lineage.sender"

# Kept until they have ended, so that none stays a zombie of a long process.
_begun: list[subprocess.Popen[bytes]] = []


@contextmanager
def alone(settings: Settings, name: str) -> Iterator[TextIO | None]:
    """This lock of the home, held for as long as it lasts; None where somebody else holds it."""
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
            yield None
        else:
            yield lock


@contextmanager
def handed_over(descriptor: int) -> Iterator[TextIO]:
    """The lock that `begin` has taken for this process, which would be slow to take it itself."""
    with os.fdopen(descriptor, "w") as lock:
        yield lock


def begun() -> list[subprocess.Popen[bytes]]:
    """The senders that this process has begun and that have not ended."""
    return [sender for sender in _begun if sender.poll() is None]


def end_begun() -> None:
    """End the senders that this process has begun; what they had not recorded is sent again."""
    for sender in begun():
        sender.terminate()
        sender.wait()


def begin(settings: Settings) -> None:
    """Have a process send what waits, unless one is at it.

    Raises:
        BackstoryError: the home cannot be written, or no process can be started.
    """
    _begun[:] = begun()
    with alone(settings, SENDER_LOCK) as lock:
        if lock is not None:
            _begun.append(_begin(settings, lock))


def _begin(settings: Settings, lock: TextIO) -> subprocess.Popen[bytes]:
    home, held = settings.home.resolve(), lock.fileno()
    try:
        with (settings.spool / SENDER_LOG).open("wb") as log:
            return subprocess.Popen(  # noqa: S603 - this interpreter and our own module
                [sys.executable, "-P", "-m", SENDER_MODULE, str(home), str(held)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd=home,
                pass_fds=[held],
            )
    except OSError as exc:
        raise translate_os_error(exc, "starting the sender of OpenLineage events") from exc
