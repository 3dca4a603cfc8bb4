"""What a command shows, as data: tables, facts, trees and texts. How it looks is `output`'s."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from backstory.cli.figures import Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """Rows under named columns.

    Attributes:
        columns: names with the kinds of their values.
        rows: one value a column; None where there is none.
        whole: a terminal shows columns without any value too.
    """

    columns: Sequence[tuple[str, Kind]]
    rows: Sequence[Sequence[Any]]
    whole: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of one thing, line by line; a line without a value is left out.

    Attributes:
        heading: the thing's ref.
        lines: label, value and kind.
    """

    heading: str
    lines: Sequence[tuple[str, Any, Kind]]

    @property
    def told(self) -> list[tuple[str, Any, Kind]]:
        """The lines that have a value."""
        return [line for line in self.lines if line[1] is not None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """One line of a tree, with what hangs below it.

    Attributes:
        relation: what it is to the line above, in words.
        ref: its ref.
        notes: what else is told of it, in order.
        columns: the exact values for a pipe, by column.
    """

    relation: str
    ref: str
    notes: Sequence[tuple[Any, Kind]] = ()
    columns: Sequence[tuple[str, Any, Kind]] = ()
    children: list["Branch"] = field(default_factory=list)

    def walk(self) -> Iterator[tuple[int, "Branch"]]:
        """This line and all below it in reading order, each with its depth."""
        stack = [(0, self)]
        while stack:
            depth, here = stack.pop()
            yield depth, here
            stack.extend((depth + 1, child) for child in reversed(here.children))


@dataclass(frozen=True, slots=True, kw_only=True)
class Verbatim:
    """A text that is shown as it is: YAML, DOT, a completion script."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """A line that sums up, with the mark of a state before it; for people only.

    Attributes:
        state: one of the words that have a mark; empty for none.
    """

    text: str
    state: str = ""


View: TypeAlias = Table | Facts | Branch | Verbatim | Sentence
