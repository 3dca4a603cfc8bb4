"""When things were told, and how late that was, over GraphQL."""

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from tests.api import small_home
from tests.api.conftest import World

DAY = 86_400


@pytest.fixture(scope="module")
def late(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Where a version served three days before anybody said so."""
    with small_home.make_home(tmp_path_factory.mktemp("late"), retrainings=1) as home:
        then = home.clock() - timedelta(days=3)
        home.add_version("ranker@9", artifact="s3://models/9", at=then)
        home.deploy("ranker@9", to="prod-us", at=then)
        home.undeploy("env:prod-us#1", at=then + timedelta(days=2))
        given = home.interactions("ranker").record(
            request=1, response=2, version="ranker@9", at=then, environment="prod-us"
        )
        yield World(home=home, interaction=given)


def days(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds / DAY)


INTERVAL = "recordedAt lateSeconds endRecordedAt endLateSeconds servedFrom"


def test_an_interval_is_told_alike_wherever_it_is_asked_for(late: World) -> None:
    listed = late.ask(
        f'{{ deployments(environment: "prod-us") {{ edges {{ node {{ {INTERVAL} }} }} }} }}'
    )["deployments"]["edges"][0]["node"]
    below = late.ask(
        f'{{ modelVersion(ref: "ranker@9") {{ deployments {{ intervals {{ {INTERVAL} }} }} }} }}'
    )["modelVersion"]["deployments"][0]["intervals"][0]
    assert listed == below
    assert (days(listed["lateSeconds"]), days(listed["endLateSeconds"])) == (3, 1)
    told = datetime.fromisoformat(listed["recordedAt"])
    begun = datetime.fromisoformat(listed["servedFrom"])
    assert (told - begun).total_seconds() == listed["lateSeconds"]


def test_what_was_told_in_time_has_a_time_and_is_not_late(late: World) -> None:
    found = late.ask(
        """{ deployments(environment: "prod-eu") { edges { node {
        recordedAt lateSeconds endRecordedAt endLateSeconds
        deployment { modelVersion { recordedAt lateSeconds } } } } } }"""
    )["deployments"]["edges"][0]["node"]
    assert found["recordedAt"]
    assert (found["lateSeconds"], found["endRecordedAt"], found["endLateSeconds"]) == (None,) * 3
    version = found["deployment"]["modelVersion"]
    assert version["recordedAt"]
    assert version["lateSeconds"] is None


def test_a_version_and_a_state_say_how_late_they_were_told(late: World) -> None:
    asked = """query($ref: String!) { modelVersion(ref: "ranker@9") { recordedAt lateSeconds }
        state(ref: $ref) { ... on ModelState { remarks
            interaction { recordedAt lateSeconds aheadSeconds }
            parts { section recordedAt lateSeconds } } } }"""
    told = late.ask(asked, ref=f"int:{late.interaction}")
    assert days(told["modelVersion"]["lateSeconds"]) == 3
    interaction = told["state"]["interaction"]
    assert (days(interaction["lateSeconds"]), interaction["aheadSeconds"]) == (3, None)
    parts = {part["section"]: days(part["lateSeconds"]) for part in told["state"]["parts"]}
    assert (parts["VERSION"], parts["DEPLOYMENT"]) == (3, 3)
    assert told["state"]["remarks"] == []


def test_a_commit_says_when_it_was_registered(late: World) -> None:
    commit = "commit { at recordedAt lateSeconds }"
    told = late.ask(
        f"""{{ history(ref: "thumbs/en") {{ edges {{ node {{ {commit} }} }} }}
        sliceVersion(ref: "thumbs/en") {{ {commit} }} }}"""
    )
    newest = told["history"]["edges"][0]["node"]
    assert newest == told["sliceVersion"]
    assert newest["commit"]["recordedAt"]
    assert newest["commit"]["lateSeconds"] is None
