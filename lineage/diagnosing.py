"""Is this home well? One line a check, each with what to do where it is not."""

import os
import shutil
import stat
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path
from typing import Any

from backstory.lake.commits import LOG_FOLDER
from backstory.lake.errors import BackstoryError
from backstory.lake.location import translate_os_error
from backstory.lake.object_path import is_object
from backstory.lake.pinned import pin_folders, pins_of, read_manifest, snapshot_kept
from backstory.lake.presence import MAX_FILES_LOOKED_AT, look_at_files
from backstory.lake.snapshot import Table, open_snapshot
from backstory.lake.table import SliceTable
from backstory.lake.verify_profiles import without_profile
from backstory.lineage import abandoning, leasing, linking, pinning, recording, subject_tables
from backstory.lineage.catch_up import unregistered
from backstory.lineage.graph import run_key
from backstory.lineage.keys import load_key
from backstory.lineage.openlineage.receivers import SETTING
from backstory.lineage.parts import Parts
from backstory.lineage.run import OPEN, RunState
from backstory.lineage.settings import SETTINGS_FILE
from backstory.lineage.store import (
    audit_log,
    foreign,
    interaction_links,
    outbox,
    runs,
    slices,
    upgrade,
)
from backstory.lineage.store.engine import describe, is_sqlite
from backstory.lineage.surroundings import (
    MOUNTS,
    NETWORK_FILE_SYSTEMS,
    file_system_of,
    left_behind,
    open_to_others,
)
from backstory.lineage.times import MAX_CLOCK_SKEW

LOW_DISK_BYTES = 1 << 30
LATE_EVENTS = timedelta(hours=1)
SECOND = timedelta(seconds=1)
MAX_RUNS_LOOKED_AT = 1000  # the newest
MAX_NAMED = 5  # folders in one line


class Health(StrEnum):
    """What a check says."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check with its outcome.

    Attributes:
        name: what was looked at.
        found: what was found, one line.
        remedy: what to do; empty where nothing is to be done.
    """

    name: str
    health: Health
    found: str
    remedy: str = ""


def diagnose(parts: Parts) -> list[Check]:
    """Look at every part of a home; a check that cannot be made is a problem, never skipped."""
    return [_made(name, check, parts) for name, check in _CHECKS.items()]


def _made(name: str, check: Callable[[Parts], Check], parts: Parts) -> Check:
    try:
        return check(parts)
    except BackstoryError as exc:
        return Check(name=name, health=Health.PROBLEM, found=exc.message, remedy=exc.hint)
    except OSError as exc:
        met = translate_os_error(exc, f"looking at {name}")
        return Check(name=name, health=Health.PROBLEM, found=met.message, remedy=met.hint)


def _versions(parts: Parts) -> Check:  # noqa: ARG001 - every check takes the parts
    libraries = ("backstory", "deltalake", "pyarrow", "duckdb", "sqlalchemy")
    found = ", ".join(f"{name} {version(name)}" for name in libraries)
    return Check(name="versions", health=Health.OK, found=found)


def _store(parts: Parts) -> Check:
    revision = upgrade.current(parts.store.engine)
    if revision == upgrade.HEAD:
        return Check(name="store", health=Health.OK, found=f"revision {revision}")
    return Check(
        name="store",
        health=Health.PROBLEM,
        found=f"revision {revision}, this program needs {upgrade.HEAD}",
        remedy="run `backstory db upgrade`",
    )


def _lake(parts: Parts) -> Check:
    """Every table that the lake or the store knows, with the files of its newest version."""
    tables = _tables(parts)
    files = look_at_files(open_snapshot(table) for table in tables)
    return Check(
        name="lake",
        health=Health.OK,
        found=f"{_count(len(tables), 'table')} can be opened{_looked(files)}",
    )


def _foreign(parts: Parts) -> Check:
    """Commits of other tools to tables of ours, which nothing fences."""
    with parts.store.reader() as conn:
        found = foreign.foreign_commits(conn, MAX_NAMED)
    if not found:
        return Check(name="foreign", health=Health.OK, found="nobody else writes our tables")
    return Check(
        name="foreign",
        health=Health.WARNING,
        found=f"committed by another tool: {', '.join(found)}",
        remedy="compare with the version before by `backstory diff`; only `backstory maintain` "
        "may optimize or vacuum these tables",
    )


def _tables(parts: Parts) -> list[Table]:
    with parts.store.reader() as conn:
        names = {*parts.lake.names(), *slices.last_versions(conn)}
    return [parts.lake.table(name) for name in sorted(names)]


