import getpass
import secrets
from pathlib import Path

import pytest
import sqlalchemy as sa

import backstory
from backstory.lake.gate import pass_gate
from backstory.lake.table import SliceTable
from backstory.lineage import home as home_module
from backstory.lineage.catch_up import catch_up
from backstory.lineage.home import Home
from backstory.lineage.store import tables
from tests.lake.disk import watch_syncs
from tests.lineage.homes import feed, link, thumbs


def test_a_home_is_made_once(home: Home) -> None:
    with pytest.raises(backstory.ConflictError, match="already"):
        backstory.init(home.settings.home)


def test_a_folder_with_something_in_it_becomes_no_home(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    with pytest.raises(backstory.InvalidError, match="not empty"):
        backstory.init(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_of_two_who_make_a_home_at_once_one_wins(tmp_path: Path) -> None:
    folder = tmp_path / "shop" / ".backstory"

    def while_another_is_faster(size: int) -> bytes:
        if not folder.exists():
            backstory.init(folder).close()
        return secrets.token_bytes(size)

    with pytest.raises(backstory.ConflictError, match="is a Backstory home already"):
        home_module.init(folder, entropy=while_another_is_faster)
    assert [path.name for path in tmp_path.rglob(".backstory*")] == [".backstory"]
    backstory.open(folder).close()


@pytest.mark.parametrize("url", ["postgresql://nobody@localhost:1/x", "mysql://x"])
def test_a_store_that_cannot_be_had_leaves_nothing_behind(url: str, tmp_path: Path) -> None:
    with pytest.raises(backstory.BackstoryError):
        backstory.init(tmp_path / "deep" / "down" / ".backstory", database_url=url)
    assert list(tmp_path.iterdir()) == []


def test_a_home_takes_no_store_of_another(home: Home, tmp_path: Path) -> None:
    feed(home)
    before = _written(home)
    with pytest.raises(backstory.ConflictError, match="store of another home is there") as caught:
        backstory.init(tmp_path / "second", database_url=home.settings.database_url)
    assert "\n" not in str(caught.value)
    assert caught.value.hint == "name an empty database, or use the home that it belongs to"
    assert [path.name for path in tmp_path.iterdir()] == ["home"]
    assert _written(home) == before
    assert home.verify().intact


def _written(home: Home) -> dict[str, int]:
    """How many rows each table of the store has."""
    with home.store.reader() as conn:
        return {
            table.name: conn.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
            for table in tables.metadata.sorted_tables
        }


def test_a_home_is_found_from_below(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BACKSTORY_HOME", raising=False)
    monkeypatch.chdir(tmp_path)
    backstory.init().close()
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    with backstory.open() as opened:
        assert opened.settings.home == tmp_path / ".backstory"
    with backstory.open(tmp_path) as opened:
        assert opened.slices() == []
    with pytest.raises(backstory.NotFoundError):
        backstory.open(below)


def test_the_lake_can_lie_elsewhere(tmp_path: Path) -> None:
    with backstory.init(tmp_path / "home", lake=tmp_path / 'la"ke') as home:
        feed(home)
        assert home.verify().intact
    assert (tmp_path / 'la"ke' / "thumbs__en").is_dir()


def test_who_acts_is_the_user(home: Home) -> None:
    feed(home)
    assert home.history("thumbs/en")[0].commit.actor == getpass.getuser()


def test_a_slice_is_read_at_versions_and_times(home: Home) -> None:
    feed(home, 2)
    at = home.history("thumbs/en")[1].commit.at
    assert home.slice("thumbs/en").at(at).version == 1
    assert home.slice("thumbs/en").at(2).rows == 8
    with pytest.raises(backstory.NotFoundError):
        home.slice("thumbs/en").at(3)


def test_a_damaged_key_is_told_where_it_is_needed(home: Home) -> None:
    feed(home)
    (home.settings.keys / "subject.json").write_text("{")
    with backstory.open(home.settings.home) as opened:
        assert len(opened.history("thumbs/en")) == 2
        with pytest.raises(backstory.IntegrityError, match=r"subject\.json"):
            feed(opened)


def test_a_damaged_table_closes_no_home(
    home: Home, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    feed(home)
    link(home, tmp_path)
    contract = home.settings.lake / "thumbs__en" / "_contract" / "v1.json"
    contract.write_text("{")
    (home.settings.lake / "_links" / "clicks" / "link.json").write_text("{")
    with backstory.open(home.settings.home) as opened:
        assert [found.slice.name for found in opened.slices()] == ["clicks", "thumbs/en"]
        for name in ("clicks", "thumbs/en"):
            with pytest.raises(backstory.IntegrityError):
                opened.slice(name).at()
    assert caplog.text.count("new commits of clicks are not registered") == len(caplog.records) == 1


@pytest.mark.parametrize("folder", ["a b", "h?q", "100%", "x#y", "ü"])
def test_a_home_lies_in_any_folder_and_keeps_to_it(folder: str, tmp_path: Path) -> None:
    place = tmp_path / folder / ".backstory"
    with backstory.init(place) as home:
        home.create_slice("slice: s\npurpose: p\ncolumns: {a: {type: int64}}")
        home.slice("s").append([{"a": 1}])
        assert home.show("s").matching == 1
    assert [path.name for path in tmp_path.iterdir()] == [folder]
    assert (place / "lineage.db").stat().st_size > 0


@pytest.mark.parametrize("folder", ["h [x]", "h%41"])
def test_a_folder_where_tables_could_not_be_read_is_refused_at_once(
    folder: str, tmp_path: Path
) -> None:
    with pytest.raises(backstory.InvalidError, match="is in its path"):
        backstory.init(tmp_path / folder / ".backstory")
    assert list(tmp_path.iterdir()) == []


def test_a_new_home_survives_a_power_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lost = watch_syncs(monkeypatch, tmp_path)
    backstory.init(tmp_path / "deep" / "down" / ".backstory").close()
    assert {Path(name).name for name in lost()} <= {"lineage.db"}  # SQLite syncs its own bytes


@pytest.mark.parametrize("left", [0, 1, 300])
def test_a_commit_that_a_power_cut_tore_closes_no_table(home: Home, left: int) -> None:
    feed(home)
    _append_unregistered(home)
    entry = home.settings.lake / "thumbs__en" / "_delta_log" / f"{2:020d}.json"
    text = entry.read_bytes()
    entry.write_bytes(text[:left] + bytes(len(text) - left if left else 0))

    with backstory.open(home.settings.home) as again:
        assert again.history("thumbs/en")[0].commit.version == 1
        feed(again, 1, first=2)
        assert again.slice("thumbs/en").at().rows == 8
        assert again.verify().findings == ()


def test_a_commit_that_is_known_is_not_taken_for_torn(home: Home) -> None:
    feed(home, 2)
    entry = home.settings.lake / "thumbs__en" / "_delta_log" / f"{2:020d}.json"
    entry.write_bytes(bytes(9))
    with backstory.open(home.settings.home) as again:
        findings = again.verify().findings
        assert f"thumbs__en/_delta_log/{entry.name}" in {found.path for found in findings}
    assert entry.exists()


def _append_unregistered(home: Home) -> None:
    """A commit that the lake has and the store has not, as a killed process leaves it."""
    table = SliceTable.open(home.settings.lake, "thumbs/en")
    rows = pass_gate(thumbs(2), table.contract, home.key)
    table.append(rows, source="app", offset=2, at=home.clock(), new_id=home.new_id)


def test_a_commit_survives_a_power_cut_before_it_is_registered(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed(home)
    lost = watch_syncs(monkeypatch, home.settings.lake)
    with monkeypatch.context() as killed:
        killed.setattr("backstory.lake.table.sync_log", lambda *_: None)
        _append_unregistered(home)
    assert lost() == [f"thumbs__en/_delta_log/{2:020d}.json"]
    catch_up(home)
    assert home.history("thumbs/en")[0].commit.version == 2
    assert lost() == []
