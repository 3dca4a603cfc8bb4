"""The schema that is committed is the schema that answers, and every name in it is explained."""

import pytest
from graphql import (
    GraphQLEnumType,
    GraphQLInterfaceType,
    GraphQLObjectType,
    build_schema,
    find_breaking_changes,
    specified_scalar_types,
    validate_schema,
)

from backstory.api.schema import printed, schema
from tests.conftest import REPOSITORY

COMMITTED = REPOSITORY / "docs/reference/schema.graphql"
OWN = [
    found
    for name, found in schema.graphql_schema.type_map.items()
    if not name.startswith("__") and name not in specified_scalar_types
]


def test_the_committed_schema_is_the_one_that_answers() -> None:
    committed = COMMITTED.read_text("utf-8")
    breaking = find_breaking_changes(build_schema(committed), build_schema(printed()))
    assert printed() == committed, (
        "run `.venv/bin/python docs/generate.py`, and tell in CHANGELOG.md what breaks clients: "
        f"{[change.description for change in breaking]}"
    )


def test_the_schema_is_valid() -> None:
    assert validate_schema(schema.graphql_schema) == []


@pytest.mark.parametrize("found", OWN, ids=str)
def test_every_type_field_and_argument_is_described(found: object) -> None:
    assert getattr(found, "description", None)
    if isinstance(found, GraphQLObjectType | GraphQLInterfaceType):
        for name, field in found.fields.items():
            assert field.description, f"{found.name}.{name}"
            for argument, described in field.args.items():
                assert described.description, f"{found.name}.{name}({argument})"


@pytest.mark.parametrize("name", ["EdgeKind", "EvidenceLevel", "PartStatus", "PinStrength"])
def test_words_that_need_it_are_explained(name: str) -> None:
    found = schema.graphql_schema.type_map[name]
    assert isinstance(found, GraphQLEnumType)
    assert all(value.description for value in found.values.values())


def test_there_is_nothing_but_queries() -> None:
    assert schema.graphql_schema.mutation_type is None
    assert schema.graphql_schema.subscription_type is None
