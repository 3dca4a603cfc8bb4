"""What was recorded late is marked wherever it is shown, for people and for programs."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from deltalake import write_deltalake

import backstory
from backstory.cli.figures import span
from backstory.lineage.times import parse_time
from tests.cli.running import draw, run
from tests.cli.shop import Shop

AT = "2026-11-11T09:00Z"
WIDE = 200


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (timedelta(seconds=61), "1 min"),
        (timedelta(seconds=8.9), "8 s"),
        (timedelta(hours=23, minutes=59), "23 h"),
        (timedelta(days=1, hours=23), "1 day"),
        (timedelta(days=1234), "1,234 days"),
    ],
)
def test_a_span_is_told_in_its_largest_unit(value: timedelta, text: str) -> None:
    assert span(value) == text


def seconds_since(at: str, told: Any) -> float:
    return (datetime.fromisoformat(told) - parse_time(at)).total_seconds()


@pytest.fixture
def late_shop(own_shop: Shop) -> Shop:
    """Where much was told some days later."""
    run("deploy", "ranker@3", "--to", "prod-us", "--at", AT, home=own_shop.home)
    run("models", "alias", "ranker@3", "old", "--at", AT, home=own_shop.home)
    added = ["models", "add", "ranker@9", "--artifact", "s3://models/9", "--at", AT]
    run(*added, home=own_shop.home)
    with backstory.open(own_shop.home) as home:
        home.interactions("ranker").record(
            request=1,
            response=2,
            version="ranker@9",
            environment="prod-us",
            at=parse_time("2026-11-12T09:00Z"),
            external_id="old:1",
        )
    return own_shop


ASKED = {
    "deployments": ["deployments", "prod-us"],
    "models": ["models", "ranker@9"],
    "models aliases": ["models", "aliases", "ranker@3"],
    "models show": ["models", "show", "ranker@9"],
    "state": ["state", "ext:old:1"],
}


@pytest.mark.parametrize("name", ASKED)
def test_what_is_late_is_marked(name: str, late_shop: Shop) -> None:
    drawn = draw(*ASKED[name], home=late_shop.home, width=WIDE)
    assert any(" days" in line for line in drawn), drawn
    told = run(*ASKED[name], "--json", home=late_shop.home).data
    one = told[0] if isinstance(told, list) else told.get("interaction", told)
    since = one.get("from", one.get("at"))
    assert one["lateSeconds"] == seconds_since(since, one["recordedAt"])
    assert one["lateSeconds"] > 0


@pytest.mark.parametrize("name", ASKED)
def test_what_was_told_in_time_is_not_marked(name: str, shop: Shop) -> None:
    args = {"deployments": [], "state": ["ext:zendesk:8812"]}.get(name, ["ranker@2"])
    drawn = draw(*name.split(), *args, home=shop.home, width=WIDE)
    assert not any("late" in line or "recorded" in line for line in drawn), drawn


DONE = {
    "deploy": ["deploy", "ranker@3", "--to", "prod-us", "--at", AT],
    "undeploy": ["undeploy", "ranker@1", "--at", "2026-11-14T10:00Z"],
    "models alias": ["models", "alias", "ranker@3", "old", "--at", AT],
    "models add": ["models", "add", "ranker@9", "--artifact", "s3://m/9", "--at", AT],
}


@pytest.mark.parametrize("name", DONE)
def test_who_records_late_is_told(name: str, own_shop: Shop) -> None:
    drawn = draw(*DONE[name], home=own_shop.home, width=WIDE)
    assert any(" days" in line for line in drawn), drawn


def test_a_pipe_gets_exact_seconds(late_shop: Shop) -> None:
    asked = run("deployments", "prod-us", home=late_shop.home)
    header = asked.out.splitlines()[0].split("\t")
    assert header[-3:] == ["late", "end late", "amended"]
    late = float(asked.rows[0][header.index("late")])
    data = run("deployments", "prod-us", "--json", home=late_shop.home).data
    assert late == data[0]["lateSeconds"]


def test_a_commit_that_was_registered_late_is_marked(own_shop: Shop) -> None:
    """Another team's table, linked three days after its commit."""
    write_deltalake(own_shop.folder / "clicks", pa.table({"n": pa.array([1], pa.int64())}))
    later = datetime.now(UTC) + timedelta(days=3, hours=1)
    with backstory.open(own_shop.home, clock=lambda: later) as home:
        home.link_slice("clicks", str(own_shop.folder / "clicks"))
    for command in ("history", "show"):
        drawn = draw(command, "clicks", home=own_shop.home, width=WIDE)
        assert any("3 days" in line for line in drawn), drawn
    [told] = run("history", "clicks", "--json", home=own_shop.home).data
    assert told["lateSeconds"] == seconds_since(told["at"], told["recordedAt"])


def test_a_clock_that_runs_ahead_is_told(own_shop: Shop) -> None:
    with backstory.open(own_shop.home) as home:
        given = home.interactions("ranker").record(
            request=1,
            response=2,
            version="ranker@1",
            at=home.clock() + timedelta(hours=2, minutes=5),
        )
    drawn = draw("state", f"int:{given}", home=own_shop.home, width=WIDE)
    assert any("2 h ahead of the clock" in line for line in drawn), drawn
    told = run("state", f"int:{given}", "--json", home=own_shop.home).data["interaction"]
    assert told["lateSeconds"] is None
    assert 7200 < told["aheadSeconds"] <= 7500
