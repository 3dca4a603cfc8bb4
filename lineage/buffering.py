"""Feedback that comes row by row, stored in groups: a commit for many rows, not one for each.

Rows wait until there are enough of them, or until the first has waited long enough, or until the
buffer is closed. Keeps true: rows land in the order in which they were added, each once. A group
keeps its rows and its offset until it is stored, so that an attempt whose end nobody knows is
recognised when it is repeated. What waits is in memory alone: a process that is killed loses it.

    with home.slice("thumbs").buffered(source="app", rows=5_000, seconds=5.0) as feedback:
        feedback.add({"event_id": "e1", "user": "ada", "thumb": 1})
"""

import threading
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

from backstory.lake.errors import InvalidError, LimitExceededError, OffsetConflict
from backstory.lake.receipt import Receipt
from backstory.lineage.ingest import MAX_OFFSET_ATTEMPTS, append, own_table
from backstory.lineage.parts import Parts

MAX_BUFFERED_ROWS = 500_000
GROUP_ROWS = 5_000
GROUP_SECONDS = 5.0

Row = Mapping[str, Any]


class FeedbackBuffer:
    """Rows on their way into a slice; safe to share between threads.

    Who adds the row that makes a group full waits until it is stored; a thread of its own stores
    what has waited long enough. Where that fails the rows stay, in front of all others: the next
    call raises why, and the next attempt is made by `flush`, by `close`, or after `seconds` more.
    """

    def __init__(
        self,
        parts: Parts,
        slice_name: str,
        *,
        source: str = "sdk",
        rows: int = GROUP_ROWS,
        seconds: float = GROUP_SECONDS,
        strict: bool = False,
        told: Callable[[Receipt], object] | None = None,
    ) -> None:
        """Make an empty buffer.

        Args:
            parts: the home.
            slice_name: where the rows go.
            source: who sends them; offsets go on where the slice knows it to be.
            rows: so many are stored at once.
            seconds: so long a row waits for others, at most.
            strict: whether one row that does not fit refuses all of its group.
            told: called with the receipt of each group that is stored.

        Raises:
            InvalidError: a bound is not above zero.
            LimitExceededError: more rows than a buffer holds.
            NotFoundError: there is no such slice.
        """
        if rows < 1 or not seconds > 0:
            raise InvalidError(
                f"{rows} rows or {seconds} seconds are no group", hint="give more than none"
            )
        if rows > MAX_BUFFERED_ROWS:
            raise LimitExceededError(
                f"{rows} rows are more than {MAX_BUFFERED_ROWS}", hint="store them more often"
            )
        own_table(parts, slice_name)
        self._parts = parts
        self._slice = slice_name
        self._source = source
        self._most = rows
        self._seconds = seconds
        self._strict = strict
        self._told = told
        self._storing = threading.RLock()  # one group at a time, in order
        self._changed = threading.Condition()  # guards what follows
        self._rows: list[Row] = []
        self._group: list[Row] = []  # what is being stored, until it is
        self._due: float | None = None  # when it is stored at the latest
        self._failing = False
        self._untold: Exception | None = None  # why the thread could not store
        self._thread: threading.Thread | None = None
        self._closed = False
        self._offset: int | None = None  # of the group; None before its first attempt

    @property
    def waiting(self) -> int:
        """How many rows are not stored yet."""
        with self._changed:
            return len(self._group) + len(self._rows)

    def add(self, *rows: Row) -> None:
        """Take rows, to be stored with others.

        Whatever it raises but the first two, the rows are taken, and are not to be added again.

        Raises:
            InvalidError: the buffer is closed.
            LimitExceededError: too many rows wait, because they cannot be stored.
            BackstoryError: rows could not be stored; they wait.
        """
        with self._changed:
            self._take(rows)
            is_full = len(self._rows) >= self._most and not self._failing
            failed, self._untold = self._untold, None
        if failed:
            raise failed
        if is_full:
            self._store(at_least=self._most)

    def flush(self) -> list[Receipt]:
        """Store what waits; the receipts of the groups that were stored, none where none waited.

        A receipt says `duplicate` where an attempt had stored the group whose end was not known.

        Raises:
            BatchRejectedError: a group does not fit, and no other is stored before it; `discard`
                gives it back.
            BackstoryError: rows could not be stored; they wait.
        """
        receipts = self._store(at_least=1)
        with self._changed:
            failed, self._untold = self._untold, None
        if failed:  # what the thread was told with; what it could not store is stored now
            raise failed
        return receipts

    def discard(self) -> list[Row]:
        """Give back the rows that wait, and store them no more; one that is under way may land."""
        with self._storing, self._changed:
            rows = [*self._group, *self._rows]
            self._group, self._rows = [], []
            self._due, self._untold, self._failing = None, None, False
            return rows

    def close(self) -> None:
        """Take no more rows, and store those that wait; where that fails it may be called again.

        Raises:
            BackstoryError: rows could not be stored; they wait.
        """
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self.flush()
        if self._thread not in {None, threading.current_thread()}:
            self._thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _take(self, rows: tuple[Row, ...]) -> None:
        if self._closed:
            raise InvalidError(
                f"the buffer of {self._slice} is closed", hint="make another one with `buffered`"
            )
        if len(self._group) + len(self._rows) + len(rows) > MAX_BUFFERED_ROWS:
            raise LimitExceededError(
                f"{len(self._group) + len(self._rows)} rows wait for {self._slice} already, of at "
                f"most {MAX_BUFFERED_ROWS}",
                hint="see why they cannot be stored: `flush` raises it",
            )
        self._rows += map(dict, rows)
        if rows and self._due is None:
            self._due = time.monotonic() + self._seconds
            if self._thread is None:
                name = f"feedback of {self._slice}"
                self._thread = threading.Thread(target=self._store_in_time, name=name, daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def _store_in_time(self) -> None:
        """What the thread does: store what has waited long enough, until the buffer is closed."""
        while self._wait_until_due():
            try:
                self._store(at_least=1)
            except Exception as exc:  # noqa: BLE001 - it is raised by the next call
                with self._changed:
                    self._untold = exc

    def _wait_until_due(self) -> bool:
        """Whether something is due now; false where the buffer is closed."""
        with self._changed:
            while not self._closed:
                now = time.monotonic()
                if self._due is not None and self._due <= now:
                    return True
                self._changed.wait(None if self._due is None else self._due - now)
            return False

    def _store(self, *, at_least: int) -> list[Receipt]:
        """Store what waits, where so many rows still do: another call may have been faster."""
        receipts: list[Receipt] = []
        with self._storing:
            while self._begin(at_least):
                try:
                    receipts.append(self._append())
                except BaseException:
                    self._end(stored=False)
                    raise
                self._end(stored=True)
                if self._told is not None:
                    self._told(receipts[-1])
        return receipts

    def _begin(self, at_least: int) -> bool:
        """Whether there is a group to store: one that failed, or what waits now."""
        with self._changed:
            if not self._group and len(self._rows) >= at_least:
                self._group, self._rows = self._rows, []
                self._offset = None
            return bool(self._group)

    def _end(self, *, stored: bool) -> None:
        with self._changed:
            if stored:
                self._group = []
                self._untold = None if self._failing else self._untold
            self._failing = not stored
            is_waiting = bool(self._group or self._rows)
            self._due = time.monotonic() + self._seconds if is_waiting else None
            self._changed.notify_all()

    def _append(self) -> Receipt:
        """Store the group behind all that the slice has of the source."""
        for attempt in range(MAX_OFFSET_ATTEMPTS):
            if self._offset is None:
                last = own_table(self._parts, self._slice).last_offset(self._source)
                self._offset = max(last, 0) + len(self._group)
            try:
                return append(
                    self._parts,
                    self._slice,
                    self._group,
                    source=self._source,
                    offset=self._offset,
                    strict=self._strict,
                )
            except OffsetConflict:  # somebody else of the same source was faster
                if attempt + 1 == MAX_OFFSET_ATTEMPTS:
                    raise
                self._offset = None
        raise AssertionError("unreachable")  # pragma: no cover
