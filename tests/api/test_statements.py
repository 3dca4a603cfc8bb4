"""A query costs as many SQL statements as it has kinds of things, however many things there are."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from backstory.api.app import execute
from backstory.lineage.home import Home
from tests.api import small_home

QUERIES = {
    "trace": """{ trace(ref: "ranker@1") { nodes { entity { key
        ... on Snapshot { slice { name } pins { holder } readBy { run { job } } }
        ... on Run { reads { snapshot { key } } made { key } facets { key } }
        ... on ModelVersion { trainedBy { state } components { name } deployments { mode } }
    } } edges { cause effect } } }""",
    "impact": '{ impact(ref: "thumbs/en@3") { nodes { entity { key } answers } } }',
    "runs": """{ runs(first: 50) { edges { node { state reads { snapshot { slice { name } } }
        made { aliases components { name } deployments { intervals { share } } } } } } }""",
    "models": """{ models { versions(first: 50) { edges { node { trainedBy { key }
        deployments { modelVersion { key } intervals { share } } } } } } }""",
    "history": '{ history(ref: "thumbs/en") { edges { node { runs snapshot { pins { at } } } } } }',
    "pins": """{ pins(first: 50) { edges { node { holder until retention inUse bytes bytesAlone
        snapshot { slice { name } } } } } }""",
    "deployments": "{ deployments { edges { node { deployment { modelVersion { key } } } } } }",
    "recorded": """{ models { versions(first: 50) { edges { node { recordedAt
        deployments { intervals { recordedAt endLateSeconds } } } } } }
        slices { history(first: 50) { edges { node { commit { recordedAt } } } } } }""",
}


@contextmanager
def statements(home: Home) -> Iterator[list[str]]:
    """The SQL that the home's store is asked meanwhile."""
    seen: list[str] = []

    def note(_conn: Any, _cursor: Any, statement: str, *_: Any) -> None:
        seen.append(statement)

    event.listen(home.store.engine, "before_cursor_execute", note)
    yield seen
    event.remove(home.store.engine, "before_cursor_execute", note)


def count(home: Home, query: str) -> int:
    with statements(home) as seen:
        answer = execute(home, query)
    assert "errors" not in answer, answer
    return sum(statement.lstrip().startswith(("SELECT", "WITH")) for statement in seen)


@pytest.fixture(scope="module")
def homes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Home]]:
    """The same story, with two retrainings and with twelve."""
    folders = [tmp_path_factory.mktemp("few"), tmp_path_factory.mktemp("many")]
    with (
        small_home.make_home(folders[0], retrainings=2) as few,
        small_home.make_home(folders[1], retrainings=12) as many,
    ):
        yield [few, many]


@pytest.mark.parametrize("name", QUERIES)
def test_more_things_cost_no_more_statements(homes: list[Home], name: str) -> None:
    few, many = (count(home, QUERIES[name]) for home in homes)
    assert few == many
    assert few <= 30


def test_what_a_trace_has_read_is_not_read_again(homes: list[Home]) -> None:
    plain = count(homes[0], '{ trace(ref: "ranker@1") { nodes { kind } } }')
    detailed = count(
        homes[0],
        """{ trace(ref: "ranker@1") { nodes { entity {
            ... on Snapshot { manifestDigest rows }
            ... on Run { state reads { role snapshot { key } } }
            ... on ModelVersion { trainedBy { job } }
        } } } }""",
    )
    assert detailed == plain


def test_an_old_version_is_found_by_asking_as_often(tmp_path: Path) -> None:
    with small_home.make_home(tmp_path, retrainings=3) as home:
        query = 'query { modelVersion(ref: "ranker@%d") { key trainedBy { key } } }'
        assert count(home, query % 1) == count(home, query % 3)
