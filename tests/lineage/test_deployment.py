"""The rules by example, and what holds after any sequence of deployments, back-filled ones too."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import count, pairwise

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from backstory.lake.errors import InvalidError, NotFoundError, RefusedError
from backstory.lineage.amendment import Correction, plan_amendment
from backstory.lineage.deployment import (
    Action,
    Change,
    Interval,
    Mode,
    active_at,
    plan_deployment,
    plan_undeployment,
)

NOON = datetime(2026, 11, 14, 12, tzinfo=UTC)


def minute(n: float) -> datetime:
    return NOON + timedelta(minutes=n)


@dataclass
class Environment:
    """What a store does with plans: ended intervals go, planned ones get a row."""

    intervals: list[Interval] = field(default_factory=list)
    deployments: int = 0
    rows: Iterator[int] = field(default_factory=lambda: count(1))

    def deploy(self, version: str, at: float, *, share: float = 1, mode: Mode = Mode.LIVE) -> int:
        plan = plan_deployment(
            self.intervals,
            environment="prod",
            version_ref=version,
            mode=mode,
            share=share,
            at=minute(at),
        )
        self.deployments += 1
        self.carry_out(plan)
        return self.deployments

    def undeploy(self, deployment: int, at: float) -> None:
        self.carry_out(
            plan_undeployment(
                self.intervals, environment="prod", deployment=deployment, at=minute(at)
            )
        )

    def amend(self, deployment: int, correction: Correction) -> None:
        for change in plan_amendment(self.intervals, "prod", deployment, correction):
            [before] = [i for i in self.intervals if i.row == change.row]
            self.intervals.remove(before)
            if change.after is not None:
                self.intervals.append(replace(change.after, row=next(self.rows)))

    def carry_out(self, plan: tuple[Change, ...]) -> None:
        for change in plan:
            if change.before is not None:
                self.intervals.remove(change.before)
            self.intervals += [
                Interval(
                    row=next(self.rows),
                    deployment=piece.deployment or self.deployments,
                    version_ref=piece.version_ref,
                    mode=piece.mode,
                    share=piece.share,
                    from_at=piece.from_at,
                    until_at=piece.until_at,
                )
                for piece in change.after
            ]

    def split(self, at: float) -> dict[str, float]:
        return {i.version_ref: i.share for i in active_at(self.intervals, minute(at))}

    def served(self, at: float) -> set[tuple[int | None, float]]:
        return {(i.deployment, i.share) for i in active_at(self.intervals, minute(at))}


def test_live_with_all_traffic_closes_the_others() -> None:
    prod = Environment()
    prod.deploy("r@1", 0)
    prod.deploy("r@2", 10)
    assert prod.split(9) == {"r@1": 1}
    assert prod.split(10) == {"r@2": 1}


def test_live_with_less_must_fit() -> None:
    prod = Environment()
    prod.deploy("r@1", 0, share=0.7)
    prod.deploy("r@2", 1, share=0.3)
    assert prod.split(1) == {"r@1": 0.7, "r@2": 0.3}
    with pytest.raises(RefusedError) as refused:
        prod.deploy("r@3", 2, share=0.1)
    assert refused.value.message == (
        "prod: r@3 as live with 10 % does not fit; the split is r@1 70 % (live), r@2 30 % (live)"
    )
    assert "share=1" in refused.value.hint


def test_a_canary_takes_its_share_from_live_and_gives_it_back() -> None:
    prod = Environment()
    prod.deploy("r@1", 0, share=0.6)
    prod.deploy("r@2", 0, share=0.4)
    canary = prod.deploy("r@3", 5, share=0.1, mode=Mode.CANARY)
    assert prod.split(5) == pytest.approx({"r@1": 0.54, "r@2": 0.36, "r@3": 0.1})
    prod.undeploy(canary, 8)
    assert prod.split(8) == pytest.approx({"r@1": 0.6, "r@2": 0.4})
    assert prod.split(7) == pytest.approx({"r@1": 0.54, "r@2": 0.36, "r@3": 0.1})


def test_a_canary_needs_something_live_to_take_from() -> None:
    prod = Environment()
    with pytest.raises(RefusedError, match="nothing is live to take a share from"):
        prod.deploy("r@1", 0, share=0.1, mode=Mode.CANARY)
    prod.deploy("r@1", 0, share=0.2)
    with pytest.raises(RefusedError, match="20 %"):
        prod.deploy("r@2", 0, share=0.3, mode=Mode.CANARY)


def test_a_canary_grows_and_becomes_live() -> None:
    prod = Environment()
    prod.deploy("r@1", 0)
    prod.deploy("r@2", 1, share=0.1, mode=Mode.CANARY)
    prod.deploy("r@2", 2, share=0.5, mode=Mode.CANARY)
    assert prod.split(2) == pytest.approx({"r@1": 0.5, "r@2": 0.5})
    prod.deploy("r@2", 3)
    assert prod.split(3) == {"r@2": 1}


def test_a_canary_that_takes_everything_leaves_nothing_live() -> None:
    prod = Environment()
    prod.deploy("r@1", 0, share=0.5)
    prod.deploy("r@2", 1, share=0.5, mode=Mode.CANARY)
    assert prod.split(1) == {"r@2": 0.5}


def test_shadow_and_holdout_count_nothing() -> None:
    prod = Environment()
    prod.deploy("r@1", 0)
    prod.deploy("r@2", 1, mode=Mode.SHADOW)
    prod.deploy("r@3", 1, share=0.5, mode=Mode.HOLDOUT)
    assert prod.split(1) == {"r@1": 1, "r@2": 1, "r@3": 0.5}
    prod.deploy("r@4", 2)
    assert prod.split(2) == {"r@4": 1, "r@2": 1, "r@3": 0.5}


def test_a_back_filled_version_holds_until_the_one_that_replaced_it() -> None:
    prod = Environment()
    prod.deploy("r@6", 10)
    prod.deploy("r@5", 0)
    assert prod.split(9) == {"r@5": 1}
    assert prod.split(10) == {"r@6": 1}


def test_what_was_recorded_for_later_stands() -> None:
    prod = Environment()
    prod.deploy("r@4", 0, share=0.5)
    prod.deploy("r@6", 10, share=0.5)
    prod.deploy("r@5", 5)
    assert prod.split(4) == {"r@4": 0.5}
    assert prod.split(5) == {"r@5": 1}
    assert prod.split(10) == {"r@4": 0.5, "r@6": 0.5}


def test_a_back_filled_share_goes_on_where_it_fits() -> None:
    prod = Environment()
    prod.deploy("r@4", 0, share=0.5)
    prod.deploy("r@6", 10, share=0.2)
    prod.deploy("r@5", 5, share=0.3)
    assert prod.split(99) == {"r@4": 0.5, "r@6": 0.2, "r@5": 0.3}


def test_a_back_filled_canary_ends_where_another_took_everything() -> None:
    prod = Environment()
    prod.deploy("r@4", 0)
    prod.deploy("r@6", 10)
    prod.deploy("r@5", 5, share=0.1, mode=Mode.CANARY)
    assert prod.split(5) == pytest.approx({"r@4": 0.9, "r@5": 0.1})
    assert prod.split(10) == {"r@6": 1}


def test_a_deployment_without_a_moment_keeps_an_empty_interval() -> None:
    prod = Environment()
    prod.deploy("r@1", 0)
    prod.deploy("r@2", 0)
    assert prod.split(0) == {"r@2": 1}
    assert [i.until_at for i in prod.intervals if i.deployment == 1] == [NOON]


def test_ending_what_does_not_serve_is_refused() -> None:
    prod = Environment()
    first = prod.deploy("r@1", 5)
    with pytest.raises(RefusedError, match="does not serve at 2026-11-14T12:01:00Z"):
        prod.undeploy(first, 1)


@pytest.mark.parametrize("share", [0, -0.1, 1.1, float("nan")])
def test_impossible_shares_are_refused(share: float) -> None:
    with pytest.raises(InvalidError, match="share"):
        Environment().deploy("r@1", 0, share=share)


def test_a_canary_with_all_traffic_is_refused() -> None:
    with pytest.raises(InvalidError, match="canary"):
        Environment().deploy("r@1", 0, mode=Mode.CANARY)


def test_a_plan_says_what_it_does() -> None:
    prod = Environment()
    prod.deploy("r@1", 0)
    plan = plan_deployment(
        prod.intervals,
        environment="prod",
        version_ref="r@2",
        mode=Mode.LIVE,
        share=1,
        at=minute(1),
    )
    assert [change.action for change in plan] == [Action.CLOSE, Action.OPEN]


VERSIONS = st.sampled_from(["r@1", "r@2", "r@3", "r@4"])
SHARES = st.sampled_from([0.1, 1 / 3, 0.5, 0.9, 1])
MINUTES = st.integers(0, 12)
ALL_MINUTES = range(-1, 14)
TIMES = MINUTES.map(minute)
CORRECTIONS = st.one_of(
    st.builds(Correction, never=st.just(value=True), at=st.none() | TIMES),
    st.builds(Correction, share=SHARES, at=st.none() | TIMES),
    st.builds(Correction, from_at=TIMES, share=st.none() | SHARES, at=st.none() | TIMES),
    st.builds(Correction, until_at=TIMES, from_at=st.none() | TIMES, at=st.none() | TIMES),
    st.builds(Correction, ongoing=st.just(value=True), share=st.none() | SHARES),
)


class Deploying(RuleBasedStateMachine):
    """Deploys and undeploys at any time, in any order of recording."""

    def __init__(self) -> None:
        super().__init__()
        self.prod = Environment()

    @rule(version=VERSIONS, share=SHARES, mode=st.sampled_from(Mode), at=MINUTES)
    def deploy(self, version: str, share: float, mode: Mode, at: int) -> None:
        before = {m: self.prod.served(m) for m in ALL_MINUTES}
        try:
            number = self.prod.deploy(version, at, share=share, mode=mode)
        except (RefusedError, InvalidError):
            return
        (opened,) = [i for i in self.prod.intervals if i.deployment == number]
        assert (opened.from_at, opened.share) == (minute(at), share)
        for m in ALL_MINUTES:
            if not opened.covers(minute(m)):
                assert self.prod.served(m) == before[m]

    @rule(data=st.data(), at=MINUTES)
    def undeploy(self, data: st.DataObject, at: int) -> None:
        serving = {i.deployment for i in active_at(self.prod.intervals, minute(at))}
        if not serving:
            return
        number = data.draw(st.sampled_from(sorted(n for n in serving if n)))
        before = {m: self.prod.served(m) for m in ALL_MINUTES if m < at}
        self.prod.undeploy(number, at)
        assert {m: self.prod.served(m) for m in before} == before
        for m in range(at, 14):
            assert number not in {i.deployment for i in active_at(self.prod.intervals, minute(m))}

    @precondition(lambda self: self.prod.deployments)
    @rule(data=st.data(), correction=CORRECTIONS)
    def amend(self, data: st.DataObject, correction: Correction) -> None:
        number = data.draw(st.integers(1, self.prod.deployments))
        before = {m: self.prod.served(m) for m in ALL_MINUTES}
        try:
            self.prod.amend(number, correction)
        except (RefusedError, InvalidError, NotFoundError):
            assert {m: self.prod.served(m) for m in ALL_MINUTES} == before
            return
        for m in ALL_MINUTES:
            now = {share for n, share in self.prod.served(m) if n == number}
            assert self.prod.served(m) - before[m] <= {(number, share) for share in now}
            assert {n for n, _ in before[m]} - {n for n, _ in self.prod.served(m)} <= {number}
            if correction.at is None:
                self.check_as_said(minute(m), now, correction)

    def check_as_said(self, at: datetime, now: set[float], said: Correction) -> None:
        """The whole deployment is as it is said to have been."""
        early = said.from_at is not None and at < said.from_at
        late = said.until_at is not None and at >= said.until_at
        if said.never or early or late:
            assert not now
        elif at == said.from_at:
            assert now
        if said.share is not None:
            assert now <= {said.share}

    @invariant()
    def shares_never_exceed_one(self) -> None:
        for m in ALL_MINUTES:
            counted = [i for i in active_at(self.prod.intervals, minute(m)) if i.mode.counted]
            assert sum(i.share for i in counted) <= 1 + 1e-9
            assert all(0 < i.share <= 1 for i in counted)

    @invariant()
    def every_deployment_has_its_own_stretch_of_time(self) -> None:
        for number in range(1, self.prod.deployments + 1):
            own = sorted(
                (i for i in self.prod.intervals if i.deployment == number),
                key=lambda i: i.from_at,
            )
            assert own
            for first, second in pairwise(own):
                assert first.until_at is not None
                assert first.until_at <= second.from_at


TestDeploying = Deploying.TestCase
TestDeploying.settings = settings(max_examples=100, stateful_step_count=20)
