"""The lineage graph as values: kinds, keys, and what a bounded walk of it gives.

An edge runs from cause to effect: `src` is upstream, `dst` is downstream. The graph is acyclic by
nature (a version cannot make what made it), but nothing here relies on that, because others' events
may claim a cycle. This module reads nothing; the walk itself is in `store.reads`.

>>> snapshot_key("thumbs/en", 58), version_key("ranker", 7), deployment_key("prod-eu", 3)
('thumbs/en@58', 'ranker@7', 'env:prod-eu#3')
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum


class EntityKind(StrEnum):
    """What a node is."""

    SLICE = "slice"
    SNAPSHOT = "snapshot"
    DATASET = "dataset"
    RUN = "run"
    JOB = "job"
    MODEL = "model"
    MODEL_VERSION = "model_version"
    COMPONENT = "component"
    DEPLOYMENT = "deployment"


class EdgeKind(StrEnum):
    """What `src` is to `dst`; the comment names both."""

    READ = "read"  # snapshot or dataset -> run
    TRIGGERED = "triggered"  # snapshot -> run
    PRODUCED = "produced"  # run -> model version or dataset
    COMPONENT_OF = "component_of"  # component -> model version
    DEPLOYED_AS = "deployed_as"  # model version -> deployment
    TRAINED_ON = "trained_on"  # snapshot -> model version, where no run of ours stands between
    FEEDBACK_ON = "feedback_on"  # earlier model version -> snapshot; rows and share: the loop share


_KINDS = list(EdgeKind)  # the order in which edges between the same two nodes are told


class Evidence(StrEnum):
    """How an edge is known."""

    OBSERVED = "observed"  # we saw it happen
    DECLARED = "declared"  # somebody said so
    IMPORTED = "imported"  # another system recorded it
    INFERRED = "inferred"  # concluded from something else


class Direction(StrEnum):
    """Which way to walk: to the causes, or to the effects."""

    UPSTREAM = "upstream"
    DOWNSTREAM = "downstream"


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """An entity that a walk reached, `distance` edges from its root."""

    id: int
    kind: EntityKind
    key: str
    label: str
    distance: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """A cause and its effect.

    Attributes:
        run: the run that the edge belongs to, where it belongs to one.
        rows, share: how much of `dst` came this way, where that was counted.
    """

    src: int
    dst: int
    kind: EdgeKind
    evidence: Evidence
    run: int | None = None
    rows: int | None = None
    share: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Graph:
    """What a bounded walk found.

    Attributes:
        root: id of the node that the walk started from; it is among `nodes`.
        truncated: a bound stopped the walk, so that there may be more.
        frontier: ids of the nodes behind which the walk did not look.
    """

    root: int
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]
    truncated: bool = False
    frontier: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TreeNode:
    """A graph's node at one place of its tree.

    Attributes:
        edges: what joins it to the node above; empty at the root.
        repeated: it stands further up already, with its children, which are not told twice.
    """

    node: Node
    edges: tuple[Edge, ...]
    children: tuple["TreeNode", ...]
    repeated: bool

    def walk(self) -> Iterator[tuple[int, "TreeNode"]]:
        """This node and all below it in reading order, each with its depth."""
        stack = [(0, self)]
        while stack:
            depth, here = stack.pop()
            yield depth, here
            stack.extend((depth + 1, child) for child in reversed(here.children))


def slice_key(name: str) -> str:
    """The key of a slice."""
    return f"slice:{name}"


def snapshot_key(slice_name: str, version: int) -> str:
    """The key of a slice at a version."""
    return f"{slice_name}@{version}"


def model_key(name: str) -> str:
    """The key of a model."""
    return f"model:{name}"


def version_key(model: str, number: int) -> str:
    """The key of a model version; no snapshot has it: slices and models share their names."""
    return f"{model}@{number}"


def run_key(run_id: str) -> str:
    """The key of a run."""
    return f"run:{run_id}"


def deployment_key(environment: str, number: int) -> str:
    """The key of an environment's n-th deployment."""
    return f"env:{environment}#{number}"


