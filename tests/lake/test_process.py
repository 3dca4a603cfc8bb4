"""A process is known again by what no other process shares."""

import subprocess
import sys
from dataclasses import replace

from backstory.lake.process import all_gone, is_gone, process, this_process


def test_a_process_that_runs_is_not_gone() -> None:
    assert this_process() == this_process()
    assert not is_gone(this_process())


def test_a_process_that_has_ended_is_gone() -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        found = process(child.pid)
        assert not is_gone(found)
        child.kill()
        child.wait()
    assert is_gone(found)


def test_another_process_with_its_id_is_not_it() -> None:
    mine = this_process()
    assert is_gone(replace(mine, started=f"{mine.started}0"))


def test_of_another_host_nothing_can_be_told() -> None:
    assert not is_gone(replace(this_process(), host="elsewhere", started="linux:a:b:c"))
    assert not is_gone(replace(this_process(), started=""))


def test_a_run_is_lost_when_all_its_processes_are() -> None:
    mine = this_process()
    lost = replace(mine, started=f"{mine.started}0")
    assert all_gone([lost, lost])
    assert not all_gone([lost, mine])
    assert not all_gone([])
