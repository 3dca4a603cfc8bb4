"""Requests of feedback on their way into commits: small ones share one, and what waits is bounded.

One thread commits. It takes what waits for a slice as soon as the first request has waited for
`GROUP_SECONDS`, or `GROUP_ROWS` rows wait, and answers each request once its commit is on disk.
What cannot be taken in is refused before anything is promised: see `OverloadedError`.
"""

import queue
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field

from backstory.lake.errors import UnavailableError
from backstory.lineage.home import Home
from backstory.lineage.posting import Answer, FeedbackRequest, KeyReusedError, take_requests

GROUP_SECONDS = 0.1
GROUP_ROWS = 100_000
MAX_GROUP_REQUESTS = 1_000
MAX_WAITING_REQUESTS = 5_000
MAX_WAITING_BYTES = 256 << 20
RETRY_AFTER_SECONDS = 1


class OverloadedError(UnavailableError):
    """More waits than is kept in memory; the same request may be sent again soon."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    request: FeedbackRequest
    answer: "Future[Answer]" = field(default_factory=Future)


class Committer:
    """Commits requests to a home's slices, several at a time.

    Args:
        home: an open home.
    """

    def __init__(self, home: Home) -> None:
        self._home = home
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._requests = self._bytes = 0
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="backstory-committer")

    def start(self) -> None:
        """Begin to commit."""
        self._thread.start()

    def close(self) -> None:
        """Commit what waits, and take no more."""
        with self._lock:
            self._closed = True
        self._queue.put(None)
        self._thread.join()

    @contextmanager
    def room(self) -> Iterator["Room"]:
        """Room for one request, from its first byte to its answer.

        Raises:
            OverloadedError: too many are under way.
        """
        room = Room(self)
        self.take(requests=1)
        try:
            yield room
        finally:
            self.give(requests=1, size=room.size)

    def take(self, *, requests: int = 0, size: int = 0) -> None:
        """Count what comes in.

        Raises:
            OverloadedError: it is more than is kept.
        """
        with self._lock:
            is_full = (
                self._requests + requests > MAX_WAITING_REQUESTS
                or self._bytes + size > MAX_WAITING_BYTES
            )
            if is_full:
                raise OverloadedError(
                    "more feedback is waiting to be committed than can be kept",
                    hint=f"send the same request again in {RETRY_AFTER_SECONDS} s or later",
                )
            self._requests += requests
            self._bytes += size

    def give(self, *, requests: int, size: int) -> None:
        """Count what has been answered."""
        with self._lock:
            self._requests -= requests
            self._bytes -= size

    def submit(self, request: FeedbackRequest) -> "Future[Answer]":
        """Have a request committed; its answer comes once that is safe.

        Raises:
            UnavailableError: the server is ending.
        """
        waiting = _Waiting(request)
        with self._lock:
            if self._closed:
                raise UnavailableError(
                    "the server is ending", hint="send the same request again when it is back"
                )
            self._queue.put(waiting)
        return waiting.answer

    def _work(self) -> None:
        ended = False
        while not ended:
            group, ended = self._group()
            by_slice: dict[str, list[_Waiting]] = {}
            for waiting in group:
                by_slice.setdefault(waiting.request.slice, []).append(waiting)
            for name, together in by_slice.items():
                self._commit(name, together)

    def _group(self) -> tuple[list[_Waiting], bool]:
        """What is to be committed next, and whether it is the last."""
        first = self._queue.get()
        if first is None:
            return [], True
        group, rows, until = [first], first.request.batch.given, time.monotonic() + GROUP_SECONDS
        while rows < GROUP_ROWS and len(group) < MAX_GROUP_REQUESTS:
            try:
                waiting = self._queue.get(timeout=max(until - time.monotonic(), 0))
            except queue.Empty:
                break
            if waiting is None:
                return group, True
            group.append(waiting)
            rows += waiting.request.batch.given
        return group, False

    def _commit(self, name: str, group: Sequence[_Waiting]) -> None:
        # Who has gone away meanwhile was promised nothing.
        group = [waiting for waiting in group if waiting.answer.set_running_or_notify_cancel()]
        try:
            answers = take_requests(self._home, name, [waiting.request for waiting in group])
        except Exception as exc:  # noqa: BLE001 - whatever it was, those who wait must be told
            for waiting in group:
                waiting.answer.set_exception(exc)
            return
        for waiting, answer in zip(group, answers, strict=True):
            if isinstance(answer, KeyReusedError):
                waiting.answer.set_exception(answer)
            else:
                waiting.answer.set_result(answer)


class Room:
    """What one request has taken of the memory that is there for all."""

    def __init__(self, committer: Committer) -> None:
        self._committer = committer
        self.size = 0

    def grow(self, size: int) -> None:
        """Take so many bytes more.

        Raises:
            OverloadedError: all of it is taken.
        """
        self._committer.take(size=size)
        self.size += size