def component_key(kind: str, name: str, version: str) -> str:
    """The key of a component at a version."""
    return f"component:{kind}:{name}@{version}"


def tree(graph: Graph, direction: Direction = Direction.UPSTREAM) -> TreeNode:
    """The graph as a tree below its root: each node is told once, where it is first read.

    Built without recursion, since a chain of retrainings may be longer than Python's stack.
    """
    nodes = {node.id: node for node in graph.nodes}
    places = _places(graph, direction)
    built: list[list[TreeNode]] = [[] for _ in places]
    for place, (here, edges, above, repeated) in reversed(list(enumerate(places))):
        children = tuple(reversed(built[place]))
        at_place = TreeNode(node=nodes[here], edges=edges, children=children, repeated=repeated)
        built[above].append(at_place)
    return built[0][-1]


def path_between(graph: Graph, src: int, dst: int) -> tuple[Edge, ...] | None:
    """A shortest way from cause to effect, edge by edge; None when the graph has none."""
    neighbours = _neighbours(graph, Direction.DOWNSTREAM)
    came: dict[int, Edge | None] = {src: None}
    queue = deque([src])
    while queue and dst not in came:
        for node, edges in neighbours.get(queue.popleft(), {}).items():
            if node not in came:
                came[node] = edges[0]
                queue.append(node)
    if dst not in came:
        return None
    path: list[Edge] = []
    while (edge := came[dst]) is not None:
        path.append(edge)
        dst = edge.src
    return tuple(reversed(path))


def of_its_runs(graph: Graph) -> Graph:
    """An upstream graph without the loop shares that belong to other runs.

    Two runs may read one snapshot with different selections; each has loop shares of its own. In
    the trace of what one of them made, those of the other say nothing. A trace of the snapshot
    itself tells all of them.
    """
    known = {node.id for node in graph.nodes}
    edges = tuple(
        edge
        for edge in graph.edges
        if edge.kind is not EdgeKind.FEEDBACK_ON or edge.run in known or edge.dst == graph.root
    )
    if len(edges) == len(graph.edges):
        return graph
    above: dict[int, list[int]] = {}
    for edge in edges:
        above.setdefault(edge.dst, []).append(edge.src)
    reached, queue = {graph.root}, deque([graph.root])
    while queue:
        new = [src for src in above.get(queue.popleft(), ()) if src not in reached]
        reached.update(new)
        queue.extend(new)
    return replace(
        graph,
        nodes=tuple(node for node in graph.nodes if node.id in reached),
        edges=tuple(edge for edge in edges if edge.src in reached and edge.dst in reached),
        frontier=tuple(number for number in graph.frontier if number in reached),
    )


def _places(graph: Graph, direction: Direction) -> list[tuple[int, tuple[Edge, ...], int, bool]]:
    """The tree in reading order: per place its node, edges, the place above, and if told before.

    The root's place is its own place above.
    """
    neighbours = _neighbours(graph, direction)
    places: list[tuple[int, tuple[Edge, ...], int, bool]] = []
    told: set[int] = set()
    stack: list[tuple[int, tuple[Edge, ...], int]] = [(graph.root, (), 0)]
    while stack:
        here, edges, above = stack.pop()
        place = len(places)
        places.append((here, edges, above, here in told))
        if here not in told:
            told.add(here)
            stack.extend((n, e, place) for n, e in reversed(neighbours.get(here, {}).items()))
    return places


def _neighbours(graph: Graph, direction: Direction) -> dict[int, dict[int, tuple[Edge, ...]]]:
    """Per node its neighbours within the graph, each with all edges that join the two."""
    known = {node.id for node in graph.nodes}
    found: dict[int, dict[int, tuple[Edge, ...]]] = {}
    for edge in graph.edges:
        near, far = edge.src, edge.dst
        if direction is Direction.UPSTREAM:
            near, far = far, near
        if near in known and far in known:
            beside = found.setdefault(near, {})
            beside[far] = tuple(sorted((*beside.get(far, ()), edge), key=_kind_rank))
    return found


def _kind_rank(edge: Edge) -> int:
    return _KINDS.index(edge.kind)
