"""Commands that go on until told to end: the first Ctrl-C lets them finish what they do."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def asked_to_end() -> Iterator[threading.Event]:
    """An event that is set by the first SIGINT or SIGTERM; the second one acts as usual."""
    asked = threading.Event()
    before: dict[int, Any] = {}

    def restore() -> None:
        for number in _SIGNALS:
            if number in before:
                signal.signal(number, before.pop(number))

    def ask(_number: int, _frame: FrameType | None) -> None:
        asked.set()
        restore()

    for number in _SIGNALS:
        before[number] = signal.signal(number, ask)
    try:
        yield asked
    finally:
        restore()