def _commits(parts: Parts) -> Check:
    waiting = unregistered(parts)
    if not waiting:
        return Check(name="commits", health=Health.OK, found="every commit is registered")
    listed = ", ".join(f"{name}: {count}" for name, count in waiting.items())
    return Check(
        name="commits",
        health=Health.WARNING,
        found=f"not registered yet: {listed}",
        remedy="the next command that opens this home registers them",
    )


def _subjects(parts: Parts) -> Check:
    """Data files that the subject index does not speak of, as older homes have them."""
    found = list(subject_tables.gaps(parts))
    if not found:
        return Check(name="subjects", health=Health.OK, found="every data file is indexed")
    lacking = {
        "data file": sum(len(gap.files) for gap in found),
        "commit": sum(gap.commits for gap in found),
        "damaged set": sum(len(gap.unreadable) for gap in found),
    }
    listed = ", ".join(_count(number, what) for what, number in lacking.items() if number)
    lost = lacking["data file"] or lacking["damaged set"]  # else it is older than the index
    return Check(
        name="subjects",
        health=Health.WARNING if lost else Health.OK,
        found=f"not indexed by subject: {listed}",
        remedy="`backstory subject`, or `backstory doctor --fix`, indexes what is there",
    )


def _profiles(parts: Parts) -> Check:
    """Data files of which nobody kept a profile: whoever asks for it reads them."""
    lacking = 0
    for name in parts.lake.names():
        with suppress(BackstoryError):  # what cannot be opened is told by the check of the lake
            table = parts.lake.table(name)
            if isinstance(table, SliceTable):
                lacking += without_profile(table, open_snapshot(table))
    return Check(
        name="profiles",
        health=Health.OK,
        found=f"{_count(lacking, 'data file')} without: `profile` and `drift` read them"
        if lacking
        else "every data file has one",
    )


def _pins(parts: Parts) -> Check:
    """Pins that only the lake or only the store knows, as crashes leave them, and their files."""
    tables = _tables(parts)
    with parts.store.reader() as conn:
        held = {
            pin.pin_id
            for pins in slices.pins_of(conn, slices.pinned_snapshots(conn)).values()
            for pin in pins
        }
    kept = {pin.pin_id for table in tables for pin in pins_of(table)}
    if missing := held - kept:
        return Check(
            name="pins",
            health=Health.PROBLEM,
            found=f"{len(missing)} recorded pins have no files, e.g. {min(missing)}",
            remedy="run `backstory verify`, and restore the lake from a backup",
        )
    if spare := kept - held:
        return Check(
            name="pins",
            health=Health.WARNING,
            found=f"{len(spare)} pins in the lake are not recorded (a command was killed)",
            remedy="they do no harm; `backstory doctor --fix` removes those older than a day",
        )
    files = look_at_files(
        snapshot_kept(table, folder, read_manifest(folder))
        for table in tables
        for folder in pin_folders(table)
    )
    return Check(
        name="pins", health=Health.OK, found=f"{_count(len(held), 'pin')} held{_looked(files)}"
    )


def _leases(parts: Parts) -> Check:
    """Readers that hold a version, and what those left that were killed."""
    live, ended = len(leasing.leases(parts)), len(leasing.ended_leases(parts))
    said = f"{_count(live, 'lease')} held by readers" if live else "no reader holds a lease"
    return Check(
        name="leases",
        health=Health.OK,
        found=f"{said}, {ended:,} of readers that are gone" if ended else said,
        remedy="they hold nothing; `backstory doctor --fix` removes them" if ended else "",
    )


def _retention(parts: Parts) -> Check:
    """Pins whose time is over, and classes that were given and that the settings lack now."""
    found = pinning.pins(parts)
    known, now = parts.settings.retention.classes, parts.clock()
    over = [pin for pin in found if pin.until is not None and pin.until <= now]
    lost = Counter(pin.retention for pin in found if pin.retention not in {None, *known})
    if not over and not lost:
        return Check(name="retention", health=Health.OK, found="no pin is beyond its time")
    said, remedies = [], []
    if over:
        classes = Counter(f"class {pin.retention}" if pin.retention else "no class" for pin in over)
        verb = "is beyond its" if len(over) == 1 else "are beyond their"
        said.append(f"{_count(len(over), 'pin')} {verb} time ({_counts(classes)})")
        remedies.append("`backstory doctor --fix` releases what is beyond its time")
    if lost:
        said.append(f"the settings lack classes whose pins hold for ever ({_counts(lost)})")
        remedies.append("write them below [retention.classes], or give others: `backstory retain`")
    return Check(
        name="retention",
        health=Health.WARNING,
        found="; ".join(said),
        remedy="; ".join(remedies),
    )


