"""The JSON of amendments, and of the mark on what was amended."""

from backstory.cli.documents.dispatch import Document, document, documents, time_or_null
from backstory.lineage.store.amendments import Amended, AmendmentRecord, Change


@document.register
def _(thing: Change) -> Document:
    return {
        "of": thing.of,
        "before": dict(thing.before) if thing.before is not None else None,
        "after": dict(thing.after) if thing.after is not None else None,
    }


@document.register
def _(thing: AmendmentRecord) -> Document:
    return {
        "ref": thing.key,
        "at": time_or_null(thing.at),
        "actor": thing.actor,
        "reason": thing.reason,
        "changes": documents(thing.changes),
        "entry": thing.seq,
    }


@document.register
def _(thing: Amended) -> Document:
    return {"at": time_or_null(thing.at), "reason": thing.reason}


def mark_or_null(amended: Amended | None) -> Document | None:
    """The mark of what may never have been amended."""
    return None if amended is None else document(amended)
