"""What a document may be before anybody validates or executes it. Pure.

Rules of this file:

* One look at the tokens (count, nesting) before the parser, which is recursive; one walk over the parsed document
  (depth, aliases, directives, repeated fields, fragments) before validation, whose rules are quadratic in these.
* A fragment is walked once, whatever spreads it; a cycle ends the walk.
* Every limit is a number here, tested at the limit and one past it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLSyntaxError,
    InlineFragmentNode,
    Lexer,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    Source,
    TokenKind,
    parse,
)

from concordat_node.doors.errors import (
    GraphqlDocumentTooLarge,
    GraphqlIntrospectionOff,
    GraphqlQueriesOnly,
    GraphqlSyntaxInvalid,
)

TOKENS_MAX = 1_000
NESTING_MAX = 32
NUMBER_LENGTH_MAX = 20
DEPTH_MAX = 12
FIELDS_MAX = 300
ALIASES_MAX = 20
DIRECTIVES_MAX = 20
REPEATS_MAX = 5
"""How often one response name may stand in one selection set, fragments included."""
FRAGMENTS_MAX = 20
OPERATIONS_MAX = 5
VARIABLES_MAX = 20

_OPEN = frozenset({TokenKind.BRACE_L, TokenKind.BRACKET_L, TokenKind.PAREN_L})
_CLOSE = frozenset({TokenKind.BRACE_R, TokenKind.BRACKET_R, TokenKind.PAREN_R})
_NUMBERS = frozenset({TokenKind.INT, TokenKind.FLOAT})


def parse_bounded(text: str) -> DocumentNode:
    """Return the document of a text within all limits of this file.

    Raises: GraphqlSyntaxInvalid, and the refusals of `check_document`.
    """
    try:
        _count_tokens(text)
        document = parse(text, allow_empty_selection_sets=False)
    except GraphQLSyntaxError as error:
        places = [(place.line, place.column) for place in error.locations or ()]
        raise GraphqlSyntaxInvalid(line=places[0][0] if places else 1) from error
    check_document(document)
    return document


def _count_tokens(text: str) -> None:
    lexer = Lexer(Source(text))
    count = nesting = 0
    token = lexer.read_next_token(0)  # unlike `advance`, it does not pass over comments without a count
    while token.kind != TokenKind.EOF:
        count += 1
        nesting += (token.kind in _OPEN) - (token.kind in _CLOSE)
        if count > TOKENS_MAX:
            raise _too_large("tokens", TOKENS_MAX)
        if nesting > NESTING_MAX:
            raise _too_large("levels of nesting", NESTING_MAX)
        if token.kind in _NUMBERS and token.end - token.start > NUMBER_LENGTH_MAX:
            raise _too_large("digits in a number", NUMBER_LENGTH_MAX)
        token = lexer.read_next_token(token.end)


def check_document(document: DocumentNode) -> None:
    """Refuse a parsed document beyond the limits.

    Raises: GraphqlDocumentTooLarge, GraphqlIntrospectionOff, GraphqlQueriesOnly (nothing is written through these
    doors, so a mutation is refused by GET and by POST alike).
    """
    operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    fragments = [node for node in document.definitions if isinstance(node, FragmentDefinitionNode)]
    _at_most("operations", len(operations), OPERATIONS_MAX)
    _at_most("fragments", len(fragments), FRAGMENTS_MAX)
    for operation in operations:
        _at_most("variables", len(operation.variable_definitions or ()), VARIABLES_MAX)
        if operation.operation is not OperationType.QUERY:
            raise GraphqlQueriesOnly
    walk = _Walk({node.name.value: node for node in fragments})
    for operation in operations:
        walk.enter(operation)
    for fragment in fragments:
        walk.enter(fragment)


@dataclass(slots=True)
class _Walk:
    fragments: dict[str, FragmentDefinitionNode]
    fields: int = 0
    aliases: int = 0
    directives: int = 0
    depths: dict[str, int] = field(default_factory=dict)

    def enter(self, node: OperationDefinitionNode | FragmentDefinitionNode) -> None:
        self._directives(node.directives)
        if isinstance(node, OperationDefinitionNode):
            for variable in node.variable_definitions or ():
                self._directives(variable.directives)
        self._count(node.selection_set)
        _at_most("levels of fields", self._depth(node.selection_set, ()), DEPTH_MAX)

    def _count(self, selections: SelectionSetNode) -> None:
        """Count what stands in a selection set itself, and below it, spreads not followed."""
        names = Counter(_response_names(selections, self.fragments))
        _at_most("repetitions of a field", max(names.values(), default=0), REPEATS_MAX)
        for node in selections.selections:
            self._directives(node.directives)
            if isinstance(node, FieldNode):
                self.fields += 1
                self.aliases += node.alias is not None
                _at_most("fields", self.fields, FIELDS_MAX)
                _at_most("aliases", self.aliases, ALIASES_MAX)
                if node.name.value == "__schema":
                    raise GraphqlIntrospectionOff
            inner = node.selection_set if isinstance(node, FieldNode | InlineFragmentNode) else None
            if inner is not None:
                self._count(inner)

    def _depth(self, selections: SelectionSetNode, through: tuple[str, ...]) -> int:
        deepest = 0
        for node in selections.selections:
            if isinstance(node, FieldNode):
                inner = 0 if node.selection_set is None else self._depth(node.selection_set, through)
                deepest = max(deepest, 1 + inner)
            elif isinstance(node, InlineFragmentNode):
                deepest = max(deepest, self._depth(node.selection_set, through))
            elif isinstance(node, FragmentSpreadNode):
                deepest = max(deepest, self._depth_of_fragment(node.name.value, through))
        return deepest

    def _depth_of_fragment(self, name: str, through: tuple[str, ...]) -> int:
        if name in through:
            raise _too_large("turns of a fragment cycle", 0)
        fragment = self.fragments.get(name)
        if fragment is None:
            return 0  # validation says so
        if name not in self.depths:
            self.depths[name] = self._depth(fragment.selection_set, (*through, name))
        return self.depths[name]

    def _directives(self, directives: tuple[object, ...] | None) -> None:
        self.directives += len(directives or ())
        _at_most("directives", self.directives, DIRECTIVES_MAX)


def _response_names(
    selections: SelectionSetNode, fragments: dict[str, FragmentDefinitionNode], seen: set[str] | None = None
) -> Iterator[str]:
    """Yield the response names that merge into one object, every fragment counted once as an executor would."""
    seen = set() if seen is None else seen
    for node in selections.selections:
        if isinstance(node, FieldNode):
            yield (node.alias or node.name).value
        elif isinstance(node, InlineFragmentNode):
            yield from _response_names(node.selection_set, fragments, seen)
        elif isinstance(node, FragmentSpreadNode) and node.name.value not in seen and node.name.value in fragments:
            seen.add(node.name.value)
            yield from _response_names(fragments[node.name.value].selection_set, fragments, seen)


def _at_most(limit: str, count: int, limit_max: int) -> None:
    if count > limit_max:
        raise _too_large(limit, limit_max)


def _too_large(limit: str, limit_max: int) -> GraphqlDocumentTooLarge:
    return GraphqlDocumentTooLarge(limit=limit, limit_max=limit_max)
