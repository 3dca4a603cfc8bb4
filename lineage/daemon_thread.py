"""Work done in a daemon thread: the end of the process does not wait for it.

>>> in_daemon_thread(len, "abc").result(timeout=60)
3
"""

import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def in_daemon_thread(work: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> Future[R]:
    """Begin some work; what it gives or raises is in the future."""
    future = Future[R]()

    def settle() -> None:
        try:
            future.set_result(work(*args, **kwargs))
        except BaseException as exc:  # noqa: BLE001 - it is raised where the result is asked for
            future.set_exception(exc)

    threading.Thread(target=settle, daemon=True).start()
    return future
