"""What an operation costs at most, worked out before anything is executed.

One walk from the leaves up, memoised by fragment, so that its own cost follows the length of the
document and not what the document expands to. It runs on valid documents only: there every field,
fragment and argument exists, and fragments have no cycles. Conditions (`@skip`, `@include`) are
not looked at: a cost is an upper bound.

A list counts as many objects as its field is asked for (`first`, `limit` or `depth`, as literal,
variable or default). The lists of a page or a graph are bounded by the field that asked for it and
multiply nothing again; any other list counts as `UNSIZED` objects. A leaf counts nothing. Fields
that read files count as many.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLField,
    GraphQLNamedType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    OperationDefinitionNode,
    SelectionNode,
    SelectionSetNode,
    ValueNode,
    VariableNode,
    get_named_type,
    is_introspection_type,
    is_leaf_type,
    is_list_type,
    is_non_null_type,
)
from graphql.utilities.type_info import get_field_def

from backstory.api.bounds import Bounds

UNSIZED = 5
_SIZES = ("first", "limit", "depth")
# Fields for which files are read count as so many objects.
_WEIGHED = {
    ("Pin", "bytes"): 10,
    ("Pin", "bytesAlone"): 10,
    ("Snapshot", "profile"): 20,
    ("SliceVersion", "profile"): 20,
    ("Query", "drift"): 40,
}
_MOST = 10**9  # what expands beyond this is told as this


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """An operation's cost.

    Attributes:
        depth: fields inside fields.
        fields: fields after fragments are expanded.
        aliases: aliases among them.
        nodes: objects that may be given.
    """

    depth: int = 0
    fields: int = 0
    aliases: int = 0
    nodes: int = 0

    def beside(self, other: "Cost") -> "Cost":
        """Both, one next to the other."""
        return Cost(
            depth=max(self.depth, other.depth),
            fields=min(_MOST, self.fields + other.fields),
            aliases=min(_MOST, self.aliases + other.aliases),
            nodes=min(_MOST, self.nodes + other.nodes),
        )

    def beyond(self, bounds: Bounds) -> tuple[str, int, int] | None:
        """The first measure that exceeds its bound, what it is, and the bound."""
        for measure, found in asdict(self).items():
            limit = getattr(bounds, measure)
            if found > limit:
                return measure, found, limit
        return None


def cost_of(
    schema: GraphQLSchema,
    document: DocumentNode,
    operation: OperationDefinitionNode,
    variables: Mapping[str, Any],
) -> Cost:
    """The cost of one operation of a valid document."""
    root = schema.get_root_type(operation.operation)
    if root is None:
        return Cost()
    return _Walk(schema, document, _with_defaults(operation, variables)).inside(
        operation.selection_set, root
    )


class _Walk:
    def __init__(
        self, schema: GraphQLSchema, document: DocumentNode, variables: Mapping[str, Any]
    ) -> None:
        self._schema = schema
        self._fragments = {
            found.name.value: found
            for found in document.definitions
            if isinstance(found, FragmentDefinitionNode)
        }
        self._variables = variables
        self._known: dict[str, Cost] = {}

    def inside(self, selections: SelectionSetNode, parent: GraphQLNamedType) -> Cost:
        total = Cost()
        for selection in selections.selections:
            total = total.beside(self._selection(selection, parent))
        return total

    def _selection(self, selection: SelectionNode, parent: GraphQLNamedType) -> Cost:
        match selection:
            case FieldNode():
                return self._field(selection, parent)
            case FragmentSpreadNode():
                return self._fragment(selection.name.value)
            case InlineFragmentNode():
                of = selection.type_condition
                within = self._type(of.name.value) if of else parent
                return self.inside(selection.selection_set, within)
        raise TypeError(f"a selection of kind {selection.kind}")

    def _fragment(self, name: str) -> Cost:
        if name not in self._known:
            fragment = self._fragments[name]
            parent = self._type(fragment.type_condition.name.value)
            self._known[name] = self.inside(fragment.selection_set, parent)
        return self._known[name]

    def _field(self, node: FieldNode, parent: GraphQLNamedType) -> Cost:
        definition = get_field_def(self._schema, parent, node)
        if definition is None:
            raise TypeError(f"{parent.name} has no field {node.name.value}")
        of = get_named_type(definition.type)
        below = self.inside(node.selection_set, of) if node.selection_set else Cost()
        told = is_introspection_type(of)
        size = _WEIGHED.get((parent.name, node.name.value), 0)
        if not size and not told and not is_leaf_type(of):
            size = self._size(node, definition, parent)
        return Cost(
            depth=1 if told else below.depth + 1,
            fields=min(_MOST, below.fields + 1),
            aliases=below.aliases + (1 if node.alias else 0),
            nodes=min(_MOST, size * (1 + below.nodes)),
        )

    def _size(self, node: FieldNode, definition: GraphQLField, parent: GraphQLNamedType) -> int:
        for name in _SIZES:
            if name in definition.args:
                given = next((a.value for a in node.arguments if a.name.value == name), None)
                size = self._number(given)
                return size if size is not None else int(definition.args[name].default_value)
        of: Any = definition.type
        is_list = is_list_type(of.of_type if is_non_null_type(of) else of)
        return UNSIZED if is_list and not _is_sized(parent) else 1

    def _number(self, value: ValueNode | None) -> int | None:
        """A size that is given; none where it is left out or wrong, which is found out later."""
        if isinstance(value, VariableNode):
            number = self._variables.get(value.name.value)
            return max(1, number) if type(number) is int else None
        return max(1, int(value.value)) if isinstance(value, IntValueNode) else None

    def _type(self, name: str) -> GraphQLNamedType:
        return self._schema.type_map[name]


def _is_sized(parent: GraphQLNamedType) -> bool:
    """Whether the size of a type's lists was given to the field that asked for it."""
    return parent.name.endswith("Connection") or parent.name == "LineageGraph"


def _with_defaults(
    operation: OperationDefinitionNode, variables: Mapping[str, Any]
) -> Mapping[str, Any]:
    defaults = {
        variable.variable.name.value: int(variable.default_value.value)
        for variable in operation.variable_definitions
        if isinstance(variable.default_value, IntValueNode)
    }
    return defaults | dict(variables)
