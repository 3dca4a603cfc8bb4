import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from deltalake import write_deltalake

from backstory.lake.gate import pass_gate
from backstory.lake.pins import release
from backstory.lineage.diagnosing import Health, worst
from backstory.lineage.home import Home, open_home
from tests.lineage.homes import MORNING, feed, lost_run, names_of, pin_unrecorded, thumbs, train
from tests.lineage.store.recording import ticking
from tests.lineage.test_linking import COLUMNS, rows


def test_a_home_that_is_well(home: Home) -> None:
    feed(home)
    train(home, "thumbs/en")
    checks = home.doctor()
    assert worst(checks) is Health.OK, checks
    assert worst([]) is Health.OK
    assert not [check for check in checks if check.remedy]


def test_an_unregistered_commit_is_told_and_healed_by_opening(home: Home) -> None:
    feed(home)
    table = home.lake.slice("thumbs/en")
    gated = pass_gate(thumbs(2), table.contract, home.key)
    table.append(gated, source="app", offset=2, at=home.clock(), new_id=home.new_id)
    with open_home(home.settings.home, clock=home.clock, heal=False) as looking:
        assert names_of(looking.doctor(), "warning") == ["commits"]
    with open_home(home.settings.home, clock=home.clock) as healed:
        assert worst(healed.doctor()) is Health.OK
        assert healed.history("thumbs/en")[0].commit.version == 2


def test_an_abandoned_run_is_a_warning_until_it_is_closed(home: Home) -> None:
    run_id = lost_run(home)
    [check] = [c for c in home.doctor() if c.name == "runs"]
    assert (check.health, check.found) == (
        Health.WARNING,
        f"1 run was abandoned, e.g. run:{run_id}",
    )
    assert "backstory runs close" in check.remedy
    home.close_run(run_id)
    assert [c.found for c in home.doctor() if c.name == "runs"] == ["no run is open"]


def test_a_run_that_goes_on_is_well(home: Home) -> None:
    with home.retraining("ranker"):
        [check] = [c for c in home.doctor() if c.name == "runs"]
        assert (check.health, check.found) == (Health.OK, "1 run open, none abandoned")


def test_pins_that_one_side_does_not_know(home: Home) -> None:
    feed(home)
    pinned = home.pin("thumbs/en", reason="audit")
    table = home.lake.table("thumbs/en")
    pin_unrecorded(home)
    assert names_of(home.doctor(), "warning") == ["pins"]
    release(table, pinned.pin_id)
    assert names_of(home.doctor(), "problem") == ["pins"]
    assert pinned.pin_id in {Path(f.path).name for f in home.verify().findings}


def test_a_key_that_others_can_read_is_a_problem(home: Home) -> None:
    key = home.settings.keys / "subject.json"
    key.chmod(0o644)
    assert names_of(home.doctor(), "problem") == ["keys"]
    key.unlink()
    assert names_of(home.doctor(), "problem") == ["keys"]


def test_a_table_that_does_not_open_is_a_problem(home: Home) -> None:
    feed(home)
    [contract] = (home.settings.lake / "thumbs__en" / "_contract").glob("*")
    contract.write_text("{")
    with open_home(home.settings.home, clock=ticking(), heal=False) as opened:
        assert "lake" in names_of(opened.doctor(), "problem")


def test_data_that_is_gone_is_a_problem(home: Home) -> None:
    feed(home)
    home.pin("thumbs/en", reason="audit")
    assert [c.found for c in home.doctor() if c.name == "pins"] == [
        "1 pin held; 1 data file is there (`backstory verify` reads every byte)"
    ]
    [part] = (home.settings.lake / "thumbs__en").glob("part-*")
    part.unlink()
    assert names_of(home.doctor(), "problem") == ["lake", "pins"]


def test_a_table_that_the_store_knows_and_the_lake_lost_is_a_problem(home: Home) -> None:
    feed(home)
    shutil.rmtree(home.settings.lake / "thumbs__en" / "_delta_log")
    with open_home(home.settings.home, clock=ticking(), heal=False) as opened:
        assert names_of(opened.doctor(), "problem") == ["lake"]


def test_a_clock_that_went_back_is_a_warning(home: Home) -> None:
    feed(home)
    early = ticking(MORNING - timedelta(days=1))
    with open_home(home.settings.home, clock=early) as opened:
        assert names_of(opened.doctor(), "warning") == ["clock"]


def test_a_missing_folder_is_a_problem(home: Home) -> None:
    home.settings.artifacts.rmdir()
    assert names_of(home.doctor(), "problem") == ["access"]


def test_a_full_disk_is_a_warning(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("backstory.lineage.diagnosing.LOW_DISK_BYTES", 1 << 70)
    assert names_of(home.doctor(), "warning") == ["disk"]


def test_a_linked_table_that_cannot_be_read_is_named(home: Home, tmp_path: Path) -> None:
    feed(home)
    train(home)
    theirs = tmp_path / "theirs"
    write_deltalake(theirs, rows(0))
    home.link_interactions("ranker", str(theirs), columns=COLUMNS)
    assert worst(home.doctor()) is Health.OK
    write_deltalake(
        theirs, rows(3).drop_columns(["user"]), mode="overwrite", schema_mode="overwrite"
    )
    with open_home(home.settings.home, clock=home.clock) as opened:
        [check] = [c for c in opened.doctor() if c.health is not Health.OK]
    assert check.name == "links"
    assert "ranker cannot be read" in check.found
    assert "there is no column 'user' for subject" in check.found
    theirs.rename(tmp_path / "moved")
    [check] = [c for c in home.doctor() if c.name == "links"]
    assert f"there is no Delta table at {theirs}" in check.found
    home.unlink_interactions("ranker")
    assert [c.health for c in home.doctor() if c.name == "links"] == [Health.OK]
