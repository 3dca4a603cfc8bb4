import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstory.lake.errors import IntegrityError, InvalidError, LimitExceededError
from backstory.lake.trees import MAX_TREE_FILES, Tree, TreeFile


def leaf(path: str = "weights.bin", *, size: int = 3, executable: bool = False) -> TreeFile:
    return TreeFile(path=path, size=size, executable=executable, sha256="a1" * 32)


names = st.text(
    st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="/"), min_size=1, max_size=20
).filter(lambda name: name not in {".", ".."})
leaves = st.builds(
    TreeFile,
    path=st.lists(names, min_size=1, max_size=3).map("/".join),
    size=st.integers(0, 2**40),
    executable=st.booleans(),
    sha256=st.from_regex(r"[0-9a-f]{64}", fullmatch=True),
)


def tree_of(files: list[TreeFile]) -> Tree | None:
    try:
        return Tree(files=tuple(files))
    except InvalidError:
        return None


trees = st.lists(leaves, min_size=1, max_size=8).map(tree_of).filter(lambda tree: tree is not None)


def test_the_text_form_stays_as_it_is_for_ever() -> None:
    tree = Tree(files=(leaf("run.sh", executable=True), leaf("a/ü.bin", size=0)))

    assert tree.to_bytes().decode() == (
        f"backstory-tree v1\na/ü.bin\t0\t-\t{'a1' * 32}\nrun.sh\t3\tx\t{'a1' * 32}\n"
    )
    assert tree.digest == "15b914ebf18a3272fe02530e4d27ac2958ccc71b8d367d567d121506916d45be"


@given(tree=trees)
def test_trees_come_back_from_their_text(tree: Tree) -> None:
    assert Tree.from_bytes(tree.to_bytes()) == tree


@given(tree=trees, data=st.data())
def test_the_order_of_files_does_not_matter(tree: Tree, data: st.DataObject) -> None:
    shuffled = data.draw(st.permutations(tree.files))

    assert Tree(files=tuple(shuffled)).digest == tree.digest


@given(tree=trees, data=st.data())
def test_a_changed_byte_is_no_tree_or_another_tree(tree: Tree, data: st.DataObject) -> None:
    text = bytearray(tree.to_bytes())
    text[data.draw(st.integers(0, len(text) - 1))] ^= data.draw(st.integers(1, 255))

    with contextlib.suppress(IntegrityError):
        assert Tree.from_bytes(bytes(text)).digest != tree.digest


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/etc/passwd",
        "../x",
        "a/../../x",
        "a//b",
        "./a",
        "a/",
        "a\tb",
        "a\nb",
        "\ud800",
        "x" * 1001,
    ],
)
def test_a_path_that_leaves_or_cannot_be_told_is_refused(path: str) -> None:
    with pytest.raises(InvalidError):
        leaf(path)


@pytest.mark.parametrize(
    "paths", [[], ["a", "a"], ["a", "a/b"], ["a/b", "a", "a-"], ["m/a/b", "m/a"]]
)
def test_files_that_cannot_stand_together_are_refused(paths: list[str]) -> None:
    with pytest.raises(InvalidError):
        Tree(files=tuple(leaf(path) for path in paths))


def test_names_that_only_begin_alike_stand_together() -> None:
    assert Tree(files=(leaf("a"), leaf("a-b"), leaf("ab/c"), leaf("a.b"))).size == 12


def test_too_many_files_are_refused() -> None:
    with pytest.raises(LimitExceededError):
        Tree(files=(leaf(),) * (MAX_TREE_FILES + 1))


GOOD = Tree(files=(leaf("a"), leaf("b"))).to_bytes()
WRONG_TEXTS = {
    "nothing": b"",
    "another header": GOOD.replace(b"v1", b"v2"),
    "no end": GOOD[:-1],
    "another order": b"\n".join([*(GOOD.split(b"\n")[i] for i in (0, 2, 1)), b""]),
    "a number in another form": GOOD.replace(b"\t3\t", b"\t03\t"),
    "another mode": GOOD.replace(b"\t-\t", b"\tw\t"),
    "a path that leaves": GOOD.replace(b"\na\t", b"\n../a\t"),
    "no text": GOOD.replace(b"\na\t", b"\n\xff\t"),
    "a missing field": GOOD.replace(b"\t-", b"", 1),
}


@pytest.mark.parametrize("data", WRONG_TEXTS.values(), ids=WRONG_TEXTS)
def test_other_texts_are_refused(data: bytes) -> None:
    with pytest.raises(IntegrityError):
        Tree.from_bytes(data)
