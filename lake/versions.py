"""One version of a Delta table, as its log tells it: files, schema and what reading them takes.

Keeps true: a manifest made here names only files inside the table's folder, whatever the log says,
and a version that does not exist is told from one that can no longer be opened. Paths in the log
are URL-encoded; they are decoded once.

Tables that others wrote may hide rows (deletion vectors) or rename columns (column mapping). Then
`needs_engine` is true: their Parquet files alone do not say what the rows are.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError

from backstory.lake.errors import (
    BackstoryError,
    GoneError,
    IntegrityError,
    NotFoundError,
    RefusedError,
    UnavailableError,
)
from backstory.lake.gone import said_of_version
from backstory.lake.location import check_openable, inside, translate_os_error
from backstory.lake.manifest import Manifest, ManifestFile
from backstory.lake.messages import answer_of, plain, system_error
from backstory.lake.object_path import STORE_HINT, parquet_source
from backstory.lake.replay import LogDamageError, replay
from backstory.lake.segments import LogFile, log_files, segment

_OURS = re.compile(r"part-[0-9a-f-]{36}-([0-9a-f]{64})\.parquet")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_HARMLESS_FEATURES = frozenset({"timestampNtz"})


@dataclass(frozen=True, slots=True, kw_only=True)
class TableVersion:
    """What the log says about one version.

    Attributes:
        manifest: its files; rows that deletion vectors hide are not counted.
        features: what a reader must know beyond plain Parquet, as Delta names it.
    """

    manifest: Manifest
    features: frozenset[str]

    @property
    def needs_engine(self) -> bool:
        """Whether the Parquet files alone would give wrong rows."""
        return bool(self.features)


@contextmanager
def delta_damage(name: str) -> Iterator[None]:
    """Make an error of ours of what delta-rs says, or does, when it meets damage.

    A panic in Rust is raised outside of `Exception`, by a class that nobody can import.

    Raises:
        IntegrityError: delta-rs failed or panicked.
    """
    try:
        yield
    except BaseException as exc:
        if not isinstance(exc, DeltaError) and type(exc).__name__ != "PanicException":
            raise
        if said := answer_of(exc):
            raise UnavailableError(f"{name}: {said}", hint=STORE_HINT) from None
        raise IntegrityError(
            f"{name}: its log or a data file is damaged: {plain(exc)}",
            hint="run `backstory verify` to see which bytes are not what was recorded",
        ) from exc


def open_delta(folder: Path, version: int | None = None, *, name: str) -> DeltaTable:
    """Open a Delta table at a version, or at its latest.

    Args:
        folder: where it lies.
        version: which.
        name: what to call it in errors.

    Raises:
        NotFoundError: there is no such table or version.
        GoneError: the version existed and its log entries are no longer there.
        IntegrityError: a file of its log is damaged.
        UnavailableError: the operating system does not let it be read.
        InvalidError: the folder's path has characters that delta-rs cannot take.
    """
    check_openable(folder)
    try:
        with delta_damage(name):
            return DeltaTable(str(folder), version=version)
    except (IntegrityError, OverflowError, OSError) as exc:
        if said := answer_of(exc):
            raise UnavailableError(f"{name}: {said}", hint=STORE_HINT) from None
        raise _unopened(folder, version, name, exc) from exc


def read_version(folder: Path, version: int | None = None, *, name: str) -> TableVersion:
    """Read what the log says about a version, or about the latest.

    Args:
        folder: where the table lies.
        version: which.
        name: what to call the table in errors.

    Raises:
        NotFoundError: there is no such table or version.
        GoneError: the version existed and can no longer be opened.
        IntegrityError: its log is damaged, or names a file outside the table's folder.
        RefusedError: partition values of a kind that cannot be told as text.
    """
    return describe(open_delta(folder, version, name=name), folder, name=name)


def describe(table: DeltaTable, folder: Path, *, name: str) -> TableVersion:
    """What an open table says about the version that it stands at.

    Args:
        table: the open table.
        folder: where its data files lie, which may be elsewhere than its log.
        name: what to call the table in errors.

    Raises:
        IntegrityError: a file of that version lies outside the folder.
        RefusedError: partition values of a kind that cannot be told as text.
    """
    features = _features(table)
    with delta_damage(name):
        deleted = _deleted_rows(table) if features else {}
        adds = pa.table(table.get_add_actions())
    paths = [_decoded(path) for path in adds["path"].to_pylist()]
    rows = adds["num_records"].to_pylist()
    if not deleted.keys() <= set(paths):
        raise IntegrityError(f"{name}: a deletion vector belongs to none of its files")
    manifest = Manifest(
        table_id=str(table.metadata().id),
        version=table.version(),
        schema_json=table.schema().to_json(),
        files=tuple(
            ManifestFile(
                path=path,
                size=size,
                rows=(_rows(folder, path, name) if known is None else known) - deleted.get(path, 0),
                sha256=digest_in_name(path),
                partition=partition,
            )
            for path, size, known, partition in zip(
                paths, adds["size_bytes"].to_pylist(), rows, _partitions(adds), strict=True
            )
        ),
    )
    return TableVersion(manifest=manifest, features=features)


def sizes(table: DeltaTable) -> dict[str, int]:
    """The files of an open table with their bytes, by the log alone."""
    adds = pa.table(table.get_add_actions())
    paths = map(_decoded, adds["path"].to_pylist())
    return dict(zip(paths, adds["size_bytes"].to_pylist(), strict=True))


def column_bounds(
    folder: Path, version: int, column: str, *, name: str
) -> dict[str, tuple[Any, Any]]:
    """The lowest and highest value of a column in each data file, where the log says both.

    Args:
        folder: where the table lies.
        version: which version.
        column: a column that lies in no other.
        name: what to call the table in errors.
    """
    with delta_damage(name):
        adds = pa.table(open_delta(folder, version, name=name).get_add_actions(flatten=True))
    if not {f"min.{column}", f"max.{column}"} <= set(adds.column_names):
        return {}
    low, high = (adds[f"{end}.{column}"].to_pylist() for end in ("min", "max"))
    paths = map(_decoded, adds["path"].to_pylist())
    return {
        path: (least, most)
        for path, least, most in zip(paths, low, high, strict=True)
        if least is not None and most is not None
    }


def digest_in_name(path: str) -> str:
    """The digest that a data file of ours carries in its name; empty for files of others."""
    match = _OURS.fullmatch(path)
    return match.group(1) if match else ""


def _unopened(folder: Path, version: int | None, name: str, exc: Exception) -> BackstoryError:
    known = [file.version for file in log_files(folder)]
    if not known:
        return NotFoundError(
            f"there is no Delta table at {folder}", hint="check the path; it needs a _delta_log"
        )
    if version is not None and not 0 <= version <= known[-1]:
        return NotFoundError(
            f"{name} has no version {version}",
            hint=f"its latest version is {known[-1]}",
        )
    at = "its latest version" if version is None else f"version {version}"
    try:
        files = segment(folder, known[-1] if version is None else version)
    except GoneError:
        return GoneError(
            f"{name}: {at} can no longer be opened: "
            + (said_of_version(folder, version) or "its log entries are no longer there"),
            hint="a pinned version reopens from its pin",
        )
    if met := system_error(exc):
        return translate_os_error(met, f"opening {name}")
    return IntegrityError(
        f"{name}: {at} cannot be opened: {_damage(files) or plain(exc.__cause__ or exc)}",
        hint="a pinned version reopens from its pin; `backstory verify` names all that is damaged",
    )


def _damage(files: Sequence[LogFile]) -> str:
    """The file of a log that does not parse, which delta-rs does not name; empty for none."""
    try:
        for _ in replay(files):
            pass
    except LogDamageError as exc:
        return exc.message
    return ""


def _features(table: DeltaTable) -> frozenset[str]:
    protocol = table.protocol()
    if protocol.min_reader_version <= 1:
        return frozenset()
    if protocol.min_reader_version == 2:
        return frozenset({"columnMapping"})
    return frozenset(protocol.reader_features or ()) - _HARMLESS_FEATURES


def _deleted_rows(table: DeltaTable) -> dict[str, int]:
    vectors = pa.table(table.deletion_vectors())
    root = table.table_uri.rstrip("/")
    found = zip(*(vectors[c].to_pylist() for c in ("filepath", "selection_vector")), strict=True)
    return {unquote(uri.removeprefix(root)[1:]): kept.count(False) for uri, kept in found}


def _decoded(encoded: str) -> str:
    path = unquote(encoded)
    if _SCHEME.match(path):
        raise IntegrityError(
            f"data file {path!r} lies outside its table",
            hint="only tables whose files lie in their own folder can be read",
        )
    return path


def _rows(folder: Path, path: str, name: str) -> int:
    """Rows of a file whose writer left no statistics."""
    try:
        return int(pq.read_metadata(parquet_source(inside(folder, path))).num_rows)
    except FileNotFoundError as exc:
        raise GoneError(f"{name}: data file {path} is no longer there") from exc
    except pa.ArrowInvalid as exc:
        raise IntegrityError(f"{name}: {path} is no Parquet file: {exc}") from exc


def _partitions(adds: pa.Table) -> Iterable[Mapping[str, str | None]]:
    if "partition" not in adds.column_names:
        return [{}] * adds.num_rows
    values = adds["partition"].combine_chunks()
    columns: dict[str, list[Any]] = {}
    for field in values.type:
        if pa.types.is_binary(field.type):
            raise RefusedError(
                f"partition column {field.name!r} holds bytes, which Delta logs cannot tell apart",
                hint="partition the table by text, numbers or dates",
            )
        columns[field.name] = values.field(field.name).cast(pa.string()).to_pylist()
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
