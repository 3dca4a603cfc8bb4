"""A Delta log read a second time, by few lines of our own: what delta-rs says is checked by this.

Entries are applied one after the other; a checkpoint is taken as the state where the entries
before it are gone, and compared with the state where they are there. It understands what our own
tables use (files added and removed, schema, id), and opens no data file.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq

from backstory.lake.errors import IntegrityError
from backstory.lake.object_path import parquet_source
from backstory.lake.segments import LogFile

_MALFORMED = (
    *(ValueError, KeyError, TypeError, AttributeError, RecursionError),
    *(pa.ArrowException, OSError),  # Parquet tells damage as either
)


class LogDamageError(IntegrityError):
    """A file of a log that does not parse, or contradicts the others.

    Attributes:
        path: the file.
    """

    def __init__(self, path: Path, problem: str) -> None:
        super().__init__(f"{path.name} {problem}")
        self.path = path


@dataclass(frozen=True, slots=True, kw_only=True)
class Added:
    """What the log says about one data file."""

    size: int
    stats: str | None
    partition: Mapping[str, str | None]
    deletion_vector: Mapping[str, Any] | None


@dataclass(slots=True, kw_only=True)
class LogState:
    """What a log says at one version; each version is a change of the one before."""

    table_id: str = ""
    schema_json: str = ""
    files: dict[str, Added] = field(default_factory=dict)

    def apply(self, actions: Iterable[Mapping[str, Any]]) -> None:
        """Take the actions of the next version."""
        for action in actions:
            if add := action.get("add"):
                self.files[unquote(add["path"])] = _added(add)
            elif remove := action.get("remove"):
                self.files.pop(unquote(remove["path"]), None)
            elif about := action.get("metaData"):
                self.table_id, self.schema_json = about["id"], about["schemaString"]


def replay(files: Sequence[LogFile]) -> Iterator[tuple[int, LogState]]:
    """The states that log files lead to, in order of version.

    Args:
        files: entries and checkpoints in order of version, without a gap.

    Yields:
        Each version with its state. The state is one object that goes on changing.

    Raises:
        LogDamageError: a file does not parse, or a checkpoint contradicts the entries before it.
    """
    state: LogState | None = None
    for version, group in groupby(files, key=lambda file: file.version):
        members = list(group)
        entry = next((file.path for file in members if not file.parts), None)
        checkpoint = [file.path for file in members if file.parts]
        if entry is not None and (state is not None or version == 0):
            state = state or LogState()
            _apply(state, entry, _entry_actions(entry))
        if checkpoint:
            said = LogState()
            for path in checkpoint:
                _apply(said, path, _checkpoint_actions(path))
            if state is not None and said != state:
                raise LogDamageError(checkpoint[0], "contradicts the log entries before it")
            state = said
        if state is not None:  # else a stub of a trimmed beginning
            yield version, state


def _apply(state: LogState, path: Path, actions: Iterable[Mapping[str, Any]]) -> None:
    try:
        state.apply(actions)
    except _MALFORMED as exc:
        raise LogDamageError(path, f"does not parse: {exc}") from exc


def _entry_actions(path: Path) -> Iterator[Mapping[str, Any]]:
    with path.open("rb") as lines:
        yield from (json.loads(line) for line in lines if line.strip())


def _checkpoint_actions(path: Path) -> Iterator[Mapping[str, Any]]:
    table = pq.ParquetFile(parquet_source(path)).read(["add", "metaData"])
    for batch in table.to_batches():
        yield from batch.to_pylist()


def _added(add: Mapping[str, Any]) -> Added:
    vector = add.get("deletionVector")
    return Added(
        size=int(add["size"]),
        stats=add.get("stats"),
        partition=dict(add["partitionValues"] or {}),
        deletion_vector=None if vector is None else dict(vector),
    )
