import errno
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstory.lake.errors import IntegrityError, InvalidError
from backstory.lake.location import (
    MAX_NAME_LENGTH,
    check_name,
    folder_of,
    inside,
    interactions_of,
    local_path,
    name_of,
    translate_os_error,
)

PARTS = st.from_regex(r"[a-z0-9][a-z0-9_-]{0,20}", fullmatch=True).filter(lambda p: "__" not in p)
NAMES = st.lists(PARTS, min_size=1, max_size=4).map("/".join)


@given(NAMES)
def test_a_name_and_its_folder_determine_each_other(name: str) -> None:
    assert name_of(folder_of(name)) == name
    assert name_of(folder_of(interactions_of(name))) == interactions_of(name)
    assert "/" not in folder_of(name)


@given(NAMES, NAMES)
def test_two_names_never_share_a_folder(one: str, other: str) -> None:
    assert (folder_of(one) == folder_of(other)) == (one == other)


@pytest.mark.parametrize(
    "name",
    [
        *("", "A", "é", "_hidden", "-x", "a__b", "a//b", "/a", "a/", "a b", "a.b", "..", "a/../b"),
        *("a/b/c/d/e", "x" * 64, "a\n", "a\0", "/".join(["x" * 60] * 4)),
    ],
)
def test_other_names_are_refused_with_an_example(name: str) -> None:
    with pytest.raises(InvalidError, match="is no name") as refused:
        check_name(name)
    assert "thumbs/en" in refused.value.hint


def test_every_folder_fits_a_file_system() -> None:
    name = "/".join(["x" * 49, "y" * 49, "z" * 49, "w" * 50])
    assert len(name) == MAX_NAME_LENGTH
    assert len(folder_of(interactions_of(name))) <= 255


@pytest.mark.parametrize("folder", ["_delta_log", "_links", "_interactions", "Thumbs", "a__"])
def test_folders_of_others_have_no_name(folder: str) -> None:
    with pytest.raises(InvalidError):
        name_of(folder)


def test_users_cannot_take_the_name_of_interactions() -> None:
    with pytest.raises(InvalidError):
        check_name(interactions_of("ranker"))


@pytest.mark.parametrize("relative", ["part.parquet", "a/b.parquet", "a..b", "missing/too"])
def test_paths_stay_inside(tmp_path: Path, relative: str) -> None:
    assert inside(tmp_path, relative) == tmp_path / relative


@pytest.mark.parametrize("relative", ["", "/etc/passwd", "../x", "a/../../x", "..", "a/..", "a\0"])
def test_paths_that_leave_are_refused(tmp_path: Path, relative: str) -> None:
    with pytest.raises(IntegrityError, match="leaves"):
        inside(tmp_path, relative)


def test_links_that_leave_are_refused(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "in").mkdir(parents=True)
    (root / "out").symlink_to(tmp_path)
    (root / "here").symlink_to(root / "in")
    with pytest.raises(IntegrityError, match="through a link"):
        inside(root, "out/secret")
    assert inside(root, "here/x") == root / "here/x"


def test_the_root_itself_may_be_reached_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    assert inside(tmp_path / "link", "x") == tmp_path / "link/x"


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("data/thumbs", "data/thumbs"),
        ("/data/thumbs", "/data/thumbs"),
        ("file:///data/my%20thumbs", "/data/my thumbs"),
        ("file://localhost/data", "/data"),
        ("/data/100%25", "/data/100%25"),
    ],
)
def test_local_paths(uri: str, path: str) -> None:
    assert local_path(uri) == Path(path)


@pytest.mark.parametrize(
    "uri",
    ["", "s3://key:secret@bucket/x", "https://x/y", "file://host/x", "file://", "file:///a%00b"],
)
def test_other_locations_are_refused_without_repeating_them(uri: str) -> None:
    with pytest.raises(InvalidError, match="only local folders") as refused:
        local_path(uri)
    assert "secret" not in str(refused.value) + refused.value.hint


@pytest.mark.parametrize(
    ("number", "hint"),
    [
        (errno.ENOSPC, "free some space"),
        (errno.EFBIG, "ulimit -f"),
        (errno.EACCES, "permissions"),
        (errno.EROFS, "read-only"),
        (errno.ENOENT, "exists"),
        (errno.EIO, "repeat"),
    ],
)
def test_the_operating_system_in_plain_words(number: int, hint: str) -> None:
    error = translate_os_error(OSError(number, os.strerror(number), "/d/x"), "cannot write thumbs")
    assert error.message == f"cannot write thumbs: {os.strerror(number)} (/d/x)"
    assert hint in error.hint


def test_an_error_without_number_has_a_name() -> None:
    assert translate_os_error(TimeoutError(), "cannot read").message == "cannot read: TimeoutError"
