"""What an operation may cost at most, with its variables, before it is executed. Pure.

Rules of this file:

* A field costs 1. A list multiplies what is below it: `hits` by the page size of its search, `_entities` by the number
  of representations, every other list by `LIST_ASSUMED`. Page sizes multiply; nothing is added up after the fact.
* A question to the network costs `QUESTION` more.
* A selection set is costed once for each page size it stands under, also when many spreads lead to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLNamedType,
    GraphQLOutputType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    ListValueNode,
    OperationDefinitionNode,
    SchemaMetaFieldDef,
    SelectionSetNode,
    TypeMetaFieldDef,
    VariableNode,
    get_named_type,
    get_nullable_type,
    is_interface_type,
    is_list_type,
    is_object_type,
)

from concordat_node.doors.errors import GraphqlCostExceeded
from concordat_node.home.requests import PAGE_SIZE
from concordat_trust.question import PAGE_SIZE_MAX

COST_MAX = 40_000
QUESTION = 1_000
LIST_ASSUMED = 10
ENTITIES_ASSUMED = 50
"""For representations that are neither a list nor a variable of one; execution refuses these."""
_QUESTIONS = frozenset({"search", "model", "dataset", "_entities"})


def check_cost(
    schema: GraphQLSchema,
    document: DocumentNode,
    operation: OperationDefinitionNode,
    variables: Mapping[str, object],
) -> None:
    """Refuse an operation that may cost too much. Raises: GraphqlCostExceeded."""
    cost = cost_of(schema, document, operation, variables)
    if cost > COST_MAX:
        raise GraphqlCostExceeded(cost=min(cost, 10**12), cost_max=COST_MAX)


def cost_of(
    schema: GraphQLSchema,
    document: DocumentNode,
    operation: OperationDefinitionNode,
    variables: Mapping[str, object],
) -> int:
    """Return an upper bound of the fields that executing the operation gives, and its questions."""
    fragments = {n.name.value: n for n in document.definitions if isinstance(n, FragmentDefinitionNode)}
    defaults = {
        d.variable.name.value: int(d.default_value.value)
        for d in operation.variable_definitions or ()
        if isinstance(d.default_value, IntValueNode)
    }
    costing = _Costing(schema, fragments, {**defaults, **variables})
    return costing.selections(operation.selection_set, schema.query_type, 1)


@dataclass(slots=True)
class _Costing:
    schema: GraphQLSchema
    fragments: Mapping[str, FragmentDefinitionNode]
    variables: Mapping[str, object]
    known: dict[tuple[str, int], int] = field(default_factory=dict)

    def selections(self, selections: SelectionSetNode, parent: GraphQLNamedType | None, page: int) -> int:
        total = 0
        for node in selections.selections:
            if isinstance(node, FieldNode):
                total += self._field(node, parent, page)
            elif isinstance(node, InlineFragmentNode):
                total += self.selections(node.selection_set, self._narrowed(node, parent), page)
            elif isinstance(node, FragmentSpreadNode):
                total += self._fragment(node.name.value, page)
        return total

    def _fragment(self, name: str, page: int) -> int:
        fragment = self.fragments.get(name)
        if fragment is None:
            return 0
        if (name, page) not in self.known:
            parent = self.schema.get_type(fragment.type_condition.name.value)
            self.known[name, page] = self.selections(fragment.selection_set, parent, page)
        return self.known[name, page]

    def _narrowed(self, node: InlineFragmentNode, parent: GraphQLNamedType | None) -> GraphQLNamedType | None:
        return parent if node.type_condition is None else self.schema.get_type(node.type_condition.name.value)

    def _field(self, node: FieldNode, parent: GraphQLNamedType | None, page: int) -> int:
        name = node.name.value
        kind = _type_of(parent, name)
        is_root = parent is self.schema.query_type
        own = 1 + (QUESTION if is_root and name in _QUESTIONS else 0)
        if node.selection_set is None:
            return own
        inner_page = self._page_size(node) if is_root and name == "search" else page
        times = self._entities(node) if is_root and name == "_entities" else _times(kind, name, inner_page)
        below = None if kind is None else get_named_type(kind)
        return own + times * self.selections(node.selection_set, below, inner_page)

    def _page_size(self, node: FieldNode) -> int:
        for argument in node.arguments or ():
            if argument.name.value == "first":
                value = argument.value
                given = int(value.value) if isinstance(value, IntValueNode) else PAGE_SIZE_MAX
                if isinstance(value, VariableNode):
                    held = self.variables.get(value.name.value)
                    given = held if isinstance(held, int) else PAGE_SIZE_MAX
                return max(1, given)
        return PAGE_SIZE

    def _entities(self, node: FieldNode) -> int:
        for argument in node.arguments or ():
            value = argument.value
            if isinstance(value, ListValueNode):
                return max(1, len(value.values))
            held = self.variables.get(value.name.value) if isinstance(value, VariableNode) else None
            if isinstance(held, list):
                return max(1, len(held))
        return ENTITIES_ASSUMED


def _type_of(parent: GraphQLNamedType | None, name: str) -> GraphQLOutputType | None:
    if name == "__type":
        return TypeMetaFieldDef.type
    if name == "__schema":
        return SchemaMetaFieldDef.type
    if not (is_object_type(parent) or is_interface_type(parent)):
        return None
    found = parent.fields.get(name)
    return None if found is None else found.type


def _times(kind: GraphQLOutputType | None, name: str, page: int) -> int:
    if kind is None or not is_list_type(get_nullable_type(kind)):
        return 1
    return page if name == "hits" else LIST_ASSUMED
