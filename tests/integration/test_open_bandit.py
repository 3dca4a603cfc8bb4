"""A week of a real shop: two policies side by side, a retraining each evening.

What Backstory says of each version is compared with a plain pandas recomputation from the files.
"""

import json
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

import backstory
from backstory.lineage.graph import EdgeKind, EntityKind
from backstory.lineage.home import Home
from tests.integration.bandit_shop import (
    ENVIRONMENT,
    MODEL,
    POLICIES,
    SLICE,
    Clock,
    Day,
    impressions,
    play,
)


@dataclass(frozen=True, kw_only=True)
class Week:
    home: Home
    shown: pd.DataFrame
    days: list[Day]


@pytest.fixture(scope="module")
def week(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Week:
    scratch = tmp_path_factory.mktemp("shop")
    clock = Clock()
    home = backstory.init(scratch / "home", clock=clock)
    shown = impressions(shared_data)
    days = list(play(home, clock, shown, scratch))
    return Week(home=home, shown=shown, days=days)


def _until(week: Week, day: Day) -> pd.DataFrame:
    """What pandas says was clicked up to the end of a day."""
    return week.shown[week.shown["at"] < day.date + timedelta(days=1)].reset_index(drop=True)


def test_there_are_seven_days_and_all_impressions(week: Week) -> None:
    assert len(week.days) == 7
    assert sum(len(day.shown) for day in week.days) == len(week.shown) == 20_000


def test_each_version_traces_to_the_snapshot_of_its_day(week: Week) -> None:
    for day in week.days:
        trace = week.home.trace(f"{MODEL}@{day.trained}", depth=2)
        [snapshot] = [n for n in trace.graph.nodes if n.kind is EntityKind.SNAPSHOT]
        detail = trace.details[snapshot.id]
        assert isinstance(detail, backstory.SnapshotRecord)
        expected = _until(week, day)
        assert detail.rows == len(expected)
        read = week.home.slice(SLICE).at(detail.version).pandas()
        expected_rows = expected[["interaction", "item", "position", "click", "at"]]
        pd.testing.assert_frame_equal(
            read[["interaction", "item", "position", "click", "at"]],
            expected_rows,
            check_dtype=False,
        )


def test_each_run_logged_the_training_set_that_pandas_recomputes(week: Week) -> None:
    for day in week.days:
        [version] = week.home.models(f"{MODEL}@{day.trained}")
        assert version.run is not None
        trace = week.home.trace(version.ref, depth=1)
        run = trace.details[version.run]
        assert isinstance(run, backstory.RunRecord)
        training = week.home.run(run.run_id).facets["backstory_training"]
        clicks = _until(week, day)["click"]
        assert training["metrics"]["click_rate"] == pytest.approx(clicks.mean())
        assert training["dataset"]["rows"] == len(clicks)


def test_loop_shares_are_those_of_the_interactions(week: Week) -> None:
    """The share of a version's training rows that were clicks on answers of each earlier one."""
    served = pd.concat(
        day.shown.assign(version=day.shown["policy"].map({"random": 1, "bts": day.served_by_bts}))
        for day in week.days
    )
    for place, day in enumerate(week.days):
        trace = week.home.trace(f"{MODEL}@{day.trained}", depth=3)
        keys = {node.id: node.key for node in trace.graph.nodes}
        newest = f"{SLICE}@{place + 1}"
        found = {
            keys[edge.src]: edge.rows
            for edge in trace.graph.edges
            if edge.kind is EdgeKind.FEEDBACK_ON and keys[edge.dst] == newest
        }
        before = served[served["at"] < day.date + timedelta(days=1)]
        counts = before.groupby("version").size()
        assert found == {f"{MODEL}@{v}": n for v, n in counts.items()}


def test_deployments_are_right_on_each_day(week: Week) -> None:
    for day in week.days:
        noon = day.date + timedelta(hours=12)
        serving = week.home.deployments(ENVIRONMENT, at=noon)
        assert {(d.version, d.share) for d in serving} == {
            (POLICIES["random"], 0.5),
            (day.served_by_bts, 0.5),
        }


def test_a_click_leads_to_the_state_behind_its_impression(week: Week) -> None:
    day = week.days[3]
    row = day.shown[day.shown["policy"] == "bts"].iloc[0]
    state = week.home.state_of(f"int:{row['interaction']}")
    assert state.version == f"{MODEL}@{day.served_by_bts}"
    [part] = [p for p in state.parts if p.kind == "item"]
    assert part.ref == f"item:{row['item']}"
    assert json.loads(part.detail)["propensity"] == row["propensity"]
    assert state.digest == week.home.state_of(f"ext:bts:{row['external_id'][4:]}").digest


def test_no_raw_shopper_is_anywhere_in_the_home(week: Week) -> None:
    shoppers = set(week.shown["shopper"])
    needles = [shopper.encode() for shopper in sorted(shoppers)[:20]]
    for path in week.home.settings.home.rglob("*"):
        if path.is_file():
            content = path.read_bytes()
            assert not any(needle in content for needle in needles), path
            if path.suffix == ".parquet" and "_delta_log" not in path.parts:
                column = pq.read_table(path).to_pydict()
                for values in column.values():
                    assert shoppers.isdisjoint(v for v in values if isinstance(v, str)), path


def test_the_week_verifies(week: Week) -> None:
    assert week.home.verify().findings == ()
