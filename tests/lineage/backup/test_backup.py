import os
import shutil
import stat
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

import backstory
from backstory.lineage.home import Home
from backstory.lineage.store.engine import describe
from tests.databases import Databases
from tests.lake.disk import watch_syncs
from tests.lineage.homes import answer, feed, link, names_of, train
from tests.lineage.store.recording import START, ticking


@pytest.fixture
def full(home: Home, tmp_path: Path) -> Home:
    """One of everything."""
    feed(home, 12)
    home.pin("thumbs/en@5", reason="audit")
    link(home, tmp_path)
    home.pin("clicks", reason="audit", strength="copied")
    train(home, "thumbs/en", "clicks")
    home.deploy("ranker@1", to="prod")
    answer(home)
    return home


def restored(folder: Path, to: Path, **more: object) -> Home:
    clock = ticking(START + timedelta(hours=1))
    return backstory.restore(folder, to, clock=clock, **more)  # type: ignore[arg-type]  # passed on as they are


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_restored_home_is_the_same(full: Home, tmp_path: Path) -> None:
    before = [node.key for node in full.trace("ranker@1").graph.nodes]
    taken = full.backup(tmp_path / "backup")
    assert taken.manifest.size == sum(
        p.stat().st_size
        for p in (tmp_path / "backup").rglob("*")
        if p.is_file() and p.name != "MANIFEST"
    )
    feed(full, 1, first=13)  # what comes later is no part of it
    with restored(tmp_path / "backup", tmp_path / "again") as again:
        assert again.verify().findings == ()
        assert names_of(again.doctor(), "problem") == names_of(again.doctor(), "warning") == []
        assert [node.key for node in again.trace("ranker@1").graph.nodes] == before
        assert again.history("thumbs/en")[0].commit.version == 12
        assert again.slice("thumbs/en").at().rows == 48
        assert len(again.pins()) == len(full.pins())
        feed(again, 1, first=13)
        assert train(again, "thumbs/en") == "ranker@2"
        assert again.verify().intact


def test_a_store_goes_into_another_database(
    full: Home, databases: Databases, postgresql: Databases, tmp_path: Path
) -> None:
    full.backup(tmp_path / "backup")
    url = postgresql.empty()
    with restored(tmp_path / "backup", tmp_path / "again", database_url=url) as again:
        assert again.verify().findings == ()
        assert describe(again.store.engine).startswith("postgresql://")
        assert not list((tmp_path / "again").glob("lineage.db*"))
        assert train(again, "thumbs/en") == "ranker@2"
        assert again.verify().findings == ()
    with pytest.raises(backstory.ConflictError, match="another home"):
        restored(tmp_path / "backup", tmp_path / "twice", database_url=url)
    assert not (tmp_path / "twice").exists()
    postgresql.drop(url)


def test_a_lake_by_reference_is_caught_up_with(full: Home, tmp_path: Path) -> None:
    full.backup(tmp_path / "backup", lake="reference")
    assert not (tmp_path / "backup" / "lake").exists()
    feed(full, 2, first=13)
    full.release(full.pins("thumbs/en")[0].pin_id, reason="done")
    with restored(tmp_path / "backup", tmp_path / "again") as again:
        assert again.settings.lake == full.settings.lake.resolve()
        assert again.history("thumbs/en")[0].commit.version == 14
        assert again.verify().findings == ()


def test_a_table_that_the_lake_lost_stops_no_restore(full: Home, tmp_path: Path) -> None:
    full.backup(tmp_path / "backup", lake="reference")
    shutil.rmtree(full.settings.lake / "thumbs__en")
    with restored(tmp_path / "backup", tmp_path / "again") as again:
        assert {found.where for found in again.verify().findings} == {"thumbs/en"}
        assert len(again.pins()) == len(full.pins())


def test_a_lake_that_is_referred_to_must_be_there(full: Home, tmp_path: Path) -> None:
    full.backup(tmp_path / "backup", lake="reference")
    moved = full.settings.lake.rename(tmp_path / "moved")
    with pytest.raises(backstory.NotFoundError, match="lake"):
        restored(tmp_path / "backup", tmp_path / "again")
    with restored(tmp_path / "backup", tmp_path / "again", lake=moved) as again:
        assert again.verify().findings == ()
    with pytest.raises(backstory.InvalidError, match="by copy or by reference"):
        full.backup(tmp_path / "other", lake="link")


def test_secrets_stay_private(full: Home, tmp_path: Path) -> None:
    full.backup(tmp_path / "backup")
    for name in ("keys/subject.json", "settings.toml", "store.db"):
        assert mode(tmp_path / "backup" / name) == 0o600
    assert mode(tmp_path / "backup") == 0o700
    with restored(tmp_path / "backup", tmp_path / "again"):
        for name in ("keys/subject.json", "backstory.toml", "lineage.db"):
            assert mode(tmp_path / "again" / name) == 0o600
        assert mode(tmp_path / "again") == 0o700


