"""One request in process: what is cached, what is masked, what is late."""

import asyncio
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from graphql import DocumentNode, parse

from backstory.api.app import execute
from backstory.api.bounds import Bounds
from backstory.api.service import Answer, GraphQLService, Outcome, Request
from backstory.lineage.home import Home, open_home
from tests.api import small_home
from tests.api.conftest import World


def ask(home: Home, query: str, bounds: Bounds | None = None, **more: Any) -> Answer:
    async def answer() -> Answer:
        service = GraphQLService(home, bounds or Bounds())
        try:
            return await service.answer(Request(query=query, **more))
        finally:
            service.close()

    return asyncio.run(answer())


def test_what_was_not_foreseen_is_masked(world: World, caplog: pytest.LogCaptureFixture) -> None:
    broken = replace(world.home, lake="no lake at all")  # type: ignore[arg-type]  # the fault to find
    query = '{ home { revision } diff(base: "thumbs/en@1", head: "thumbs/en@3") { truncated } }'
    with caplog.at_level(logging.ERROR):
        answer = ask(broken, query)
    [error] = answer.body["errors"]
    assert error["message"] == "this is a fault of the server"
    assert error["extensions"] == {"code": "INTERNAL", "requestId": answer.request_id}
    assert answer.body["data"] == {"home": {"revision": "0002"}, "diff": None}
    assert answer.request_id in caplog.text
    assert "no lake at all" not in str(answer.body)


def test_a_damaged_home_is_told_as_such(tmp_path: Path) -> None:
    with small_home.make_home(tmp_path) as home:
        for log in (home.settings.lake / "thumbs__en" / "_delta_log").glob("*.json"):
            log.write_text("{")
        query = '{ diff(base: "thumbs/en@0", head: "thumbs/en@2") { truncated } }'
        [error] = ask(home, query).body["errors"]
    assert error["extensions"]["code"] in {"INTEGRITY", "GONE"}


def test_operations_are_picked_by_name(world: World) -> None:
    query = "query A { home { version } } query B { __typename }"
    assert execute(world.home, query, operation="B")["data"] == {"__typename": "Query"}
    [error] = execute(world.home, query, operation="C")["errors"]
    assert "operationName" in error["message"]


def test_wrong_variables_are_told_before_anything_is_done(world: World) -> None:
    answer = ask(world.home, "query($id: ID!) { node(id: $id) { id } }", variables={"id": [1]})
    assert answer.outcome is Outcome.REFUSED
    assert "data" not in answer.body


@pytest.mark.parametrize("text", ["2026-11-14T09:41", "yesterday", "2026-13-01"])
def test_a_wrong_time_says_how_one_looks(world: World, text: str) -> None:
    query = "query($at: DateTime) { deployments(at: $at) { edges { cursor } } }"
    [error] = world.errors(query, at=text)
    assert "2026-11-14T09:41:07Z" in error["message"]
    [error] = world.errors(f'{{ deployments(at: "{text}") {{ edges {{ cursor }} }} }}')
    assert "2026-11-14T09:41:07Z" in error["message"]


def test_an_answer_that_takes_too_long_is_given_up(world: World) -> None:
    traces = " ".join(f'a{n}: trace(ref: "ranker@1") {{ root }}' for n in range(30))
    answer = ask(world.home, f"{{ {traces} }}", Bounds(seconds=0.005, threads=1))
    assert answer.outcome is Outcome.TIMED_OUT
    [error] = answer.body["errors"]
    assert error["message"] == "the answer took longer than 0.005 seconds"
    assert error["extensions"] == {"code": "TIMEOUT", "requestId": answer.request_id}
    assert "data" not in answer.body


def test_many_requests_share_few_threads(world: World) -> None:
    async def answers() -> list[Answer]:
        service = GraphQLService(world.home, Bounds(threads=2))
        request = Request(query='{ trace(ref: "ranker@2") { nodes { entity { key } } } }')
        try:
            return await asyncio.gather(*(service.answer(request) for _ in range(40)))
        finally:
            service.close()

    told = asyncio.run(answers())
    assert len({str(answer.body["data"]) for answer in told}) == 1
    assert len({answer.request_id for answer in told}) == 40


def test_the_lake_is_asked_by_many_threads_at_once(world: World) -> None:
    queries = [
        '{ diff(base: "thumbs/en@1", head: "thumbs/en@3") { rowsAdded } }',
        '{ state(ref: "ext:zendesk:8812", verify: true) { ... on ModelState { digest } } }',
        '{ impact(ref: "thumbs/en@3") { nodes { answers } } }',
        '{ sliceVersion(ref: "thumbs/en") { key } }',
    ]

    async def answers() -> list[Answer]:
        service = GraphQLService(world.home, Bounds())
        asked = [service.answer(Request(query=queries[n % 4])) for n in range(48)]
        try:
            return await asyncio.gather(*asked)
        finally:
            service.close()

    told = asyncio.run(answers())
    assert [answer.body for answer in told if "errors" in answer.body] == []
    assert len({str(answer.body["data"]) for answer in told}) == len(queries)


def test_what_others_write_meanwhile_is_seen(tmp_path: Path) -> None:
    query = """{ slice(name: "thumbs/en") { lastVersion }
        models { versions { edges { node { key } } } }
        diff(base: "thumbs/en@1", head: "thumbs/en") { rowsAdded } }"""
    with small_home.make_home(tmp_path, retrainings=1) as home:
        before = ask(home, query).body["data"]
        with open_home(home.settings.home) as other:
            small_home.give_feedback(other, 4)
            small_home.retrain(other, tmp_path)
        after = ask(home, query).body["data"]
    assert (before["slice"]["lastVersion"], after["slice"]["lastVersion"]) == (3, 4)
    assert (before["diff"]["rowsAdded"], after["diff"]["rowsAdded"]) == (20, 30)
    assert len(after["models"][0]["versions"]["edges"]) == 2


def test_a_document_that_is_known_is_not_read_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []

    def counted(text: str, **options: Any) -> DocumentNode:
        read.append(text)
        return parse(text, **options)

    monkeypatch.setattr("backstory.api.service.parse", counted)
    service = GraphQLService(world.home, Bounds())
    for query in ("{ home { version } }", "{ home { key } }", "{ home { version } }"):
        asyncio.run(service.answer(Request(query=query)))
    service.close()
    assert read == ["{ home { version } }", "{ home { key } }"]
