"""What the store knows of linked interactions: whose answers a table of others holds."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from backstory.lineage.store import tables as t
from backstory.lineage.store.horizon import horizon, known_in


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkRecord:
    """A table of others that holds a model's interactions.

    Attributes:
        slice: the linked slice that it is read through.
        uri: where it lies.
        mapping: which column says what; see `backstory.lineage.interaction_mapping`.
        evidence: how its rows are known: declared or imported.
    """

    id: int
    slice: int
    slice_name: str
    uri: str
    model: str
    mapping: Mapping[str, Any]
    evidence: str


_LINKS = (
    select(
        t.interaction_link.c.id,
        t.interaction_link.c.slice,
        t.slice_.c.name.label("slice_name"),
        t.slice_.c.uri,
        t.interaction_link.c.model,
        t.interaction_link.c.mapping,
        t.interaction_link.c.evidence,
    )
    .join(t.slice_, t.slice_.c.id == t.interaction_link.c.slice)
    .where(known_in(t.interaction_link))
    .order_by(t.interaction_link.c.model, t.interaction_link.c.id)
)


def links(conn: Connection, model: str | None = None) -> list[LinkRecord]:
    """The links that hold, of one model or of all, by model."""
    query = _LINKS if model is None else _LINKS.where(t.interaction_link.c.model == model)
    return [LinkRecord(**row) for row in conn.execute(query, horizon(conn)).mappings()]
