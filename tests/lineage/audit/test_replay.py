from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from backstory.lineage.audit.leaf import Actor, Leaf, leaf_hash
from backstory.lineage.audit.replay import StoredLeaf, check_leaves, check_tree
from backstory.lineage.audit.tree import Node, grow

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SIZE = 13


def stored(seq: int, at: datetime | None = None) -> StoredLeaf:
    at = at or datetime(2026, 11, 24, 9, seq, tzinfo=UTC)
    body = Leaf(seq=seq, at=at, actor=Actor(name="ada"), action="test.write", resource="x").body()
    micros = (at - EPOCH) // timedelta(microseconds=1)
    return StoredLeaf(seq=seq, at=micros, action="test.write", body=body, hash=leaf_hash(body))


def log() -> list[StoredLeaf]:
    return [stored(seq) for seq in range(SIZE)]


def nodes() -> list[Node]:
    return list(grow(leaf.hash for leaf in log()))


def found(leaves: list[StoredLeaf]) -> list[str]:
    return [f"{finding.path}: {finding.problem}" for finding in check_leaves(leaves)]


def test_a_log_as_written() -> None:
    assert found(log()) == []
    assert list(check_tree([leaf.hash for leaf in log()], nodes())) == []


def changed(**values: Any) -> Callable[[list[StoredLeaf]], list[StoredLeaf]]:
    return lambda leaves: [*leaves[:5], leaves[5]._replace(**values), *leaves[6:]]


BODY = stored(5).body
CASES: dict[str, tuple[Callable[[list[StoredLeaf]], list[StoredLeaf]], list[str]]] = {
    "an entry is taken out": (
        lambda leaves: leaves[:5] + leaves[6:],
        ["entry 5: an entry is missing"],
    ),
    "the first entries are taken out": (
        lambda leaves: leaves[2:],
        ["entry 0: an entry is missing"],
    ),
    "a byte of a body": (
        changed(body=BODY.replace(b"ada", b"eve")),
        ["entry 5: the entry was changed"],
    ),
    "a hash": (changed(hash=b"\0" * 32), ["entry 5: the entry was changed"]),
    "a body of another type": (changed(body="text"), ["entry 5: the entry was changed"]),
    "a body of another format": (
        changed(body=b'{"v":2}', hash=leaf_hash(b'{"v":2}')),
        ["entry 5: the entry does not parse"],
    ),
    "the time beside the body": (
        changed(at=stored(5).at + 1),
        ["entry 5: the columns beside the entry were changed"],
    ),
    "the action beside the body": (
        changed(action="test.read"),
        ["entry 5: the columns beside the entry were changed"],
    ),
    "two entries change places": (
        lambda leaves: [*leaves[:5], leaves[6], leaves[5], *leaves[7:]],
        ["entry 5: an entry is missing", "entry 7: an entry is missing"],
    ),
    "time goes back": (
        lambda leaves: [*leaves[:5], stored(5, datetime(2026, 11, 23, tzinfo=UTC)), *leaves[6:]],
        ["entry 5: time goes back"],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_changed_log(case: str) -> None:
    change, expected = CASES[case]
    assert set(expected) <= set(found(change(log())))


@pytest.mark.parametrize("place", range(len(nodes())))
def test_every_node_is_proved(place: int) -> None:
    leaves = [leaf.hash for leaf in log()]
    good = nodes()
    node = good[place]
    path = f"subtree of level {node.level} up to entry {node.last_leaf}"
    bad = Node(level=node.level, index=node.index, hash=b"\0" * 32)
    changed_nodes = [*good[:place], bad, *good[place + 1 :]]
    assert [f.path for f in check_tree(leaves, changed_nodes)] == [path]
    assert [f.path for f in check_tree(leaves, good[:place] + good[place + 1 :])] == [path]


def test_a_node_too_many() -> None:
    extra = Node(level=3, index=1, hash=b"\0" * 32)  # over leaves 8 to 15, and there are 13
    (finding,) = check_tree([leaf.hash for leaf in log()], [*nodes(), extra])
    assert (finding.expected, finding.found) == ("nothing", "00" * 32)
