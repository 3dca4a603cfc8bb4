"""How many rows differ between two versions of a slice. No row is told, nor a value of one."""

from collections.abc import Sequence
from typing import Any

import graphene

from backstory.api.context import Info
from backstory.api.schema.fields import many, maybe, one
from backstory.api.schema.scalars import Long
from backstory.api.schema.slice import SliceVersion
from backstory.lineage.comparing_rows import RowsCounted


class ChangeShare(graphene.ObjectType):
    """The changes that have one word in common."""

    value = maybe(graphene.String, "The word, such as a source; null where rows say none.")
    added = one(Long, "Rows that came.")
    removed = one(Long, "Rows that went.")
    changed_from = one(Long, "Changed rows that said it before.")
    changed_to = one(Long, "Changed rows that say it now.")


class ColumnShare(graphene.ObjectType):
    """How many of the changed rows differ in a column."""

    column = one(graphene.String, "Its name.")
    changed = one(Long, "How many rows.")


class RowDiff(graphene.ObjectType):
    """How many rows differ between two versions of a slice; the head may be the older one."""

    base = one(SliceVersion, "What is compared with.")
    head = one(SliceVersion, "What is compared.")
    added = one(Long, "Rows that only the head has.")
    removed = one(Long, "Rows that only the base has.")
    changed = one(Long, "Rows that both have under one event id, with other values.")
    by_column = many(ColumnShare, "Changed rows by column, most first.")
    by_source = many(ChangeShare, "Changes by source, most first; empty where rows tell none.")
    by_signal = many(ChangeShare, "Changes by signal of the contract, most first.")
    truncated = one(graphene.Boolean, "There are more sources or signals than are given.")

    @staticmethod
    def resolve_added(root: RowsCounted, _info: Info) -> int:
        """Counted by row."""
        return root.counts.added

    @staticmethod
    def resolve_removed(root: RowsCounted, _info: Info) -> int:
        """Counted by row."""
        return root.counts.removed

    @staticmethod
    def resolve_changed(root: RowsCounted, _info: Info) -> int:
        """Counted by row."""
        return root.counts.changed

    @staticmethod
    def resolve_by_source(root: RowsCounted, _info: Info) -> Sequence[Any]:
        """None is none."""
        return root.by_source.groups if root.by_source else ()

    @staticmethod
    def resolve_by_signal(root: RowsCounted, _info: Info) -> Sequence[Any]:
        """None is none."""
        return root.by_signal.groups if root.by_signal else ()

    @staticmethod
    def resolve_truncated(root: RowsCounted, _info: Info) -> bool:
        """Of either."""
        return any(shares.truncated for shares in (root.by_source, root.by_signal) if shares)