def _counts(found: Mapping[Any, int]) -> str:
    return ", ".join(f"{name}: {count}" for name, count in sorted(found.items()))


def _leftovers(parts: Parts) -> Check:
    """Temporary files of commands that were killed."""
    if not (found := left_behind(parts.settings, parts.clock())):
        return Check(name="leftovers", health=Health.OK, found="nothing is left of killed commands")
    return Check(
        name="leftovers",
        health=Health.WARNING,
        found=f"{_count(len(found), 'temporary file')} of killed commands, e.g. {found[0]}",
        remedy="`backstory doctor --fix` removes them",
    )


def _outbox(parts: Parts) -> Check:
    """Events that wait for a receiver, that one will never take, that nobody is there for."""
    with parts.store.reader() as conn:
        queues = outbox.queues(conn)
    if not queues:
        return Check(name="outbox", health=Health.OK, found="no event waits to be sent")
    now = parts.clock()
    known = {receiver.name for receiver in parts.settings.receivers}
    gone = [name for name in queues if name not in known]
    late = any(queue.refused or now - queue.oldest > LATE_EVENTS for queue in queues.values())
    remedy = f"see whether the receivers in [{SETTING}] answer" if late else ""
    if gone:
        remedy = f"`backstory flush --forget {gone[0]}` drops what waits for it"
    return Check(
        name="outbox",
        health=Health.WARNING if late or gone else Health.OK,
        found="; ".join(_waits(name, queue, now, known) for name, queue in queues.items()),
        remedy=remedy,
    )


def _waits(name: str, queue: outbox.Queue, now: datetime, known: set[str]) -> str:
    """What waits for one receiver."""
    count = _count(queue.waiting + queue.refused, "event")
    if name not in known:
        return f"{count} for {name}, which is no longer configured"
    found = f"{count} to be sent to {name}, the oldest for {(now - queue.oldest) // SECOND:,} s"
    return f"{found}, refused {queue.refused:,}" if queue.refused else found


def _links(parts: Parts) -> Check:
    """Tables of others that are read as interactions: gone, or without a column that is mapped."""
    if broken := linking.broken_links(parts):
        model = min(broken)
        more = f" and {len(broken) - 1} more" if len(broken) > 1 else ""
        return Check(
            name="links",
            health=Health.PROBLEM,
            found=f"linked interactions of {model} cannot be read: {broken[model]}{more}",
            remedy=f"link them anew, or `backstory interactions unlink {model}`",
        )
    with parts.store.reader() as conn:
        held = interaction_links.links(conn)
    return Check(
        name="links",
        health=Health.OK,
        found=f"{_count(len(held), 'linked table')} of interactions can be read"
        if held
        else "no interactions of others are linked",
    )


def _file_system(parts: Parts) -> Check:
    """SQLite needs locks that only a local file system gives for sure."""
    if not is_sqlite(parts.store.engine):
        return Check(name="files", health=Health.OK, found="the store is a server's")
    store = Path(describe(parts.store.engine)).resolve()
    kind = file_system_of(store, MOUNTS.read_text()) if MOUNTS.exists() else ""
    if kind in NETWORK_FILE_SYSTEMS:
        return Check(
            name="files",
            health=Health.PROBLEM,
            found=f"{store} lies on {kind}, a network file system: SQLite can be damaged there",
            remedy="move the home to a local disk, or the store to PostgreSQL (backup, restore)",
        )
    return Check(name="files", health=Health.OK, found="the store lies on no network")


def _runs(parts: Parts) -> Check:
    """Runs whose processes were lost; one that goes on, or whose host is another, is well."""
    with parts.store.reader() as conn:
        found = abandoning.told(conn, runs.newest_runs(conn, limit=MAX_RUNS_LOOKED_AT))
    if lost := [run for run in found if run.state == RunState.ABANDONED and run.ended is None]:
        verb = "was" if len(lost) == 1 else "were"
        return Check(
            name="runs",
            health=Health.WARNING,
            found=f"{_count(len(lost), 'run')} {verb} abandoned, e.g. {run_key(lost[0].run_id)}",
            remedy="`backstory runs close RUN` records that; `home.resume` goes on with it",
        )
    going = sum(run.state in OPEN for run in found)
    said = f"{_count(going, 'run')} open, none abandoned" if going else "no run is open"
    return Check(name="runs", health=Health.OK, found=said)


