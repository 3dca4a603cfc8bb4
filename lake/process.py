"""Operating system processes by a name that none of them ever shares.

A process id is given again to others; with the start of the machine and the start of the process it
is not. On Linux both stand in `/proc`; elsewhere `ps` tells when the process began. Of a process on
another host, or in another process namespace of this one, nothing can be told from here.
"""

import os
import socket
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

PS_TIMEOUT = 5.0  # seconds
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_START_TIME = 18  # of the fields behind the state in /proc/PID/stat


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A process.

    Attributes:
        started: tells it from every other of that host and id; empty where nothing does.
    """

    host: str
    pid: int
    started: str


def this_process() -> Process:
    """The process that asks."""
    return process(os.getpid())


def process(pid: int) -> Process:
    """A process of this machine that runs now."""
    return Process(host=socket.gethostname(), pid=pid, started=_started(pid) or "")


def can_be_told(found: Process) -> bool:
    """Whether it can be told from here if a process runs."""
    if found.host != socket.gethostname() or not found.started:
        return False
    if found.started.startswith("linux:") and _BOOT_ID.exists():
        _, boot, space, _ = found.started.split(":", 3)
        return boot != _boot() or space == _space()
    return True


def is_gone(found: Process) -> bool:
    """Whether a process runs no longer; False where that cannot be told from here."""
    return can_be_told(found) and _started(found.pid) != found.started


def runs_here(found: Process) -> bool:
    """Whether a process is of this host and not known to be gone."""
    return found.host == socket.gethostname() and not is_gone(found)


def all_gone(processes: Iterable[Process]) -> bool:
    """Whether there are processes and none of them runs."""
    known = list(processes)
    return bool(known) and all(map(is_gone, known))


def _started(pid: int) -> str | None:
    """What tells a running process from others of its id; None where there is none."""
    if not _BOOT_ID.exists():
        return _asked_of_ps(pid)
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    # The name may hold spaces and brackets: the fields begin behind its last one.
    state, *fields = stat.rpartition(")")[2].split()
    if state in "ZX":  # ended, and not yet waited for
        return None
    return f"linux:{_boot()}:{_space()}:{fields[_START_TIME]}"


def _boot() -> str:
    return _BOOT_ID.read_text().strip()


def _space() -> str:
    """The process namespace: ids of another one name other processes."""
    try:
        return str(Path("/proc/self/ns/pid").stat().st_ino)
    except OSError:
        return ""


def _asked_of_ps(pid: int) -> str | None:
    try:
        done = subprocess.run(  # noqa: S603 - fixed arguments, no shell
            ["ps", "-o", "lstart=", "-p", str(pid)],  # noqa: S607 - the system's own
            capture_output=True,
            text=True,
            timeout=PS_TIMEOUT,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return f"ps:{done.stdout.strip()}"
