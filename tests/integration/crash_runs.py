"""Killing processes, at a moment or at a named place, and looking at what they left.

Times are measured: a run that is left alone tells when its first file changed and when its last
one did, and kills are spread uniformly over that whole time.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import backstory
from backstory.lineage.diagnosing import Health
from backstory.lineage.home import Home
from tests.integration.crash_child import (
    BATCH_ROWS,
    BATCHES,
    CLASSES,
    COMMANDS,
    LINKS,
    MODEL,
    OPERATIONS,
    SLICE,
    TRAININGS,
    batch,
    prepare,
)

REPOSITORY = Path(__file__).resolve().parents[2]
GRACE = 60.0  # seconds in which a child must be ready


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """When an undisturbed operation wrote, in seconds from its begin."""

    first_write: float
    last_write: float

    def at(self, fraction: float) -> float:
        """A moment in the time in which it wrote."""
        return self.first_write + (self.last_write - self.first_write) * fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class Killed:
    """A process that was killed, or had finished before.

    Attributes:
        after: seconds between its begin and the kill.
        said: what it had acknowledged.
        wrote: whether it had changed a file by then.
    """

    after: float
    said: tuple[str, ...]
    wrote: bool

    @property
    def finished(self) -> bool:
        """It had done everything."""
        return "done" in self.said

    @property
    def under_way(self) -> bool:
        """It was killed between its first write and its last commit."""
        return self.wrote and not self.finished


def make_template(folder: Path, operation: str) -> Path:
    """A home in which the operation can begin."""
    with backstory.init(folder) as home:
        prepare(home, operation)
    return folder


def copy_home(template: Path, to: Path) -> Path:
    """A fresh copy of a home."""
    shutil.copytree(template, to)
    return to


def measure(operation: str, home: Path) -> Window:
    """Let the operation run, and see when it wrote."""
    with _child(operation, home) as child:
        _begin(child)
        begin = time.time()
        assert child.stdout is not None
        while (line := child.stdout.readline()) != "done\n":
            assert line, "the operation failed"
        end = time.time() - begin
    moments = _moments(home, begin)
    return Window(first_write=min(moments), last_write=min(max(moments), end))


def kill_after(operation: str, home: Path, delay: float) -> Killed:
    """Begin the operation and kill it after so many seconds."""
    with _child(operation, home) as child:
        _begin(child)
        begin = time.time()
        time.sleep(delay)
        child.kill()
        after = time.time() - begin
        assert child.stdout is not None
        said = tuple(child.stdout.read().split("\n"))
    return Killed(after=after, said=said, wrote=bool(_moments(home, begin)))


def kill_at(operation: str, home: Path, place: str) -> Killed:
    """Begin the operation and let it die at a named place."""
    with _child(operation, home, crash_at=place) as child:
        _begin(child)
        begin = time.time()
        assert child.stdout is not None
        said = tuple(child.stdout.read().split("\n"))
        assert child.wait() == -signal.SIGKILL, f"{operation} never passes {place}"
    return Killed(after=time.time() - begin, said=said, wrote=bool(_moments(home, begin)))


def _moments(home: Path, begin: float) -> list[float]:
    """When files changed, in seconds after the begin."""
    times = [path.stat().st_mtime - begin for path in home.rglob("*") if path.is_file()]
    return [moment for moment in times if moment >= 0]


@contextmanager
def _child(operation: str, home: Path, crash_at: str = "") -> Iterator[subprocess.Popen[str]]:
    environment = {**os.environ, "BACKSTORY_CRASH_AT": crash_at}
    with subprocess.Popen(
        [sys.executable, "-m", "tests.integration.crash_child", operation, str(home)],
        cwd=REPOSITORY,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as child:
        try:
            yield child
        finally:
            child.kill()


def _begin(child: subprocess.Popen[str]) -> None:
    assert child.stdout is not None
    assert child.stdin is not None
    assert child.stdout.readline() == "ready\n"
    child.stdin.write("\n")
    child.stdin.flush()
    assert child.stdout.readline() == "begin\n"


def check_healed(operation: str, folder: Path, killed: Killed) -> None:
    """The next command heals: nothing is lost, doubled or half there, and work goes on."""
    with backstory.open(folder) as home:
        _check_rows(home, operation, killed)
        check_whole(home)
        _check_class(home, operation, killed)
        OPERATIONS[operation](home)
        _check_finished(home, operation)
        assert home.verify().findings == ()
        assert [c for c in home.doctor() if c.health is Health.PROBLEM] == []


def _check_rows(home: Home, operation: str, killed: Killed) -> None:
    found = Counter(home.slice(SLICE).at().arrow(["event_id"])["event_id"].to_pylist())
    assert all(times == 1 for times in found.values())
    stored = {int(line.split()[1]) for line in killed.said if line.startswith("stored ")}
    if operation == "ingest":
        for number in stored:
            assert all(row["event_id"] in found for row in batch(number))
    assert len(found) % BATCH_ROWS == 0


def check_whole(home: Home) -> None:
    """Nothing is half registered."""
    _check_versions(home)
    _check_shares(home)
    _check_links(home)


def _check_versions(home: Home) -> None:
    completed = {run.id for run in home.runs() if run.state == "completed"}
    versions = home.models()
    assert {version.run for version in versions} <= completed
    for version in versions:
        assert version.artifact
        assert home.lake.blobs.has(version.artifact)
        keys = [node.key for node in home.trace(version.ref, depth=2).graph.nodes]
        assert any(key.startswith("run:") for key in keys)
        assert any(key.startswith(f"{SLICE}@") for key in keys)


def _check_shares(home: Home) -> None:
    counted = [i for i in home.deployments() if i.mode in {"live", "canary"}]
    for moment in {interval.from_at for interval in counted}:
        serving = [
            i for i in counted if i.from_at <= moment and (not i.until_at or moment < i.until_at)
        ]
        assert sum(i.share for i in serving) <= 1 + 1e-9


def _check_links(home: Home) -> None:
    held = [table for table in home.interaction_tables() if table.link]
    assert len(held) <= 1
    if held:
        assert home.nearest_interaction(MODEL, "shop", home.clock())


def _check_class(home: Home, operation: str, killed: Killed) -> None:
    """The snapshot of version 1 has the class that was given last, or the one after it."""
    if operation != "retain":
        return
    said = [line.split()[1] for line in killed.said if line.startswith("gave ")]
    [pinned] = [pin for pin in home.pins(SLICE) if pin.snapshot.version == 1]
    follows = CLASSES[len(said) % len(CLASSES)]
    assert pinned.retention in {said[-1] if said else "standard", follows}


def _check_finished(home: Home, operation: str) -> None:
    found = home.slice(SLICE).at().arrow(["event_id"])["event_id"].to_pylist()
    assert len(found) == len(set(found)) == BATCHES * BATCH_ROWS
    if operation == "pin":
        assert len(home.pins(SLICE)) == BATCHES
    if operation in {"train", "command"}:
        assert len(home.models(MODEL)) >= {"train": TRAININGS, "command": COMMANDS}[operation]
    if operation == "link":
        [held] = [table for table in home.interaction_tables() if table.link]
        assert held.link
        assert held.link.uri.endswith(f"theirs-{LINKS - 1}")
        assert home.state_of(f"ext:shop:o-{LINKS - 1}").linked
    if operation == "retain":
        [pinned] = [pin for pin in home.pins(SLICE) if pin.snapshot.version == 1]
        assert (pinned.retention, pinned.class_given) == (CLASSES[1], True)
    if operation == "deploy":
        serving = [i for i in home.deployments("prod", at=home.clock()) if i.share > 0]
        assert [(i.version, i.share) for i in serving] == [(2, 1.0)]
    if operation == "amend":
        first, second = home.deployments("prod")
        assert first.until_at == second.from_at
        _check_amendments(home)


def _check_amendments(home: Home) -> None:
    """Every one says what the one before of its deployment left, and has its entry."""
    left: dict[str, object] = {}
    for one in reversed(home.amendments(limit=1000)):
        [change] = one.changes
        assert left.get(one.key, change.before) == change.before
        left[one.key] = change.after


def histogram(fractions: list[float]) -> str:
    """How kills were spread over the time of their operation, in tenths."""
    tenths = Counter(min(int(fraction * 10), 9) for fraction in fractions)
    return "\n".join(
        f"  {tenth * 10:3d} to {tenth * 10 + 10:3d} %  {tenths[tenth]:3d}  {'█' * tenths[tenth]}"
        for tenth in range(10)
    )
