"""What a federation door refuses, each under its own code.

Rules of this file:

* Texts are fixed sentences and numbers of ours: nothing that a caller sent is told back, so no answer can carry it on.
* `told` is the one form of an error in a GraphQL answer; what is not one of our errors is `door_failed`.
"""

from __future__ import annotations

from collections.abc import Sequence

from concordat_trust.canonical import Json, JsonObject
from concordat_trust.errors import ConcordatError, OperatorError, PeerFailure, RequesterError


class GraphqlRequestMalformed(RequesterError):
    code = "graphql_request_malformed"
    sentence = "The request is not one GraphQL request in JSON."
    hint = "Send an object with query, and optionally variables, operationName and extensions; batches are not read."


class GraphqlBodyTooLarge(RequesterError):
    code = "graphql_body_too_large"
    sentence = "The request has more than {bytes_max} bytes."
    hint = "Ask for fewer records at once."


class GraphqlMediaTypeUnsupported(RequesterError):
    code = "graphql_media_type_unsupported"
    sentence = "The body of a GraphQL request must be application/json."
    hint = "Set content-type to application/json; forms, text and multipart are not read."


class GraphqlNotAcceptable(RequesterError):
    code = "graphql_not_acceptable"
    sentence = "The answer would be application/graphql-response+json or application/json, and neither is accepted."
    hint = "Accept one of the two."


class GraphqlMethodRefused(RequesterError):
    code = "graphql_method_refused"
    sentence = "A federation door is asked by GET or POST."
    hint = "Use POST."


class GraphqlSyntaxInvalid(RequesterError):
    code = "graphql_syntax_invalid"
    sentence = "The document is not GraphQL."
    hint = "The location names where reading stopped."


class GraphqlDocumentTooLarge(RequesterError):
    code = "graphql_document_too_large"
    sentence = "The document has more than {limit_max} {limit}."
    hint = "Ask in several smaller requests; docs/federation.md lists the limits."


class GraphqlCostExceeded(RequesterError):
    code = "graphql_cost_exceeded"
    sentence = "The document may cost {cost} units; at most {cost_max} are allowed."
    hint = "Ask for fewer hits or fewer fields of each; docs/federation.md says how cost is counted."


class GraphqlDocumentInvalid(RequesterError):
    code = "graphql_document_invalid"
    sentence = "The document does not fit the schema of this door."
    hint = "Compare the fields at the locations with the schema; `_service { sdl }` answers with it."


class GraphqlIntrospectionOff(RequesterError):
    code = "graphql_introspection_off"
    sentence = "This door does not describe itself by introspection."
    hint = "Read the schema with `_service { sdl }`, or take the file from the project."


class GraphqlQueriesOnly(RequesterError):
    code = "graphql_queries_only"
    sentence = "This door takes queries; there are no mutations and no subscriptions."
    hint = "Records are registered under /v1; progress is streamed by the home node's own API."


class GraphqlVariablesInvalid(RequesterError):
    code = "graphql_variables_invalid"
    sentence = "The variables do not fit what the operation declares."
    hint = "Compare their names and types with the operation's."


class GraphqlOperationUnknown(RequesterError):
    code = "graphql_operation_unknown"
    sentence = "The document has no single operation of that name."
    hint = "Name one operation of the document in operationName; it may be left out when there is only one."


class PurposeMissing(RequesterError):
    code = "purpose_missing"
    sentence = "The request names no purpose."
    hint = "Set the header concordat-purpose to a code such as GRU, or to the purpose as JSON; a gateway forwards it."


class PurposeMalformed(RequesterError):
    code = "purpose_malformed"
    sentence = "The header concordat-purpose is not a purpose."
    hint = 'Set it once, to a code such as GRU, or to JSON such as {{"code": "DS", "disease": "MONDO:0007254"}}.'


class RepresentationMalformed(RequesterError):
    code = "representation_malformed"
    sentence = "A representation is not a Model or Dataset with an id of that kind."
    hint = "Send __typename and id of each entity as this door gave them."


class RepresentationsTooMany(RequesterError):
    code = "representations_too_many"
    sentence = "More than {representations_max} entities are asked for at once."
    hint = "Ask for the rest in another request."


class RoundsTooMany(RequesterError):
    code = "rounds_too_many"
    sentence = "One request may ask {rounds_max} questions."
    hint = "Ask in several requests."


class OrganizationSilent(PeerFailure):
    code = "organization_not_answering"
    sentence = "The organization of this id did not answer the question ({status})."
    hint = "Ask again later; the status says whether it refused, failed or was not reached."


class DoorOverloaded(PeerFailure):
    code = "door_overloaded"
    sentence = "The door already answers {requests_max} requests."
    hint = "Ask again in a moment."


class DoorTimeout(PeerFailure):
    code = "door_timeout"
    sentence = "The request was not finished within {seconds_max} seconds."
    hint = "Ask for less at once, or again later."


class DoorFailed(OperatorError):
    code = "door_failed"
    sentence = "The door could not answer for a reason of its own."
    hint = "The node's log names the kind of failure; nothing of it leaves the node."


def told(error: ConcordatError, locations: Sequence[JsonObject] = (), path: Sequence[str | int] = ()) -> JsonObject:
    """Return the error as it stands in a GraphQL answer: closed code, fixed hint, and whose silence it was."""
    extensions: JsonObject = {"code": error.code, "hint": type(error).hint.replace("{{", "{").replace("}}", "}")}
    if isinstance(error, OrganizationSilent):
        extensions |= {name: error.fields.get(name) for name in ("organization", "status", "reason")}
    entry: JsonObject = {"message": error.code, "extensions": extensions}
    if locations:
        entry["locations"] = list[Json](locations)
    if path:
        entry["path"] = list[Json](path)
    return entry
