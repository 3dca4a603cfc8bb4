from pathlib import Path

import pytest

import backstory
from backstory.lake.pinned import pins_of
from backstory.lineage.home import Home
from backstory.lineage.reasons import MAX_REASON
from tests.lineage.homes import feed, link, train


def test_a_holder_holds_a_snapshot_once(home: Home) -> None:
    feed(home)
    first = home.pin("thumbs/en", reason="audit", holder="ann")
    assert home.pin("thumbs/en@1", reason="audit again", holder="ann") == first
    second = home.pin("thumbs/en", reason="audit", holder="bob", strength="copied")
    assert [(p.holder, p.strength) for p in home.pins()] == [("ann", "held"), ("bob", "copied")]
    assert first.snapshot.digest == second.snapshot.digest


def test_a_released_pin_is_gone_and_its_snapshot_stays_named(home: Home) -> None:
    feed(home)
    pinned = home.pin("thumbs/en", reason="audit")
    home.release(pinned.pin_id, reason="done")
    assert home.pins() == []
    assert pins_of(home.lake.table("thumbs/en")) == []
    assert home.impact("thumbs/en@1").root.key == "thumbs/en@1"
    with pytest.raises(backstory.NotFoundError, match="holds now"):
        home.release(pinned.pin_id, reason="again")
    with pytest.raises(backstory.NotFoundError):
        home.release("nothing", reason="nothing")
    assert home.verify().intact
    assert home.pin("thumbs/en", reason="again").pin_id != pinned.pin_id


def test_a_pinned_version_outlives_its_log(home: Home) -> None:
    feed(home, 3)
    home.pin("thumbs/en@2", reason="audit")
    for entry in (home.settings.lake / "thumbs__en" / "_delta_log").glob("*[012].json"):
        entry.unlink()
    assert home.slice("thumbs/en").at(2).rows == 8


def test_pins_of_one_slice(home: Home, tmp_path: Path) -> None:
    feed(home)
    link(home, tmp_path)
    home.pin("thumbs/en", reason="audit")
    assert home.pin("clicks", reason="audit").strength == "watched"
    assert [pin.snapshot.slice_name for pin in home.pins("clicks")] == ["clicks"]
    assert len(home.pins()) == 2


@pytest.mark.parametrize("reason", ["", "  ", "x" * (MAX_REASON + 1)])
def test_a_pin_says_why(home: Home, reason: str) -> None:
    feed(home)
    with pytest.raises(backstory.InvalidError, match="reason"):
        home.pin("thumbs/en", reason=reason)


def test_wrong_pins(home: Home, tmp_path: Path) -> None:
    feed(home)
    train(home)
    link(home, tmp_path)
    with pytest.raises(backstory.InvalidError, match="not a strength"):
        home.pin("thumbs/en", reason="r", strength="glued")
    with pytest.raises(backstory.BackstoryError):
        home.pin("clicks", reason="r", strength="held")
    with pytest.raises(backstory.InvalidError, match="not a slice"):
        home.pin("ranker@1", reason="r")
    with pytest.raises(backstory.NotFoundError):
        home.pin("thumbs/en@9", reason="r")
    assert home.pins() == []
