"""Mending a home: what `doctor` finds and a program can put right without asking anybody.

Nothing that somebody recorded is touched, and nothing is removed that may still be in use: files
that crashes left go when they are older than any write takes. Done a second time it does nothing.
"""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from backstory.lake import pins as lake_pins
from backstory.lake.errors import BackstoryError
from backstory.lake.location import translate_os_error
from backstory.lineage import leasing, pinning, subject_tables
from backstory.lineage.catch_up import catch_up
from backstory.lineage.parts import Parts
from backstory.lineage.surroundings import left_behind, open_to_others


@dataclass(frozen=True, slots=True, kw_only=True)
class Mended:
    """Something that was put right, or could not be.

    Attributes:
        name: the check that found it.
        done: what was done, or what stood in the way.
        succeeded: whether it was put right.
    """

    name: str
    done: str
    succeeded: bool = True


def mend(parts: Parts) -> list[Mended]:
    """Put right what can be; what stands in the way of one thing does not stop the next."""
    return [mended for name, mender in _MENDERS.items() for mended in _tried(name, mender, parts)]


def _tried(name: str, mender: Callable[[Parts], Iterator[str]], parts: Parts) -> Iterator[Mended]:
    try:
        for done in mender(parts):
            yield Mended(name=name, done=done)
    except BackstoryError as exc:
        yield Mended(name=name, done=exc.message, succeeded=False)
    except OSError as exc:
        met = translate_os_error(exc, f"mending {name}")
        yield Mended(name=name, done=met.message, succeeded=False)


def _modes(parts: Parts) -> Iterator[str]:
    for path, mode in list(open_to_others(parts.settings)):
        path.chmod(mode)
        yield f"closed {path} to others (mode {mode:04o})"


def _commits(parts: Parts) -> Iterator[str]:
    if registered := catch_up(parts):
        yield f"registered {registered} commits"


def _subjects(parts: Parts) -> Iterator[str]:
    if made := subject_tables.fill_gaps(parts):
        yield f"indexed {made} data files by subject"


def _ended_pins(parts: Parts) -> Iterator[str]:
    for pinned in pinning.ended(parts):
        if pinning.release_ended(parts, pinned.pin_id) is None:
            continue  # meanwhile its version was deployed, or somebody else released it
        yield f"released pin {pinned.pin_id} of {pinned.snapshot.ref}, whose time is over"


def _spare_pins(parts: Parts) -> Iterator[str]:
    for table, pin in pinning.unrecorded(parts):
        lake_pins.release(table, pin.pin_id)
        yield f"removed pin {pin.pin_id} of {pin.slice}, which a killed command left"


def _ended_leases(parts: Parts) -> Iterator[str]:
    if removed := leasing.sweep_leases(parts):
        leases = "1 lease" if removed == 1 else f"{removed} leases"
        yield f"removed {leases} of readers that are gone"


def _leftovers(parts: Parts) -> Iterator[str]:
    for path in left_behind(parts.settings, parts.clock()):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
        yield f"removed {path}, which a killed command left"


_MENDERS: dict[str, Callable[[Parts], Iterator[str]]] = {
    "keys": _modes,
    "commits": _commits,
    "subjects": _subjects,
    "pins": _spare_pins,
    "retention": _ended_pins,
    "leases": _ended_leases,
    "leftovers": _leftovers,
}
