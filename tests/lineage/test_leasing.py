import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from backstory.lake.errors import NotFoundError
from backstory.lake.leases import LEASES_FOLDER
from backstory.lineage.diagnosing import Health
from backstory.lineage.home import Home
from backstory.lineage.leasing import ended_leases
from tests.lineage.homes import feed, link, train

KILLED = """
import os, signal, sys, backstory
with backstory.open(sys.argv[1]) as home:
    home.slice("thumbs/en").at(1).duckdb()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def read_and_be_killed(home: Home) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(home.settings.home)], check=False)
    assert done.returncode == -9


def test_who_reads_a_slice_holds_a_lease(home: Home) -> None:
    feed(home, 2)
    home.slice("thumbs/en").at(1).duckdb()
    home.slice("thumbs/en").at().arrow()
    home.slice("thumbs/en").at(1).pandas()
    found = home.leases("thumbs/en")
    assert [(lease.slice, lease.version) for lease in found] == [("thumbs/en", 1), ("thumbs/en", 2)]
    assert found == home.leases()
    assert {lease.user for lease in found} == {home.actor.name}
    assert found[0].size == home.slice("thumbs/en").at(1).size
    with pytest.raises(NotFoundError):
        home.leases("thumb")


def test_looking_and_reading_in_a_run_hold_none(home: Home) -> None:
    feed(home)
    train(home, "thumbs/en")
    home.show("thumbs/en@1")
    home.trace("ranker@1")
    assert home.leases() == []


def test_into_a_table_of_others_nothing_is_written(home: Home, tmp_path: Path) -> None:
    theirs = link(home, tmp_path)
    before = sorted(theirs.rglob("*"))
    assert home.slice("clicks").at().arrow().num_rows == 10
    assert sorted(theirs.rglob("*")) == before
    assert home.leases() == []
    assert not list(home.settings.lake.rglob(LEASES_FOLDER))


def test_a_killed_reader_holds_nothing(home: Home) -> None:
    feed(home)
    read_and_be_killed(home)
    assert home.leases() == []
    [ended] = ended_leases(home)
    assert (ended.slice, ended.version) == ("thumbs/en", 1)
    assert ended.until - ended.began >= timedelta(hours=1)


def test_doctor_counts_leases_and_removes_those_of_readers_that_are_gone(home: Home) -> None:
    feed(home)
    assert told(home) == "no reader holds a lease"
    read_and_be_killed(home)
    assert told(home) == "no reader holds a lease, 1 of readers that are gone"
    home.slice("thumbs/en").at(0)  # sweeps
    assert told(home) == "1 lease held by readers"
    read_and_be_killed(home)
    assert told(home) == "1 lease held by readers, 1 of readers that are gone"
    assert [(one.name, one.succeeded) for one in home.mend()] == [("leases", True)]
    assert told(home) == "1 lease held by readers"
    assert home.mend() == []


def told(home: Home) -> str:
    [check] = [check for check in home.doctor() if check.name == "leases"]
    assert check.health is Health.OK
    assert bool(check.remedy) == ("gone" in check.found)
    return check.found
