"""A home whose lake and artifacts lie in an object store."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import backstory
from backstory.lake.object_path import ObjectPath
from backstory.lineage.backup.restoring import restore
from backstory.lineage.diagnosing import Health
from backstory.lineage.home import Home
from tests.lineage.homes import feed, train
from tests.object_store import SECRETS, make_bucket, served


@pytest.fixture(scope="module")
def store() -> Iterator[None]:
    with served():
        yield


@pytest.fixture
def bucket(store: None) -> ObjectPath:
    return make_bucket()


@pytest.fixture
def home(bucket: ObjectPath, tmp_path: Path) -> Iterator[Home]:
    lake, artifacts = f"{bucket}/lake", bucket / "artifacts"
    with backstory.init(tmp_path / "home", lake=lake, artifacts=artifacts) as home:
        yield home


def test_a_version_is_traced_and_loaded(home: Home, bucket: ObjectPath) -> None:
    feed(home)
    train(home, "thumbs/en")
    feed(home, first=2)
    assert "thumbs/en@1" in str(home.trace("ranker@1"))
    near = home.load("ranker@1")
    assert near.read_bytes() == b"weights"
    assert near.is_relative_to(home.settings.home)
    with backstory.open(home.settings.home) as again:
        assert again.slice("thumbs/en").at(1).count() == 4
        assert again.verify().intact
        assert {check.health for check in again.doctor()} == {Health.OK}
    (kept,) = (bucket / "artifacts" / "sha256").rglob("*")
    kept.write_bytes(b"other")
    assert not home.verify().intact


def test_tables_are_compacted_and_keep_all(home: Home) -> None:
    feed(home, 8)
    table = home.lake.slice("thumbs/en")
    assert home.maintain("thumbs/en", dry_run=True)[0].replaced == 8
    (done,) = home.maintain("thumbs/en")
    assert (done.replaced, done.written, done.keeps_all, done.problem) == (8, 1, True, "")
    assert len([name for name in table.folder.sizes() if name.endswith(".parquet")]) == 9  # type: ignore[attr-defined]
    assert home.slice("thumbs/en").at(3).count() == 12
    with pytest.raises(backstory.RefusedError, match="nothing is removed"):
        home.explain_file("thumbs/en", "part-1")
    assert home.verify().intact


@pytest.mark.parametrize("how", ["copy", "reference"])
def test_a_backup_brings_it_back(home: Home, tmp_path: Path, how: str) -> None:
    feed(home)
    train(home)
    taken = home.backup(tmp_path / "kept", lake=how)
    assert taken.manifest.lake == (str(home.settings.lake) if how == "reference" else None)
    home.close()
    with restore(tmp_path / "kept", tmp_path / "again") as again:
        assert isinstance(again.settings.lake, ObjectPath) == (how == "reference")
        assert again.slice("thumbs/en").at(1).count() == 4
        assert again.load("ranker@1").read_bytes() == b"weights"
        assert again.verify().intact


def test_a_store_that_does_not_answer_is_told(
    home: Home, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    feed(home)
    home.close()
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    settings = home.settings.home / "backstory.toml"
    # Handles of a bucket are kept: of another one nothing is known yet.
    settings.write_text(settings.read_text().replace(str(home.settings.lake), "s3://away/lake"))
    with (
        pytest.raises(backstory.UnavailableError, match="s3://away/"),
        backstory.open(home.settings.home, heal=False) as away,
    ):
        away.slice("thumbs/en").at()
    told = repr(home.settings) + repr(home.lake) + settings.read_text()
    assert not any(secret in told for secret in SECRETS.values())
