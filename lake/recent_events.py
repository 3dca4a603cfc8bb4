"""The event ids of a table's newest rows, so that an event that comes again is found.

Keeps true: at least the ids of the newest `compared_rows` rows of the contract are known, as far as
they lie in the newest `MAX_WINDOW_FILES` data files; what is known goes with the version of a
handle, and follows it at the price of what is new. It holds ids as they are, in memory alone:
columns for large batches, which Arrow compares, and a set of texts from the first small batch on.

A file that cannot be read is passed over: it must not keep new feedback out. `verify` names it.
"""

import logging
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import DeltaTable

from backstory.lake.commits import log_entry, paths_added
from backstory.lake.contract import Contract, Role
from backstory.lake.errors import IntegrityError
from backstory.lake.expectations import repeated
from backstory.lake.location import inside
from backstory.lake.object_path import parquet_source

MAX_WINDOW_FILES = 256

_SMALL_BATCH = 4_096  # rows; up to so many are looked up one by one
_log = logging.getLogger(__name__)


class RecentEvents:
    """The newest event ids of one table; not safe to share between threads.

    Attributes:
        window: in how many of the newest rows ids are looked for; 0 where rows have none.
    """

    def __init__(self, folder: Path, contract: Contract) -> None:
        column = contract.column_with(Role.EVENT_ID)
        self.window = contract.compared_rows
        self._folder = folder
        self._column = column.name if column else ""
        self._version: int | None = None
        self._parts: deque[pa.ChunkedArray] = deque()  # the ids of files, oldest first
        self._rows = 0  # in all parts
        self._texts: set[str] | None = None  # the same ids, once a small batch has come
        self._own: dict[str, pa.ChunkedArray] = {}  # ids of files being committed, by path

    def follow(self, delta: DeltaTable) -> int:
        """Know the ids up to the version of a handle; which version that is."""
        version = delta.version()
        if not self.window or self._version == version:
            return version
        if self._version is None or not log_entry(self._folder, self._version + 1).exists():
            self._begin(delta)
        else:
            for commit in range(self._version + 1, version + 1):
                for path in paths_added(self._folder, commit, new_rows=True):
                    self._take(self._ids(path))
        self._version = version
        return version

    def fresh(self, rows: pa.Table) -> pa.Table:
        """The rows whose event id has not come before, neither among themselves nor lately."""
        if not self.window or not rows.num_rows:
            return rows
        ids = rows.column(self._column)
        again = repeated(ids)
        if (known := self._known(ids)) is not None:
            again = pc.or_(again, known)
        return rows.filter(pc.invert(again)) if pc.any(again).as_py() else rows

    def committing(self, path: str, rows: pa.Table) -> None:
        """Remember the ids of a data file that is about to be committed: it need not be read."""
        if self.window:
            self._own = {path: rows.column(self._column)[-self.window :].drop_null()}

    def _known(self, ids: pa.ChunkedArray) -> pa.ChunkedArray | None:
        """Which of these ids came before; None where none did."""
        if not self._parts:
            return None
        if len(ids) > _SMALL_BATCH:
            known = pa.chunked_array([c for part in self._parts for c in part.chunks], ids.type)
            came_again = pc.any(pc.is_in(known, value_set=ids)).as_py()  # the smaller is hashed
            return pc.is_in(ids, value_set=known) if came_again else None
        if self._texts is None:
            self._texts = {text for part in self._parts for text in part.to_pylist()}
        texts = ids.to_pylist()
        if self._texts.isdisjoint(texts):
            return None
        return pa.chunked_array([[text in self._texts for text in texts]])

    def _begin(self, delta: DeltaTable) -> None:
        self._parts.clear()
        self._texts = None
        self._rows = 0
        for path in reversed(list(self._newest(delta))):
            self._take(self._ids(path))

    def _newest(self, delta: DeltaTable) -> Iterable[str]:
        """The files that hold the newest rows, newest first."""
        files = pa.table(delta.get_add_actions(flatten=True))
        times = "max._ingested_at" if "max._ingested_at" in files.column_names else "path"
        newest = files.sort_by([(times, "descending")]).slice(0, MAX_WINDOW_FILES)
        rows = 0
        for path, count in zip(newest["path"], newest["num_records"], strict=True):
            if rows >= self.window:
                return
            rows += count.as_py() or 0
            yield unquote(path.as_py())

    def _take(self, ids: pa.ChunkedArray) -> None:
        self._parts.append(ids)
        self._rows += len(ids)
        if self._texts is not None:
            self._texts.update(ids.to_pylist())
        if self._rows < 2 * self.window:
            return
        # Forgotten are whole files, and not each time: the set is made anew once a window.
        while self._parts and self._rows - len(self._parts[0]) >= self.window:
            self._rows -= len(self._parts.popleft())
        self._texts = None

    def _ids(self, path: str) -> pa.ChunkedArray:
        return self._own.pop(path) if path in self._own else self._read(path)

    def _read(self, path: str) -> pa.ChunkedArray:
        try:
            file = parquet_source(inside(self._folder, path))
            table = pq.read_table(file, columns=[self._column])
        except (OSError, pa.ArrowException, IntegrityError) as exc:
            _log.warning("event ids of %s cannot be compared: %s", path, type(exc).__name__)
            return pa.chunked_array([], pa.string())
        return table.column(self._column)[-self.window :].drop_null()
