"""The Merkle tree over the audit log (RFC 6962), grown one leaf at a time.

Only complete subtrees have nodes: a node at level L and index I covers the 2**L leaves from
I * 2**L on, so it never changes once it is written. Level 0 is the leaf itself. This module is
pure; nodes are kept by `store.audit_log`.

>>> [node.level for node in completed(3, b"d", lefts=[b"c", b"ab"])]
[1, 2]
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

# The root of a log without entries.
EMPTY_ROOT = hashlib.sha256(b"").digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A complete subtree's hash."""

    level: int
    index: int
    hash: bytes

    @property
    def last_leaf(self) -> int:
        """The leaf that completed it."""
        return ((self.index + 1) << self.level) - 1


def node_hash(left: bytes, right: bytes) -> bytes:
    """RFC 6962: SHA-256 of 0x01 and both children."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def left_siblings(seq: int) -> list[tuple[int, int]]:
    """Level and index of every hash that leaf `seq` needs to complete subtrees, lowest first."""
    siblings = []
    level, index = 0, seq
    while index & 1:
        siblings.append((level, index - 1))
        level, index = level + 1, index >> 1
    return siblings


def completed(seq: int, leaf: bytes, lefts: Sequence[bytes]) -> list[Node]:
    """The subtrees that leaf `seq` completes, lowest first; `lefts` are its `left_siblings`."""
    nodes = []
    current = leaf
    for level, left in enumerate(lefts, start=1):
        current = node_hash(left, current)
        nodes.append(Node(level=level, index=seq >> level, hash=current))
    return nodes


def grow(leaves: Iterable[bytes]) -> Iterator[Node]:
    """Every complete subtree over the leaves, in the order in which they complete it."""
    last: dict[int, bytes] = {}  # the newest complete subtree of each level
    for seq, leaf in enumerate(leaves):
        nodes = completed(seq, leaf, [last[level] for level, _ in left_siblings(seq)])
        yield from nodes
        last[0] = leaf
        last.update((node.level, node.hash) for node in nodes)


def peaks(size: int) -> list[tuple[int, int]]:
    """Level and index of the complete subtrees that a log of `size` consists of, left to right."""
    found = []
    start = 0
    for level in reversed(range(size.bit_length())):
        if size >> level & 1:
            found.append((level, start >> level))
            start += 1 << level
    return found


def root(size: int, node: Callable[[int, int], bytes]) -> bytes:
    """The log's root at `size`; `node` gives the hash at a level and index (level 0: a leaf's)."""
    hashes = [node(level, index) for level, index in peaks(size)]
    if not hashes:
        return EMPTY_ROOT
    result = hashes.pop()
    while hashes:
        result = node_hash(hashes.pop(), result)
    return result
