"""Two versions of a table side by side, by their files.

A file that both list cannot differ, so no data is read and the cost follows the number of files.
Rows that only moved to another file count as removed and as added.

    diff = diff_snapshots(open_snapshot(table, 12), open_snapshot(table, 58))
    diff.rows_added
"""

from dataclasses import dataclass

import pyarrow as pa

from backstory.lake.errors import InvalidError
from backstory.lake.manifest import ManifestFile
from backstory.lake.snapshot import Snapshot
from backstory.lake.types import describe_type


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaChange:
    """A column that is not the same in both.

    Attributes:
        column: its name.
        before: its type in the first, None where it is new.
        after: its type in the second, None where it is gone.
    """

    column: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FileDiff:
    """What has to be done to one version's files to get the other's.

    Attributes:
        added: files of the second that the first does not list.
        removed: files of the first that the second does not list.
        kept: number of files in both.
        rows_added: rows of the added files.
        rows_removed: rows of the removed files.
        schema_changes: columns that differ, in order of name.
    """

    added: tuple[ManifestFile, ...]
    removed: tuple[ManifestFile, ...]
    kept: int
    rows_added: int
    rows_removed: int
    schema_changes: tuple[SchemaChange, ...]


def diff_snapshots(a: Snapshot, b: Snapshot, *, across_tables: bool = False) -> FileDiff:
    """The difference from one snapshot to another.

    Args:
        a: the first.
        b: the second.
        across_tables: allow snapshots of two tables, whose files never have anything in common
            but copies.

    Raises:
        InvalidError: they are of two tables.
    """
    if a.manifest.table_id != b.manifest.table_id and not across_tables:
        raise InvalidError(
            f"{a} and {b} are versions of two tables", hint="compare two versions of one table"
        )
    before = {file.path: file for file in a.manifest.files}
    after = {file.path: file for file in b.manifest.files}
    kept = {path for path in before.keys() & after.keys() if _same(before[path], after[path])}
    added = tuple(file for path, file in after.items() if path not in kept)
    removed = tuple(file for path, file in before.items() if path not in kept)
    return FileDiff(
        added=added,
        removed=removed,
        kept=len(kept),
        rows_added=sum(file.rows for file in added),
        rows_removed=sum(file.rows for file in removed),
        schema_changes=schema_changes(a.schema, b.schema),
    )


def _same(one: ManifestFile, other: ManifestFile) -> bool:
    # Of two snapshots of a table of others perhaps only one was pinned, and so hashed.
    hashed_alike = one.sha256 == other.sha256 or not (one.sha256 and other.sha256)
    # Deletion vectors hide rows of a file that stays.
    return one.size == other.size and one.rows == other.rows and hashed_alike


def schema_changes(before: pa.Schema, after: pa.Schema) -> tuple[SchemaChange, ...]:
    """The columns that differ, in order of name."""
    old, new = _types(before), _types(after)
    return tuple(
        SchemaChange(column=name, before=old.get(name), after=new.get(name))
        for name in sorted(old.keys() | new.keys())
        if old.get(name) != new.get(name)
    )


def _types(schema: pa.Schema) -> dict[str, str]:
    return {field.name: describe_type(field.type) for field in schema}
