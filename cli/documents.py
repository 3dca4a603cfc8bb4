"""The JSON of everything that commands answer with: a stable shape, whatever the records become.

Names are camelCase. Times are RFC 3339 texts in UTC, numbers are exact, digests have all their
digits, what does not apply is null. A thing is named by its `ref`, never by a key of the database.
A field is added when there is more to say; none changes its meaning within a `schemaVersion`.
"""

from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime
from functools import singledispatch
from typing import Any

from backstory.cli.figures import json_value
from backstory.lake.diff import FileDiff
from backstory.lake.findings import Finding
from backstory.lake.manifest import ManifestFile
from backstory.lake.table import Receipt
from backstory.lineage.aliasing import AliasMove
from backstory.lineage.backup.taking import Backup
from backstory.lineage.comparing import SnapshotDiff
from backstory.lineage.diagnosing import Check
from backstory.lineage.forwarding import Flushed, Forgotten
from backstory.lineage.graph import Edge, Node, run_key
from backstory.lineage.inspecting import (
    CommitUse,
    RunSummary,
    Shown,
    SliceSummary,
    VersionSummary,
)
from backstory.lineage.interaction import Interaction
from backstory.lineage.mending import Mended
from backstory.lineage.observing import Served
from backstory.lineage.pinning import Pinned
from backstory.lineage.standing import StandingTrigger
from backstory.lineage.state import ModelState, StatePart
from backstory.lineage.store.deployments import IntervalRecord
from backstory.lineage.store.loads import LoadRecord
from backstory.lineage.store.models import ComponentRecord, VersionRecord
from backstory.lineage.store.runs import ReadRecord, RunRecord
from backstory.lineage.store.slices import CommitRecord, PinRecord, SnapshotRecord, SourceShare
from backstory.lineage.times import time_text
from backstory.lineage.tracing import Trace
from backstory.lineage.verifying import Verification
from backstory.lineage.weighing import PinSize

Document = dict[str, Any]


@singledispatch
def document(thing: object) -> Document:
    """The JSON of a record."""
    raise TypeError(f"{type(thing).__name__} has no JSON form")


def documents(things: Iterable[object]) -> list[Document]:
    """The JSON of some records."""
    return [document(thing) for thing in things]


@document.register
def _(thing: Flushed | Forgotten) -> Document:
    return asdict(thing)


@document.register
def _(thing: StandingTrigger) -> Document:
    return asdict(thing)


@document.register
def _(thing: SliceSummary) -> Document:
    record = thing.slice
    return {
        "name": record.name,
        "flavour": record.flavour,
        "version": record.last_version,
        "rows": thing.rows,
        "at": _time(record.last_at),
        "pinnedSnapshots": thing.pinned,
        "tableId": record.table_id,
        "uri": record.uri,
    }


@document.register
def _(thing: CommitRecord) -> Document:
    return {
        "version": thing.version,
        "at": _time(thing.at),
        "operation": thing.operation,
        "source": thing.source,
        "offset": thing.offset,
        "rows": thing.rows,
        "batch": thing.batch,
        "contractVersion": thing.contract_version,
        "actor": thing.actor,
        "logDigest": thing.log_digest,
    }


@document.register
def _(thing: CommitUse) -> Document:
    return {
        **document(thing.commit),
        "digest": thing.snapshot.digest if thing.snapshot else None,
        "runs": [run_key(run) for run in thing.runs],
        "pins": documents(thing.pins),
    }


@document.register
def _(thing: SnapshotRecord) -> Document:
    return {
        "ref": thing.ref,
        "digest": thing.digest,
        "rows": thing.rows,
        "bytes": thing.size,
        "files": thing.files,
        "at": _time(thing.at),
    }


@document.register
def _(thing: PinRecord) -> Document:
    return {
        "id": thing.pin_id,
        "holder": thing.holder,
        "reason": thing.reason,
        "strength": thing.strength,
        "until": _time(thing.until),
        "at": _time(thing.at),
    }


@document.register
def _(thing: Pinned) -> Document:
    return {
        "id": thing.pin_id,
        "holder": thing.holder,
        "reason": thing.reason,
        "strength": str(thing.strength),
        "until": _time(thing.until),
        "at": _time(thing.at),
        "snapshot": document(thing.snapshot),
    }


@document.register
def _(thing: Shown) -> Document:
    at = thing.at
    return {
        "ref": at.ref,
        "digest": thing.snapshot.digest,
        "rows": thing.snapshot.rows,
        "bytes": thing.snapshot.size,
        "files": documents(thing.snapshot.manifest.files),
        "openedBy": str(thing.snapshot.opened_by),
        "commit": document(at.commit) if at.commit else None,
        "pins": documents(thing.pins),
        "matching": thing.matching,
        "sample": [json_value(dict(row)) for row in thing.rows],
    }


@document.register
def _(thing: ManifestFile) -> Document:
    return {
        "path": thing.path,
        "bytes": thing.size,
        "rows": thing.rows,
        "sha256": thing.sha256 or None,
        "partition": dict(thing.partition),
    }


@document.register
def _(thing: Receipt) -> Document:
    return {
        "slice": thing.slice,
        "outcome": str(thing.outcome),
        "accepted": thing.accepted,
        "duplicate": thing.duplicate,
        "rejected": thing.rejected,
        "version": thing.version,
        "contractVersion": thing.contract_version,
        "source": thing.source,
        "offset": thing.offset,
    }


@document.register
def _(thing: FileDiff) -> Document:
    return {
        "rowsAdded": thing.rows_added,
        "rowsRemoved": thing.rows_removed,
        "filesAdded": documents(thing.added),
        "filesRemoved": documents(thing.removed),
        "filesKept": thing.kept,
        "schemaChanges": [asdict(change) for change in thing.schema_changes],
    }


