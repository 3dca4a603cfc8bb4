"""The audit log in the store: leaves and complete subtrees, appended in the unit's transaction.

Rows of both tables are never updated or deleted (triggers refuse it). What the log proves is in
`audit/`; whether the tables agree with it, `reconcile` tells.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, bindparam, insert, select, tuple_, type_coerce
from sqlalchemy.engine import Connection

from backstory.lake.errors import IntegrityError
from backstory.lake.findings import Finding
from backstory.lineage.audit.leaf import Leaf, leaf_hash, parse_body
from backstory.lineage.audit.replay import StoredLeaf, check_leaves, check_tree
from backstory.lineage.audit.tree import Node, completed, left_siblings, peaks, root
from backstory.lineage.store.prepared import Prepared
from backstory.lineage.store.tables import audit_leaf, audit_node

_HEAD = select(audit_leaf.c.seq, audit_leaf.c.at).order_by(audit_leaf.c.seq.desc()).limit(1)
_FIRST_TIME = Prepared(select(audit_leaf.c.at).where(audit_leaf.c.seq == 0))
_LAST_UNTIL = Prepared(
    select(audit_leaf.c.seq)
    .where(audit_leaf.c.at <= bindparam("at"))
    .order_by(audit_leaf.c.at.desc(), audit_leaf.c.seq.desc())
    .limit(1)
)
_FIRST_OF_ACTION = (
    select(audit_leaf.c.body)
    .where(audit_leaf.c.action == bindparam("action"))
    .order_by(audit_leaf.c.seq)
    .limit(1)
)
_LEAF_HASH = select(audit_leaf.c.leaf_hash).where(audit_leaf.c.seq == bindparam("seq"))
_NODES = select(audit_node.c.level, audit_node.c.idx, audit_node.c.hash).where(
    tuple_(audit_node.c.level, audit_node.c.idx).in_(bindparam("places", expanding=True))
)

_CHUNK = 1_000
_ALL_LEAVES = (
    select(
        audit_leaf.c.seq,
        type_coerce(audit_leaf.c.at, BigInteger),
        audit_leaf.c.action,
        audit_leaf.c.body,
        audit_leaf.c.leaf_hash,
    )
    .order_by(audit_leaf.c.seq)
    .execution_options(yield_per=_CHUNK)
)
_ALL_NODES = (
    select(audit_node.c.level, audit_node.c.idx, audit_node.c.hash)
    .order_by((audit_node.c.idx + 1).bitwise_lshift(audit_node.c.level), audit_node.c.level)
    .execution_options(yield_per=_CHUNK)
)


def head(connection: Connection) -> tuple[int, datetime | None]:
    """The next leaf's number, and the last leaf's time."""
    last = connection.execute(_HEAD).first()
    return (0, None) if last is None else (last.seq + 1, last.at)


def first_time(connection: Connection) -> datetime | None:
    """When recording began; what lies before is unknown, not absent."""
    rows = _FIRST_TIME.rows(connection)
    return rows[0][0] if rows else None


def last_until(connection: Connection, at: datetime) -> int | None:
    """The number of the last leaf at or before a time; leaf times never go back."""
    rows = _LAST_UNTIL.rows(connection, at=at)
    return rows[0][0] if rows else None


def first_facts(connection: Connection, action: str) -> dict[str, Any]:
    """The facts of the first entry of an action; empty where there is none."""
    body = connection.execute(_FIRST_OF_ACTION, {"action": action}).scalar_one_or_none()
    try:
        facts: dict[str, Any] = {} if body is None else parse_body(body)["facts"]
    except (ValueError, KeyError) as exc:
        raise IntegrityError(
            f"the audit entry {action!r} does not parse", hint="restore the store from a backup"
        ) from exc
    return facts


def append(connection: Connection, leaf: Leaf) -> None:
    """Add the leaf and the subtrees that it completes; the writers' lock is held."""
    body = leaf.body()
    hashed = leaf_hash(body)
    connection.execute(
        insert(audit_leaf),
        {"seq": leaf.seq, "at": leaf.at, "action": leaf.action, "body": body, "leaf_hash": hashed},
    )
    nodes = completed(leaf.seq, hashed, _hashes(connection, left_siblings(leaf.seq)))
    if nodes:
        connection.execute(
            insert(audit_node),
            [{"level": n.level, "idx": n.index, "hash": n.hash} for n in nodes],
        )


def log_root(connection: Connection) -> tuple[int, str]:
    """How many entries the log has, and the hex root over them.

    Whoever keeps the two elsewhere can prove later that nothing was cut off or written anew.
    """
    size, _ = head(connection)
    places = peaks(size)
    hashes = dict(zip(places, _hashes(connection, places), strict=True))
    return size, root(size, lambda level, index: hashes[level, index]).hex()


def _hashes(connection: Connection, places: Sequence[tuple[int, int]]) -> list[bytes]:
    """The hashes at levels and indexes; at most one of them is a leaf's."""
    leaves = [index for level, index in places if level == 0]
    nodes = [place for place in places if place[0] > 0]
    found: dict[tuple[int, int], bytes] = {}
    if leaves:
        hashes = connection.scalars(_LEAF_HASH, {"seq": leaves[0]})
        found.update(((0, leaves[0]), hash_) for hash_ in hashes)
    if nodes:
        rows = connection.execute(_NODES, {"places": nodes})
        found.update(((level, index), hash_) for level, index, hash_ in rows)
    try:
        return [found[place] for place in places]
    except KeyError as exc:
        raise IntegrityError(
            f"the audit log has no subtree {exc}",
            hint="restore the store from a backup; `backstory verify` says more",
        ) from exc


def verify_log(connection: Connection) -> Iterator[Finding]:
    """Replay the whole log."""
    yield from check_leaves(stored_leaves(connection))
    hashes = (leaf.hash for leaf in stored_leaves(connection))
    yield from check_tree(hashes, _stored_nodes(connection))


def stored_leaves(connection: Connection) -> Iterator[StoredLeaf]:
    """The leaves as they are, in the order of their numbers."""
    return (StoredLeaf(*row) for row in connection.execute(_ALL_LEAVES))


def _stored_nodes(connection: Connection) -> Iterator[Node]:
    """The nodes in the order of their completion; what cannot be a node is left out."""
    rows = connection.execute(_ALL_NODES)
    return (Node(level=level, index=index, hash=hash_) for level, index, hash_ in rows)
