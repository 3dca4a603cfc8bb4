"""What rows, requests and responses say never leaves; nobody knows yet who is asking."""

import json
from collections.abc import Iterator

import httpx
from graphql import (
    GraphQLInterfaceType,
    GraphQLObjectType,
    GraphQLOutputType,
    GraphQLUnionType,
    get_named_type,
    is_leaf_type,
)

from backstory.api.schema import schema
from tests.api import small_home
from tests.api.conftest import World

TYPES = schema.graphql_schema.type_map


def everything(of: GraphQLOutputType, depth: int) -> str:
    """A selection of every field of a type, so many types deep."""
    found = get_named_type(of)
    if isinstance(found, GraphQLUnionType | GraphQLInterfaceType):
        members = schema.graphql_schema.get_possible_types(found)
        inner = [f"... on {member.name} {everything(member, depth)}" for member in members]
        return f"{{ __typename {' '.join(inner)} }}"
    assert isinstance(found, GraphQLObjectType)
    fields = list(_fields(found, depth))
    return f"{{ __typename {' '.join(fields)} }}"


def _fields(of: GraphQLObjectType, depth: int) -> Iterator[str]:
    for name, field in of.fields.items():
        sized = "(first: 2)" if "first" in field.args else ""
        # Fields of one name and different types may not stand beside each other.
        alias = f"{name}Of{of.name}: {name}{sized}"
        if is_leaf_type(get_named_type(field.type)):
            yield alias
        elif depth:
            yield f"{alias} {everything(field.type, depth - 1)}"


def _by_member(of: GraphQLOutputType) -> list[str]:
    """Every field of a type, of each member of a union by itself: one request has few aliases."""
    found = get_named_type(of)
    if not isinstance(found, GraphQLUnionType):
        return [everything(of, 1)]
    return [f"{{ ... on {member.name} {everything(member, 1)} }}" for member in found.types]


QUESTIONS = {
    "state": 'state(ref: "ext:zendesk:8812", verify: true)',
    "trace": 'trace(ref: "env:prod-eu#2", limit: 20)',
    "impact": 'impact(ref: "thumbs/en@3", limit: 20)',
    "history": 'history(ref: "_interactions/ranker", first: 2)',
    "diff": 'diff(base: "_interactions/ranker@0", head: "_interactions/ranker@1")',
    "rowDiff": 'rowDiff(base: "_interactions/ranker@0", head: "_interactions/ranker@1")',
    "slices": "slices(interactions: true)",
    "runs": "runs(first: 2)",
}


def test_no_answer_holds_what_was_said(world: World) -> None:
    answers = ""
    for name, question in QUESTIONS.items():
        of = schema.graphql_schema.query_type
        assert of is not None
        for selection in _by_member(of.fields[name].type):
            answers += json.dumps(world.ask(f"{{ {question} {selection} }}"))
    assert "faq#3" in answers
    assert [word for word in small_home.SAID if word in answers] == []


def test_there_is_no_field_for_it() -> None:
    names = {
        name
        for found in TYPES.values()
        if isinstance(found, GraphQLObjectType | GraphQLInterfaceType)
        for name in found.fields
    }
    bodies = {"request", "response", "subject", "conversation", "externalId", "attributes"}
    assert names & (bodies | {"rowsPreview", "sample", "content"}) == set()


def test_an_error_of_the_server_tells_its_id_only(client: httpx.Client) -> None:
    response = client.post("/graphql", json={"query": '{ node(id: "%%%") { id } }'})
    [error] = response.json()["errors"]
    assert error["extensions"]["code"] == "BAD_USER_INPUT"
    assert "Traceback" not in response.text
