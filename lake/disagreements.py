"""Rows that came, of which another source says another label.

Two rows speak of one thing where they agree in the columns that say what a row is about, such as
the interaction and the item; NULL agrees with nothing. A row that says no label disagrees with
none. What came is compared with everything that its version has, what came with it included.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from backstory.lake.change_shares import MAX_GROUPS
from backstory.lake.engine import quoted
from backstory.lake.row_sql import ADDED, AFTER, CHANGE, Shape


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelQuestion:
    """What is to be compared with what other sources say.

    Attributes:
        label: the column that two sources may fill differently.
        about: the columns that say what it is said of: rows that agree in them speak of one thing.
    """

    label: str
    about: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Disagreement:
    """Rows that came, of which two sources say different labels.

    Attributes:
        source, label: what the row says.
        other_source, other_label: what another source says of the same thing.
        rows: how many rows that came.
    """

    source: str | None
    label: Any
    other_source: str | None
    other_label: Any
    rows: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Disagreements:
    """What other sources say otherwise.

    Attributes:
        rows: rows that came, of which at least one other source says another label.
        groups: by both sources and labels, most first.
        truncated: there are more groups than `MAX_GROUPS`.
    """

    rows: int
    groups: Sequence[Disagreement]
    truncated: bool


def disagreements(
    ask: Callable[[str], list[dict[str, Any]]], shape: Shape, asked: LabelQuestion
) -> Disagreements:
    """Ask a connection that has the relations `changes` and `head`, all rows of the version."""
    label, source = quoted(asked.label), quoted(shape.source or "")
    same = " AND ".join(f"c.{quoted(name)} = h.{quoted(name)}" for name in asked.about)
    about = ", ".join(map(quoted, asked.about))
    came = (
        f"(SELECT * FROM changes WHERE {CHANGE} IN ('{ADDED}', '{AFTER}') AND {label} IS NOT NULL)"
    )
    said = f"(SELECT DISTINCT {source}, {label}, {about} FROM head WHERE {label} IS NOT NULL)"
    other = (
        f"{same} AND c.{source} IS DISTINCT FROM h.{source} "
        f"AND c.{label} IS DISTINCT FROM h.{label}"
    )
    [total] = ask(
        f"SELECT count(*) AS n FROM {came} c WHERE EXISTS (SELECT 1 FROM {said} h WHERE {other})"
    )
    pairs = (
        f"SELECT c.{source} AS source, c.{label} AS label, h.{source} AS other_source, "
        f"h.{label} AS other_label FROM {came} c JOIN {said} h ON {other}"
    )
    found = ask(
        f"SELECT * FROM (SELECT *, count(*) AS rows FROM ({pairs}) GROUP BY ALL) "
        f"ORDER BY rows DESC, source, other_source, label::VARCHAR, other_label::VARCHAR "
        f"LIMIT {MAX_GROUPS + 1}"
    )
    return Disagreements(
        rows=total["n"],
        groups=[Disagreement(**row) for row in found[:MAX_GROUPS]],
        truncated=len(found) > MAX_GROUPS,
    )
