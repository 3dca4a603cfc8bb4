"""The profile of a snapshot: the merge of its files' profiles, which need no row to be read.

Files without a profile (a linked table's, those of older commits) and files whose profile is
damaged are read. What was read and what was damaged is told. Files whose rows cannot be told one by
one (deletion vectors, mapped columns) are all read, through Delta's own engine.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import pyarrow as pa

from backstory.lake.errors import IntegrityError
from backstory.lake.histogram import Edges
from backstory.lake.manifest import ManifestFile
from backstory.lake.profile import Profile
from backstory.lake.profiles import SharedEdges, read_profile
from backstory.lake.profiling import edges_by, is_number, profile_rows
from backstory.lake.snapshot import Snapshot, Table
from backstory.lake.table import SliceTable


@dataclass(frozen=True, slots=True, kw_only=True)
class Profiled:
    """The profile of some files of a table.

    Attributes:
        files: how many they are.
        read: files that were read, as they have no profile.
        damaged: files that were read, as their profile is damaged; why, by file.
    """

    profile: Profile
    files: int
    read: int
    damaged: tuple[str, ...]


def profile_snapshot(
    table: Table, snapshot: Snapshot, edges: dict[str, Edges] | None = None
) -> Profiled:
    """The profile of a snapshot's rows; personal data is masked as the contract says now.

    Args:
        table: the snapshot's table.
        snapshot: what is profiled.
        edges: on which histograms are counted where files are read; what is chosen is added.

    Raises:
        GoneError: a file without a profile is no longer there.
        IntegrityError: such a file is not what was recorded.
    """
    edges = {} if edges is None else edges
    personal = table.contract.personal_columns
    found, lacking, damaged = _kept(table, snapshot)
    for profile in found:
        for name, column in profile.columns.items():
            if column.histogram and column.histogram.edges:
                edges.setdefault(name, column.histogram.edges)
    for rows in _rows(table, snapshot, lacking, edges):
        shown = [f.name for f in rows.schema if f.name not in personal and is_number(f.type)]
        edges |= edges_by(rows, [name for name in shown if name not in edges])
        found.append(profile_rows(rows, personal, edges))
    empty = profile_rows(_schema(snapshot).empty_table(), personal, {})
    return Profiled(
        profile=Profile.merge([empty, *found]).masked(personal),
        files=len(snapshot.manifest.files),
        read=len(lacking),
        damaged=damaged,
    )


def kept_profile(table: Table, snapshot: Snapshot) -> Profile | None:
    """The profile of a snapshot from what is kept; None where a file would have to be read."""
    found, lacking, _ = _kept(table, snapshot)
    return None if lacking else Profile.merge(found).masked(table.contract.personal_columns)


def _kept(
    table: Table, snapshot: Snapshot
) -> tuple[list[Profile], list[ManifestFile], tuple[str, ...]]:
    """The profiles that are kept, the files that have none, and what is damaged."""
    if not isinstance(table, SliceTable) or snapshot.needs_engine:
        return [], list(snapshot.manifest.files), ()
    found, lacking, damaged = list[Profile](), list[ManifestFile](), list[str]()
    for file in snapshot.manifest.files:
        try:
            profile = read_profile(table.folder, file.path, rows=file.rows)
        except IntegrityError as exc:
            profile = None
            damaged.append(exc.message)
        if profile is None:
            lacking.append(file)
        else:
            found.append(profile)
    return found, lacking, tuple(damaged)


def _schema(snapshot: Snapshot) -> pa.Schema:
    """The columns that a profile tells of: the table's, and who sent each row."""
    source = [f for f in snapshot.full_schema if snapshot.ours and f.name == "_source"]
    return pa.schema([*snapshot.schema, *source])


def _rows(
    table: Table, snapshot: Snapshot, files: list[ManifestFile], edges: dict[str, Edges]
) -> Iterator[pa.Table]:
    """The rows of some of a snapshot's files, some at a time."""
    if not files:
        return
    if isinstance(table, SliceTable):
        for name, fixed in SharedEdges(table.folder).known(snapshot.schema.names).items():
            edges.setdefault(name, fixed)
    part = replace(snapshot, manifest=replace(snapshot.manifest, files=tuple(files)))
    for batch in part.batches(_schema(snapshot).names):
        yield pa.Table.from_batches([batch])
