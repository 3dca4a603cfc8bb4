"""How long a pin holds."""

import dataclasses
from contextlib import suppress
from datetime import timedelta

import pytest

import backstory
from backstory.lineage.home import Home, open_home
from backstory.lineage.settings import SETTINGS_FILE, load_settings, with_setting
from tests.lineage.homes import feed, names_of, train
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
    again = load_settings(home.settings.home)
    assert dataclasses.replace(again, failed_runs=timedelta()) != again
    assert again.failed_runs == timedelta(days=14)
