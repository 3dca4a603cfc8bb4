"""Reading the log again from its first entry: is it still what was written?

Of the entries: (1) their numbers run from 0 without gaps; (2) the body's hash is the leaf's;
(3) the columns beside the body say what it says, and time never goes back. Of the tree: (4) its
nodes are the complete subtrees over the leaves, no more and no less. What was cut off at the end,
or written anew as a whole, only a root that was kept elsewhere can tell.

This module is pure, and takes anything for a value: `store.audit_log` hands over whatever a damaged
database holds.
"""

import heapq
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

from backstory.lake.errors import InvalidError
from backstory.lake.findings import Finding
from backstory.lineage.audit.leaf import leaf_hash, parse_body
from backstory.lineage.audit.tree import Node, grow
from backstory.lineage.times import parse_time

_WHERE = "audit log"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class StoredLeaf(NamedTuple):
    """A leaf as the store holds it; the comments say of which type its values should be."""

    seq: Any  # int
    at: Any  # int, microseconds since 1970
    action: Any  # str
    body: Any  # bytes
    hash: Any  # bytes


def check_leaves(leaves: Iterable[StoredLeaf]) -> Iterator[Finding]:
    """Check entries, given in the order of their numbers."""
    expected = last_at = 0
    for leaf in leaves:
        if leaf.seq != expected:  # (1)
            yield _finding(expected, "an entry is missing", str(expected), str(leaf.seq))
        problem = _problem(leaf)
        if problem is not None:
            yield _finding(leaf.seq, *problem)
        elif leaf.at < last_at:  # (3)
            yield _finding(leaf.seq, "time goes back", f"{last_at} or later", str(leaf.at))
        else:
            expected, last_at = leaf.seq, leaf.at
        expected += 1


def check_tree(leaves: Iterable[bytes], nodes: Iterable[Node]) -> Iterator[Finding]:
    """Check nodes, given in the order in which the leaves complete them."""
    place = itemgetter(0)
    both = heapq.merge(_sided("expected", grow(leaves)), _sided("found", nodes), key=place)
    for (last_leaf, level), group in groupby(both, key=place):  # (4)
        hashes = {side: node.hash.hex() for _, side, node in group}
        expected, found = (hashes.get(side, "nothing") for side in ("expected", "found"))
        if expected != found:
            yield Finding(
                where=_WHERE,
                path=f"subtree of level {level} up to entry {last_leaf}",
                problem="the hash is not that of its entries",
                expected=expected,
                found=found,
            )


def _problem(leaf: StoredLeaf) -> tuple[str, str, str] | None:
    if not isinstance(leaf.body, bytes) or leaf_hash(leaf.body) != leaf.hash:  # (2)
        return "the entry was changed", "the entry with its recorded hash", "another hash"
    try:
        body = parse_body(leaf.body)
        said = (body["seq"], _microseconds(body["at"]), body["action"])
    except (ValueError, KeyError, TypeError, InvalidError):
        return "the entry does not parse", "an entry of format 1", "something else"
    beside = (leaf.seq, leaf.at, leaf.action)
    if said != beside:  # (3)
        return "the columns beside the entry were changed", f"{said}", f"{beside}"
    return None


def _microseconds(text: str) -> int:
    return (parse_time(text) - _EPOCH) // timedelta(microseconds=1)


def _sided(side: str, nodes: Iterable[Node]) -> Iterator[tuple[tuple[int, int], str, Node]]:
    return (((node.last_leaf, node.level), side, node) for node in nodes)


def _finding(seq: object, problem: str, expected: str, found: str) -> Finding:
    return Finding(
        where=_WHERE, path=f"entry {seq}", problem=problem, expected=expected, found=found
    )
