"""What is wrong with a home is told, mended, and told no more."""

import os
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from backstory.lake.gate import pass_gate
from backstory.lineage import diagnosing
from backstory.lineage.diagnosing import Health, worst
from backstory.lineage.home import Home, open_home
from backstory.lineage.store import tables
from backstory.lineage.surroundings import NETWORK_FILE_SYSTEMS, file_system_of
from tests.lineage.homes import feed, names_of, pin_unrecorded, thumbs, train
from tests.lineage.store.recording import START, ticking


def later(home: Home, **ahead: float) -> Home:
    """The same home when some time has passed; nothing is healed by opening it."""
    clock = ticking(START + timedelta(**ahead))
    return open_home(home.settings.home, clock=clock, heal=False)


def done(home: Home) -> list[str]:
    mended = home.mend()
    assert all(one.succeeded for one in mended), mended
    assert home.mend() == []
    return [one.name for one in mended]


def test_a_home_that_is_well_is_left_alone(home: Home) -> None:
    feed(home)
    train(home, "thumbs/en")
    assert done(home) == []


def test_commits_are_registered(home: Home) -> None:
    feed(home)
    table = home.lake.slice("thumbs/en")
    gated = pass_gate(thumbs(2), table.contract, home.key)
    table.append(gated, source="app", offset=2, at=home.clock(), new_id=home.new_id)
    with later(home, hours=1) as looking:
        assert names_of(looking.doctor(), "warning") == ["commits"]
        assert done(looking) == ["commits"]
        assert worst(looking.doctor()) is Health.OK


def test_pins_whose_time_is_over_are_released(home: Home) -> None:
    feed(home)
    over = home.pin("thumbs/en", reason="audit", until=START + timedelta(hours=1))
    kept = home.pin("thumbs/en", reason="for ever", holder="auditor")
    with later(home, hours=2) as looking:
        assert names_of(looking.doctor(), "warning") == ["retention"]
        assert len(looking.pins()) == 2  # looking releases nothing
        assert done(looking) == ["retention"]
        assert [pin.pin_id for pin in looking.pins()] == [kept.pin_id]
        assert over.pin_id != kept.pin_id
        assert worst(looking.doctor()) is Health.OK
        assert looking.verify().intact


def test_pins_of_killed_commands_go_after_a_day(home: Home) -> None:
    feed(home)
    pin_unrecorded(home)
    assert names_of(home.doctor(), "warning") == ["pins"]
    assert home.mend() == []  # somebody may be about to record it
    with later(home, days=2) as looking:
        assert done(looking) == ["pins"]
        assert worst(looking.doctor()) is Health.OK


def test_keys_and_settings_are_closed_to_others(home: Home) -> None:
    (home.settings.keys / "subject.json").chmod(0o644)
    assert names_of(home.doctor(), "problem") == ["keys"]
    assert done(home) == ["keys"]
    home.settings.home.chmod(0o755)
    (home.settings.home / "backstory.toml").chmod(0o664)
    assert names_of(home.doctor(), "warning") == ["keys"]
    assert done(home) == ["keys", "keys"]
    assert worst(home.doctor()) is Health.OK
    home.settings.home.chmod(0o770)  # a group may share a home
    assert worst(home.doctor()) is Health.OK


def test_what_killed_commands_left_goes_after_a_day(home: Home) -> None:
    feed(home)
    lake, blobs = home.settings.lake, home.settings.artifacts / "sha256" / "ab"
    blobs.mkdir(parents=True)
    old = [lake / ".tmp-a", lake / "thumbs__en" / ".tmp-b", blobs / ".tmp-c"]
    young = lake / "thumbs__en" / ".tmp-young"
    young.write_text("being written")
    (lake / ".tmp-a" / "inside").mkdir(parents=True)
    for path in old[1:]:
        path.write_text("half")
    now, then = START.timestamp(), (START - timedelta(days=2)).timestamp()
    os.utime(young, (now, now))
    for path in old:
        os.utime(path, (then, then))
    assert names_of(home.doctor(), "warning") == ["leftovers"]
    assert done(home) == ["leftovers"] * 3
    assert worst(home.doctor()) is Health.OK
    assert young.exists()
    assert not [path for path in old if path.exists()]


