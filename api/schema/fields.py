"""How the schema declares its fields: what is always there, what may be missing, and lists.

Types of other modules are given by name (`RUN`, `SNAPSHOT` …), because the graph of types has
cycles where the modules must have none.
"""

from collections.abc import Callable, Mapping
from datetime import timedelta
from enum import Enum
from functools import partial
from typing import Any

import graphene
from graphene.types.resolver import dict_or_attr_resolver

from backstory.api.schema.scalars import DateTime

SLICE = "backstory.api.schema.slice.Slice"
SNAPSHOT = "backstory.api.schema.snapshot.Snapshot"
RUN = "backstory.api.schema.run.Run"
READ = "backstory.api.schema.run.Read"
MODEL_VERSION = "backstory.api.schema.model.ModelVersion"
LOAD = "backstory.api.schema.model.Load"
DEPLOYMENT = "backstory.api.schema.deployment.Deployment"

TypeOrName = Any  # a graphene type, or the dotted name of one


def one(of: TypeOrName, description: str, *, source: str | None = None, **more: Any) -> Any:
    """A field that is always there; `source` is the record's word for it, where it is another."""
    return maybe(graphene.NonNull(of), description, source=source, **more)


def maybe(of: TypeOrName, description: str, *, source: str | None = None, **more: Any) -> Any:
    """A field that may be null; `source` is the record's word for it, where it is another."""
    if source is not None:
        more["resolver"] = partial(dict_or_attr_resolver, source, None)
    return graphene.Field(of, description=description, **more)


def many(of: TypeOrName, description: str, **more: Any) -> Any:
    """A list that is always there, without holes."""
    items = graphene.NonNull(graphene.List(graphene.NonNull(of)))
    return graphene.Field(items, description=description, **more)


def seconds(span: timedelta | None) -> float | None:
    """A span as GraphQL tells it."""
    return None if span is None else span.total_seconds()


def argument(of: TypeOrName, description: str, **more: Any) -> Any:
    """An argument; with a default, or `required=True`."""
    return graphene.Argument(of, description=description, **more)


def as_of_argument() -> dict[str, Any]:
    """The argument of every root field that asks what was recorded; it holds for all below it."""
    return {
        "as_of": argument(
            DateTime,
            "As it was known then, with all that is asked below; as it is known now without it.",
        )
    }


def enum(of: type[Enum], *, name: str, values: Mapping[Any, str] | None = None) -> Any:
    """A domain enum as a GraphQL enum, with what its values mean where they need to be told."""
    return graphene.Enum.from_enum(of, name=name, description=_described(of, values or {}))


def _described(of: type[Enum], values: Mapping[Any, str]) -> Callable[[Any], str | None]:
    def describe(value: Enum | None) -> str | None:
        return of.__doc__ if value is None else values.get(value)

    return describe