@document.register
def _(thing: SourceShare) -> Document:
    return {"source": thing.source, "commits": thing.commits, "rows": thing.rows}


@document.register
def _(thing: SnapshotDiff) -> Document:
    return {
        "base": thing.base.ref,
        "head": thing.head.ref,
        **document(thing.files),
        "sources": documents(thing.sources),
        "commits": documents(thing.commits),
        "truncated": thing.truncated,
    }


@document.register
def _(thing: RunRecord) -> Document:
    return {
        "ref": run_key(thing.run_id),
        "namespace": thing.namespace,
        "job": thing.job,
        "model": thing.model,
        "state": thing.state,
        "started": _time(thing.started),
        "ended": _time(thing.ended),
        "message": thing.message,
        "trigger": thing.trigger,
        "notCaptured": thing.not_captured,
    }


@document.register
def _(thing: ReadRecord) -> Document:
    return {
        "role": thing.role,
        "columns": thing.columns,
        "filter": thing.filter,
        "rows": thing.rows,
    }


@document.register
def _(thing: RunSummary) -> Document:
    return {
        **document(thing.run),
        "reads": [{**document(read), "snapshot": document(made)} for read, made in thing.reads],
        "versions": documents(thing.versions),
        "facets": dict(thing.facets),
        "events": len(thing.events),
    }


@document.register
def _(thing: VersionRecord) -> Document:
    artifact = {
        "digest": thing.digest,
        "kind": thing.artifact_kind,
        "name": thing.artifact_name,
        "bytes": thing.artifact_size,
        "uri": thing.artifact_uri,
    }
    return {
        "ref": thing.ref,
        "model": thing.model,
        "version": thing.number,
        "at": _time(thing.at),
        "aliases": list(thing.aliases),
        "artifact": artifact,
        "replay": thing.replay,
        "evidence": str(thing.evidence),
        "training": dict(thing.training) if thing.training else None,
    }


@document.register
def _(thing: AliasMove) -> Document:
    return {
        "model": thing.model,
        "alias": thing.alias,
        "version": thing.version.ref,
        "before": thing.before.ref if thing.before else None,
        "at": _time(thing.at),
    }


@document.register
def _(thing: ComponentRecord) -> Document:
    return {
        "kind": thing.kind,
        "name": thing.name,
        "version": thing.version,
        "digest": thing.digest,
    }


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
        "from": _time(thing.from_at),
        "until": _time(thing.until_at),
    }


@document.register
def _(thing: LoadRecord) -> Document:
    return {
        "version": thing.ref,
        "at": _time(thing.at),
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
    }


@document.register
def _(thing: VersionSummary) -> Document:
    return {
        **document(thing.version),
        "run": run_key(thing.run) if thing.run else None,
        "trainedOn": documents(thing.trained_on),
        "trainingUnknownBefore": _time(thing.training_unknown_before),
        "components": documents(thing.components),
        "loads": documents(thing.loads),
    }


@document.register
def _(thing: Trace) -> Document:
    keys = {node.id: node.key for node in thing.graph.nodes}
    return {
        "root": thing.root.key,
        "direction": str(thing.direction),
        "nodes": [_node(thing, node) for node in thing.graph.nodes],
        "edges": [_edge(thing, edge, keys) for edge in thing.graph.edges],
        "truncated": thing.graph.truncated,
        "frontier": [keys[node] for node in thing.graph.frontier if node in keys],
        "knownSince": _time(thing.known_since),
    }


def _node(trace: Trace, node: Node) -> Document:
    detail = trace.details.get(node.id)
    return {
        "key": node.key,
        "kind": str(node.kind),
        "label": node.label,
        "distance": node.distance,
        "detail": document(detail) if detail is not None else None,
        "pin": document(trace.pins[node.id]) if node.id in trace.pins else None,
        "answers": trace.answers.get(node.id),
        "trainingUnknownBefore": _time(trace.training_unknown_before(node.id)),
    }


def _edge(trace: Trace, edge: Edge, keys: dict[int, str]) -> Document:
    reads = trace.reads.get(edge.dst, ())
    return {
        "from": keys.get(edge.src),
        "to": keys.get(edge.dst),
        "kind": str(edge.kind),
        "evidence": str(edge.evidence),
        "run": keys.get(edge.run) if edge.run is not None else None,
        "rows": edge.rows,
        "share": edge.share,
        "reads": documents(read for read in reads if read.snapshot == edge.src),
    }


@document.register
def _(thing: Interaction) -> Document:
    return {
        "ref": f"int:{thing.id}",
        "at": _time(thing.at),
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
    }


@document.register
def _(thing: Finding) -> Document:
    return asdict(thing)


@document.register
def _(thing: Verification) -> Document:
    return {
        "intact": thing.intact,
        "files": thing.files,
        "bytes": thing.size,
        "findings": documents(thing.findings),
        "checked": list(thing.checked),
    }


@document.register
def _(thing: Check) -> Document:
    return {
        "name": thing.name,
        "health": str(thing.health),
        "found": thing.found,
        "remedy": thing.remedy or None,
    }


@document.register
def _(thing: PinSize) -> Document:
    return {**document(thing.pinned), "bytes": thing.size, "bytesAlone": thing.alone}


@document.register
def _(thing: Mended) -> Document:
    return asdict(thing)


@document.register
def _(thing: Backup) -> Document:
    manifest = thing.manifest
    return {
        "folder": str(thing.folder),
        "at": _time(manifest.at),
        "manifest": manifest.digest,
        "files": len(manifest.files),
        "bytes": manifest.size,
        "lake": manifest.lake,
        "keys": manifest.with_keys,
    }


def _time(at: datetime | None) -> str | None:
    return None if at is None else time_text(at)
