"""Two versions of a slice side by side: files, columns, and who sent the rows between."""

from collections.abc import Callable, Sequence
from typing import Any

import graphene

from backstory.api.context import Info
from backstory.api.schema.fields import many, maybe, one
from backstory.api.schema.paging import Keyset, Page, connection, page_arguments
from backstory.api.schema.scalars import Digest, Long
from backstory.api.schema.slice import Commit, SliceVersion
from backstory.lake.manifest import ManifestFile
from backstory.lineage import comparing


class DataFile(graphene.ObjectType):
    """A data file of a version."""

    path = one(graphene.String, "Relative to the table.")
    bytes = one(Long, "Its size.", source="size")
    rows = one(Long, "Its rows.")
    digest = maybe(Digest, "SHA-256 of its bytes; null where nobody has hashed it.")

    @staticmethod
    def resolve_digest(root: ManifestFile, _info: Info) -> str | None:
        """Nothing is null, not an empty text."""
        return root.sha256 or None


class SchemaChange(graphene.ObjectType):
    """A column that is not the same in both."""

    column = one(graphene.String, "Its name.")
    before = maybe(graphene.String, "Its type in the base; null where it is new.")
    after = maybe(graphene.String, "Its type in the head; null where it is gone.")


class SourceShare(graphene.ObjectType):
    """What one source contributed."""

    source = maybe(graphene.String, "Who; null where the log does not say.")
    commits = one(Long, "How many commits.")
    rows = one(Long, "How many rows.")


DataFileConnection = connection(DataFile)
CommitConnection = connection(Commit)


class SnapshotDiff(graphene.ObjectType):
    """What lies between two versions of a slice; the head may be the older one."""

    base = one(SliceVersion, "What is compared with.")
    head = one(SliceVersion, "What is compared.")
    rows_added = one(Long, "Rows of the files that only the head lists.")
    rows_removed = one(Long, "Rows of the files that only the base lists.")
    files_added = one(DataFileConnection, "Files only of the head.", args=page_arguments())
    files_removed = one(DataFileConnection, "Files only of the base.", args=page_arguments())
    files_kept = one(Long, "Number of files in both.")
    schema_changes = many(SchemaChange, "Columns that differ, by name.")
    commits = one(CommitConnection, "Commits between the two, newest first.", args=page_arguments())
    truncated = one(graphene.Boolean, "There are more commits between the two than are given.")
    sources = many(SourceShare, "Commits and rows between the two by source, the largest first.")

    @staticmethod
    def resolve_rows_added(root: comparing.SnapshotDiff, _info: Info) -> int:
        """Counted by file."""
        return root.files.rows_added

    @staticmethod
    def resolve_rows_removed(root: comparing.SnapshotDiff, _info: Info) -> int:
        """Counted by file."""
        return root.files.rows_removed

    @staticmethod
    def resolve_files_added(
        root: comparing.SnapshotDiff, info: Info, first: int, after: str | None = None
    ) -> Page:
        """A page of added files, by path."""
        keyset = _keyset(root, "files added", info, lambda file: file.path)
        return keyset.page_of(root.files.added, first=first, after=after)

    @staticmethod
    def resolve_files_removed(
        root: comparing.SnapshotDiff, info: Info, first: int, after: str | None = None
    ) -> Page:
        """A page of removed files, by path."""
        keyset = _keyset(root, "files removed", info, lambda file: file.path)
        return keyset.page_of(root.files.removed, first=first, after=after)

    @staticmethod
    def resolve_files_kept(root: comparing.SnapshotDiff, _info: Info) -> int:
        """Files in both."""
        return root.files.kept

    @staticmethod
    def resolve_schema_changes(root: comparing.SnapshotDiff, _info: Info) -> Sequence[Any]:
        """Columns that differ."""
        return root.files.schema_changes

    @staticmethod
    def resolve_commits(
        root: comparing.SnapshotDiff, info: Info, first: int, after: str | None = None
    ) -> Page:
        """A page of commits, newest first."""
        keyset = _keyset(root, "commits", info, lambda commit: commit.version)
        return keyset.page_of(root.commits, first=first, after=after)


def _keyset(
    diff: comparing.SnapshotDiff, what: str, info: Info, key: Callable[[Any], Any]
) -> Keyset:
    name = f"{what} from {diff.base.ref} to {diff.head.ref}"
    return Keyset(name=name, key=key, secret=info.context.cursor_secret)
