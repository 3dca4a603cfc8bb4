"""Where answers lie that feedback may speak of: our interaction tables, and those that are linked.

A table that cannot be read stops nobody: what it would tell is unknown, and a warning says so.
"""

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

from backstory.lake.errors import BackstoryError
from backstory.lake.matching import Answers, Matched
from backstory.lake.snapshot import open_snapshot
from backstory.lineage.interaction_mapping import InteractionMapping
from backstory.lineage.linked_interactions import open_link, types_of
from backstory.lineage.parts import Parts
from backstory.lineage.store import slices
from backstory.lineage.store.interaction_links import LinkRecord, links

_T = TypeVar("_T")

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerTable:
    """A table of one model's answers.

    Attributes:
        mapping: what its columns say, where others write it.
    """

    model: str
    answers: Answers
    mapping: InteractionMapping | None = None

    def number(self, value: Any) -> int | None:
        """The number of the version that a cell names."""
        if self.mapping is None:
            return None if value is None else int(value)
        return self.mapping.version_in(value, self.model)[0]

    def ref(self, value: Any) -> str:
        """The version that a cell names, such as `ranker@7`; `ranker` where it names none."""
        number = self.number(value)
        return self.model if number is None else f"{self.model}@{number}"


def answer_tables(parts: Parts, conn: Any) -> list[AnswerTable]:
    """Every table of answers that can be opened, as it is now."""
    ours = [name for name in parts.lake.names() if name.startswith(slices.INTERACTIONS_PREFIX)]
    openings = [
        *((_model_of(name), partial(_our_table, parts, name)) for name in ours),
        *((link.model, partial(_their_table, parts, link)) for link in links(conn)),
    ]
    found = [_tried(model, opened) for model, opened in openings]
    return [table for table in found if table is not None]


def matched_tables(
    matched: Matched, tables: Sequence[AnswerTable]
) -> Iterator[tuple[AnswerTable, str]]:
    """Match rows of feedback with tables of answers.

    Yields:
        Each table that could be read, and what `matched` calls it.
    """
    for table in tables:
        if place := _tried(table.model, partial(matched.add, table.answers)):
            yield table, place


def rows_by_version(
    matched: Matched, tables: Sequence[AnswerTable]
) -> Counter[tuple[str, int | None]]:
    """How many rows speak of an answer of each model and version; None where none is named."""
    counts: Counter[tuple[str, int | None]] = Counter()
    for table, place in matched_tables(matched, tables):
        for value, rows in matched.counts(place).items():
            counts[table.model, table.number(value)] += rows
    return counts


def _tried(model: str, work: Callable[[], _T]) -> _T | None:
    try:
        return work()
    except BackstoryError as exc:
        _log.warning("which feedback speaks of %s is not known: %s", model, exc.message)
        return None


def _model_of(name: str) -> str:
    return name.removeprefix(slices.INTERACTIONS_PREFIX)


def _our_table(parts: Parts, name: str) -> AnswerTable:
    return AnswerTable(
        model=_model_of(name), answers=Answers(snapshot=open_snapshot(parts.lake.table(name)))
    )


def _their_table(parts: Parts, link: LinkRecord) -> AnswerTable:
    linked = open_link(parts, link)
    columns = linked.mapping.columns
    shaped = columns.get("parts")
    listed = shaped is not None and types_of(linked.snapshot)[shaped].startswith("list<")
    return AnswerTable(
        model=link.model,
        mapping=linked.mapping,
        answers=Answers(
            snapshot=linked.snapshot,
            id=columns["id"],
            at=columns["at"],
            version=columns.get("version"),
            conversation=columns.get("conversation"),
            external_id=columns.get("external_id"),
            parts=shaped if listed else None,
        ),
    )
