import json
import os
import random
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from backstory.lake.errors import BackstoryError
from backstory.lake.linked import LinkedTable, link
from backstory.lake.pinned import Strength, pins_folder, reopen
from backstory.lake.pins import pin
from backstory.lake.snapshot import Table, open_snapshot
from backstory.lake.table import SliceTable
from backstory.lake.verify import Verified, log_entry_digest, verify_snapshot, verify_table
from tests.lake import foreign
from tests.lake.thumbs import NOW, append, create, rows

COMMITS = 12  # one checkpoint, at version 9
PINNED = 5
FLIPS_PER_FILE = 3


@dataclass(frozen=True)
class World:
    """A small lake with a slice and a linked table, and what a store would have recorded of it."""

    root: Path
    theirs: Path
    log: dict[int, str]
    contracts: dict[int, str]

    @property
    def table(self) -> SliceTable:
        return SliceTable.open(self.root, "thumbs/en")

    @property
    def linked(self) -> LinkedTable:
        return LinkedTable.open(self.root, "clicks")

    def verify(self) -> Verified:
        """As a home verifies."""
        found = [
            verify_table(self.table, log_digests=self.log, contract_digests=self.contracts),
            verify_table(self.linked),
        ]
        return Verified(
            checked_files=sum(one.checked_files for one in found),
            checked_bytes=sum(one.checked_bytes for one in found),
            findings=tuple(finding for one in found for finding in one.findings),
        )

    def shown(self, path: Path) -> str:
        return str(path.relative_to(self.root) if path.is_relative_to(self.root) else path)

    def files(self) -> Iterator[Path]:
        """Every file whose bytes anybody relies on."""
        pinned = self.linked.folder
        for path in sorted((*self.root.rglob("*"), *pinned.rglob("*"))):
            if path.is_file() and path.name != ".lock":
                yield path


def keep(table: Table, version: int, strength: Strength) -> None:
    snapshot = open_snapshot(table, version)
    pin(
        table,
        snapshot,
        pin_id=f"{strength}-{version}",
        holder="run:1",
        reason="training",
        strength=strength,
        at=NOW,
    )


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("template")
    table = create(folder / "lake")
    for number in range(COMMITS):
        append(table, rows(3, first=3 * number), offset=number)
    keep(table, PINNED, Strength.HELD)
    keep(table, 2, Strength.COPIED)
    return folder


@pytest.fixture
def world(template: Path, tmp_path: Path) -> World:
    shutil.copytree(template, tmp_path, dirs_exist_ok=True)
    root = tmp_path / "lake"
    theirs = foreign.plain(tmp_path / "theirs")
    keep(link(root, "clicks", str(theirs), at=NOW), 1, Strength.WATCHED)
    table = SliceTable.open(root, "thumbs/en")
    log = {version: log_entry_digest(table.folder, version) for version in range(COMMITS + 1)}
    return World(root=root, theirs=theirs, log=log, contracts={1: table.contract.digest})


def flip(path: Path, position: int, mask: int) -> None:
    data = bytearray(path.read_bytes())
    data[position] ^= mask
    path.write_bytes(data)


def found(world: World, path: Path) -> list[str]:
    """The problems that verification finds in a file; a table that cannot open is one too."""
    try:
        findings = world.verify().findings
    except BackstoryError as exc:
        return [exc.message] if path.name in exc.message else []
    return [finding.problem for finding in findings if finding.path == world.shown(path)]


def test_an_intact_lake_has_no_findings(world: World) -> None:
    result = world.verify()
    assert result.findings == ()
    table = world.table
    data = {*table.folder.glob("*.parquet"), *world.theirs.glob("*.parquet")}
    assert result.checked_files >= len(data) + len(world.log)
    assert result.checked_bytes >= sum(path.stat().st_size for path in data)
    for version in (0, 2, PINNED, COMMITS):
        assert verify_snapshot(table, reopen(table, version)).findings == ()
    assert verify_snapshot(world.linked, reopen(world.linked, 1)).findings == ()


@pytest.mark.parametrize("flips", [FLIPS_PER_FILE, pytest.param(200, marks=pytest.mark.soak)])
def test_a_flipped_byte_in_any_file_is_found_and_named(world: World, flips: int) -> None:
    chance = random.Random(20261124)
    missed = []
    for path in world.files():
        data = path.read_bytes()
        inner = (chance.randrange(len(data)) for _ in range(flips))
        for position in {0, len(data) - 1, *inner}:
            mask = 1 << chance.randrange(8)
            flip(path, position, mask)
            if not found(world, path):
                missed.append((world.shown(path), position, mask))
            path.write_bytes(data)
    assert not missed
    assert world.verify().findings == ()


