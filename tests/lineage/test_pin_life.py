"""How long a pin holds."""

from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest
from deltalake.transaction import RemoveAction

import backstory
from backstory.lake.versions import open_delta
from backstory.lineage.home import Home, open_home
from backstory.lineage.settings import SETTINGS_FILE, load_settings, with_setting
from tests.lineage.homes import feed, link, names_of, train
from tests.lineage.store.recording import START, ticking


def fail(home: Home) -> None:
    """A run that has read and then failed."""
    with suppress(ZeroDivisionError), home.retraining("ranker") as run:
        run.read("thumbs/en")
        raise ZeroDivisionError


def later(home: Home, days: int) -> Home:
    return open_home(home.settings.home, clock=ticking(START + timedelta(days=days)))


def test_pins_of_a_failed_run_end_some_time_after_it(home: Home) -> None:
    feed(home)
    fail(home)
    train(home, "thumbs/en")
    [first, second] = home.pins()
    assert first.until is not None
    assert timedelta(days=14) <= first.until - START < timedelta(days=14, hours=1)
    assert second.until is None  # its run made a version
    with later(home, 13) as before:
        assert names_of(before.doctor(), "warning") == []
    with later(home, 15) as after:
        assert names_of(after.doctor(), "warning") == ["retention"]
        assert [one.name for one in after.mend()] == ["retention"]
        assert [pin.pin_id for pin in after.pins()] == [second.pin_id]
        assert after.verify().intact


def test_how_long_is_a_setting(home: Home) -> None:
    feed(home)
    fail(home)
    path = home.settings.home / SETTINGS_FILE
    path.write_text(with_setting(path.read_text(), "retention", "failed_runs", "1 day"))
    with later(home, 2) as after:
        assert [one.name for one in after.mend()] == ["retention"]
    path.write_text(with_setting(path.read_text(), "retention", "failed_runs", "a while"))
    with pytest.raises(backstory.InvalidError, match="failed_runs"):
        later(home, 2)


def test_a_home_without_the_setting_has_its_default(home: Home) -> None:
    path = home.settings.home / SETTINGS_FILE
    path.write_text(path.read_text().replace('failed_runs = "14 days"', ""))
    again = load_settings(home.settings.home).retention
    assert again.failed_runs == timedelta(days=14)
    assert again.classes == {"standard": None}


def test_what_a_pin_keeps_in_bytes(home: Home, tmp_path: Path) -> None:
    feed(home, 2)
    link(home, tmp_path)
    home.pin("thumbs/en@1", reason="audit")
    home.pin("clicks", reason="audit", strength="copied")
    home.pin("clicks", reason="look", holder="watcher", strength="watched")
    copied, watched, held = home.pin_sizes()
    assert (held.size, held.alone) == (held.pinned.snapshot.size, 0)  # the newest version has it
    assert copied.size == copied.alone == copied.pinned.snapshot.size
    assert (watched.size, watched.alone) == (0, 0)
    home.pin("clicks", reason="too", holder="another", strength="copied")
    assert [one.alone for one in home.pin_sizes("clicks")] == [0, 0, 0]  # each keeps it for both


def test_what_only_a_pin_needs(home: Home) -> None:
    """As after a compaction, which takes files out of the newest version."""
    feed(home, 2)
    home.pin("thumbs/en@1", reason="audit")
    table = open_delta(home.lake.folder("thumbs/en"), name="thumbs/en")
    [path] = [file.path for file in home.slice("thumbs/en").at(1).manifest.files]
    size = home.slice("thumbs/en").at(1).size
    gone = RemoveAction(path=path, data_change=False, deletion_timestamp=0, size=size)
    table.create_write_transaction([gone], "append", table.schema())
    [held] = home.pin_sizes()
    assert held.alone == held.size == size
