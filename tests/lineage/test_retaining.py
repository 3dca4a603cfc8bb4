"""What must be kept is kept by its class, and what may go goes only when nothing needs it."""

import re
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

import pytest

import backstory
from backstory.lake.pinned import pin_folders
from backstory.lineage import pinning
from backstory.lineage.home import Home, open_home
from backstory.lineage.pinning import Pinned
from backstory.lineage.reasons import MAX_REASON
from backstory.lineage.settings import SETTINGS_FILE
from tests.lineage.homes import backstory_error, feed, names_of, train
from tests.lineage.store.recording import START, ticking

DAY = timedelta(days=1)
CLASSES = '[retention.classes]\nshort = "30 days"\naudit = "3650 days"\nlegal = "forever"\n'


@pytest.fixture
def kept(home: Home) -> Home:
    """A home whose settings have classes."""
    feed(home, 2)
    return with_classes(home, CLASSES)


def with_classes(home: Home, text: str, days: float = 0) -> Home:
    """The same home with other classes, some days later."""
    path = home.settings.home / SETTINGS_FILE
    head, _, tail = path.read_text().partition("[retention.classes]")
    _, _, rest = tail.partition("\n[openlineage]")
    path.write_text(f"{head}{text}\n[openlineage]{rest}")
    return later(home, days)


def later(home: Home, days: float) -> Home:
    return open_home(home.settings.home, clock=ticking(START + timedelta(days=days, hours=1)))


def only(home: Home) -> Pinned:
    [pinned] = home.pins()
    return pinned


def days_of(pinned: Pinned) -> int:
    assert pinned.until is not None
    return (pinned.until - START).days


def test_a_class_counts_from_the_registration_of_what_never_served(kept: Home) -> None:
    with kept:
        train(kept, "thumbs/en")
        assert (only(kept).retention, only(kept).until) == ("standard", None)
        [given] = kept.retain("ranker@1", retention="short", reason="a trial")
        assert (given.before.retention, given.pinned.retention) == ("standard", "short")
        assert given.pinned == only(kept)
        assert days_of(given.pinned) == 30
    with later(home := kept, 29) as before:
        assert names_of(before.doctor(), "warning") == []
        assert before.mend() == []
    with later(home, 31) as after:
        assert names_of(after.doctor(), "warning") == ["retention"]
        [mended] = after.mend()
        assert "whose time is over" in mended.done
        assert after.pins() == []
        assert pin_folders(after.lake.table("thumbs/en")) == []
        assert after.verify().intact


def test_a_class_counts_from_the_end_of_the_last_use(kept: Home) -> None:
    with kept:
        train(kept, "thumbs/en")
        kept.retain("ranker@1", retention="short", reason="a trial")
        kept.deploy("ranker@1", to="prod")
        kept.alias("ranker@1", "champion")
        assert only(kept).in_use == ("env:prod#1", "ranker@champion")
    with later(kept, 100) as serving:
        assert only(serving).until is None
        assert serving.mend() == []
        serving.undeploy("ranker@1")
        assert only(serving).in_use == ("ranker@champion",)
        train(serving, "thumbs/en@1", content="better")
    with later(kept, 200) as named:
        assert named.mend() == []
        named.alias("ranker@2", "champion")
        pins = {pin.snapshot.ref: pin for pin in named.pins()}
        assert days_of(pins["thumbs/en@2"]) == 230
    with later(kept, 229) as before:
        assert before.mend() == []
    with later(kept, 231) as after:
        assert len(after.mend()) == 1
        assert only(after).in_use == ("ranker@champion",)  # of the version that it names now


def test_a_deployment_that_is_planned_is_a_use(kept: Home) -> None:
    with kept:
        train(kept, "thumbs/en")
        kept.retain("ranker@1", retention="short", reason="a trial")
        kept.deploy("ranker@1", to="prod", at=START + 90 * DAY)
    with later(kept, 60) as home:
        assert home.mend() == []


