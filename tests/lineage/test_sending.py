"""A process beside trainings sends their events."""

import dataclasses
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

import backstory
from backstory.lake.errors import InvalidError
from backstory.lineage import sending
from backstory.lineage.daemon_thread import in_daemon_thread
from backstory.lineage.draining import LONGEST_WAIT, Line, wait_after
from backstory.lineage.forwarding import any_due, keep_sending
from backstory.lineage.home import Home
from backstory.lineage.sender import send_all
from backstory.lineage.sending import SENDER_LOCK, SENDER_MODULE, alone
from backstory.lineage.settings import load_settings
from backstory.lineage.store import outbox
from tests.databases import Databases
from tests.lineage.receiver import receiving
from tests.lineage.test_forwarding import forwarding_to, make_home, telling, to_http, train


@pytest.fixture(autouse=True)
def no_sender_is_left() -> Iterator[None]:
    yield
    sending.end_begun()


def let_senders_end() -> None:
    for sender in sending.begun():
        assert sender.wait() == 0


def run_sender(folder: Path, crash_at: str = "") -> int:
    environ = os.environ | ({"BACKSTORY_CRASH_AT": crash_at} if crash_at else {})
    command = [sys.executable, "-m", SENDER_MODULE, "home"]
    return subprocess.run(command, cwd=folder, env=environ, check=False).returncode


def test_events_arrive_without_a_flush(tmp_path: Path) -> None:
    with receiving() as receiver:
        make_home(tmp_path, receiver.url, "background")
        with backstory.open(tmp_path / "home") as home:
            train(home, tmp_path)
            let_senders_end()
            assert receiver.kinds() == ["START", "COMPLETE"]
    assert (tmp_path / "home/spool/sender.log").read_bytes() == b""


def test_a_receiver_that_comes_back_gets_everything_in_order(home: Home, tmp_path: Path) -> None:
    with receiving() as receiver:
        home = forwarding_to(home, receiver.url)
        train(home, tmp_path)
        receiver.answers = [503, 500, 201, 422]
        send_all(home, sleep=lambda _: None)
        assert receiver.kinds() == ["START"]
        assert home.flush().refused == 1


def test_a_sender_has_an_end(home: Home, tmp_path: Path) -> None:
    with receiving() as gone:
        home = forwarding_to(home, gone.url)
    train(home, tmp_path)
    send_all(home, sleep=lambda _: None)
    assert home.flush().waiting == 2


def test_one_sender_at_a_time(home: Home, tmp_path: Path) -> None:
    with receiving() as receiver:
        quiet = forwarding_to(home, receiver.url)
        train(quiet, tmp_path)
        with alone(home.settings, SENDER_LOCK):
            before = sending.begun()
            send_all(quiet)
            sending.begin(dataclasses.replace(quiet.settings, send="background"))
            assert sending.begun() == before
        assert receiver.events == []


def test_a_second_training_begins_no_second_sender(tmp_path: Path) -> None:
    with receiving() as receiver:
        make_home(tmp_path, receiver.url, "background")
        with backstory.open(tmp_path / "home") as home:
            let_senders_end()
            sending.begin(home.settings)
            (first,) = sending.begun()
            first.send_signal(signal.SIGSTOP)  # it has not come to take any lock
            sending.begin(home.settings)
            assert sending.begun() == [first]
            first.send_signal(signal.SIGCONT)
            let_senders_end()
            sending.begin(home.settings)
            assert sending.begun() != [first]
            let_senders_end()


def test_two_hosts_of_one_database_do_not_send_at_once(
    postgresql: Databases, tmp_path: Path
) -> None:
    with (
        receiving() as receiver,
        backstory.init(tmp_path / "home", database_url=postgresql.laid()) as laid,
    ):
        home = forwarding_to(laid, receiver.url)
        train(home, tmp_path)
        with outbox.sole_sender(home.store.engine, "http"):
            assert home.flush().sent == 0
        assert home.flush().sent == 2


def test_what_a_killed_sender_left_the_next_one_sends(databases: Databases, tmp_path: Path) -> None:
    with receiving() as receiver:
        make_home(tmp_path, receiver.url, database_url=databases.laid())
        with backstory.open(tmp_path / "home") as home:
            train(home, tmp_path)
        assert run_sender(tmp_path, "outbox.sent") == -signal.SIGKILL
        assert run_sender(tmp_path) == 0
        assert receiver.kinds() == ["START", "START", "COMPLETE"]


