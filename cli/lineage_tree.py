"""A trace or an impact as a tree of lines, as `backstory trace` draws it.

Each line says what it is to the line above, in words that fit the direction; how that is known is
said when it was not observed; what stands further up already is marked and not told twice.
"""

from collections.abc import Iterable
from typing import Any

from backstory.cli.amendments import when_and_why
from backstory.cli.figures import (
    DIGEST,
    NUMBER,
    SHARE,
    STATE,
    TEXT,
    TIME,
    Kind,
    count,
    moment,
    number,
    share,
    size,
)
from backstory.cli.output import drawn_lines
from backstory.cli.views import Branch
from backstory.lineage.graph import Direction, Edge, EdgeKind, Evidence, TreeNode
from backstory.lineage.store.deployments import IntervalRecord
from backstory.lineage.store.models import ComponentRecord, VersionRecord
from backstory.lineage.store.runs import ReadRecord, RunRecord
from backstory.lineage.store.slices import PinRecord, SnapshotRecord
from backstory.lineage.tracing import Detail, Trace

# What the line below is to the line above, by direction.
_RELATIONS = {
    EdgeKind.READ: {Direction.UPSTREAM: "read", Direction.DOWNSTREAM: "read by"},
    EdgeKind.TRIGGERED: {Direction.UPSTREAM: "triggered by", Direction.DOWNSTREAM: "triggered"},
    EdgeKind.PRODUCED: {Direction.UPSTREAM: "made by", Direction.DOWNSTREAM: "made"},
    EdgeKind.COMPONENT_OF: {Direction.UPSTREAM: "composed with", Direction.DOWNSTREAM: "part of"},
    EdgeKind.TRAINED_ON: {Direction.UPSTREAM: "trained on", Direction.DOWNSTREAM: "trained"},
    EdgeKind.DEPLOYED_AS: {Direction.UPSTREAM: "serves", Direction.DOWNSTREAM: "deployed as"},
    EdgeKind.FEEDBACK_ON: {
        Direction.UPSTREAM: "feedback on",
        Direction.DOWNSTREAM: "rated in",
    },
}

Note = tuple[Any, Kind]


def tree_lines(trace: Trace) -> list[str]:
    """The tree as text without colour."""
    return drawn_lines(branch_of(trace))


def branch_of(trace: Trace) -> Branch:
    """The tree as a view, built without recursion."""
    open_branches: list[Branch] = []
    for depth, place in trace.tree.walk():
        branch = _branch(trace, place)
        del open_branches[depth:]
        if open_branches:
            open_branches[-1].children.append(branch)
        open_branches.append(branch)
    return open_branches[0]


def _branch(trace: Trace, place: TreeNode) -> Branch:
    node = place.node
    detail = trace.details.get(node.id)
    selections, ways = _selections(trace, place.edges), _ways(place.edges)
    own: list[Note] = []
    if not place.repeated:
        own = _notes(detail, trace.pins.get(node.id), of_edge=bool(selections or ways))
    return Branch(
        relation=" and ".join(_relations(place.edges, trace.direction)),
        ref=node.key,
        notes=[*selections, *ways, *own, *_of_walk(trace, place)],
        columns=[*_columns(trace, place, detail), ("detail", _joined(*selections, *own), TEXT)],
    )


def _relations(edges: Iterable[Edge], direction: Direction) -> list[str]:
    """Each once, in the order of their kinds, whatever the order of the walk."""
    kinds = {edge.kind for edge in edges}
    return [words[direction] for kind, words in _RELATIONS.items() if kind in kinds]


def _selections(trace: Trace, edges: Iterable[Edge]) -> list[Note]:
    """What runs took of the snapshots that they read."""
    notes: list[Note] = []
    for edge in edges:
        if edge.kind is EdgeKind.READ:
            snapshot = trace.details.get(edge.src)
            reads = [r for r in trace.reads.get(edge.dst, ()) if r.snapshot == edge.src]
            notes += [(_selection(read, snapshot), TEXT) for read in reads]
    return list(dict.fromkeys(notes))


def _ways(edges: Iterable[Edge]) -> list[Note]:
    """Loop shares, and how the way to a line is known."""
    notes: list[Note] = []
    for edge in edges:
        if edge.kind is EdgeKind.FEEDBACK_ON and edge.share is not None:
            rows = f" ({number(edge.rows)})" if edge.rows is not None else ""
            notes.append((f"{share(edge.share)} of the rows read{rows}", TEXT))
        if edge.evidence is not Evidence.OBSERVED:
            notes.append((edge.evidence.value, TEXT))
    return list(dict.fromkeys(notes))


def _of_walk(trace: Trace, place: TreeNode) -> list[Note]:
    """What is told of a line because of where it stands in this walk."""
    told: list[Note] = [("told above", TEXT)] if place.repeated else []
    if amended := when_and_why(trace.amended.get(place.node.id)):
        told.append((f"amended {amended}", TEXT))
    if answers := trace.answers.get(place.node.id):
        told.append((count(answers, "answer"), TEXT))
    if gap := trace.training_unknown_before(place.node.id):
        told.append((f"training not recorded before {moment(gap)}", TEXT))
    if place.node.id in trace.graph.frontier:
        told.append(("more behind it", TEXT))
    return told


