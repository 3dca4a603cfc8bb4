"""A power cut anywhere: what was acknowledged is there, whole, and nothing is half registered.

One process lives a home's life under `power_loss.c`, which journals what it asks of the disk. The
disk is then built as it would be found after a cut at many moments, and the home on it opened.
"""

import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

import backstory
from backstory.lake.files import hash_file
from backstory.lineage.backup.manifest import read_backup
from backstory.lineage.diagnosing import Health
from backstory.lineage.home import GITIGNORE, Home
from backstory.lineage.settings import SETTINGS_FILE, TEMPLATE
from tests.integration.crash_child import BATCH_ROWS, MODEL, SLICE, batch
from tests.integration.crash_runs import REPOSITORY, check_whole
from tests.integration.power_loss import (
    Disk,
    Fate,
    Record,
    by_chance,
    bytes_first,
    names_first,
    nothing,
    read_journal,
    seen,
)
from tests.lake import foreign

pytestmark = pytest.mark.compiler

CUTS_IN_SUITE = 6  # beside those that follow the first line of each kind
CUTS_IN_SOAK = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """What a process did in a folder that was empty, and the folder."""

    root: Path
    inode: int
    records: list[Record]

    def said(self, cut: int) -> dict[str, set[str]]:
        """What it had acknowledged by then: the first word of each line, and what it named."""
        found: dict[str, set[str]] = {}
        for line in "".join(record.said for record in self.records[:cut]).splitlines():
            verb, *named = line.split()
            found.setdefault(verb, set()).update(named)
        return found


