import dataclasses
import fcntl
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

import backstory
from backstory.lake.errors import InvalidError, LimitExceededError
from backstory.lineage.forwarding import LOCK_FILE, Flushed
from backstory.lineage.home import Home
from backstory.lineage.store import tables
from tests.lineage.receiver import Receiver, receiving


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as server:
        yield server


def forwarding_to(home: Home, url: str) -> Home:
    transport = {"type": "http", "url": url}
    settings = dataclasses.replace(home.settings, transport=transport, send="flush")
    return dataclasses.replace(home, settings=settings)


def train(home: Home, tmp_path: Path) -> None:
    (tmp_path / "model.txt").write_text("weights")
    with home.retraining("ranker", code=tmp_path) as run:
        run.register(tmp_path / "model.txt")


def stored(home: Home) -> list[dict[str, object]]:
    with home.store.reader() as connection:
        query = sa.select(tables.openlineage_event.c.body).order_by(tables.openlineage_event.c.id)
        return [json.loads(body) for body in connection.scalars(query)]


def test_what_is_sent_is_what_is_stored_in_order_once(
    home: Home, receiver: Receiver, tmp_path: Path
) -> None:
    home = forwarding_to(home, receiver.url)
    train(home, tmp_path)
    assert receiver.events == []  # a training speaks to nobody
    assert home.flush().sent == 2
    for event in receiver.events:
        event["run"]["facets"].pop("tags")  # the client signs with its version
    assert receiver.events == stored(home)
    assert receiver.kinds() == ["START", "COMPLETE"]
    assert home.flush().sent == 0
    assert len(receiver.events) == 2


@pytest.mark.parametrize("answer", [408, 429, 500, 503])
def test_what_is_not_taken_now_waits_and_is_not_overtaken(
    home: Home, receiver: Receiver, tmp_path: Path, answer: int
) -> None:
    home = forwarding_to(home, receiver.url)
    train(home, tmp_path)
    receiver.answers = [answer]
    done = home.flush()
    assert (done.sent, done.waiting, done.refused) == (0, 2, 0)
    assert str(answer) in (done.error or "")
    assert home.flush().sent == 2
    assert receiver.kinds() == ["START", "COMPLETE"]


def test_what_is_refused_is_kept_and_holds_nothing_up(
    home: Home, receiver: Receiver, tmp_path: Path
) -> None:
    home = forwarding_to(home, receiver.url)
    train(home, tmp_path)
    receiver.answers = [422]
    done = home.flush()
    assert (done.sent, done.waiting, done.refused) == (1, 0, 1)
    assert home.flush().sent == 0
    done = home.flush(retry_refused=True)
    assert (done.sent, done.refused, done.error) == (1, 0, None)


def test_a_receiver_that_is_down_is_waited_for(home: Home, tmp_path: Path) -> None:
    with receiving() as gone:
        url = gone.url.replace("http://", "http://user:hunter2@")
    away = forwarding_to(home, url)
    train(away, tmp_path)
    done = away.flush()
    assert (done.sent, done.waiting) == (0, 2)
    assert "hunter2" not in (done.error or "")
    with receiving() as back:
        assert forwarding_to(home, back.url).flush().sent == 2


def test_without_a_transport_nothing_waits(home: Home, tmp_path: Path) -> None:
    train(home, tmp_path)
    with home.store.reader() as connection:
        assert connection.execute(sa.select(tables.outbox)).all() == []
    with pytest.raises(InvalidError, match="no OpenLineage transport"):
        home.flush()


def test_the_log_is_whole_after_sending(home: Home, receiver: Receiver, tmp_path: Path) -> None:
    home = forwarding_to(home, receiver.url)
    train(home, tmp_path)
    home.flush()
    assert home.verify().findings == ()


def test_there_is_one_sender_at_a_time(home: Home, receiver: Receiver, tmp_path: Path) -> None:
    home = forwarding_to(home, receiver.url)
    train(home, tmp_path)
    with (home.settings.spool / LOCK_FILE).open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        assert home.flush() == Flushed(sent=0, waiting=2, refused=0, error=None)
    assert home.flush().sent == 2


