import dataclasses
import fcntl
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

import backstory
from backstory.lake.errors import InvalidError, LimitExceededError, NotFoundError, RefusedError
from backstory.lineage.draining import lock_of
from backstory.lineage.flushing import Flushed
from backstory.lineage.home import Home
from backstory.lineage.openlineage.receivers import read_receivers
from backstory.lineage.store import tables
from tests.databases import Databases
from tests.lineage.receiver import Receiver, receiving


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as server:
        yield server


def forwarding_to(home: Home, url: str) -> Home:
    return telling(home, {"type": "http", "url": url})


def telling(home: Home, transport: dict[str, Any]) -> Home:
    receivers = read_receivers(transport, home.settings.home)
    settings = dataclasses.replace(home.settings, receivers=receivers, send="flush")
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
    assert receiver.events == stored(home)
    assert receiver.kinds() == ["START", "COMPLETE"]
    assert home.flush().sent == 0
    assert len(receiver.events) == 2


@pytest.mark.parametrize("answer", [401, 404, 408, 429, 500, 503])
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
    [to] = home.settings.receivers
    with (home.settings.spool / lock_of(to)).open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        done = home.flush()
        assert (done.sent, done.waiting, done.refused, done.error) == (0, 2, 0, None)
    assert home.flush().sent == 2


def test_one_receiver_that_is_down_holds_up_no_other(
    home: Home, receiver: Receiver, tmp_path: Path
) -> None:
    with receiving() as gone:
        there = {"marquez": {"type": "http", "url": gone.url}, "datahub": to_http(receiver)}
    file = {"type": "file", "log_file_path": str(tmp_path / "events.ndjson"), "append": True}
    both = telling(home, {"type": "composite", "transports": {**there, "archive": file}})
    train(both, tmp_path)
    assert kinds_in(tmp_path / "events.ndjson") == ["START", "COMPLETE"]  # without a flush
    done = both.flush()
    assert counts(done) == {"marquez": (0, 2, 0), "datahub": (2, 0, 0), "archive": (0, 0, 0)}
    assert receiver.kinds() == ["START", "COMPLETE"]
    with receiving() as back:
        there = {"archive": file, "marquez": to_http(back)}  # another order, another address
        again = telling(home, {"type": "composite", "transports": there})
        assert counts(again.flush()) == {"archive": (0, 0, 0), "marquez": (2, 0, 0)}
        assert back.events == receiver.events


def test_each_receiver_refuses_for_itself(home: Home, receiver: Receiver, tmp_path: Path) -> None:
    with receiving() as strict:
        transports = {"strict": to_http(strict), "lax": to_http(receiver)}
        home = telling(home, {"type": "composite", "transports": transports})
        train(home, tmp_path)
        strict.answers = [422, 503]
        assert counts(home.flush()) == {"strict": (0, 1, 1), "lax": (2, 0, 0)}
        assert counts(home.flush()) == {"strict": (1, 0, 1), "lax": (0, 0, 0)}
        assert counts(home.flush(retry_refused=True))["strict"] == (1, 0, 0)
        assert strict.kinds() == ["COMPLETE", "START"]
    assert receiver.kinds() == ["START", "COMPLETE"]


def test_what_waits_for_nobody_is_told_until_it_is_forgotten(
    home: Home, receiver: Receiver, tmp_path: Path
) -> None:
    train(telling(home, to_http(receiver) | {"name": "old"}), tmp_path)
    home = telling(home, to_http(receiver) | {"name": "new"})
    done = home.flush()
    assert counts(done) == {"new": (0, 0, 0), "old": (0, 2, 0)}
    assert "no receiver is called old any more" in (done.error or "")
    with pytest.raises(RefusedError, match="new is a receiver of this home"):
        home.forget_receiver("new")
    assert home.forget_receiver("old").forgotten == 2
    with pytest.raises(NotFoundError, match="nothing waits for a receiver called 'old'"):
        home.forget_receiver("old")
    assert counts(home.flush()) == {"new": (0, 0, 0)}
    assert len(stored(home)) == 2
    assert home.verify().findings == ()


def test_a_transport_that_cannot_be_made_waits_to_be_mended(
    home: Home, receiver: Receiver, tmp_path: Path
) -> None:
    wrong = telling(home, to_http(receiver) | {"auth": {"type": "api_key"}})
    train(wrong, tmp_path)
    done = wrong.flush()
    assert (done.sent, done.waiting, done.refused) == (0, 2, 0)
    assert "apiKey is required" in (done.error or "")
    assert forwarding_to(home, receiver.url).flush().sent == 2


def to_http(receiver: Receiver) -> dict[str, Any]:
    return {"type": "http", "url": receiver.url}


def counts(done: Flushed) -> dict[str, tuple[int, int, int]]:
    return {to.receiver: (to.sent, to.waiting, to.refused) for to in done.receivers}


def kinds_in(file: Path) -> list[str]:
    return [json.loads(line)["eventType"] for line in file.read_text("utf-8").splitlines()]


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
    tmp_path: Path, receiver: Receiver, databases: Databases, point: str, arrived: list[str]
) -> None:
    make_home(tmp_path, receiver.url, database_url=databases.laid())
    (tmp_path / "train.py").write_text(TRAIN)
    assert run_python(tmp_path, "train.py", crash_at=point) == -signal.SIGKILL
    with backstory.open(tmp_path / "home") as home:
        assert home.flush().waiting == 0
    assert receiver.kinds() == arrived


def test_a_sender_that_is_killed_before_it_forgets_sends_again(
    tmp_path: Path, receiver: Receiver, databases: Databases
) -> None:
    make_home(tmp_path, receiver.url, database_url=databases.laid())
    (tmp_path / "train.py").write_text(TRAIN)
    (tmp_path / "send.py").write_text(SEND)
    assert run_python(tmp_path, "train.py") == 0
    assert run_python(tmp_path, "send.py", crash_at="outbox.sent") == -signal.SIGKILL
    assert run_python(tmp_path, "send.py") == 0
    first, again, _ = receiver.events
    assert first == again  # by which a receiver knows it
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


def make_home(
    folder: Path, url: str, send: str = "flush", *, database_url: str | None = None
) -> None:
    backstory.init(folder / "home", database_url=database_url).close()
    path = folder / "home/backstory.toml"
    path.write_text(path.read_text().replace('send = "background"', f'send = "{send}"'))
    with (folder / "home/backstory.toml").open("a") as settings:
        settings.write(f'\n[openlineage.transport]\ntype = "http"\nurl = "{url}"\n')


def run_python(folder: Path, script: str, *, crash_at: str = "") -> int:
    environ = os.environ | ({"BACKSTORY_CRASH_AT": crash_at} if crash_at else {})
    return subprocess.run([sys.executable, script], cwd=folder, env=environ, check=False).returncode