@pytest.fixture(scope="session")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The journal of calls, compiled."""
    made = tmp_path_factory.mktemp("shim") / "power_loss.so"
    source = Path(__file__).with_name("power_loss.c")
    options = ["-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
    subprocess.run(["cc", *options, "-o", made, source, "-ldl", "-lpthread"], check=True)
    return made


@pytest.fixture(scope="session")
def life(shim: Path, tmp_path_factory: pytest.TempPathFactory) -> Life:
    folder = tmp_path_factory.mktemp("life")
    root, journal = folder / "watched", folder / "journal"
    root.mkdir()
    table = foreign.partitioned(folder / "theirs")
    watching = {
        "LD_PRELOAD": str(shim),
        "POWER_LOSS_ROOT": str(root),
        "POWER_LOSS_JOURNAL": str(journal),
    }
    command = [sys.executable, "-m", "tests.integration.power_loss_child", str(root), str(table)]
    subprocess.run(
        command, cwd=REPOSITORY, env={**os.environ, **watching}, stdout=subprocess.PIPE, check=True
    )
    return Life(root=root, inode=root.stat().st_ino, records=read_journal(journal))


def _founded(home: Home) -> set[str]:
    texts = {".gitignore": GITIGNORE, SETTINGS_FILE: TEMPLATE}
    folder = home.settings.home
    return {name for name, text in texts.items() if (folder / name).read_text("utf-8") == text}


def _stored(home: Home) -> set[str]:
    """The numbers of the batches that are there with all their rows."""
    events = home.slice(SLICE).at().arrow(["event_id"])["event_id"].to_pylist()
    rows = Counter(str(event).split("-")[0] for event in events)
    return {number for number, count in rows.items() if count == BATCH_ROWS}


def _loaded(home: Home, root: Path) -> set[str]:
    path = root / "loaded" / "weights"
    wanted = home.model(f"{MODEL}@1").version.artifact
    return {"loaded/weights"} if home.lake.blobs.digest_of(path) == wanted else set()


def _backed(root: Path) -> set[str]:
    files = read_backup(root / "backup").files
    whole = all(hash_file(root / "backup" / f.path) == (f.sha256, f.size) for f in files)
    return {"backup"} if whole else set()


def _pins(home: Home, _: Path) -> set[str]:
    return {pin.pin_id for pin in home.pins()}


def _slices(home: Home, _: Path) -> set[str]:
    return {summary.slice.name for summary in home.slices()}


# What a home, found in a folder, remembers of the things that a line may have named.
REMEMBERED: dict[str, Callable[[Home, Path], set[str]]] = {
    "founded": lambda home, _: _founded(home),
    "created": _slices,
    "linked": _slices,
    "watched": _pins,
    "copied": _pins,
    "stored": lambda home, _: _stored(home),
    "kept": _pins,
    "again": _pins,
    "made": lambda home, _: {version.ref for version in home.models()},
    "deployed": lambda home, _: {str(i.deployment) for i in home.deployments()},
    "named": lambda home, _: {move.alias for move in home.aliases(MODEL)},
    "loaded": _loaded,
    "backed": lambda _, root: _backed(root),
}


def check(root: Path, said: Mapping[str, set[str]]) -> None:
    """Open the home that is found, see that it remembers, and go on working with it."""
    folder = root / "deep" / ".backstory"
    if not folder.exists():
        assert not said
        backstory.init(folder).close()
    with backstory.open(folder) as home:
        gone = said.get("released", set())
        assert not gone & _pins(home, root)
        for verb in REMEMBERED.keys() & said:
            assert said[verb] - gone <= REMEMBERED[verb](home, root), f"forgotten: {verb}"
        check_whole(home)
        if "created" in said:
            home.slice(SLICE).append(batch(99), source="after", offset=BATCH_ROWS)
            for ref in (SLICE, f"{SLICE}@1"):
                home.pin(ref, reason="after", holder="auditor")
        assert home.verify().findings == ()
        assert [c for c in home.doctor() if c.health is Health.PROBLEM] == []


def cut(life: Life, cuts: dict[int, list[Fate]], folder: Path) -> None:
    """Cut the power after so many records, and see what is found."""
    disk = Disk(life.inode)
    for done, record in enumerate(life.records, start=1):
        disk.do(record)
        for fate in cuts.get(done, []):
            check(disk.after(fate, folder / "found"), life.said(done))


def firsts(life: Life) -> list[int]:
    """Behind the first line of each kind, and behind the last one."""
    found: dict[str, int] = {}
    for done, record in enumerate(life.records, start=1):
        for verb in record.said.split()[:1]:
            found.setdefault(verb, done)
    return [*found.values(), len(life.records)]


def test_the_journal_tells_all_that_was_done(life: Life) -> None:
    disk = Disk(life.inode)
    for record in life.records:
        disk.do(record)
    assert disk.live() == seen(life.root)
    assert life.said(len(life.records)).keys() == {*REMEMBERED, "released", "done"}


def test_what_was_acknowledged_survives_a_power_cut(life: Life, tmp_path: Path) -> None:
    cut(life, {done: [nothing()] for done in firsts(life)}, tmp_path)


def test_a_power_cut_between_leaves_a_whole_home(life: Life, tmp_path: Path) -> None:
    cut(life, _drawn(life, random.Random(24), CUTS_IN_SUITE), tmp_path)


@pytest.mark.soak
def test_many_power_cuts_leave_whole_homes(life: Life, tmp_path: Path) -> None:
    seed = int(os.environ.get("BACKSTORY_SOAK_SEED", random.randrange(2**32)))
    print(f"\npower cuts, seed {seed}")
    cut(life, _drawn(life, random.Random(seed), CUTS_IN_SOAK), tmp_path)


def _drawn(life: Life, draw: random.Random, cuts: int) -> dict[int, list[Fate]]:
    """Moments, each with one of the fates in turn; half of them just when a name has appeared."""
    named = [done for done, record in enumerate(life.records, start=1) if record.kind in "RL"]
    moments = draw.sample(range(1, len(life.records) + 1), cuts - cuts // 2)
    moments += draw.choices(named, k=cuts // 2)
    fates = (names_first(), bytes_first(), by_chance(draw))
    return {moment: [fates[turn % 3]] for turn, moment in enumerate(moments)}
