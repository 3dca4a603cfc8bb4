"""The JSON of deployments, loads, interactions and the state behind one."""

from backstory.cli.documents.amendments import mark_or_null
from backstory.cli.documents.dispatch import (
    Document,
    document,
    documents,
    recorded,
    seconds_or_null,
    time_or_null,
)
from backstory.lineage.interaction import Interaction
from backstory.lineage.observing import SeenLoad, Served
from backstory.lineage.state import ModelState, StatePart
from backstory.lineage.store.deployments import IntervalRecord
from backstory.lineage.store.loads import LoadRecord


@document.register
def _(thing: IntervalRecord) -> Document:
    return _interval(thing)


def _interval(thing: IntervalRecord) -> Document:
    return {
        "ref": f"env:{thing.environment}#{thing.number}",
        "environment": thing.environment,
        "version": f"{thing.model}@{thing.version}",
        "mode": thing.mode,
        "share": thing.share,
        "from": time_or_null(thing.from_at),
        "until": time_or_null(thing.until_at),
        **_recorded(thing),
    }


def _recorded(thing: IntervalRecord) -> Document:
    if thing.recorded_at is None:
        return {}
    return {
        **recorded(thing.recorded_at, thing.late),
        "endRecordedAt": time_or_null(thing.end_recorded_at),
        "endLateSeconds": seconds_or_null(thing.end_late),
    }


@document.register
def _(thing: SeenLoad) -> Document:
    return {**_load(thing), "agrees": thing.agrees}


@document.register
def _(thing: LoadRecord) -> Document:
    return _load(thing)


def _load(thing: LoadRecord) -> Document:
    return {
        "version": thing.ref,
        "at": time_or_null(thing.at),
        "host": thing.host,
        "process": thing.process,
        "environment": thing.environment,
        "asked": thing.asked,
        "digest": thing.digest,
    }


@document.register
def _(thing: Served) -> Document:
    return {
        **_interval(thing),
        "loads": documents(thing.loads),
        "disagreements": list(thing.disagreements),
        "amended": mark_or_null(thing.amended),
    }


@document.register
def _(thing: Interaction) -> Document:
    return {
        "ref": f"int:{thing.id}",
        "at": time_or_null(thing.at),
        "model": thing.model,
        "version": thing.version,
        "environment": thing.environment,
        "variant": thing.variant,
        "subject": thing.subject,
        "conversation": thing.conversation,
        "turn": thing.turn,
        "externalId": thing.external_id,
        "request": thing.request,
        "response": thing.response,
        "answeredBy": str(thing.answered_by),
        "latencyMs": thing.latency_ms,
        "attributes": dict(thing.attributes),
        **recorded(thing.recorded_at, thing.late),
        "aheadSeconds": seconds_or_null(thing.ahead),
    }


@document.register
def _(thing: StatePart) -> Document:
    return {
        "section": str(thing.section),
        "kind": thing.kind,
        "ref": thing.ref,
        "digest": thing.digest,
        "detail": thing.detail or None,
        "status": str(thing.status),
        "problem": thing.problem or None,
        "recordedAt": time_or_null(thing.recorded_at),
        "lateSeconds": seconds_or_null(thing.late),
        "amended": mark_or_null(thing.amended),
    }


@document.register
def _(thing: ModelState) -> Document:
    return {
        "interaction": document(thing.interaction),
        "version": thing.version,
        "digest": thing.digest,
        "parts": documents(thing.parts),
        "missing": documents(thing.missing),
        "loads": documents(thing.loads),
        "disagreements": list(thing.disagreements),
        "linked": document(thing.linked) if thing.linked else None,
        "remarks": list(thing.remarks),
    }
