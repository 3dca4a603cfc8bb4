"""Serving over time beside a plain model: any order of facts, and what was known at every step."""

from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

import backstory
from backstory.lineage.amendment import Correction
from backstory.lineage.deployment import Mode, active_at
from backstory.lineage.home import Home
from tests.databases import Databases
from tests.lineage.homes import train
from tests.lineage.store.recording import ticking
from tests.lineage.test_deployment import CORRECTIONS, Environment, minute

ENVIRONMENTS = ("prod", "test")
ALIASES = ("champion", "challenger")
VERSIONS = ("ranker@1", "ranker@2", "ranker@3")
NOW = 6  # minutes before it are back-filled, those behind it planned
MINUTES = st.integers(0, 12)
ALL_MINUTES = range(-1, 14)

Known = dict[str, object]


class Serving(RuleBasedStateMachine):
    """Deploys, undeploys, moves aliases and amends; what is refused is refused by the model too."""

    def __init__(self, databases: Databases) -> None:
        super().__init__()
        self.folder = TemporaryDirectory()
        self.databases = databases
        self.url = databases.laid()
        clock = ticking(minute(NOW), timedelta(milliseconds=1))
        path = Path(self.folder.name, "home")
        self.home = backstory.init(path, database_url=self.url, clock=clock)
        for _ in VERSIONS:
            train(self.home)
        self.environments = {name: Environment() for name in ENVIRONMENTS}
        self.moves: dict[str, list[tuple[int, str]]] = {name: [] for name in ALIASES}
        self.then: list[tuple[datetime, Known]] = []

    @initialize()
    def begin(self) -> None:
        for name in ENVIRONMENTS:
            self.deploy(VERSIONS[0], name, 1, Mode.LIVE, 0)

    @rule(
        version=st.sampled_from(VERSIONS),
        to=st.sampled_from(ENVIRONMENTS),
        share=st.sampled_from([0.1, 1 / 3, 0.5, 0.9, 1]),
        mode=st.sampled_from(Mode),
        at=MINUTES,
    )
    def deploy(self, version: str, to: str, share: float, mode: Mode, at: int) -> None:
        self.alike(
            lambda: self.environments[to].deploy(version, at, share=share, mode=mode),
            lambda: self.home.deploy(version, to=to, share=share, mode=mode, at=minute(at)),
        )

    @rule(at=MINUTES, to=st.sampled_from(ENVIRONMENTS), data=st.data())
    def undeploy(self, at: int, to: str, data: st.DataObject) -> None:
        serving = sorted({n for n, _ in self.environments[to].served(at) if n})
        if serving:
            number = data.draw(st.sampled_from(serving))
            self.alike(
                lambda: self.environments[to].undeploy(number, at),
                lambda: self.home.undeploy(f"env:{to}#{number}", at=minute(at)),
            )

    @rule(to=st.sampled_from(ENVIRONMENTS), data=st.data(), correction=CORRECTIONS)
    def amend(self, to: str, data: st.DataObject, correction: Correction) -> None:
        number = data.draw(st.integers(1, self.environments[to].deployments))
        said = {name: value for name, value in asdict(correction).items() if value is not None}
        self.alike(
            lambda: self.environments[to].amend(number, correction),
            lambda: self.home.amend(f"env:{to}#{number}", reason="it was otherwise", **said),
        )

    @rule(version=st.sampled_from(VERSIONS), name=st.sampled_from(ALIASES), at=MINUTES)
    def alias(self, version: str, name: str, at: int) -> None:
        self.alike(
            lambda: self.move(version, name, at),
            lambda: self.home.alias(version, name, at=minute(at)),
        )

    @rule(
        name=st.sampled_from(ALIASES),
        at=st.none() | MINUTES,
        said=st.one_of(
            st.just({"never": True}),
            st.builds(lambda version: {"version": version}, st.sampled_from(VERSIONS)),
            st.builds(lambda since: {"from_at": minute(since)}, MINUTES),
        ),
    )
    def amend_alias(self, name: str, at: int | None, said: dict[str, Any]) -> None:
        when = None if at is None else minute(at)
        self.alike(
            lambda: self.amend_move(name, at, **said),
            lambda: self.home.amend(f"ranker@{name}", reason="a slip", at=when, **said),
        )

    def amend_move(
        self,
        name: str,
        at: int | None,
        *,
        never: bool = False,
        version: str | None = None,
        from_at: datetime | None = None,
    ) -> None:
        moves = self.moves[name]
        places = [n for n, (begin, _) in enumerate(moves) if at is None or begin <= at]
        if not places:
            raise backstory.NotFoundError("it named nothing then")
        place = places[-1]
        begin, named = moves[place]
        if from_at is not None:
            begin = (from_at - minute(0)) // timedelta(minutes=1)
        right = [] if never else [(begin, version or named)]
        changed = [*moves[:place], *right, *moves[place + 1 :]]
        begins = [begin for begin, _ in changed]
        if begin > NOW or changed == moves or begins != sorted(begins):
            raise backstory.InvalidError("not over, no change, or past another move")
        self.moves[name] = changed

    def move(self, version: str, name: str, at: int) -> None:
        if at > NOW or at < max((begin for begin, _ in self.moves[name]), default=0):
            raise backstory.RefusedError("the alias has moved later already, or has not yet")
        self.moves[name].append((at, version))

    def alike(self, plain: Callable[[], object], real: Callable[[], object]) -> None:
        """Do the same to the model and to the home, and compare what they know."""
        outcomes = [_succeeds(plain), _succeeds(real)]
        assert outcomes[0] == outcomes[1]
        known = self.known()
        assert _told(self.home, None) == known
        self.then.append((self.home.clock(), known))

    def known(self) -> Known:
        served = {
            f"{name} {m}": {
                (i.deployment, i.share) for i in active_at(environment.intervals, minute(m))
            }
            for name, environment in self.environments.items()
            for m in ALL_MINUTES
        }
        return {**served, **{name: moves[-1][1] for name, moves in self.moves.items() if moves}}

    def teardown(self) -> None:
        for as_of, known in self.then:
            assert _told(self.home, as_of) == known
        assert self.home.verify().intact
        self.home.close()
        self.databases.drop(self.url)
        self.folder.cleanup()


def _succeeds(act: Callable[[], object]) -> bool:
    try:
        act()
    except (backstory.RefusedError, backstory.InvalidError, backstory.NotFoundError):
        return False
    return True


def _told(home: Home, as_of: datetime | None) -> Known:
    """What a home says of all minutes and aliases, as it was known at a time."""
    intervals = home.deployments(as_of=as_of)
    found: Known = {
        f"{name} {m}": {
            (i.number, i.share) for i in intervals if i.environment == name and i.covers(minute(m))
        }
        for name in ENVIRONMENTS
        for m in ALL_MINUTES
    }
    for version in home.models("ranker", as_of=as_of):
        found.update(dict.fromkeys(version.aliases, version.ref))
    return found


def test_history_is_that_of_the_model(databases: Databases) -> None:
    run_state_machine_as_test(
        lambda: Serving(databases),  # type: ignore[arg-type]  # the typed stub knows classes only
        settings=settings(max_examples=8, stateful_step_count=15, deadline=None),
    )