def test_what_an_open_run_reads_is_not_released(kept: Home) -> None:
    with kept:
        train(kept, "thumbs/en")
        kept.retain("ranker@1", retention="short", reason="a trial")
    with later(kept, 60) as home, home.retraining("ranker") as run:
        run.read("thumbs/en")
        first = home.pins()[0]
        assert first.in_use == (f"run:{run.run_id}",)
        assert home.mend() == []
    with later(kept, 61) as home:
        assert len(home.mend()) == 1


def test_a_class_is_given_at_training(kept: Home) -> None:
    with kept:
        with kept.retraining("ranker", retention="audit") as run:
            run.read("thumbs/en@1")
            run.register(weights(kept))
        with kept.resume(open_run(kept)) as resumed:
            resumed.read("thumbs/en@2")
            resumed.register(weights(kept, "more"))
        assert [(pin.retention, days_of(pin)) for pin in kept.pins()] == [("audit", 3650)] * 2
        assert kept.verify().intact


def open_run(home: Home) -> str:
    with home.retraining("ranker", retention="audit") as run:
        run.leave()
    return run.run_id


def weights(home: Home, content: str = "weights") -> Path:
    path = home.settings.spool / "weights"
    path.write_text(content)
    return path


def test_a_run_that_fails_or_goes_on_has_no_use_of_its_class(kept: Home) -> None:
    with kept:
        with suppress(ZeroDivisionError), kept.retraining("ranker", retention="audit") as run:
            run.read("thumbs/en")
            assert only(kept).until is None
            raise ZeroDivisionError
        assert (only(kept).retention, days_of(only(kept))) == (None, 14)
        kept.retain(f"pin:{only(kept).pin_id}", retention="audit", reason="evidence")
        assert days_of(only(kept)) == 3650


def test_a_class_of_the_pin_goes_before_that_of_its_version(kept: Home) -> None:
    with kept:
        train(kept, "thumbs/en@1", "thumbs/en@2")
        kept.retain("thumbs/en@2", retention="legal", reason="a dispute")
        assert len(kept.retain("ranker@1", retention="short", reason="a trial")) == 2
        assert [pin.retention for pin in kept.pins()] == ["short", "legal"]


def test_an_end_that_was_named_is_kept_where_it_is_later(kept: Home) -> None:
    with kept:
        pinned = kept.pin("thumbs/en", reason="audit", until=START + 90 * DAY)
        [given] = kept.retain(f"pin:{pinned.pin_id}", retention="short", reason="less")
        assert days_of(given.pinned) == 90
        [given] = kept.retain(f"pin:{pinned.pin_id}", retention="audit", reason="more")
        assert days_of(given.pinned) == 3650


def test_a_version_from_elsewhere_has_a_class_too(kept: Home) -> None:
    with kept:
        kept.add_version("ranker@7", trained_on=["thumbs/en@1"])
        assert only(kept).retention == "standard"
        [given] = kept.retain("ranker@7", retention="short", reason="a trial")
        assert days_of(given.pinned) == 30


def test_a_change_supersedes_and_is_answered_as_it_was_known(kept: Home) -> None:
    with kept:
        train(kept, "thumbs/en")
        kept.retain("ranker@1", retention="short", reason="a trial")
        moment = kept.clock()
        kept.retain("ranker@1", retention="audit", reason="the regulator asks")
        kept.retain("ranker@1", retention="audit", reason="once more")  # changes nothing
        with kept.store.reader() as conn:
            count = "SELECT count(*) FROM retention"
            assert conn.exec_driver_sql(count).scalar() == 2
        [then] = kept.pins(as_of=moment)
        assert (then.retention, days_of(then)) == ("short", 30)
        assert (only(kept).retention, days_of(only(kept))) == ("audit", 3650)
        assert kept.verify().intact


def test_a_dry_run_changes_nothing(kept: Home) -> None:
    with kept:
        train(kept, "thumbs/en")
    with later(kept, 100) as home:
        [given] = home.retain("ranker@1", retention="short", dry_run=True)
        assert given.over
        assert (given.pinned.retention, days_of(given.pinned)) == ("short", 30)
        assert home.pins() == [given.before]


