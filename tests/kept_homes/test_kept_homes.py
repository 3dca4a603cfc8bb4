"""The home of every release is opened by this code: upgraded, verified, asked, and worked with."""

import shutil
import sqlite3
import tarfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

import backstory
from backstory.lineage.diagnosing import Health, worst
from backstory.lineage.home import Home
from backstory.lineage.store import upgrade
from tests.conftest import REPOSITORY
from tests.kept_homes.make import (
    BATCHES,
    BEGUN,
    ENVIRONMENT,
    EXTERNAL_ID,
    MODEL,
    PINNED,
    ROWS,
    SLICE,
    Clock,
    thumbs,
    train,
)

KEPT = sorted((REPOSITORY / "tests/kept_homes").glob("*.tar.gz"))


@pytest.fixture(scope="module", params=KEPT, ids=lambda path: path.name.removesuffix(".tar.gz"))
def unpacked(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A release's home as it was left."""
    folder = tmp_path_factory.mktemp("kept") / "home"
    with tarfile.open(request.param) as tar:
        tar.extractall(folder, filter="tar")
    folder.chmod(0o700)
    return folder


@pytest.fixture
def home(unpacked: Path, tmp_path: Path) -> Iterator[Home]:
    """It, opened by this code."""
    copy = shutil.copytree(unpacked, tmp_path / "home")
    with backstory.open(copy, clock=Clock(BEGUN + timedelta(days=1))) as opened:
        yield opened


def test_every_release_is_kept() -> None:
    changelog = (REPOSITORY / "CHANGELOG.md").read_text("utf-8")
    released = {line[4:-1].split("]")[0] for line in changelog.splitlines() if line[:5] == "## [0"}
    assert {path.name.removesuffix(".tar.gz") for path in KEPT} >= released


def test_its_store_is_upgraded_and_kept_beside(unpacked: Path, home: Home) -> None:
    with sqlite3.connect(unpacked / "lineage.db") as before:
        (revision,) = before.execute("SELECT version_num FROM alembic_version").fetchone()
    before.close()
    assert upgrade.current(home.store.engine) == upgrade.HEAD
    copies = [path.name for path in home.settings.home.glob("*.bak")]
    assert copies == ([] if revision == upgrade.HEAD else [f"lineage.db.{revision}.bak"])


def test_it_is_well(home: Home) -> None:
    assert home.verify().findings == ()
    checks = home.doctor()
    assert worst(checks) is Health.OK, checks


def test_it_answers(home: Home) -> None:
    traced = {node.key for node in home.trace(f"{MODEL}@2").graph.nodes}
    assert f"{SLICE}@{BATCHES + 1}" in traced
    reached = {node.key for node in home.impact(f"{SLICE}@{BATCHES}").graph.nodes}
    assert f"{MODEL}@1" in reached
    state = home.state_of(f"ext:{EXTERNAL_ID}", verify=True)
    assert state.version == f"{MODEL}@1"
    # Neither a repository nor a lock file was there to be recorded.
    assert {part.section.value for part in state.missing} == {"code", "environment"}
    assert [version.ref for version in home.models(MODEL)][:2] == [f"{MODEL}@2", f"{MODEL}@1"]
    shares = {interval.version: interval.share for interval in home.deployments(ENVIRONMENT)}
    assert shares == {1: 0.8, 2: 0.1}  # a canary takes from what is live
    assert home.slice(SLICE).at(PINNED).rows == PINNED * ROWS
    assert next(pin.holder for pin in home.pins(SLICE)) == "auditor"


def test_work_goes_on_in_it(home: Home, tmp_path: Path) -> None:
    home.slice(SLICE).append(thumbs(99), source="app", offset=99)
    assert train(home, tmp_path, "weights 3") == f"{MODEL}@3"
    answered = home.interactions(MODEL).record(request=1, response=2, version=f"{MODEL}@3")
    assert home.state_of(f"int:{answered}").version == f"{MODEL}@3"
    home.deploy(f"{MODEL}@3", to=ENVIRONMENT)
    assert home.verify().findings == ()


def test_it_is_backed_up_and_restored(home: Home, tmp_path: Path) -> None:
    home.backup(tmp_path / "backup")
    with backstory.restore(tmp_path / "backup", tmp_path / "again", clock=home.clock) as again:
        assert again.verify().findings == ()