def test_keys_may_be_left_out(full: Home, tmp_path: Path) -> None:
    assert not full.backup(tmp_path / "backup", keys=False).manifest.with_keys
    assert full.key.secret.hex() not in str(
        [p.read_bytes() for p in (tmp_path / "backup").rglob("*.json")]
    )
    with restored(tmp_path / "backup", tmp_path / "again") as again:
        assert [found.problem for found in again.verify().findings] == ["missing"]
        key = full.settings.keys / "subject.json"
        (again.settings.keys / "subject.json").write_bytes(key.read_bytes())
        assert again.verify().intact


def damaged(folder: Path) -> list[tuple[Path, Callable[[], object]]]:
    part = next(folder.glob("lake/thumbs__en/part-*"))
    return [
        (folder / "MANIFEST", (folder / "MANIFEST").unlink),
        (part, part.unlink),
        (folder / "store.db", lambda: os.truncate(folder / "store.db", 4096)),
        (part, lambda: part.write_bytes(bytes(part.stat().st_size))),
        (
            folder / "MANIFEST",
            lambda: (folder / "MANIFEST").write_bytes(b"backstory-backup v1\n{}"),
        ),
    ]


@pytest.mark.parametrize("fault", range(5))
def test_a_damaged_backup_makes_no_home(full: Home, tmp_path: Path, fault: int) -> None:
    full.backup(tmp_path / "backup")
    path, spoil = damaged(tmp_path / "backup")[fault]
    spoil()
    with pytest.raises(backstory.BackstoryError, match=path.name):
        restored(tmp_path / "backup", tmp_path / "again")
    assert [p.name for p in tmp_path.iterdir() if "again" in p.name] == []


def test_a_newer_backup_is_refused(full: Home, tmp_path: Path) -> None:
    from backstory.lake.sealed import seal, unseal

    full.backup(tmp_path / "backup")
    path = tmp_path / "backup" / "MANIFEST"
    path.write_text(seal(unseal(path.read_bytes(), "it").replace("backup v1", "backup v2")))
    with pytest.raises(backstory.RefusedError, match="format v2"):
        restored(tmp_path / "backup", tmp_path / "again")


def test_a_damaged_home_is_no_backup(full: Home, tmp_path: Path) -> None:
    part = next((full.settings.lake / "thumbs__en").glob("part-*"))
    whole = part.read_bytes()
    part.write_bytes(bytes(len(whole)))
    with pytest.raises(backstory.IntegrityError, match=part.name):
        full.backup(tmp_path / "backup")
    part.unlink()
    with pytest.raises(backstory.IntegrityError, match=part.name):
        full.backup(tmp_path / "backup")
    part.write_bytes(whole)
    next((full.settings.lake / "thumbs__en/_pins").glob("*/holders/*")).unlink()
    with pytest.raises(backstory.IntegrityError, match="has no files"):
        full.backup(tmp_path / "backup")
    assert [p.name for p in tmp_path.iterdir() if "backup" in p.name] == []


def test_a_folder_that_is_taken_is_refused(full: Home, tmp_path: Path) -> None:
    with pytest.raises(backstory.InvalidError, match="not empty"):
        full.backup(full.settings.home.parent)
    with pytest.raises(backstory.InvalidError, match="lost with it"):
        full.backup(full.settings.home / "backup")
    full.backup(tmp_path / "backup")
    with pytest.raises(backstory.InvalidError, match="not empty"):
        restored(tmp_path / "backup", full.settings.home)


def test_the_audit_log_tells_of_both(full: Home, tmp_path: Path) -> None:
    from backstory.lineage.store import audit_log

    taken = full.backup(tmp_path / "backup")
    with full.store.reader() as conn:
        said = audit_log.first_facts(conn, "home.backup")
    assert said == {"manifest": taken.manifest.digest, "lake": "copy", "keys": True}
    with (
        restored(tmp_path / "backup", tmp_path / "again") as again,
        again.store.reader() as conn,
    ):
        said = audit_log.first_facts(conn, "home.restore")
        assert said["manifest"] == taken.manifest.digest
        assert audit_log.first_facts(conn, "home.backup") == {}


def test_a_backup_and_what_is_restored_from_it_survive_a_power_cut(
    full: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "kept").mkdir()
    lost = watch_syncs(monkeypatch, tmp_path / "kept")
    full.backup(tmp_path / "kept" / "backup")
    restored(tmp_path / "kept" / "backup", tmp_path / "kept" / "again").close()
    by_sqlite = {"backup/store.db", "again/lineage.db"}  # it syncs its own bytes
    assert set(lost()) <= by_sqlite
