"""What is counted of rows that differ: how many, by what they have in common, by column."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

MAX_GROUPS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class RowCounts:
    """How many rows differ; a changed row is neither an added nor a removed one."""

    added: int
    removed: int
    changed: int

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeShare:
    """The changes that have one value in common.

    Attributes:
        value: of an expression over the row, such as its source.
        added, removed: rows with that value.
        changed_from: changed rows that had it before.
        changed_to: changed rows that have it now.
    """

    value: Any
    added: int
    removed: int
    changed_from: int
    changed_to: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeShares:
    """Changes by value, most first.

    Attributes:
        truncated: there are more values than `MAX_GROUPS`.
    """

    groups: Sequence[ChangeShare]
    truncated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnShare:
    """How many of the changed rows differ in a column."""

    column: str
    changed: int
