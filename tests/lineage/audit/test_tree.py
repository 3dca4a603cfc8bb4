"""Golden vectors of RFC 6962 as its first implementations use them.

https://github.com/transparency-dev/merkle/blob/main/testonly/tree.go
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstory.lineage.audit.leaf import leaf_hash
from backstory.lineage.audit.tree import (
    EMPTY_ROOT,
    completed,
    grow,
    left_siblings,
    peaks,
    root,
)
from tests.lineage.audit.definition import naive_root

ENTRIES = [
    bytes.fromhex(entry)
    for entry in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]


def grown_root(leaves: list[bytes]) -> bytes:
    hashes = {(0, seq): leaf for seq, leaf in enumerate(leaves)}
    hashes.update({(node.level, node.index): node.hash for node in grow(leaves)})
    return root(len(leaves), lambda level, index: hashes[level, index])


@pytest.mark.parametrize("size", range(9))
def test_roots_are_those_of_the_standard(size: int) -> None:
    leaves = [leaf_hash(entry) for entry in ENTRIES[:size]]
    assert grown_root(leaves).hex() == ROOTS[size]


@given(st.integers(0, 300))
def test_growing_gives_the_root_of_the_definition(size: int) -> None:
    leaves = [leaf_hash(str(i).encode()) for i in range(size)]
    assert grown_root(leaves) == naive_root(leaves)


def test_the_root_of_nothing() -> None:
    assert root(0, lambda _level, _index: b"") == EMPTY_ROOT


@given(st.integers(0, 1 << 40))
def test_a_leaf_completes_one_subtree_per_left_sibling(seq: int) -> None:
    siblings = left_siblings(seq)
    nodes = completed(seq, b"leaf", [b"left"] * len(siblings))
    assert [node.level for node in nodes] == [level + 1 for level, _ in siblings]
    assert all(node.last_leaf == seq for node in nodes)
    assert all((index + 1) << level <= seq for level, index in siblings)


@given(st.integers(0, 1 << 40))
def test_peaks_cover_the_log_from_left_to_right(size: int) -> None:
    covered = 0
    for level, index in peaks(size):
        assert index << level == covered
        covered += 1 << level
    assert covered == size
