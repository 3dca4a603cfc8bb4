from datetime import datetime, timedelta

import pytest

import backstory
from backstory.lineage.home import Home
from tests.lineage.homes import MORNING, train


def test_shares_over_time(home: Home) -> None:
    train(home), train(home)
    home.deploy("ranker@1", to="prod", at=MORNING)
    noon = MORNING + timedelta(hours=4)
    home.deploy("ranker@2", to="prod", share=0.25, mode="canary", at=noon)
    before = home.deployments("prod", at=noon - timedelta(seconds=1))
    after = home.deployments("env:prod", at=noon)
    assert [(d.version, d.share) for d in before] == [(1, 1.0)]
    assert {(d.version, d.share) for d in after} == {(1, 0.75), (2, 0.25)}


def test_a_share_that_does_not_fit_tells_the_split(home: Home) -> None:
    train(home), train(home)
    home.deploy("ranker@1", to="prod", share=0.8)
    with pytest.raises(backstory.RefusedError, match=r"ranker@1"):
        home.deploy("ranker@2", to="prod", share=0.3)
    assert len(home.deployments("prod")) == 1


@pytest.mark.parametrize(
    ("version", "more", "message"),
    [
        ("ranker", {}, "not a version"),
        ("ranker@9", {}, "no version 9"),
        ("rankr@1", {}, "no slice or model"),
        ("ranker@1", {"mode": "loud"}, "not a mode"),
        ("ranker@1", {"share": 1.5}, "share"),
        ("ranker@1", {"to": "Prod!"}, "name"),
    ],
)
def test_wrong_deployments(home: Home, version: str, more: dict[str, str], message: str) -> None:
    train(home)
    with pytest.raises(backstory.BackstoryError, match=message):
        home.deploy(version, **{"to": "prod", **more})  # type: ignore[arg-type]  # wrong on purpose


def test_undeploy_ends_what_serves(home: Home) -> None:
    train(home)
    home.deploy("ranker@1", to="prod")
    home.deploy("ranker@1", to="test")
    with pytest.raises(backstory.InvalidError, match="serves in prod, test"):
        home.undeploy("ranker@1")
    [ended] = home.undeploy("ranker@1", from_environment="prod")
    assert ended.until_at is not None
    [other] = home.undeploy("env:test#1")
    assert other.environment == "test"
    with pytest.raises(backstory.NotFoundError, match="serves nowhere"):
        home.undeploy("ranker@1")
    for ref, example in {"ranker": "env:prod-eu#1", "env:prod": "env:prod#1"}.items():
        with pytest.raises(backstory.InvalidError, match="neither") as caught:
            home.undeploy(ref)
        assert f"write it like {example} or ranker@7" in caught.value.hint
    with pytest.raises(backstory.NotFoundError) as unknown:
        home.undeploy("prod")
    assert unknown.value.hint == "did you mean 'env:prod'?"


@pytest.mark.parametrize("year", ["0001", "1999", "2028", "9999"])
def test_a_slip_in_the_year_is_refused(home: Home, year: str) -> None:
    train(home)
    home.deploy("ranker@1", to="prod", at=MORNING)
    off = datetime.fromisoformat(f"{year}-11-24T00:00:00Z")
    for act in (
        lambda: home.deploy("ranker@1", to="prod", at=off),
        lambda: home.undeploy("ranker@1", at=off),
        lambda: home.alias("ranker@1", "champion", at=off),
    ):
        with pytest.raises(backstory.LimitExceededError, match=rf"{year}-11-24T00:00:00Z lies"):
            act()


def test_what_was_and_what_is_planned_are_recorded(home: Home) -> None:
    train(home)
    for at in (MORNING.replace(year=2019), MORNING + timedelta(days=360)):
        assert home.deploy("ranker@1", to="prod", at=at).from_at == at


def test_an_unknown_environment_gets_a_suggestion(home: Home) -> None:
    train(home)
    home.deploy("ranker@1", to="prod-eu")
    with pytest.raises(backstory.NotFoundError) as caught:
        home.deployments("prod-em")
    assert "env:prod-eu" in caught.value.hint


def test_an_alias_moves_and_its_moves_are_kept(home: Home) -> None:
    train(home), train(home)
    first = home.alias("ranker@1", "champion", at=MORNING)
    second = home.alias("ranker@2", "champion")
    assert (first.before, second.before and second.before.ref) == (None, "ranker@1")
    assert [v.aliases for v in home.models("ranker")] == [("champion",), ()]
    assert home.models("ranker@champion")[0].number == 2
    with pytest.raises(backstory.RefusedError, match="already"):
        home.alias("ranker@1", "champion", at=MORNING)


def test_the_moves_of_aliases_are_listed(home: Home) -> None:
    train(home), train(home), train(home, model="other")
    home.alias("ranker@1", "champion", at=MORNING)
    then = home.clock()
    home.alias("ranker@2", "champion")
    home.alias("ranker@1", "challenger")
    home.alias("other@1", "champion")
    told = [(m.model, m.alias, m.version.ref, m.before and m.before.ref) for m in home.aliases()]
    assert told == [
        ("other", "champion", "other@1", None),
        ("ranker", "challenger", "ranker@1", None),
        ("ranker", "champion", "ranker@2", "ranker@1"),
        ("ranker", "champion", "ranker@1", None),
    ]
    assert [m.version.ref for m in home.aliases("ranker@champion")] == ["ranker@2"]
    assert [m.at for m in home.aliases("ranker", as_of=then)] == [MORNING]
    with pytest.raises(backstory.InvalidError, match="is not a model"):
        home.aliases("run:" + home.runs()[0].run_id)


def test_an_alias_moves_when_it_is_so(home: Home) -> None:
    train(home), train(home)
    home.alias("ranker@1", "champion")
    with pytest.raises(backstory.InvalidError, match="is in the future"):
        home.alias("ranker@2", "champion", at=home.clock() + timedelta(hours=1))
    assert home.model("ranker@champion").version.ref == "ranker@1"


@pytest.mark.parametrize("name", ["7", "2026-11", "a/b", "Big", ""])
def test_an_alias_is_a_word(home: Home, name: str) -> None:
    train(home)
    with pytest.raises(backstory.InvalidError):
        home.alias("ranker@1", name)


def test_versions_come_in_pages(home: Home) -> None:
    for _ in range(3):
        train(home)
    assert [v.number for v in home.models("ranker", limit=2)] == [3, 2]
    assert [v.number for v in home.models("ranker", before=2)] == [1]
    with pytest.raises(backstory.NotFoundError):
        home.models("other")


def test_undeploy_ends_a_deployment_whose_share_changes_later(home: Home) -> None:
    train(home), train(home)
    home.deploy("ranker@1", to="prod", at=MORNING)
    home.deploy("ranker@2", to="prod", share=0.1, mode="canary", at=MORNING + timedelta(hours=8))
    home.undeploy("env:prod#1", at=MORNING + timedelta(hours=4))
    assert home.deployments("prod", at=MORNING + timedelta(hours=5)) == []
