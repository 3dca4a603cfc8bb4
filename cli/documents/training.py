"""The JSON of runs, triggers, model versions and what leads to them."""

from dataclasses import asdict

from backstory.cli.documents.amendments import mark_or_null
from backstory.cli.documents.dispatch import Document, document, documents, recorded, time_or_null
from backstory.lineage.aliasing import AliasMove
from backstory.lineage.graph import Edge, Node, run_key
from backstory.lineage.inspecting import RunSummary, VersionSummary
from backstory.lineage.standing import StandingTrigger
from backstory.lineage.store.models import ComponentRecord, VersionRecord
from backstory.lineage.store.runs import ReadRecord, RunRecord
from backstory.lineage.tracing import Trace


@document.register
def _(thing: StandingTrigger) -> Document:
    return asdict(thing)


@document.register
def _(thing: RunRecord) -> Document:
    return {
        "ref": run_key(thing.run_id),
        "namespace": thing.namespace,
        "job": thing.job,
        "model": thing.model,
        "state": thing.state,
        "started": time_or_null(thing.started),
        "ended": time_or_null(thing.ended),
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
        "at": time_or_null(thing.at),
        "aliases": list(thing.aliases),
        "artifact": artifact,
        "replay": thing.replay,
        "evidence": str(thing.evidence),
        "training": dict(thing.training) if thing.training else None,
        **recorded(thing.recorded_at, thing.late),
    }


@document.register
def _(thing: VersionSummary) -> Document:
    return {
        **document(thing.version),
        "run": run_key(thing.run) if thing.run else None,
        "trainedOn": documents(thing.trained_on),
        "trainingUnknownBefore": time_or_null(thing.training_unknown_before),
        "components": documents(thing.components),
        "loads": documents(thing.loads),
        "amended": mark_or_null(thing.amended),
    }


@document.register
def _(thing: AliasMove) -> Document:
    return {
        "model": thing.model,
        "alias": thing.alias,
        "version": thing.version.ref,
        "before": thing.before.ref if thing.before else None,
        "at": time_or_null(thing.at),
        **recorded(thing.recorded_at, thing.late),
        "amended": mark_or_null(thing.amended),
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
def _(thing: Trace) -> Document:
    keys = {node.id: node.key for node in thing.graph.nodes}
    return {
        "root": thing.root.key,
        "direction": str(thing.direction),
        "nodes": [_node(thing, node) for node in thing.graph.nodes],
        "edges": [_edge(thing, edge, keys) for edge in thing.graph.edges],
        "truncated": thing.graph.truncated,
        "frontier": [keys[node] for node in thing.graph.frontier if node in keys],
        "knownSince": time_or_null(thing.known_since),
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
        "amended": mark_or_null(trace.amended.get(node.id)),
        "answers": trace.answers.get(node.id),
        "trainingUnknownBefore": time_or_null(trace.training_unknown_before(node.id)),
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
