"""Every file of a small home is damaged in turn, and `verify` finds and names each.

Left out, with reasons: `backstory.toml` is for people to edit, so nothing is compared; lock files
are empty and only their existence is used. Of missing files two are left out: delta-rs's
`_last_checkpoint` and the record of a checkpoint's digest are both made in passing, so a killed
process leaves them out too, and the next commit makes them again.
"""

import random
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import pytest

from backstory.cli.errors import Exit
from backstory.cli.main import main
from backstory.lake.errors import IntegrityError
from backstory.lineage.home import open_home
from tests.integration import small_home
from tests.lineage.store.recording import ticking

SEED = 20261114
EDITED_BY_PEOPLE = "backstory.toml"
# The last two are of data files: who asks reads those, and `doctor` tells what is not indexed.
MADE_IN_PASSING = ("_checkpoints/", "_last_checkpoint", "/_profiles/", "/_subjects/")
STORE = "lineage.db"
STORE_FLIPS = 80
CLI_SAMPLE = 12


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("flips")
    small_home.make_home(folder).close()
    return folder / "home"


def relied_on(home: Path) -> list[Path]:
    """Every file but those that the head of this module leaves out; the store has its own test."""
    left_out = {EDITED_BY_PEOPLE, STORE}
    files = small_home.files_of(home)
    return [path for path in files if path.name not in left_out and path.stat().st_size]


def said_of(home: Path) -> str:
    """The files of what verify finds."""
    with open_home(home, clock=ticking(), heal=False) as opened:
        return "\n".join(finding.path for finding in opened.verify().findings)


def places(size: int, chance: random.Random) -> list[int]:
    """The first and the last byte, and one at random; the commands' test takes the middle."""
    return sorted({0, size - 1, chance.randrange(size)})


@contextmanager
def put_back(path: Path) -> Iterator[bytearray]:
    """What the file held; after the block it holds that again."""
    before = path.read_bytes()
    try:
        yield bytearray(before)
    finally:
        path.write_bytes(before)


@contextmanager
def flipped(path: Path, place: int) -> Iterator[None]:
    """One bit of one byte is another one for a while."""
    with put_back(path) as content:
        content[place] ^= 1 << (place % 8)
        path.write_bytes(content)
        yield


@contextmanager
def taken_away(path: Path) -> Iterator[None]:
    """The file is not there for a while."""
    with put_back(path):
        path.unlink()
        yield


def test_the_home_has_a_file_of_each_kind(home: Path) -> None:
    names = "\n".join(str(path.relative_to(home)) for path in relied_on(home))
    for kind in (
        "thumbs__en/part-",
        "thumbs__en/_delta_log/00000000000000000009.checkpoint.parquet",
        "thumbs__en/_contract/v1.json",
        "_interactions__ranker/part-",
        "_pins/",
        "/files/",
        "/holders/",
        "/manifest",
        "/digests",
        "link.json",
        ".tree",
        "keys/subject.json",
        ".gitignore",
    ):
        assert kind in names
    assert not said_of(home)


def test_every_flipped_file_is_named(home: Path) -> None:
    chance = random.Random(SEED)
    unnoticed = []
    for path in relied_on(home):
        for place in places(path.stat().st_size, chance):
            with flipped(path, place):
                if path.name not in (said := said_of(home)):
                    unnoticed.append(f"{path.relative_to(home)}[{place}]: {said}")
    assert not unnoticed, "\n".join(unnoticed)
    assert not said_of(home)


def test_every_missing_file_is_named(home: Path) -> None:
    unnoticed = []
    for path in relied_on(home):
        if any(part in str(path) for part in MADE_IN_PASSING):
            continue
        with taken_away(path):
            if path.name not in (said := said_of(home)):
                unnoticed.append(f"{path.relative_to(home)}: {said}")
    assert not unnoticed, "\n".join(unnoticed)
    assert not said_of(home)


def test_a_missing_table_is_named(home: Path) -> None:
    folder = home / "lake" / "thumbs__en"
    aside = folder.rename(home.parent / "aside")
    try:
        assert "thumbs__en" in said_of(home)
    finally:
        aside.rename(folder)
    assert not said_of(home)


def test_the_command_names_the_file_and_exits_with_5(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    chance = random.Random(SEED)
    for path in chance.sample(relied_on(home), CLI_SAMPLE):
        with flipped(path, path.stat().st_size // 2):
            code, shown, errors = run_verify(home, capsys)
        assert code == Exit.INTEGRITY, path
        assert path.name in shown + errors, path
        assert "Traceback" not in errors
    assert run_verify(home, capsys)[0] == Exit.OK


def test_no_damage_hides_another(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = home / "lake" / "thumbs__en"
    damaged = (
        home / "keys" / "subject.json",
        home / "lake" / "_links" / "clicks" / "link.json",
        table / "_contract" / "v1.json",
        table / "_delta_log" / f"{small_home.COMMITS:020d}.json",
        min(table.glob("part-*")),
        min((home / "artifacts").rglob("*.tree")),
    )
    with ExitStack() as until_put_back:
        for path in damaged:
            until_put_back.enter_context(flipped(path, 0))
        code, shown, errors = run_verify(home, capsys)
        assert code == Exit.INTEGRITY
        assert [path.name for path in damaged if path.name not in shown] == []
        assert "error:" not in errors
        assert "backstory verify" not in shown + errors
    assert not said_of(home)


def test_a_flipped_store_is_found_or_says_the_same(home: Path) -> None:
    """A byte of a free page or of a page's slack is nobody's; all others are found."""
    chance = random.Random(SEED)
    path = home / STORE
    rows = content(path)
    size = path.stat().st_size
    found = 0
    for place in [0, 18, 19, 100, size - 1, *chance.choices(range(size), k=STORE_FLIPS)]:
        with flipped(path, place):
            said = said_of_store(home)
            if said:
                assert STORE in said or "store" in said or "entry" in said, said
                found += 1
            else:
                assert content(path) == rows, place
        for beside in home.glob(f"{STORE}-*"):
            beside.unlink()
    assert found > STORE_FLIPS // 10  # most pages of so small a store are nearly empty
    assert not said_of(home)


def test_a_store_that_is_none_is_one_line_and_5(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = home / STORE
    with put_back(path) as content:
        path.write_bytes(b"not a database, whatever it says" * 200)
        code, _, errors = run_verify(home, capsys)
        path.write_bytes(content[: len(content) // 2])
        halved, shown, said = run_verify(home, capsys)
    assert code == halved == Exit.INTEGRITY
    assert errors.count("error:") == 1
    assert STORE in errors
    assert STORE in shown + said
    assert "Traceback" not in errors + said


def said_of_store(home: Path) -> str:
    """The findings on the store, or the error; anything else than one of ours fails the test."""
    try:
        with open_home(home, clock=ticking()) as opened:
            return "\n".join(map(str, opened.verify().findings))
    except IntegrityError as exc:
        return exc.message


def content(store: Path) -> dict[bytes, list[tuple[bytes, ...]]]:
    """Every row of every table; not the tables' own text, where `INTEGEr` says the same."""
    with closing(sqlite3.connect(store)) as conn:
        conn.text_factory = bytes
        named = conn.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
        return {
            name: conn.execute(f'SELECT * FROM "{name.decode()}" ORDER BY rowid').fetchall()
            for (name,) in named.fetchall()
        }


def run_verify(home: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        main.main(["--home", str(home), "verify"])
    shown, errors = capsys.readouterr()
    return int(ended.value.code or 0), shown, errors