class Clock:
    """A clock that goes on only where it is told to, or slept by."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


def with_clock(home: Home) -> tuple[Home, Clock]:
    clock = Clock(home.clock())
    return dataclasses.replace(home, clock=clock), clock


def test_a_receiver_down_for_an_hour_gets_everything_then(home: Home, tmp_path: Path) -> None:
    with receiving() as receiver:
        home, clock = with_clock(forwarding_to(home, receiver.url))
        train(home, tmp_path)
        receiver.answers = [500] * 1000
        began = clock.now
        while clock.now < began + timedelta(hours=1):
            send_all(home, sleep=clock.sleep)  # one ends after ten minutes, and another begins
            clock.sleep(60)
        asked = len(receiver.requests)
        assert 50 < asked < 200  # it is not hammered
        train(home, tmp_path)
        receiver.answers = []
        clock.sleep(60)
        send_all(home, sleep=clock.sleep)
        assert receiver.kinds() == ["START", "COMPLETE"] * 2
        assert home.flush().waiting == 0


def test_what_failed_is_not_offered_before_its_time(home: Home, tmp_path: Path) -> None:
    with receiving() as receiver:
        home, clock = with_clock(forwarding_to(home, receiver.url))
        train(home, tmp_path)
        receiver.answers = [500]
        [to] = home.settings.receivers
        line = Line(parts=home, receiver=to, jitter=lambda: 1.0)
        assert line.drain(lambda: False) == 0
        assert (line.next_at(), any_due(home)) == (clock.now + timedelta(seconds=2), False)
        clock.sleep(1)
        assert line.drain(lambda: False) == 0
        assert len(receiver.requests) == 1
        clock.sleep(1)
        assert any_due(home)
        assert line.drain(lambda: False) == 2


def test_an_error_of_the_store_is_met_by_trying_again(
    home: Home, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def rename(before: str, after: str) -> None:
        with home.store.engine.begin() as connection:
            connection.exec_driver_sql(f"ALTER TABLE {before} RENAME TO {after}")

    def mend(_seconds: float) -> None:
        if not mended:
            mended.append(True)
            rename("away", "outbox")

    mended: list[bool] = []
    with receiving() as receiver:
        home = forwarding_to(home, receiver.url)
        train(home, tmp_path)
        rename("outbox", "away")
        send_all(home, sleep=mend)
        assert receiver.kinds() == ["START", "COMPLETE"]
    assert "sending OpenLineage events goes on after" in caplog.text


def test_a_slow_receiver_holds_up_no_other(home: Home, tmp_path: Path) -> None:
    with receiving() as slow, receiving() as quick:
        slow.held = threading.Event()
        transports = {"slow": to_http(slow), "quick": to_http(quick)}
        both = telling(home, {"type": "composite", "transports": transports})
        train(both, tmp_path)

        def train_meanwhile(held: threading.Event) -> int:
            slow.asked.wait()
            train(both, tmp_path)
            while len(quick.events) < 4:
                threading.Event().wait(0.01)
            held.set()
            return len(slow.events)

        meanwhile = in_daemon_thread(train_meanwhile, slow.held)
        send_all(both)
        assert meanwhile.result() == 0
        assert quick.kinds() == slow.kinds() == ["START", "COMPLETE"] * 2


@pytest.mark.parametrize("answer", ["trickle", 500, "nobody"])
def test_a_training_speaks_to_no_receiver(
    databases: Databases, tmp_path: Path, answer: object
) -> None:
    """Its process ends while the receiver still has the first event, or answers nothing."""
    with receiving() as receiver:
        receiver.held = threading.Event() if answer == "trickle" else None
        receiver.answers = [500] * 3 if answer == 500 else []
        url = "http://127.0.0.1:1" if answer == "nobody" else receiver.url
        make_home(tmp_path, url, "background", database_url=databases.laid())
        with backstory.open(tmp_path / "home") as home:
            train(home, tmp_path)
            assert receiver.events == []
            (sender,) = sending.begun()
            if answer != "nobody":
                receiver.asked.wait()  # by the process beside
            sender.kill()
            sender.wait()
            if receiver.held:
                receiver.held.set()
                receiver.held = None
            receiver.answers = []
            back = forwarding_to(home, receiver.url)
            while back.flush().waiting:  # PostgreSQL may not have missed the dead sender yet
                pass
    kinds = receiver.kinds()
    assert set(kinds) == {"START", "COMPLETE"}
    assert kinds.index("START") < kinds.index("COMPLETE")


def test_a_command_that_writes_sees_to_what_others_left(tmp_path: Path) -> None:
    with receiving() as receiver:
        make_home(tmp_path, receiver.url)
        with backstory.open(tmp_path / "home") as home:
            train(home, tmp_path)
        settings = tmp_path / "home/backstory.toml"
        settings.write_text(settings.read_text().replace('send = "flush"', 'send = "background"'))
        with backstory.open(tmp_path / "home") as home:
            home.models()
        assert sending.begun() == []  # it has only asked
        with backstory.open(tmp_path / "home") as home:
            home.deploy("ranker@1", to="prod")
        let_senders_end()
        assert receiver.kinds() == ["START", "COMPLETE"]


def test_only_where_the_settings_say_so_a_server_sends(home: Home, tmp_path: Path) -> None:
    with receiving() as receiver:
        home = forwarding_to(home, receiver.url)
        train(home, tmp_path)
        threads = threading.active_count()
        with keep_sending(home):
            assert threading.active_count() == threads


def test_waits_have_a_longest() -> None:
    assert wait_after(10_000, 1.0) == LONGEST_WAIT
    assert wait_after(10_000, 0.0) == LONGEST_WAIT / 2


def test_who_sends_is_one_of_two(tmp_path: Path) -> None:
    make_home(tmp_path, "http://127.0.0.1:1", "nobody")
    with pytest.raises(InvalidError, match=r"openlineage\.send is 'nobody'"):
        load_settings(tmp_path / "home")