def _selection(read: ReadRecord, snapshot: Detail | None) -> str:
    """`400 of 500 rows where rating >= 1, columns rating, at, to test`."""
    rows = "rows" if read.rows is None else count(read.rows, "row")
    if isinstance(snapshot, SnapshotRecord) and read.rows is not None:
        whole = read.rows == snapshot.rows
        rows = f"all {rows}" if whole else f"{number(read.rows)} of {count(snapshot.rows, 'row')}"
    where = f" where {read.filter}" if read.filter else ""
    columns = f", columns {', '.join(read.columns)}" if read.columns else ""
    role = "" if read.role == "train" else f", to {read.role}"
    return f"{rows}{where}{columns}{role}"


def _notes(detail: Detail | None, pin: PinRecord | None, *, of_edge: bool) -> list[Note]:
    """What is told of a thing itself; a snapshot's rows are told by the edge that read them."""
    match detail:
        case SnapshotRecord():
            pinned: list[Note] = [(pin.strength, STATE)] if pin else []
            rows: list[Note] = [] if of_edge else [(count(detail.rows, "row"), TEXT)]
            files = (count(detail.files, "file"), TEXT)
            return [*rows, files, (detail.digest, DIGEST), *pinned]
        case RunRecord():
            return [
                (detail.state, STATE),
                *_times(detail),
                *_trigger(detail),
                *_not_captured(detail),
            ]
        case VersionRecord():
            names: list[Note] = [(", ".join(detail.aliases), TEXT)] if detail.aliases else []
            return [*names, *_bytes(detail)]
        case ComponentRecord():
            return [(detail.digest, DIGEST)] if detail.digest else [("not kept here", TEXT)]
        case IntervalRecord():
            until = f" until {moment(detail.until_at)}" if detail.until_at else ""
            since = f"since {moment(detail.from_at)}{until}"
            return [(f"{detail.mode} {share(detail.share)}", TEXT), (since, TEXT)]
        case None:
            return []


def _bytes(version: VersionRecord) -> list[Note]:
    """What is known of a version's artifact, and where it lies if not here."""
    digest: list[Note] = [(version.digest, DIGEST)] if version.digest else []
    if version.artifact_size is not None:
        return [(f"{version.artifact_kind} {size(version.artifact_size)}", TEXT), *digest]
    return [(f"artifact {version.artifact_uri or 'not recorded'}", TEXT), *digest]


def _times(run: RunRecord) -> list[Note]:
    at = run.ended or run.started
    return [(at, TIME)] if at else []


def _trigger(run: RunRecord) -> list[Note]:
    if not run.trigger:
        return []
    kind, reason = run.trigger["kind"], run.trigger["reason"]
    return [(f"{kind}: {reason}" if reason else kind, TEXT)]


def _not_captured(run: RunRecord) -> list[Note]:
    return [(f"not captured: {run.not_captured}", TEXT)] if run.not_captured else []


def _columns(trace: Trace, place: TreeNode, detail: Detail | None) -> list[tuple[str, Any, Kind]]:
    """The exact values of a line, for a pipe."""
    edges, node = place.edges, place.node
    evidence = ",".join(sorted({edge.evidence.value for edge in edges}))
    rows = next((edge.rows for edge in edges if edge.rows is not None), None)
    shares = next((edge.share for edge in edges if edge.share is not None), None)
    digest = getattr(detail, "digest", None)
    return [
        ("kind", str(node.kind), TEXT),
        ("evidence", evidence or None, TEXT),
        ("rows", rows, NUMBER),
        ("share", shares, SHARE),
        ("digest", digest, DIGEST),
        ("repeated", "yes" if place.repeated else None, TEXT),
        ("amended", when_and_why(trace.amended.get(node.id)), TEXT),
        ("answers", trace.answers.get(node.id), NUMBER),
        ("more", "yes" if node.id in trace.graph.frontier else None, TEXT),
    ]


def _joined(*notes: Note) -> str:
    """Notes in one cell; a digest has a column of its own."""
    return "; ".join(kind.plain(value) for value, kind in notes if kind is not DIGEST)


def dot_text(trace: Trace) -> str:
    """The graph for Graphviz, causes on the left."""
    nodes = [f"  {_quoted(node.key)};" for node in trace.graph.nodes]
    keys = {node.id: node.key for node in trace.graph.nodes}
    edges = [
        f"  {_quoted(keys[edge.src])} -> {_quoted(keys[edge.dst])} [label={_quoted(_way(edge))}];"
        for edge in trace.graph.edges
        if edge.src in keys and edge.dst in keys
    ]
    head = ["digraph backstory {", "  rankdir=LR;", "  node [shape=box];"]
    return "\n".join([*head, *nodes, *edges, "}"]) + "\n"


def _way(edge: Edge) -> str:
    """`read`; with how it is known where it was not observed."""
    words = edge.kind.value.replace("_", " ")
    return words if edge.evidence is Evidence.OBSERVED else f"{words} ({edge.evidence.value})"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
