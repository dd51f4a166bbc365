"""Documents that are within limits and fit the schema, remembered by their text.

What depends on variables (cost) is not remembered. Nothing of a person is in a document that passed, but its variables
are not part of it, and the memory is bounded in count and, by the body limit, in bytes.
"""

from __future__ import annotations

from collections import OrderedDict

from graphql import DocumentNode, GraphQLError, GraphQLSchema, OperationDefinitionNode, validate

from concordat_node.doors.errors import GraphqlDocumentInvalid, GraphqlOperationUnknown
from concordat_node.doors.limits import parse_bounded

REMEMBERED_MAX = 128
ERRORS_MAX = 5


class InvalidDocument(GraphqlDocumentInvalid):
    """The refusal of a document that does not fit, with the places where it does not."""

    def __init__(self, errors: list[GraphQLError]) -> None:
        super().__init__()
        self.places = [(place.line, place.column) for error in errors for place in error.locations or ()][:ERRORS_MAX]


class Documents:
    """The parsed and validated documents of one schema."""

    def __init__(self, schema: GraphQLSchema) -> None:
        self._schema = schema
        self._known: OrderedDict[str, DocumentNode] = OrderedDict()

    def read(self, text: str) -> DocumentNode:
        """Return the document of a text. Raises: the refusals of `parse_bounded`, InvalidDocument."""
        document = self._known.get(text)
        if document is not None:
            self._known.move_to_end(text)
            return document
        document = parse_bounded(text)
        errors = validate(
            self._schema, document, max_errors=ERRORS_MAX, hide_suggestions=True, allow_empty_selection_sets=False
        )
        if errors:
            raise InvalidDocument(errors)
        self._known[text] = document
        while len(self._known) > REMEMBERED_MAX:
            self._known.popitem(last=False)
        return document


def operation_of(document: DocumentNode, name: str | None) -> OperationDefinitionNode:
    """Return the operation to execute. Raises: GraphqlOperationUnknown."""
    operations = [node for node in document.definitions if isinstance(node, OperationDefinitionNode)]
    if name is None and len(operations) == 1:
        return operations[0]
    for operation in operations:
        if name is not None and operation.name is not None and operation.name.value == name:
            return operation
    raise GraphqlOperationUnknown
