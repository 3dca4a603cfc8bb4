"""Execution with a short way for plain fields, which are most of any answer.

A field is plain when it gives an attribute of its record as a scalar or an enum: no arguments, no
resolver of ours, no list. GraphQL's general way around such a field costs ten times the field; the
short way is taken only when it ends in a value, so that every fault is told by the general way.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from graphene.types.resolver import dict_or_attr_resolver
from graphql import (
    ExecutionContext,
    FieldNode,
    GraphQLField,
    GraphQLObjectType,
    GraphQLSchema,
    Undefined,
    is_leaf_type,
    is_non_null_type,
)
from graphql.pyutils import AwaitableOrValue, Path

_Tell = Callable[[Any], Any]


def plain_fields(schema: GraphQLSchema) -> Mapping[tuple[str, str], _Tell]:
    """How each plain field of a schema is told, by type and field."""
    return {
        (found.name, name): tell
        for found in schema.type_map.values()
        if isinstance(found, GraphQLObjectType)
        for name, field in found.fields.items()
        if (tell := _plain(field)) is not None
    }


def execution_context(schema: GraphQLSchema) -> type[ExecutionContext]:
    """The execution context class for a schema."""
    plain = plain_fields(schema)

    class PlainFieldsContext(ExecutionContext):
        def execute_field(
            self,
            parent_type: GraphQLObjectType,
            source: Any,
            field_nodes: list[FieldNode],
            path: Path,
        ) -> AwaitableOrValue[Any]:
            tell = plain.get((parent_type.name, field_nodes[0].name.value))
            told = Undefined if tell is None else tell(source)
            if told is not Undefined:
                return told
            return super().execute_field(parent_type, source, field_nodes, path)

    return PlainFieldsContext


def _plain(field: GraphQLField) -> _Tell | None:
    """How a field is told; `Undefined` leaves it to the general way."""
    of: Any = field.type
    required = is_non_null_type(of)
    leaf = of.of_type if required else of
    resolve = field.resolve
    if not is_leaf_type(leaf) or field.args or not isinstance(resolve, partial):
        return None
    if resolve.func is not dict_or_attr_resolver:
        return None
    absent = Undefined if required else None
    serialize = leaf.serialize

    def tell(source: Any) -> Any:
        try:
            value = resolve(source, None)
            return absent if value is None else serialize(value)
        except Exception:  # noqa: BLE001 - the general way meets it again, and tells it
            return Undefined

    return tell
