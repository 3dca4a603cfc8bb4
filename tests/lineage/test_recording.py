from datetime import UTC, datetime, timedelta

import pytest

import backstory
from backstory.lineage.diagnosing import Health
from backstory.lineage.home import Home
from tests.lineage.homes import MORNING, answer, feed, train


def test_time_and_external_id_make_the_id(home: Home) -> None:
    train(home)
    first = answer(home, at=MORNING, external_id="zendesk:1")
    train(home, model="other")
    again = home.interactions("other").record(
        request=1, response=None, at=MORNING, external_id="zendesk:1"
    )
    assert first == again
    assert answer(home, at=MORNING, external_id="zendesk:2") != first


def test_a_person_is_a_pseudonym(home: Home) -> None:
    train(home)
    given = answer(home, subject="ann@example.org")
    recorded = home.state_of(f"int:{given}").interaction
    assert recorded.subject is not None
    assert recorded.subject.startswith("k1:")
    assert recorded.request == '{"q":1}'


def test_many_at_once_are_stored_once(home: Home) -> None:
    train(home)
    rows = [
        backstory.Interaction(id=home.new_id(), at=MORNING, model="ranker", request=str(n))
        for n in range(5)
    ]
    log = home.interactions("ranker")
    assert log.record_many(rows, source="log", offset=5).accepted == 5
    assert log.record_many(rows, source="log", offset=5).duplicate == 5
    table = home.slice("_interactions/ranker").at().arrow()
    assert log.record_many(table, source="copy", offset=5).accepted == 5


def test_only_a_models_versions_answer(home: Home) -> None:
    feed(home)
    train(home), train(home, model="other")
    [record] = home.models("ranker@1")
    home.interactions("ranker").record(request=1, response=2, version=record)
    with pytest.raises(backstory.InvalidError, match="other@1 is not a version of ranker"):
        answer(home, "other@1")
    with pytest.raises(backstory.NotFoundError, match="no version 9"):
        answer(home, "ranker@9")
    with pytest.raises(backstory.InvalidError, match="is a slice, not a model"):
        home.interactions("thumbs/en")
    with pytest.raises(backstory.NotFoundError, match="no model is called"):
        home.interactions("rankr")


@pytest.mark.parametrize(
    "wrong",
    [
        {"at": datetime(2026, 11, 24)},  # noqa: DTZ001 - naive on purpose
        {"answered_by": "nobody"},
        {"request": float("nan")},
        {"request": {1, 2}},
        {"parts": [backstory.Part(kind="x", ref="y")] * 1001},
        {"external_id": "x" * 5000},
    ],
)
def test_what_is_no_interaction(home: Home, wrong: dict[str, object]) -> None:
    train(home)
    with pytest.raises(backstory.InvalidError):
        home.interactions("ranker").record(**{"request": 1, "response": 2, **wrong})  # type: ignore[arg-type]  # wrong on purpose


def test_a_time_that_has_not_come_is_recorded_and_flagged(
    home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    feed(home)
    train(home)
    assert [c.health for c in home.doctor() if c.name == "clock"] == [Health.OK]
    well = answer(home, at=home.clock() + timedelta(seconds=3))
    assert not caplog.records
    early = answer(home, at=home.clock() + timedelta(hours=1), external_id="zendesk:1")
    assert f"int:{early}: " in caplog.text
    assert "is in the future" in caplog.text
    assert home.state_of(f"int:{well}").interaction.ahead is None
    for ref in (f"int:{early}", "ext:zendesk:1"):
        assert home.state_of(ref).interaction.ahead
    [check] = [c for c in home.doctor() if c.name == "clock"]
    assert (check.health, "interactions of ranker" in check.found) == (Health.WARNING, True)


def test_answers_are_recorded_in_one_commit(home: Home) -> None:
    train(home), train(home)
    given = [
        {"request": n, "response": [n], "version": f"ranker@{1 + n % 2}", "at": MORNING}
        for n in range(4)
    ]
    done = home.interactions("ranker").record_answers(given)
    assert len({one.ref for one in done}) == 4
    assert [home.state_of(one.ref).version for one in done] == ["ranker@1", "ranker@2"] * 2
    assert len(home.history("_interactions/ranker")) == 2
    ahead = home.clock() + timedelta(days=1)
    [one] = home.interactions("ranker").record_answers(
        [{"request": 1, "response": None, "at": ahead}]
    )
    assert one.ahead


def test_a_time_that_no_id_can_tell_is_refused(home: Home) -> None:
    train(home)
    with pytest.raises(backstory.InvalidError, match="1969-12-31T00:00:00Z lies before 1970"):
        answer(home, at=datetime(1969, 12, 31, tzinfo=UTC))
