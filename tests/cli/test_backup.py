"""`backup` and `restore` as commands."""

from pathlib import Path

from tests.cli.running import draw, run
from tests.cli.shop import Shop


def test_a_home_there_and_back(shop: Shop, tmp_path: Path) -> None:
    taken = run("backup", tmp_path / "kept", "--json", home=shop.home).data
    assert (taken["lake"], taken["keys"]) == (None, True)
    assert taken["files"] > 10
    made = run("restore", tmp_path / "kept", "--to", tmp_path / "again", "--json").data
    assert made["home"] == str(tmp_path / "again")
    assert made["keys"]
    for question in (("trace", "ranker@2", "--json"), ("slices",), ("pin", "--list")):
        assert run(*question, home=tmp_path / "again") == run(*question, home=shop.home)
    assert run("verify", home=tmp_path / "again").code == 0


def test_what_is_left_out_is_said(shop: Shop, tmp_path: Path) -> None:
    taken = run("backup", tmp_path / "kept", "--without-keys", home=shop.home)
    assert "keep keys/subject.json elsewhere" in taken.err
    made = run("restore", tmp_path / "kept", "--to", tmp_path / "again")
    assert made.code == 0
    assert "put subject.json into" in made.err
    assert run("verify", home=tmp_path / "again").code == 5


def test_people_see_what_was_taken(own_shop: Shop, tmp_path: Path) -> None:
    lines = draw("backup", tmp_path / "kept", home=own_shop.home)
    assert lines[0].startswith("✓ backed up to")
    names = [line.split("  ")[0] for line in lines[2:]]
    assert names == ["as of", "files", "size", "manifest", "lake", "keys"]


def test_wrong_folders(shop: Shop, tmp_path: Path) -> None:
    assert run("backup", shop.folder, home=shop.home).code == 2
    nothing = run("restore", tmp_path, "--to", tmp_path / "again")
    assert (nothing.code, nothing.err.splitlines()[0]) == (
        3,
        f"error: {tmp_path} is no backup, or half of one: MANIFEST is missing",
    )
    assert run("backup", tmp_path / "kept", home=shop.home).code == 0
    (tmp_path / "kept" / "store.db").write_bytes(b"")
    damaged = run("restore", tmp_path / "kept", "--to", tmp_path / "again")
    assert damaged.code == 5
    assert "store.db" in damaged.err
