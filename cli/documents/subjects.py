"""The JSON of what a home holds of a person."""

from backstory.cli.documents.dispatch import Document, document, documents, time_or_null
from backstory.lineage.graph import run_key
from backstory.lineage.subject import (
    NotLookedInto,
    Subject,
    SubjectInteractions,
    SubjectRead,
    SubjectSlice,
    SubjectSnapshot,
    SubjectVersion,
)


@document.register
def _(thing: Subject) -> Document:
    return {
        "pseudonyms": list(thing.pseudonyms),
        "slices": documents(thing.slices),
        "interactions": documents(thing.interactions),
        "versions": documents(thing.versions),
        "notLookedInto": documents(thing.unknown),
    }


@document.register
def _(thing: SubjectSlice) -> Document:
    return {
        "name": thing.name,
        "version": thing.version,
        "rows": thing.rows,
        "files": thing.files,
        "held": [{"first": first, "last": last} for first, last in thing.held],
        "snapshots": documents(thing.snapshots),
    }


@document.register
def _(thing: SubjectSnapshot) -> Document:
    return {
        "ref": thing.ref,
        "at": time_or_null(thing.at),
        "rows": thing.rows,
        "pins": documents(thing.pins),
        "runs": documents(thing.reads),
        "declared": list(thing.declared),
    }


@document.register
def _(thing: SubjectRead) -> Document:
    return {
        "ref": run_key(thing.run),
        "model": thing.model,
        "state": thing.state,
        "role": thing.role,
        "filter": thing.filter,
        "rows": thing.rows,
        "known": str(thing.known),
        "versions": list(thing.versions),
    }


@document.register
def _(thing: SubjectVersion) -> Document:
    return {
        "ref": thing.ref,
        "at": time_or_null(thing.at),
        "known": str(thing.known),
        "deployments": documents(thing.deployments),
    }


@document.register
def _(thing: SubjectInteractions) -> Document:
    return {
        "model": thing.model,
        "table": thing.table,
        "rows": thing.rows,
        "first": time_or_null(thing.first),
        "last": time_or_null(thing.last),
        "refs": list(thing.refs),
    }


@document.register
def _(thing: NotLookedInto) -> Document:
    return {"slice": thing.slice, "files": thing.files, "why": thing.why}