def test_a_failed_run_is_told(home: Home, receiver: Receiver) -> None:
    home = forwarding_to(home, receiver.url)
    with pytest.raises(ValueError, match="no luck"), home.retraining("ranker"):
        raise ValueError("no luck")
    home.flush()
    assert receiver.kinds() == ["START", "FAIL"]


@pytest.mark.parametrize(
    ("point", "arrived"),
    [
        ("run.started", ["START"]),
        ("unit.after_commit", ["START"]),
        ("run.completed", ["START", "COMPLETE"]),
    ],
)
def test_a_killed_training_loses_no_event(
    tmp_path: Path, receiver: Receiver, point: str, arrived: list[str]
) -> None:
    make_home(tmp_path, receiver.url)
    (tmp_path / "train.py").write_text(TRAIN)
    assert run_python(tmp_path, "train.py", crash_at=point) == -signal.SIGKILL
    with backstory.open(tmp_path / "home") as home:
        assert home.flush().waiting == 0
    assert receiver.kinds() == arrived


def test_a_sender_that_is_killed_before_it_forgets_sends_again(
    tmp_path: Path, receiver: Receiver
) -> None:
    make_home(tmp_path, receiver.url)
    (tmp_path / "train.py").write_text(TRAIN)
    (tmp_path / "send.py").write_text(SEND)
    assert run_python(tmp_path, "train.py") == 0
    assert run_python(tmp_path, "send.py", crash_at="outbox.sent") == -signal.SIGKILL
    assert run_python(tmp_path, "send.py") == 0
    assert receiver.kinds() == ["START", "START", "COMPLETE"]


def test_an_event_that_cannot_be_rebuilt_is_refused(
    home: Home, receiver: Receiver, tmp_path: Path
) -> None:
    home = forwarding_to(home, receiver.url)
    train(home, tmp_path)
    with home.store.operating() as connection:
        first = sa.select(sa.func.min(tables.outbox.c.event)).scalar_subquery()
        spoiled = sa.update(tables.openlineage_event).where(tables.openlineage_event.c.id == first)
        connection.execute(spoiled.values(body='{"run": {}}'))
    done = home.flush()
    assert (done.sent, done.waiting, done.refused) == (1, 0, 1)
    assert "cannot be rebuilt" in (done.error or "")


def test_a_flush_offers_nothing_after_its_time(
    home: Home, receiver: Receiver, tmp_path: Path
) -> None:
    home = forwarding_to(home, receiver.url)
    train(home, tmp_path)
    assert home.flush(timeout=1.5).sent == 1  # the clock goes on by a second
    assert home.flush(timeout=60).sent == 1


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), 1e9])
def test_a_timeout_has_bounds(home: Home, receiver: Receiver, timeout: float) -> None:
    with pytest.raises(LimitExceededError, match="a timeout of"):
        forwarding_to(home, receiver.url).flush(timeout=timeout)


TRAIN = """
import backstory
with backstory.open("home") as home, home.retraining("ranker") as run:
    run.register("train.py")
"""
SEND = """
import backstory
with backstory.open("home") as home:
    home.flush()
"""


def make_home(folder: Path, url: str, send: str = "flush") -> None:
    backstory.init(folder / "home").close()
    path = folder / "home/backstory.toml"
    path.write_text(path.read_text().replace('send = "background"', f'send = "{send}"'))
    with (folder / "home/backstory.toml").open("a") as settings:
        settings.write(f'\n[openlineage.transport]\ntype = "http"\nurl = "{url}"\n')


def run_python(folder: Path, script: str, *, crash_at: str = "") -> int:
    environ = os.environ | ({"BACKSTORY_CRASH_AT": crash_at} if crash_at else {})
    return subprocess.run([sys.executable, script], cwd=folder, env=environ, check=False).returncode
