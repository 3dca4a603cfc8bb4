"""What counts as left by a command, file by file."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from backstory.lake.errors import NotFoundError
from backstory.lineage.leaving import Expected


def _replace(path: Path) -> None:
    aside = path.with_suffix(".new")
    aside.write_bytes(path.read_bytes())
    os.utime(aside, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    aside.rename(path)


def _link(path: Path) -> None:
    path.unlink()
    path.symlink_to("b")


CHANGES: list[Callable[[Path], object]] = [
    os.utime,
    _replace,
    _link,
    os.unlink,
    lambda path: path.write_text("other weights"),
    lambda path: path.with_name("c").write_text(""),
]


@pytest.mark.parametrize("change", CHANGES)
def test_a_folder_is_left_when_one_of_its_files_changed(
    tmp_path: Path, change: Callable[[Path], object]
) -> None:
    model = tmp_path / "model"
    (model / "deep").mkdir(parents=True)
    for name in "ab":
        (model / "deep" / name).write_text("weights")
    before = Expected(model, "artifact")
    with pytest.raises(NotFoundError, match="is as it was before"):
        before.left()
    change(model / "deep" / "a")
    assert before.left() == model


def test_nothing_an_empty_folder_and_a_link_to_nothing(tmp_path: Path) -> None:
    nothing = Expected(tmp_path / "model", "artifact")
    with pytest.raises(NotFoundError, match="left no artifact at"):
        nothing.left()
    (tmp_path / "model").mkdir()
    with pytest.raises(NotFoundError, match="left no artifact at"):
        nothing.left()
    (tmp_path / "model").rmdir()
    (tmp_path / "model").symlink_to("nowhere")
    link = Expected(tmp_path / "model", "artifact")
    with pytest.raises(NotFoundError, match="is as it was before"):
        link.left()
    (tmp_path / "nowhere").write_text("weights")
    assert link.left() == tmp_path / "model"
