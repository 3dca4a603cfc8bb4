"""The JSON of rows that differ."""

from dataclasses import asdict, dataclass
from typing import Any

from backstory.cli.documents.dispatch import Document, document, documents
from backstory.cli.figures import json_value
from backstory.lake.change_shares import ChangeShare, ChangeShares, ColumnShare
from backstory.lake.disagreements import Disagreement, Disagreements
from backstory.lineage.comparing_rows import RowsCompared


@dataclass(frozen=True, slots=True, kw_only=True)
class RowsTold:
    """What a command tells of a comparison.

    Attributes:
        by: what the groups are about, where somebody asked for some.
        written: how many rows were written to a file.
    """

    diff: RowsCompared
    sample: list[dict[str, Any]]
    by: str | None
    groups: ChangeShares | None
    disagreements: Disagreements | None
    written: int | None


@document.register
def _(thing: RowsTold) -> Document:
    diff = thing.diff
    return {
        "base": diff.base.ref,
        "head": diff.head.ref,
        "key": diff.rows.shape.key,
        **asdict(diff.counts),
        "files": {
            "removed": len(diff.rows.files.removed),
            "added": len(diff.rows.files.added),
            "cancelled": diff.rows.files.cancelled,
        },
        "rowsRead": diff.rows.files.rows,
        "schemaChanges": [asdict(change) for change in diff.schema_changes],
        "bySource": _or_null(diff.rows.by_source()),
        "byColumn": documents(diff.rows.by_column()),
        "bySignal": _or_null(diff.by_signal()),
        "by": {"what": thing.by, **document(thing.groups)} if thing.groups else None,
        "disagreements": _or_null(thing.disagreements),
        "sample": [json_value(row) for row in thing.sample],
        "written": thing.written,
    }


@document.register
def _(thing: ChangeShares) -> Document:
    return {"groups": documents(thing.groups), "truncated": thing.truncated}


@document.register
def _(thing: ChangeShare) -> Document:
    return {
        "value": json_value(thing.value),
        "added": thing.added,
        "removed": thing.removed,
        "changedFrom": thing.changed_from,
        "changedTo": thing.changed_to,
    }


@document.register
def _(thing: ColumnShare) -> Document:
    return {"column": thing.column, "changed": thing.changed}


@document.register
def _(thing: Disagreements) -> Document:
    return {
        "rows": thing.rows,
        "groups": documents(thing.groups),
        "truncated": thing.truncated,
    }


@document.register
def _(thing: Disagreement) -> Document:
    return {
        "source": thing.source,
        "label": json_value(thing.label),
        "otherSource": thing.other_source,
        "otherLabel": json_value(thing.other_label),
        "rows": thing.rows,
    }


def _or_null(thing: object) -> Document | None:
    return None if thing is None else document(thing)