def test_a_shortened_class_is_shown_before_it_releases(kept: Home) -> None:
    with kept:
        train(kept, "thumbs/en")
        kept.retain("ranker@1", retention="audit", reason="the regulator asks")
    with with_classes(kept, CLASSES.replace("3650", "10"), days=20) as home:
        [found] = [check for check in home.doctor() if check.name == "retention"]
        assert found.found == "1 pin is beyond its time (class audit: 1)"
        assert len(home.pins()) == 1


def test_a_class_that_the_settings_lack_holds_for_ever(kept: Home) -> None:
    with kept:
        train(kept, "thumbs/en")
        kept.retain("ranker@1", retention="short", reason="a trial")
    with with_classes(kept, '[retention.classes]\nother = "1 day"\n', days=20_000) as home:
        [found] = [check for check in home.doctor() if check.name == "retention"]
        assert "the settings lack classes whose pins hold for ever (short: 1)" in found.found
        assert home.mend() == []
        home.retain("ranker@1", retention="other", reason="settled")
        assert len(home.mend()) == 1


def test_release_by_hand_respects_use_and_classes(kept: Home) -> None:
    with kept:
        train(kept, "thumbs/en")
        kept.deploy("ranker@1", to="prod")
        pin_id = only(kept).pin_id
        with pytest.raises(backstory.RefusedError, match="env:prod#1 uses it"):
            kept.release(pin_id, reason="space")
        kept.undeploy("ranker@1")
        kept.retain("ranker@1", retention="legal", reason="a dispute")
        with pytest.raises(backstory.RefusedError, match="for ever, by its class legal"):
            kept.release(pin_id, reason="space")
        kept.retain("ranker@1", retention="standard", reason="the dispute is over")
        kept.retain(f"pin:{pin_id}", retention="short", reason="space")
        with pytest.raises(backstory.RefusedError, match="by its class short"):
            kept.release(pin_id, reason="space")
    with later(kept, 40) as home:
        home.release(pin_id, reason="space")


def test_a_version_deployed_meanwhile_keeps_its_pins(kept: Home) -> None:
    """Between what `doctor --fix` saw and what it does."""
    with kept:
        train(kept, "thumbs/en")
        kept.retain("ranker@1", retention="short", reason="a trial")
    with later(kept, 60) as home:
        [over] = pinning.ended(home)
        home.deploy("ranker@1", to="prod")
        assert pinning.release_ended(home, over.pin_id) is None
        assert len(home.pins()) == 1
        assert pinning.release_ended(home, "none") is None


WRONG: dict[str, tuple[Callable[[Home], object], str]] = {
    "a class": (
        lambda home: home.retain("ranker@1", retention="audits", reason="x"),
        r"no retention class is called 'audits' \| there is audit, legal",
    ),
    "a class at training": (
        lambda home: home.retraining("ranker", retention="x" * 9999).__enter__(),
        "no retention class is called 'x{80}' ",
    ),
    "a version": (
        lambda home: home.retain("ranker@9", retention="short", reason="x"),
        "ranker has no version 9",
    ),
    "a pin": (
        lambda home: home.retain("pin:" + "9" * 9999, retention="short", reason="x"),
        "no pin:9{76} holds now",
    ),
    "a run": (
        lambda home: home.retain(f"run:{home.runs()[0].run_id}", retention="short", reason="x"),
        r"is neither a model version .* \| write it like ranker@7, thumbs/en@58 or pin:ID",
    ),
    "what is not pinned": (
        lambda home: home.retain("thumbs/en@1", retention="short", reason="x"),
        "nothing is pinned for thumbs/en@1",
    ),
    "no reason": (
        lambda home: home.retain("ranker@1", retention="short"),
        "reason has 1 to 2000 characters",
    ),
    "a long reason": (
        lambda home: home.retain("ranker@1", retention="short", reason="x" * (MAX_REASON + 1)),
        "reason has 1 to 2000 characters",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_none(case: str, kept: Home) -> None:
    ask, said = WRONG[case]
    with kept:
        train(kept, "thumbs/en")
        before = kept.pins(), kept.runs()
        with pytest.raises(backstory.BackstoryError) as error:
            ask(kept)
        assert re.search(said, backstory_error(error))
        assert (kept.pins(), kept.runs()) == before
