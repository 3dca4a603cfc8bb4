"""The short way around plain fields gives what GraphQL's general way gives, faults included."""

from enum import StrEnum
from typing import Any

import graphene
from graphql import ExecutionContext, execute, parse
from graphql.pyutils import Path
from hypothesis import given
from hypothesis import strategies as st

from backstory.api.execution import execution_context, plain_fields
from backstory.api.schema import schema as own
from backstory.api.schema.fields import argument, enum, many, maybe, one
from backstory.api.schema.scalars import DateTime, Long


class Colour(StrEnum):
    """What an enum holds, and what it is called, are not the same."""

    RED = "r"
    BLUE = "b"


class Thing(graphene.ObjectType):
    """Fields of every kind."""

    name = one(graphene.String, "Always there.")
    count = maybe(Long, "May be null.")
    size = one(graphene.Int, "Under another word.", source="bytes")
    at = maybe(DateTime, "A scalar of ours.")
    colour = maybe(enum(Colour, name="Colour"), "An enum.")
    words = many(graphene.String, "A list.")
    asked = maybe(graphene.Int, "With an argument.", by=argument(graphene.Int, "What."))
    below = maybe(lambda: Thing, "An object.")


class Asked(graphene.ObjectType):
    """The root."""

    thing = maybe(Thing, "The only one.")


SCHEMA = graphene.Schema(query=Asked).graphql_schema
DOCUMENT = parse("""
    { thing { ...f below { ...f below { name } } } }
    fragment f on Thing { name count n: count size at colour words asked __typename }
""")

anything = st.none() | st.integers() | st.text(max_size=3) | st.floats() | st.lists(st.integers())
anything |= st.sampled_from([*Colour, "r", "RED", "violet"])
names = ("name", "count", "bytes", "at", "colour", "words", "asked")
things = st.recursive(
    st.fixed_dictionaries({}, optional=dict.fromkeys(names, anything)),
    lambda below: st.fixed_dictionaries({"below": below}, optional=dict.fromkeys(names, anything)),
    max_leaves=3,
)


class NoContexts:
    """Nothing is read here, at whichever time."""

    def begin(self, root: Path, as_of: None) -> None:
        """Of a root field."""

    def of(self, path: Path) -> None:
        """Of a field below one."""


def answer(thing: Any, context: type[ExecutionContext]) -> Any:
    result = execute(
        SCHEMA,
        DOCUMENT,
        root_value={"thing": thing},
        context_value=NoContexts(),
        execution_context_class=context,
    )
    return repr(result)


@given(things)
def test_both_ways_give_the_same(thing: Any) -> None:
    assert answer(thing, execution_context(SCHEMA)) == answer(thing, ExecutionContext)


def test_only_what_is_plain_takes_the_short_way() -> None:
    assert set(plain_fields(SCHEMA)) == {
        ("Thing", name) for name in ("name", "count", "size", "at", "colour")
    }


def test_what_a_resolver_of_ours_tells_does_not() -> None:
    plain = plain_fields(own.graphql_schema)
    assert ("StatePart", "kind") in plain
    assert ("StatePart", "detail") not in plain
    assert ("Snapshot", "manifestDigest") in plain
    assert ("Snapshot", "pins") not in plain
