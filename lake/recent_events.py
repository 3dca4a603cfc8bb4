"""The event ids of a table's newest rows, so that an event that comes again is found.

Keeps true: at least the ids of the newest `compared_rows` rows of the contract are known, as far as
they lie in the newest `MAX_WINDOW_FILES` data files; what is known goes with the version of a
handle, and follows it at the price of what is new. It holds ids as they are, in memory alone:
columns, with keys for large batches (`event_keys`), and a set of texts from the first small batch.

A file that cannot be read is passed over: it must not keep new feedback out. `verify` names it.
"""

import logging
import weakref
from collections import deque
from collections.abc import Iterable
from functools import cached_property
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from deltalake import DeltaTable

from backstory.lake.commits import log_entry, paths_added
from backstory.lake.contract import Contract, Role
from backstory.lake.errors import IntegrityError
from backstory.lake.event_keys import KeyIndex, keys_of
from backstory.lake.expectations import repeated
from backstory.lake.location import inside
from backstory.lake.object_path import parquet_source

MAX_WINDOW_FILES = 256

_SMALL_BATCH = 4_096  # rows; up to so many are looked up one by one
_PART_OF_WINDOW = 32  # files of so few rows together are known as one
_log = logging.getLogger(__name__)


class _Ids:
    """The ids of some rows; their keys are made when they are first asked for."""

    def __init__(self, texts: pa.ChunkedArray) -> None:
        self.texts = texts

    def __len__(self) -> int:
        return len(self.texts)

    @cached_property
    def keys(self) -> pa.Array:
        return keys_of(self.texts)


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
        self._parts: deque[_Ids] = deque()  # of a file, or of some small ones, oldest first
        self._rows = 0  # in all parts
        self._texts: set[str] | None = None  # the same ids, once a small batch has come
        self._own: dict[str, _Ids] = {}  # ids of files being committed, by path
        self._asked: tuple[weakref.ref[pa.Table], _Ids] | None = None  # rows that were all fresh

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
        texts = rows.column(self._column)
        again = self._again_in_small(texts) if len(texts) <= _SMALL_BATCH else self._again(rows)
        if again is None or not pc.any(again).as_py():
            return rows
        return rows.filter(pc.invert(again))

    def committing(self, path: str, rows: pa.Table) -> None:
        """Remember the ids of a data file that is about to be committed: it need not be read."""
        if not self.window:
            return
        asked, ids = self._asked or (None, None)
        if ids is None or asked is None or asked() is not rows or len(ids) > self.window:
            ids = _Ids(rows.column(self._column)[-self.window :].drop_null())
        self._own = {path: ids}

    def _again(self, rows: pa.Table) -> pa.ChunkedArray | None:
        """Which rows' ids came before; None where the keys say of all that they did not."""
        texts = rows.column(self._column)
        ids = _Ids(texts.drop_null())
        index = KeyIndex(ids.keys)
        self._gather()
        known = [part.texts.filter(index.holds(part.keys)) for part in self._parts]
        if not index.repeats and not any(map(len, known)):
            self._asked = (weakref.ref(rows), ids)
            return None
        known_texts = [chunk for part in known for chunk in part.chunks]
        came_before = pc.is_in(texts, value_set=pa.chunked_array(known_texts, texts.type))
        return pc.or_(repeated(texts), came_before)

    def _gather(self) -> None:
        """Know small files that follow one another as one: each costs as much as many rows."""
        groups: list[list[_Ids]] = []
        rows = 0
        for part in self._parts:
            rows += len(part)
            if not groups or rows > self.window // _PART_OF_WINDOW:
                groups.append([])
                rows = len(part)
            groups[-1].append(part)
        self._parts = deque(group[0] if len(group) == 1 else _joined(group) for group in groups)

    def _again_in_small(self, texts: pa.ChunkedArray) -> pa.ChunkedArray:
        again = repeated(texts)
        if not self._parts:
            return again
        if self._texts is None:
            self._texts = {text for part in self._parts for text in part.texts.to_pylist()}
        plain = texts.to_pylist()
        if self._texts.isdisjoint(plain):
            return again
        return pc.or_(again, pa.chunked_array([[text in self._texts for text in plain]]))

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

    def _take(self, ids: _Ids) -> None:
        self._parts.append(ids)
        self._rows += len(ids)
        if self._texts is not None:
            self._texts.update(ids.texts.to_pylist())
        if self._rows < 2 * self.window:
            return
        # Forgotten are whole files, and not each time: the set is made anew once a window.
        while self._parts and self._rows - len(self._parts[0]) >= self.window:
            self._rows -= len(self._parts.popleft())
        self._texts = None

    def _ids(self, path: str) -> _Ids:
        return self._own.pop(path) if path in self._own else _Ids(self._read(path))

    def _read(self, path: str) -> pa.ChunkedArray:
        try:
            file = parquet_source(inside(self._folder, path))
            table = pq.read_table(file, columns=[self._column])
        except (OSError, pa.ArrowException, IntegrityError) as exc:
            _log.warning("event ids of %s cannot be compared: %s", path, type(exc).__name__)
            return pa.chunked_array([], pa.string())
        return table.column(self._column)[-self.window :].drop_null()


def _joined(parts: Iterable[_Ids]) -> _Ids:
    return _Ids(pa.chunked_array([c for part in parts for c in part.texts.chunks], pa.string()))
