"""Execution: a short way for plain fields, and for all others the context of their root field.

A field is plain when it gives an attribute of its record as a scalar or an enum: no arguments, no
resolver of ours, no list. GraphQL's general way around such a field costs ten times the field; the
short way is taken only when it ends in a value, so that every fault is told by the general way.

The context of an execution is a `RequestContexts`. A resolver is given the one of its root field,
so that whatever it reads is of the time that `asOf` says there.
"""

from asyncio import gather
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import partial
from typing import Any

from graphene.types.resolver import dict_or_attr_resolver
from graphql import (
    ExecutionContext,
    FieldNode,
    GraphQLEnumType,
    GraphQLError,
    GraphQLField,
    GraphQLObjectType,
    GraphQLResolveInfo,
    GraphQLSchema,
    Undefined,
    is_leaf_type,
    is_non_null_type,
)
from graphql.execution.values import get_argument_values
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
        def execute_fields(
            self,
            parent_type: GraphQLObjectType,
            source_value: Any,
            path: Path | None,
            fields: dict[str, list[FieldNode]],
        ) -> AwaitableOrValue[dict[str, Any]]:
            of = parent_type.name
            results: dict[str, Any] = {}
            waiting: list[str] = []
            for name, nodes in fields.items():
                tell = plain.get((of, nodes[0].name.value), _untold)
                told = tell(source_value)
                if told is Undefined:
                    told = self.execute_field(
                        parent_type, source_value, nodes, Path(path, name, of)
                    )
                    if self.is_awaitable(told):
                        waiting.append(name)
                results[name] = told
            return _awaited(results, waiting) if waiting else results

        def build_resolve_info(
            self,
            field_def: GraphQLField,
            field_nodes: list[FieldNode],
            parent_type: GraphQLObjectType,
            path: Path,
        ) -> GraphQLResolveInfo:
            info = super().build_resolve_info(field_def, field_nodes, parent_type, path)
            if path.prev is None:
                as_of = _as_of(field_def, field_nodes[0], self.variable_values)
                return info._replace(context=self.context_value.begin(path, as_of))
            return info._replace(context=self.context_value.of(path))

    return PlainFieldsContext


def _as_of(field: GraphQLField, node: FieldNode, variables: dict[str, Any]) -> datetime | None:
    """The time that a root field asks of."""
    try:
        found: datetime | None = get_argument_values(field, node, variables).get("as_of")
    except GraphQLError:  # execution meets it again, and tells it
        return None
    return found


async def _awaited(results: dict[str, Any], waiting: Iterable[str]) -> dict[str, Any]:
    """The results with what had to be waited for, all at once."""
    found = await gather(*(results[name] for name in waiting))
    results.update(zip(waiting, found, strict=True))
    return results


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
    name, default = resolve.args
    serialize = _enum_names(leaf) if isinstance(leaf, GraphQLEnumType) else leaf.serialize
    absent = Undefined if required else None

    def tell(source: Any) -> Any:
        try:
            if isinstance(source, dict):
                value = source.get(name, default)
            else:
                value = getattr(source, name, default)
            return absent if value is None else serialize(value)
        except Exception:  # noqa: BLE001 - the general way meets it again, and tells it
            return Undefined

    return tell


def _untold(_source: Any) -> Any:
    return Undefined


def _enum_names(of: GraphQLEnumType) -> _Tell:
    """The names of an enum's values; our enums are texts, equal to those in the store."""
    names = {found.value.value: name for name, found in of.values.items()}
    return lambda value: names.get(value, Undefined)