def _keys(parts: Parts) -> Check:
    load_key(parts.settings.keys)
    for path, mode in open_to_others(parts.settings):
        is_key = path.is_relative_to(parts.settings.keys)
        what = "the subject key" if is_key else str(path)
        return Check(
            name="keys",
            health=Health.PROBLEM if is_key else Health.WARNING,
            found=f"{what} is open to others (mode {stat.S_IMODE(path.stat().st_mode):04o})",
            remedy=f"chmod {mode:o} {path}, or `backstory doctor --fix`",
        )
    return Check(name="keys", health=Health.OK, found="the subject key is there, and private")


def _disk(parts: Parts) -> Check:
    free = shutil.disk_usage(parts.settings.home).free
    low = free < LOW_DISK_BYTES
    return Check(
        name="disk",
        health=Health.WARNING if low else Health.OK,
        found=f"{free / 2**30:.1f} GiB free",
        remedy="free some space; a full disk refuses writes and loses nothing" if low else "",
    )


def _permissions(parts: Parts) -> Check:
    """The folders that commands write into, each by its own permissions."""
    with parts.store.reader() as conn:
        own = slices.slices(conn, flavours=("managed", "interactions"))
    folders = [parts.lake.folder(record.name) for record in own]
    tables = [place for folder in folders for place in (folder, folder / LOG_FOLDER)]
    places = [parts.settings.home, parts.settings.lake, parts.settings.artifacts]
    # Of a table that is gone the next check tells.
    places += [place for place in tables if not is_object(place) and os.path.lexists(place)]
    denied = [str(place) for place in places if not _is_open(place)]
    if denied:
        more = f" and {len(denied) - MAX_NAMED} more" if len(denied) > MAX_NAMED else ""
        return Check(
            name="access",
            health=Health.PROBLEM,
            found=f"no permission to read and write {', '.join(denied[:MAX_NAMED])}{more}",
            remedy=f"see the owner and modes, and the paths in {SETTINGS_FILE}",
        )
    return Check(
        name="access",
        health=Health.OK,
        found=f"home, lake, artifacts and {_count(len(folders), 'table')} can be written",
    )


def _is_open(place: Path) -> bool:
    """Whether a folder can be read and written; of an object store, whether it can be listed."""
    if not is_object(place):
        return os.access(place, os.R_OK | os.W_OK | os.X_OK)
    try:
        place.is_dir()
    except OSError:
        return False
    return True


def _clock(parts: Parts) -> Check:
    with parts.store.reader() as conn:
        last = audit_log.head(conn)[1]
    ahead = last - parts.clock() if last else timedelta()
    if ahead > MAX_CLOCK_SKEW:
        return Check(
            name="clock",
            health=Health.WARNING,
            found=f"this clock is {ahead.total_seconds():.0f} s behind the last record",
            remedy="set the clock; records keep their order all the same",
        )
    if ahead_of := recording.ahead_of_time(parts):
        return Check(
            name="clock",
            health=Health.WARNING,
            found=f"interactions of {', '.join(ahead_of[:MAX_NAMED])} are ahead of the clock",
            remedy="set the clock of who records them; `backstory state` flags each one",
        )
    return Check(name="clock", health=Health.OK, found="not behind the last record")


_CHECKS: dict[str, Callable[[Parts], Check]] = {
    "versions": _versions,
    "access": _permissions,
    "store": _store,
    "lake": _lake,
    "commits": _commits,
    "foreign": _foreign,
    "subjects": _subjects,
    "profiles": _profiles,
    "pins": _pins,
    "leases": _leases,
    "retention": _retention,
    "runs": _runs,
    "outbox": _outbox,
    "links": _links,
    "keys": _keys,
    "files": _file_system,
    "leftovers": _leftovers,
    "disk": _disk,
    "clock": _clock,
}


def _looked(files: int) -> str:
    """What was looked at of data files, and what was not."""
    if not files:
        return ""
    first = "the first " if files == MAX_FILES_LOOKED_AT else ""
    there = "is there" if files == 1 else "are there"
    return f"; {first}{_count(files, 'data file')} {there} (`backstory verify` reads every byte)"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"


def worst(checks: list[Check]) -> Health:
    """The worst outcome of some checks."""
    order = list(Health)
    return max((check.health for check in checks), key=order.index, default=Health.OK)