def test_every_missing_file_is_found_and_named(world: World) -> None:
    harmless = {"_last_checkpoint", "v1.json", "link.json"}  # a hint; the others do not even open
    missed = []
    for path in world.files():
        hidden = path.with_name(f"{path.name}.hidden")
        path.rename(hidden)
        is_log_of_theirs = path.parent.name == "_delta_log" and path.is_relative_to(world.theirs)
        # Of a missing set of subjects `doctor` tells, and makes it anew; profiles likewise.
        records = {"_checkpoints", "holders", "_subjects", "_profiles", "edges"}
        is_record = path.parent.name in records
        if path.name not in harmless and not is_record and not is_log_of_theirs:
            missed += [] if found(world, path) else [world.shown(path)]
        hidden.rename(path)
    assert not missed


def test_a_trimmed_log_is_whole_and_one_with_a_hole_is_not(world: World) -> None:
    log = world.table.folder / "_delta_log"
    for version in range(9):
        (log / f"{version:020d}.json").unlink()
    assert world.verify().findings == ()
    assert reopen(world.table, PINNED).arrow() == rows(3 * PINNED)
    (log / f"{11:020d}.json").rename(log / "aside")
    paths = {finding.path for finding in world.verify().findings}
    assert world.shown(log / f"{11:020d}.json") in paths


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda text: text.replace('\\"numRecords\\":3', '\\"numRecords\\":4'), "rows"),
        (lambda text: text.replace('\\"label\\":3', '\\"label\\":2'), "statistics"),
    ],
    ids=["rows", "statistics"],
)
def test_what_delta_says_is_held_against_the_footer(
    world: World, change: Callable[[str], str], problem: str
) -> None:
    table = world.table
    entry = table.folder / "_delta_log" / f"{COMMITS:020d}.json"
    changed = change(entry.read_text())
    assert changed != entry.read_text()
    entry.write_text(changed)
    added = next(json.loads(line)["add"] for line in changed.splitlines() if '"add"' in line)

    findings = verify_table(table).findings  # nobody recorded what the log was

    assert problem in {f.problem for f in findings if f.path.endswith(added["path"])}


def test_a_log_that_drops_a_file_contradicts_the_pin(world: World) -> None:
    table = world.table
    entry = table.folder / "_delta_log" / f"{4:020d}.json"
    lines = entry.read_text().splitlines(keepends=True)
    entry.write_text("".join(line for line in lines if '"add"' not in line))
    findings = verify_table(table).findings
    assert any(f.problem == "contradicts" and f"@{PINNED}" in f.where for f in findings)
    assert any(f.problem == "changed" and f.path == world.shown(entry) for f in findings)
    assert any(f.path.endswith(f"{9:020d}.checkpoint.parquet") for f in findings)


def test_a_moved_holder_and_a_swapped_checkpoint_are_found(world: World) -> None:
    held, copied = (
        pins_folder(world.table) / reopen(world.table, version).digest for version in (PINNED, 2)
    )
    shutil.copy(held / "holders" / "held-5", copied / "holders" / "held-5")
    shutil.copy(held / "checkpoint.parquet", copied / "checkpoint.parquet")
    problems = {(f.problem, Path(f.path).name) for f in world.verify().findings}
    assert problems == {
        ("misplaced", "held-5"),
        ("changed", "checkpoint.parquet"),
        ("contradicts", "checkpoint.parquet"),
    }


def test_files_that_lead_out_of_the_table_are_found(world: World) -> None:
    table = world.table
    path = next(table.folder.glob("*.parquet"))
    outside = world.root.parent / "outside.parquet"
    path.rename(outside)
    path.symlink_to(outside)
    findings = verify_table(table).findings
    assert {f.path for f in findings} == {world.shown(path)}
    assert "through a link" in findings[0].found


def test_verifying_writes_nothing(world: World) -> None:
    def state() -> dict[Path, tuple[int, int]]:
        paths = (*world.root.rglob("*"), *world.theirs.rglob("*"))
        return {p: (p.stat().st_size, p.stat().st_mtime_ns) for p in paths}

    before = state()
    os.sync()
    world.verify()
    assert state() == before
