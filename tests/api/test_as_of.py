"""Every root field tells with `asOf` what it told then, whatever was recorded since.

A story is told step by step. After each step every root field is asked for all that it can tell;
the time of the step is that of the last entry of the audit log. In the end each field is asked
again as of all those times, in one request, so that what one time knows may not show at another.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from graphql import GraphQLObjectType, get_named_type

import backstory
from backstory.api import service
from backstory.api.bounds import Bounds
from backstory.api.schema import schema
from backstory.api.schema.entity import id_of
from backstory.lineage.home import Home
from backstory.lineage.store import audit_log
from backstory.lineage.times import time_text
from tests.api import small_home
from tests.api.conftest import World
from tests.api.test_secrecy import everything
from tests.databases import Databases

QUERY = schema.graphql_schema.query_type
assert isinstance(QUERY, GraphQLObjectType)

# They tell of the program and the store that answer, not of anything that was recorded.
TIMELESS = {"home"}
NOW = {"bytesOfPin", "bytesAloneOfPin"}
NEAREST = 'near: {model: "ranker", environment: "prod-eu", at: "2026-11-14T12:00Z"}'
# Some of them name what is not there until somewhere in the story, and {run} is its first run.
QUESTIONS: Mapping[str, list[str]] = {
    "node": [f'id: "{id_of("ranker@1")}"'],
    "entity": ['ref: "thumbs/en"', 'ref: "env:prod-eu#1"'],
    "slices": ["interactions: true"],
    "slice": ['name: "thumbs/en"'],
    "sliceVersion": ['ref: "thumbs/en"'],
    "snapshot": ['ref: "thumbs/en@2"'],
    "pins": ["first: 3", 'slice: "thumbs/en"'],
    "history": ['ref: "thumbs/en", first: 3'],
    "diff": ['base: "thumbs/en@0", head: "thumbs/en"'],
    "rowDiff": ['base: "thumbs/en@0", head: "thumbs/en"'],
    "drift": ['base: "thumbs/en@1", head: "thumbs/en"'],
    "models": [""],
    "model": ['name: "ranker"'],
    "modelVersion": ['ref: "ranker@champion"', 'ref: "ranker@9"'],
    "runs": ["first: 3"],
    "run": ['ref: "{run}"'],
    "deployments": ["", 'environment: "prod-eu", at: "2026-11-13T12:00Z"'],
    "trace": ['ref: "ranker@champion"', 'ref: "thumbs/en"'],
    "impact": ['ref: "thumbs/en@2"'],
    "path": ['src: "thumbs/en@2", dst: "env:prod-eu#1"'],
    "state": ['ref: "ext:zendesk:1"', NEAREST],
}
ASKED = [(name, asked) for name, questions in QUESTIONS.items() for asked in questions]
# How many types deep all is asked: in some, pages of what is of interest lie behind others.
DEEP = {"model": 4, "modelVersion": 3, "slice": 3}
BOUNDS = Bounds(
    aliases=10**6,
    depth=100,
    document_characters=10**6,
    fields=10**6,
    nodes=10**9,
    seconds=60,
    tokens=10**5,
)


def test_each_root_field_takes_a_time_and_is_asked_here() -> None:
    assert {name for name, of in QUERY.fields.items() if "asOf" not in of.args} == TIMELESS
    assert QUESTIONS.keys() | TIMELESS == QUERY.fields.keys()


@dataclass
class Story:
    """What happens in a home, each step once."""

    home: Home
    folder: Path
    run: str = "ffffff"
    running: ExitStack = field(default_factory=ExitStack)

    @property
    def steps(self) -> list[Callable[[], object]]:
        home = self.home
        return [
            lambda: home.create_slice(backstory.Contract.from_yaml(small_home.CONTRACT)),
            lambda: small_home.give_feedback(home, 1),
            lambda: small_home.give_feedback(home, 2),
            lambda: home.pin("thumbs/en@2", reason="audit"),
            self.begin,
            self.complete,
            lambda: home.alias("ranker@1", "champion"),
            lambda: home.deploy("ranker@1", to="prod-eu"),
            lambda: small_home.answer(home, external_id="zendesk:1"),
            lambda: home.load("ranker@1", environment="prod-eu"),
            self.begin,
            lambda: small_home.give_feedback(home, 3),
            self.complete,
            lambda: home.deploy("ranker@2", to="prod-eu", share=0.25, mode="canary"),
            lambda: home.alias("ranker@2", "champion"),
            lambda: home.add_version("ranker@9", trained_on=["thumbs/en@1"], metrics={"ndcg": 0.5}),
            lambda: small_home.answer(home, "ranker@2", external_id="zendesk:2"),
            lambda: home.undeploy("env:prod-eu#1"),
            lambda: home.load("ranker@2", environment="prod-eu"),
            lambda: home.deploy("ranker@9", to="prod-eu", at=datetime(2026, 11, 13, tzinfo=UTC)),
            lambda: home.release(self.pinned(), reason="the audit is over"),
            self.fail,
        ]

    def begin(self) -> None:
        training = self.home.retraining("ranker", trigger=backstory.Manual("asked for"))
        self.recorded = self.running.enter_context(training)
        self.recorded.read("thumbs/en", where="event_id <> 'e1-0'")
        self.recorded.use_component("prompt", "greeting", "4")
        self.run = self.home.runs()[-1].run_id

    def complete(self) -> None:
        (self.folder / "model.bin").write_text(self.recorded.run_id)
        self.recorded.register(self.folder / "model.bin")
        self.running.close()

    def fail(self) -> None:
        with suppress(ValueError), self.home.retraining("ranker") as run:
            run.read("thumbs/en@3")
            raise ValueError("the loss diverged")

    def pinned(self) -> str:
        return next(pinned.pin_id for pinned in self.home.pins() if pinned.reason == "audit")


@dataclass(frozen=True, kw_only=True)
class Asking:
    """Asks a home, beyond the bounds that hold for others."""

    graphql: service.GraphQLService
    runner: asyncio.Runner

    def of_times(self, name: str, asked: str, times: Mapping[str, str | None]) -> Any:
        """The answers of a root field as of times, each under its name, in one request."""
        of = QUERY.fields[name].type
        variables = " ".join(f"${called}: DateTime" for called in times)
        fields = "\n".join(
            f"{called}: {name}({asked} asOf: ${called}) {{ ...all }}" for called in times
        )
        fragment = f"fragment all on {get_named_type(of)} {everything(of, DEEP.get(name, 2))}"
        document = f"query({variables}) {{ {fields} }} {fragment}"
        given = {called: time for called, time in times.items() if time is not None}
        request = service.Request(query=document, variables=given)
        body = self.runner.run(self.graphql.answer(request)).body
        return _then(body["data"]) if "errors" not in body else _refusal(body["errors"])

    def of(self, name: str, asked: str, time: str | None = None) -> Any:
        """The answer of a root field, or why there is none."""
        told = self.of_times(name, asked, {"told": time})
        return told.get("told", told)


@contextmanager
def asking(home: Home) -> Iterator[Asking]:
    graphql = service.GraphQLService(home, BOUNDS)
    with asyncio.Runner() as runner:
        yield Asking(graphql=graphql, runner=runner)
    graphql.close()


def _then(answer: Any) -> Any:
    """An answer without what a field says to be so now."""
    if isinstance(answer, dict):
        return {name: _then(value) for name, value in answer.items() if name not in NOW}
    return [_then(value) for value in answer] if isinstance(answer, list) else answer


def _refusal(errors: list[Any]) -> dict[str, Any]:
    """What is refused, whatever the field was called in the request."""
    return {"refused": [(error["message"], error["extensions"]) for error in errors]}


def test_every_root_field_tells_what_it_told_then(
    databases: Databases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "CACHED_CHARACTERS", 10**6)  # or reading them takes longer
    url = databases.laid()
    clock = small_home.Clock()
    with backstory.init(tmp_path / "home", database_url=url, clock=clock) as home:
        told: dict[str, dict[tuple[str, str], Any]] = {}
        story = Story(home, tmp_path)
        with asking(home) as ask:
            for step in story.steps:
                step()
                told[_last_entry(home)] = {
                    (name, asked): ask.of(name, asked.replace("{run}", story.run))
                    for name, asked in ASKED
                }
            assert len(told) == len(story.steps)
            for name, asked in ASKED:
                _compare(ask, name, asked, story.run, told)
    databases.drop(url)


def _compare(
    ask: Asking, name: str, asked: str, run: str, told: Mapping[str, Mapping[tuple[str, str], Any]]
) -> None:
    then = {time: answers[name, asked] for time, answers in told.items()}
    assert len({str(answer) for answer in then.values()}) > 1, "the story does not change this"
    question = asked.replace("{run}", run)
    answered = {}
    for at, (time, answer) in enumerate(then.items()):
        if isinstance(answer, dict) and "refused" in answer:
            assert ask.of(name, question, time) == answer, (name, asked, at)
        else:
            answered[f"step{at}"] = time
    known = ask.of_times(name, question, answered | {"now": None})
    assert "refused" not in known, (name, asked, known)
    for called, time in answered.items():
        assert known[called] == then[time], (name, asked, called)
    assert known["now"] == list(then.values())[-1]


def _last_entry(home: Home) -> str:
    with home.store.reader() as conn:
        _, at = audit_log.head(conn)
    assert at is not None
    return time_text(at)


@pytest.mark.parametrize("field", sorted(QUESTIONS))
@pytest.mark.parametrize(
    ("time", "code", "message"),
    [
        ("1999-01-01", "NOT_FOUND", "nothing was known at 1999-01-01T00:00:00Z"),
        ("2999-01-01T00:00Z", "BAD_USER_INPUT", "2999-01-01T00:00:00Z is in the future"),
        ("2026-11-14T09:41", "BAD_USER_INPUT", "has no time zone"),
        ("yesterday", "BAD_USER_INPUT", "'yesterday' is not a time"),
    ],
)
def test_a_time_that_cannot_be_asked_for_is_one_error(
    world: World, field: str, time: str, code: str, message: str
) -> None:
    asked = QUESTIONS[field][0].replace("{run}", "ffffff")
    document = f"query($at: DateTime) {{ {field}({asked} asOf: $at) {{ __typename }} }}"
    [error] = world.errors(document, at=time)
    assert (error["extensions"]["code"], message in error["message"]) == (code, True), error


def test_a_page_goes_on_as_of_the_time_of_the_first(world: World) -> None:
    query = """query($at: DateTime, $after: String) { model(name: "ranker", asOf: $at) {
        versions(first: 1, after: $after) { edges { node { key } } pageInfo { endCursor } } } }"""
    at = time_text(world.home.clock())
    first = world.ask(query, at=at)["model"]["versions"]
    assert [edge["node"]["key"] for edge in first["edges"]] == ["ranker@2"]
    second = world.ask(query, at=at, after=first["pageInfo"]["endCursor"])["model"]["versions"]
    assert [edge["node"]["key"] for edge in second["edges"]] == ["ranker@1"]


def test_a_time_without_a_value_is_now(world: World) -> None:
    query = "query($at: DateTime) { models(asOf: $at) { key } }"
    assert world.ask(query) == world.ask(query, at=None) == world.ask("{ models { key } }")
