"""A process beside trainings sends their events."""

import dataclasses
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import backstory
from backstory.lake.errors import InvalidError
from backstory.lineage import sending
from backstory.lineage.draining import LONGEST_WAIT, wait_after
from backstory.lineage.home import Home
from backstory.lineage.sender import send_all
from backstory.lineage.sending import SENDER_LOCK, SENDER_MODULE, alone
from backstory.lineage.settings import load_settings
from backstory.lineage.store import outbox
from tests.databases import Databases
from tests.lineage.receiver import receiving
from tests.lineage.test_forwarding import forwarding_to, make_home, train


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


def test_what_a_killed_sender_left_the_next_one_sends(tmp_path: Path) -> None:
    with receiving() as receiver:
        make_home(tmp_path, receiver.url)
        with backstory.open(tmp_path / "home") as home:
            train(home, tmp_path)
        assert run_sender(tmp_path, "outbox.sent") == -signal.SIGKILL
        assert run_sender(tmp_path) == 0
        assert receiver.kinds() == ["START", "START", "COMPLETE"]


def test_waits_have_a_longest() -> None:
    assert wait_after(10_000, 1.0) == LONGEST_WAIT
    assert wait_after(10_000, 0.0) == LONGEST_WAIT / 2


def test_who_sends_is_one_of_two(tmp_path: Path) -> None:
    make_home(tmp_path, "http://127.0.0.1:1", "nobody")
    with pytest.raises(InvalidError, match=r"openlineage\.send is 'nobody'"):
        load_settings(tmp_path / "home")