def test_what_cannot_be_mended_stops_nothing_else(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed(home)
    home.pin("thumbs/en", reason="audit", until=START + timedelta(hours=1))
    [contract] = (home.settings.lake / "thumbs__en" / "_contract").glob("*")
    contract.write_text("{")
    (home.settings.keys / "subject.json").chmod(0o644)
    with later(home, hours=2) as looking:
        mended = looking.mend()
    assert next((one.name, one.succeeded) for one in mended) == ("keys", True)
    assert ("pins", False) in [(one.name, one.succeeded) for one in mended]


def test_events_that_wait_are_told(home: Home) -> None:
    train(home)
    assert worst(home.doctor()) is Health.OK
    with home.store.engine.begin() as conn:
        first = conn.execute(sa.select(tables.openlineage_event.c.id)).scalars().first()
        row = {"event": first, "at": START, "attempts": 1, "next_at": START, "refused": False}
        conn.execute(sa.insert(tables.outbox), {**row, "receiver": "http"})
    with (home.settings.home / "backstory.toml").open("a") as settings:
        settings.write('[openlineage.transport]\ntype = "http"\nurl = "http://127.0.0.1:1"\n')
    home = open_home(home.settings.home, clock=home.clock)
    assert names_of(home.doctor(), "warning") == []  # it waits for some seconds only
    with later(home, hours=2) as looking:
        [check] = [check for check in looking.doctor() if check.name == "outbox"]
        assert check.health is Health.WARNING
        assert check.found.startswith("1 event to be sent to http, the oldest for 7,2")
    with home.store.engine.begin() as conn:
        conn.execute(sa.update(tables.outbox).values(refused=True))
    [check] = [check for check in home.doctor() if check.name == "outbox"]
    assert check.health is Health.WARNING
    assert "refused 1" in check.found
    home.close()


def test_events_for_nobody_are_told(home: Home) -> None:
    train(home)
    with home.store.engine.begin() as conn:
        first = conn.execute(sa.select(tables.openlineage_event.c.id)).scalars().first()
        row = {"event": first, "at": START, "attempts": 0, "next_at": START, "refused": False}
        conn.execute(sa.insert(tables.outbox), {**row, "receiver": "marquez"})
    [check] = [check for check in home.doctor() if check.name == "outbox"]
    assert check.health is Health.WARNING
    assert check.found == "1 event for marquez, which is no longer configured"
    assert "backstory flush --forget marquez" in check.remedy


@pytest.mark.parametrize("kind", sorted(NETWORK_FILE_SYSTEMS))
def test_a_network_file_system_under_sqlite_is_a_problem(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import backstory

    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        f"40 22 0:31 / {tmp_path.resolve()} rw,relatime shared:1 - {kind} nas:/x rw\n"
    )
    monkeypatch.setattr(diagnosing, "MOUNTS", mounts)
    with backstory.init(tmp_path / "home") as made:
        [check] = [check for check in made.doctor() if check.health is Health.PROBLEM]
    assert (check.name, kind in check.found) == ("files", True)


def test_a_mount_covers_what_is_below_it() -> None:
    mounts = r"""22 1 8:1 / / rw - ext4 /dev/sda1 rw
40 22 0:31 / /srv rw,relatime shared:1 - nfs4 nas:/srv rw
41 40 8:2 / /srv/my\040disk rw - xfs /dev/sdb1 rw
42 22 8:3 / /srv rw - ext4 /dev/sdc1 rw"""
    assert file_system_of(Path("/srv/my disk/home"), mounts) == "xfs"
    assert file_system_of(Path("/srv/home"), mounts) == "ext4"  # the later one covers the earlier
    assert file_system_of(Path("/srv2"), mounts) == "ext4"
    assert file_system_of(Path("/srv"), "") == ""
