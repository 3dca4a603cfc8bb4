"""Who the subjects are, and what the secrets are, is nowhere in a home."""

import os
import random
import stat
import subprocess
import sys
from pathlib import Path

import pytest

import backstory
from backstory.cli.demo.opening import run_demo
from backstory.cli.output import Look, Output
from backstory.lake.errors import BackstoryError
from backstory.lineage.home import open_home
from backstory.lineage.settings import SETTINGS_FILE, load_settings
from backstory.lineage.store.engine import connect, describe
from tests.conftest import REPOSITORY
from tests.integration import small_home
from tests.integration.searching import files_with, texts_of

SECRET = "s3kr1t" + random.Random(7).randbytes(12).hex()
EVENTS = "openlineage.ndjson"
TRANSPORT = f"""
[openlineage.transport]
type = "file"
log_file_path = "{EVENTS}"
append = true
"""


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("privacy") / "demo"
    run_demo(folder, seed=1, output=Output(look=Look.PLAIN, color=False))
    return folder / ".backstory"


def test_no_clerk_of_the_demo_is_in_its_home(demo: Path) -> None:
    assert not files_with(demo, ".depots.example")
    clerks = {f"clerk{n}@{depot}" for n in range(5) for depot in ("north", "south", "east", "west")}
    for path in demo.rglob("*"):
        if path.is_file():
            text = "\n".join(texts_of(path))
            assert not [clerk for clerk in clerks if clerk in text], path


def test_the_search_would_find_what_is_there(demo: Path) -> None:
    found = files_with(demo, "k1:")
    assert any(name.endswith(".parquet") and "part-" in name for name in found)
    assert "lineage.db" in files_with(demo, "home.init")


def test_personal_values_are_neither_in_statistics_nor_in_checkpoints(tmp_path: Path) -> None:
    home = small_home.make_home(tmp_path)
    home.close()
    folder = home.settings.home
    assert not files_with(folder, "user-0@example.org")
    with_notes = files_with(folder, "note 0")
    assert with_notes
    assert all("part-" in name and "_delta_log" not in name for name in with_notes)
    footers = [
        text
        for name in with_notes
        for text in texts_of(folder / name)
        if text.startswith("<pyarrow._parquet.Statistics")
    ]
    assert footers
    assert not [text for text in footers if "note 0" in text]


def test_only_the_owner_may_look(tmp_path: Path) -> None:
    home = small_home.make_home(tmp_path, commits=1).settings.home
    assert mode(home) == 0o700
    assert mode(home / "keys") == 0o700
    assert mode(home / "keys" / "subject.json") == 0o600
    assert mode(home / SETTINGS_FILE) == 0o600
    assert (home / ".gitignore").read_text() == "*\n"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The home of a training that was told secrets on every way, and what its process said."""
    folder = tmp_path_factory.mktemp("secrets")
    with backstory.init(folder / "home") as home:
        settings = home.settings.home / SETTINGS_FILE
    settings.write_text(settings.read_text() + TRANSPORT)
    code = folder / "code"
    code.mkdir()
    make_repository(code, f"https://bot:{SECRET}@git.example/ranker.git")
    ended = subprocess.run(
        [
            *(sys.executable, "-m", "tests.integration.secretive", folder / "home", code),
            *("--token", SECRET, f"--password={SECRET}", f"https://u:{SECRET}@h.example/x"),
        ],
        cwd=REPOSITORY,
        env={**os.environ, "PLANTED_SECRET": SECRET},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "ConnectionError" in ended.stderr
    return folder / "home", ended.stdout + ended.stderr


def make_repository(folder: Path, remote: str) -> None:
    (folder / "train.py").write_text("print('trained')\n")
    for command in (
        ["init", "-q"],
        ["remote", "add", "origin", remote],
        ["add", "train.py"],
        ["-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "-q", "-m", "begin"],
    ):
        subprocess.run(["git", "-C", folder, *command], check=True)


def test_secrets_of_a_training_are_nowhere_in_the_home(trained: tuple[Path, str]) -> None:
    home, _ = trained
    assert not files_with(home, SECRET)
    assert not files_with(home, SECRET[6:])
    assert files_with(home, "hub.example")
    assert files_with(home, "git.example")


def test_secrets_are_not_in_the_events_that_leave(trained: tuple[Path, str]) -> None:
    home, _ = trained
    events = (home / EVENTS).read_text()
    assert events.count('"eventType": "FAIL"') + events.count('"eventType":"FAIL"') == 1
    assert SECRET not in events


def test_the_run_tells_why_it_failed_without_the_secret(trained: tuple[Path, str]) -> None:
    with open_home(trained[0]) as home:
        [run] = home.runs()
        summary = home.run(f"run:{run.run_id}")
        assert home.models() == []
    assert run.state == "failed"
    assert run.message is not None
    assert run.message.startswith("ConnectionError: cannot reach https://bot:")
    assert SECRET not in run.message + repr(summary)


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://app:{SECRET}@127.0.0.1:1/feedback",
        f"mysql://app:{SECRET}@127.0.0.1/feedback",
        f"postgresql://app:{SECRET}@[::1/feedback",
    ],
)
def test_a_password_in_a_database_url_is_in_no_message(url: str, tmp_path: Path) -> None:
    with pytest.raises(BackstoryError) as caught:
        backstory.init(tmp_path / "home", database_url=url)
    assert SECRET not in f"{caught.value} {caught.value.hint}"
    backstory.init(tmp_path / "home").close()  # nothing was left behind


def test_nothing_shows_the_password_when_it_is_printed(tmp_path: Path) -> None:
    url = f"postgresql://app:{SECRET}@127.0.0.1:1/feedback"
    assert SECRET not in describe(connect(url))
    with small_home.make_home(tmp_path, commits=1) as home:
        settings = home.settings.home / SETTINGS_FILE
    settings.write_text(settings.read_text().replace("sqlite:///lineage.db", url))
    assert SECRET not in repr(load_settings(home.settings.home))
    assert home.key.secret.hex() not in repr(home)
    assert repr(home.key.secret) not in repr(home)


def test_a_rejected_row_is_told_without_the_person(tmp_path: Path) -> None:
    home = small_home.make_home(tmp_path, commits=1)
    bad = [*small_home.thumbs(2, 1, stars="many"), {"user": "user-9@example.org"}]
    with pytest.raises(BackstoryError) as caught:
        home.slice(small_home.SLICE).append(bad, source="app", offset=2)
    assert "example.org" not in f"{caught.value} {caught.value.hint}"
    home.close()
    assert not files_with(home.settings.home, "user-9@example.org")
