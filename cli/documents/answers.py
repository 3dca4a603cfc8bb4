"""The JSON of the tables that hold interactions."""

from collections.abc import Mapping
from typing import Any

from backstory.cli.documents.dispatch import Document, document, seconds_or_null, time_or_null
from backstory.lineage.linked_interactions import Linked
from backstory.lineage.linking import InteractionTable
from backstory.lineage.recording import Recorded
from backstory.lineage.store.interaction_links import LinkRecord


@document.register
def _(thing: Recorded) -> Document:
    return {
        "ref": thing.ref,
        "at": time_or_null(thing.at),
        "aheadSeconds": seconds_or_null(thing.ahead),
    }


@document.register
def _(thing: LinkRecord) -> Document:
    return {
        "model": thing.model,
        "slice": thing.slice_name,
        "uri": thing.uri,
        **_mapping(thing.model, thing.mapping),
        "evidence": thing.evidence,
    }


@document.register
def _(thing: Linked) -> Document:
    return {
        **document(thing.link),
        "slice": thing.ref,
        "unmapped": list(thing.mapping.unmapped),
    }


@document.register
def _(thing: InteractionTable) -> Document:
    link = thing.link
    return {
        "model": thing.model,
        "slice": thing.slice.name,
        "kind": "linked" if link else "recorded",
        "version": thing.slice.last_version,
        "rows": thing.rows,
        "at": time_or_null(thing.slice.last_at),
        "uri": link.uri if link else None,
        "mapping": _mapping(thing.model, link.mapping) if link else None,
        "evidence": link.evidence if link else None,
    }


def _mapping(model: str, body: Mapping[str, Any]) -> Document:
    """Columns by what they say, and what is so of every row."""
    return {
        "columns": dict(body["columns"]),
        "versions": None if body["version"] is None else f"{model}@{body['version']}",
        "environments": body["environment"],
    }
