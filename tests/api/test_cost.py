"""What a query may cost, and that finding it out costs little."""

import httpx
import pytest
from graphql import OperationDefinitionNode, get_operation_ast, parse

from backstory.api.bounds import Bounds
from backstory.api.cost import UNSIZED, Cost, cost_of
from backstory.api.schema import schema
from tests.api.conftest import World

SCHEMA = schema.graphql_schema


def cost(text: str, **variables: object) -> Cost:
    document = parse(text)
    operation = get_operation_ast(document)
    assert isinstance(operation, OperationDefinitionNode)
    return cost_of(SCHEMA, document, operation, variables)


@pytest.mark.parametrize(
    ("text", "nodes"),
    [
        ("{ __typename }", 0),
        ("{ home { version } }", 1),
        ("{ slices { key } }", UNSIZED),
        ("{ runs(first: 7) { edges { node { key } } } }", 7 * (1 + 1 + 1)),
        ("{ runs { edges { cursor } } }", 20 * (1 + 1)),
        ('{ trace(ref: "a", limit: 9) { nodes { kind } } }', 9 * 2),
        ('{ trace(ref: "a", limit: 9) { nodes { kind } edges { kind } } }', 9 * 3),
        ('{ trace(ref: "a") { nodes { kind } } }', 200 * 2),
        ('{ path(src: "a", dst: "b", depth: 4) { nodes { kind } } }', 4 * 2),
        ("{ a: home { version } b: home { version } }", 2),
        (
            (
                "{ ...a } fragment a on Query { home { key: version } ...b } "
                "fragment b on Query { home { version } }"
            ),
            2,
        ),
        (
            (
                '{ node(id: "a") { ... on Slice { history(first: 3) { edges { cursor } } } '
                "... { id } } }"
            ),
            1 + 6,
        ),
        ("{ runs(first: 0) { edges { cursor } } }", 2),
    ],
)
def test_lists_count_as_they_are_asked_for(text: str, nodes: int) -> None:
    assert cost(text).nodes == nodes


@pytest.mark.parametrize(
    ("variables", "first"),
    [
        ({"n": 7}, 7),
        ({}, 9),
        ({"n": "7"}, 20),
        ({"n": None}, 20),
        ({"n": True}, 20),
        ({"n": -4}, 1),
    ],
)
def test_a_size_may_be_a_variable(variables: dict[str, object], first: int) -> None:
    found = cost("query($n: Int! = 9) { runs(first: $n) { edges { cursor } } }", **variables)
    assert found.nodes == 2 * first


def test_depth_fields_and_aliases_are_counted_after_expansion() -> None:
    found = cost("""
        { a: home { ...f } b: home { ...f } }
        fragment f on Home { c: version d: revision }
    """)
    assert found == Cost(depth=2, fields=6, aliases=6, nodes=2)


def test_leaves_that_read_files_count_as_objects() -> None:
    asked = "{ pins(first: 7) { edges { node { holder %s } } } }"
    assert cost(asked % "until").nodes == 7 * 3
    assert cost(asked % "bytes bytesAlone").nodes == 7 * 3 + 7 * 20


def test_introspection_goes_as_deep_as_it_needs_to() -> None:
    deep = "{ __schema { types { fields { args { type " + "{ ofType " * 9 + "{ name }" + "}" * 9
    found = cost(deep + "} } } } }")
    assert (found.depth, found.nodes) == (1, 0)


def doubling(pairs: int) -> str:
    """Every fragment spreads the next one twice, so that fields double with each."""
    chain = "".join(
        f"fragment f{n} on Home {{ ...f{n + 1} a{n}: version ...f{n + 1} }} " for n in range(pairs)
    )
    return f"{{ home {{ ...f0 }} }} {chain} fragment f{pairs} on Home {{ version }}"


BOMBS = {
    "fragments": doubling(20),
    "many fragments": doubling(90),
    "aliases": "{" + " ".join(f"a{n}: __typename" for n in range(61)) + "}",
    "aliases of fragments": "{ "
    + " ".join(f"a{n}: home {{ ...f }}" for n in range(20))
    + "} fragment f on Home { a: version b: version c: version }",
    "fields": "{" + " __typename" * 601 + "}",
    "depth": "{ slices "
    + "{ history { edges { node { snapshot { slice" * 3
    + "{ key }"
    + "}" * 15
    + "}",
    "lists": "{ runs(first: 100) { edges { node { made { deployments { modelVersion "
    "{ trainedBy { reads { snapshot { readBy { rows } } } } } } } } } } }",
    "a large graph": '{ trace(ref: "ranker@1", limit: 2147483647) { nodes { kind } } }',
    "tokens": "{" + " a" * 2001 + "}",
    "comments": "#\n" * 201 + "{ __typename }",
    "length": "{ __typename }" + " " * 20_000,
    "brackets": "{ a " * 600,
    "inline fragments": "{" + "... {" * 400 + "__typename" + "}" * 401,
    "a chain of fragments": "{ ...f0 }"
    + "".join(f"fragment f{n} on Query{{...f{n + 1}}}" for n in range(240))
    + "fragment f240 on Query{__typename}",
    "a long list of values": "{ entity(ref: [" + "1 " * 1900 + "]) { key } }",
    "deep values": "{ entity(ref: " + "[" * 900 + "]" * 900 + ") { key } }",
    "overlapping fields": "{" + "home { version } " * 330 + "}",
    "a cycle": "{ ...a } fragment a on Query { ...b } fragment b on Query { ...a }",
    "directives": "{ __typename" + " @include(if: true)" * 300 + "}",
    "an empty text": "",
    "nothing but a byte": "\x00",
    "half a surrogate": '{ entity(ref: "\\uD83D") { key } }',
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_told_off_in_time(client: httpx.Client, name: str) -> None:
    response = client.post("/graphql", json={"query": BOMBS[name]}, timeout=60)
    codes = {error["extensions"]["code"] for error in response.json().get("errors", ())}
    assert "INTERNAL" not in codes
    assert response.status_code == 200
    if name != "a chain of fragments":
        assert "data" not in response.json()


def test_a_breach_names_the_measure_and_its_limit(world: World) -> None:
    [error] = world.errors(BOMBS["aliases"])
    assert error["message"] == "the query's aliases would be 61, more than 60"
    assert error["extensions"] == {"code": "QUERY_TOO_COMPLEX", "measure": "aliases", "limit": 60}


def test_what_a_bomb_would_cost_is_worked_out_without_unfolding_it() -> None:
    found = cost(doubling(90))  # unfolded it would never end
    assert found.fields == 10**9
    assert found.beyond(Bounds())
