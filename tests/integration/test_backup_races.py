"""Backups of a home at work, and backups and restores that are killed."""

import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

import backstory
from backstory.lineage.home import Home
from backstory.lineage.times import utc_now
from tests.cli.running import PROGRAM, environment, process
from tests.conftest import REPOSITORY
from tests.integration.busy_child import TASKS
from tests.integration.small_home import MODEL, SLICE, make_home

BACKUPS_IN_SUITE = 3
BACKUPS_IN_SOAK = 40
KILLS_IN_SUITE = 6
KILLS_IN_SOAK = 100


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home that nobody changes."""
    with make_home(tmp_path_factory.mktemp("quiet"), clock=utc_now) as home:
        return home.settings.home


@contextmanager
def busy(home: Path) -> Iterator[None]:
    """Three processes that append, train and deploy; none of them may fail."""
    with ExitStack() as stack:
        children = [
            stack.enter_context(
                subprocess.Popen(
                    [sys.executable, "-m", "tests.integration.busy_child", task, str(home)],
                    cwd=REPOSITORY,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    text=True,
                )
            )
            for task in TASKS
        ]
        try:
            for child in children:
                assert child.stdout
                assert child.stdout.readline() == "began\n"
            yield
        finally:
            for child in children:
                assert child.stdin
                child.stdin.close()
            codes = [child.wait(60) for child in children]
        assert codes == [0, 0, 0]


def edges(home: Home, ref: str) -> set[tuple[str, str, str]]:
    graph = home.trace(ref).graph
    keys = {node.id: node.key for node in graph.nodes}
    return {(keys[edge.src], keys[edge.dst], edge.kind.value) for edge in graph.edges}


def check_restored(live: Home, backup: Path, to: Path) -> None:
    with backstory.restore(backup, to) as again:
        assert again.verify().findings == ()
        assert {check.name for check in again.doctor() if check.health != "ok"} <= {"runs"}
        versions = again.models(MODEL)
        assert versions == live.models(MODEL)[-len(versions) :]
        for version in versions[:3]:
            assert edges(again, version.ref) == edges(live, version.ref)
        head = again.history(SLICE)[0].commit.version
        rows = again.slice(SLICE).at().arrow()
        assert rows == live.slice(SLICE).at(head).arrow()


def _back_up_while_busy(folder: Path, times: int) -> None:
    with make_home(folder, clock=utc_now) as home:
        with busy(home.settings.home):
            taken = [home.backup(folder / f"backup-{number}") for number in range(times)]
        for number, backup in enumerate(taken):
            check_restored(home, backup.folder, folder / f"again-{number}")
        assert home.verify().intact


def test_backups_of_a_home_at_work(tmp_path: Path) -> None:
    _back_up_while_busy(tmp_path, BACKUPS_IN_SUITE)


@pytest.mark.soak
def test_many_backups_of_a_home_at_work(tmp_path: Path) -> None:
    _back_up_while_busy(tmp_path, BACKUPS_IN_SOAK)


@pytest.mark.parametrize("place", ["backup.copied", "unit.after_commit"])
def test_a_backup_that_is_killed_is_none_or_whole(quiet: Path, tmp_path: Path, place: str) -> None:
    killed = environment(BACKSTORY_CRASH_AT=place)
    command = ("--home", quiet, "backup", "kept")
    assert process(*command, folder=tmp_path, env=killed).code == -signal.SIGKILL
    if place == "backup.copied":
        assert not (tmp_path / "kept").exists()
        assert process(*command, folder=tmp_path).code == 0
    assert process("restore", "kept", "--to", "again", folder=tmp_path).code == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again", "kept"]


def test_a_restore_that_is_killed_makes_no_home(quiet: Path, tmp_path: Path) -> None:
    assert process("--home", quiet, "backup", "kept", folder=tmp_path).code == 0
    command = ("restore", "kept", "--to", "again")
    killed = process(*command, folder=tmp_path, env=environment(BACKSTORY_CRASH_AT="restore.built"))
    assert killed.code == -signal.SIGKILL
    assert not (tmp_path / "again").exists()
    assert process(*command, folder=tmp_path).code == 0
    assert process("--home", "again", "verify", folder=tmp_path).code == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again", "kept"]


def _stop_many(home: Path, folder: Path, stops: int, seed: int) -> None:
    draw = random.Random(seed)
    whole = 0
    for number in range(stops):
        kept = folder / f"kept-{number}"
        with subprocess.Popen(
            [*PROGRAM, "--home", str(home), "backup", str(kept)],
            env=environment(),
            stderr=subprocess.DEVNULL,
        ) as child:
            try:
                child.wait(0.2 + 1.5 * draw.random())
            except subprocess.TimeoutExpired:
                child.send_signal(draw.choice([signal.SIGKILL, signal.SIGINT]))
            child.wait(60)
        if kept.exists():
            whole += 1
            with backstory.restore(kept, folder / f"again-{number}") as again:
                assert again.verify().intact
        elif child.returncode != -signal.SIGKILL:
            assert not list(folder.glob(f".kept-{number}*"))
    print(f"\n{whole} of {stops} backups were whole before they were stopped (seed {seed})")


def test_backups_that_are_stopped_at_any_moment(quiet: Path, tmp_path: Path) -> None:
    _stop_many(quiet, tmp_path, KILLS_IN_SUITE, seed=20)


@pytest.mark.soak
def test_backups_that_are_stopped_at_many_moments(quiet: Path, tmp_path: Path) -> None:
    seed = int(os.environ.get("BACKSTORY_SOAK_SEED", random.randrange(2**32)))
    _stop_many(quiet, tmp_path, KILLS_IN_SOAK, seed)


def test_a_disk_that_is_full_leaves_nothing(quiet: Path, tmp_path: Path) -> None:
    limited = ("bash", "-c", 'ulimit -f 64; exec "$@"', "-")
    full = process("--home", quiet, "backup", "kept", folder=tmp_path, before=limited)
    assert full.code == 1
    assert full.err.startswith("error: ")
    assert "Traceback" not in full.err
    assert list(tmp_path.iterdir()) == []
