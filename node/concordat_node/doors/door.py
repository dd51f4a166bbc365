"""A federation door: one GraphQL request in, one answer out, without any web framework.

Rules of this file, in the order of `handle`:

1. So many requests at once, fewer of one person; whoever is not signed in gets 401 before anything is parsed.
2. The request is read (`http_request`), the document is held to the limits and to the schema (`documents`), its cost is
   computed with its variables (`cost`). Only then is anything executed, within a deadline.
3. Whatever goes wrong leaves as one code of a closed list with a fixed hint (`errors.told`). Texts of the GraphQL
   library, which quote the request, do not leave; what is not an error of ours is `door_failed` and named in our log.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections import Counter
from inspect import isawaitable
from typing import Any, cast

from graphql import DocumentNode, ExecutionResult, GraphQLError, OperationDefinitionNode, execute

from concordat_node.doors.caller import Caller, bearer_of, purpose_of
from concordat_node.doors.cost import check_cost
from concordat_node.doors.documents import Documents, InvalidDocument, operation_of
from concordat_node.doors.errors import (
    DoorFailed,
    DoorOverloaded,
    DoorTimeout,
    GraphqlBodyTooLarge,
    GraphqlCostExceeded,
    GraphqlDocumentInvalid,
    GraphqlDocumentTooLarge,
    GraphqlIntrospectionOff,
    GraphqlMediaTypeUnsupported,
    GraphqlMethodRefused,
    GraphqlNotAcceptable,
    GraphqlOperationUnknown,
    GraphqlQueriesOnly,
    GraphqlRequestMalformed,
    GraphqlSyntaxInvalid,
    GraphqlVariablesInvalid,
    PurposeMalformed,
    told,
)
from concordat_node.doors.http_request import (
    JSON_TYPE,
    RESPONSE_TYPE,
    GraphqlRequest,
    HttpRequest,
    HttpResponse,
    MediaType,
    accepted,
    headers_for,
    read_request,
)
from concordat_node.doors.rounds import Rounds, Scope
from concordat_node.doors.schema import door_schema
from concordat_node.home.errors import NotSignedIn
from concordat_node.home.home import Home
from concordat_node.home.sessions import Session
from concordat_trust.canonical import Json, JsonObject
from concordat_trust.errors import ConcordatError
from concordat_trust.failure_log import without_texts

REQUESTS_MAX = 32
REQUESTS_PER_PERSON_MAX = 8
SECONDS_MAX = 30.0
_READ_AS_GRAPHQL = (
    GraphqlSyntaxInvalid,
    GraphqlDocumentInvalid,
    GraphqlDocumentTooLarge,
    GraphqlCostExceeded,
    GraphqlIntrospectionOff,
    GraphqlOperationUnknown,
    GraphqlQueriesOnly,
    GraphqlVariablesInvalid,
)
"""With these, a caller who accepts JSON only gets 200, as the specification has it."""
_STATUS: dict[type[ConcordatError], int] = {
    NotSignedIn: 401,
    GraphqlMethodRefused: 405,
    GraphqlNotAcceptable: 406,
    GraphqlBodyTooLarge: 413,
    GraphqlMediaTypeUnsupported: 415,
    GraphqlRequestMalformed: 400,
    PurposeMalformed: 400,
    DoorOverloaded: 503,
    DoorTimeout: 504,
    **dict.fromkeys(_READ_AS_GRAPHQL, 400),
}
OTHER_STATUS = 500
_log = logging.getLogger("concordat.node.doors")


class FederationDoor:
    """Answers free GraphQL for signed-in people of this organization."""

    def __init__(self, home: Home, scope: Scope, *, seconds_max: float = SECONDS_MAX) -> None:
        self._home = home
        self._scope: Scope = scope
        self._schema = door_schema(scope)
        self._documents = Documents(self._schema)
        self._seconds_max = seconds_max
        self._under_way = 0
        self._persons: Counter[str] = Counter()

    async def handle(self, request: HttpRequest) -> HttpResponse:
        """Return the answer or the refusal; never raises for anything a request can cause."""
        media_type: MediaType = JSON_TYPE
        try:
            media_type = accepted(request.headers.get("accept"))
            return await self._bounded(request, media_type)
        except ConcordatError as error:
            _log.info("refused %s", error.code)
            return _refusal(error, media_type)
        except Exception as error:  # noqa: BLE001 - the last line before the network: no text of a bug leaves
            _log.error("failed: %s", without_texts(error))
            return _refusal(DoorFailed(), media_type)

    async def _bounded(self, request: HttpRequest, media_type: MediaType) -> HttpResponse:
        if self._under_way >= REQUESTS_MAX:
            raise DoorOverloaded(requests_max=REQUESTS_MAX)
        self._under_way += 1
        try:
            async with asyncio.timeout(self._seconds_max):
                return await self._answer(request, media_type)
        except TimeoutError as error:
            raise DoorTimeout(seconds_max=int(self._seconds_max)) from error
        finally:
            self._under_way -= 1

    async def _answer(self, request: HttpRequest, media_type: MediaType) -> HttpResponse:
        home = self._home
        session = await home.session(bearer_of(request.headers), kind="program")
        if self._persons[session.subject] >= REQUESTS_PER_PERSON_MAX:
            raise DoorOverloaded(requests_max=REQUESTS_PER_PERSON_MAX)
        self._persons[session.subject] += 1
        try:
            return await self._answer_person(request, session, media_type)
        finally:
            self._persons -= Counter([session.subject])  # forgets who has none left

    async def _answer_person(self, request: HttpRequest, session: Session, media_type: MediaType) -> HttpResponse:
        home = self._home
        caller = Caller(session, home.trusted_bundle(), purpose_of(request.headers))
        graphql = read_request(request)
        document = self._documents.read(graphql.query)
        operation = operation_of(document, graphql.operation_name)
        check_cost(self._schema, document, operation, graphql.variables)
        result = await self._execute(document, operation, graphql, caller)
        return _response(200, _result_json(result), media_type)

    async def _execute(
        self, document: DocumentNode, operation: OperationDefinitionNode, graphql: GraphqlRequest, caller: Caller
    ) -> ExecutionResult:
        rounds = Rounds(self._home.asker, self._home.organization, self._scope, caller, self._home.clock)
        try:
            given = execute(
                self._schema,
                document,
                context_value=rounds,
                variable_values=cast(dict[str, Any], graphql.variables),
                operation_name=None if operation.name is None else operation.name.value,
                hide_suggestions=True,
                max_coercion_errors=1,
            )
            result = await given if isawaitable(given) else given
        finally:
            rounds.cancel()
        if result.data is None and all(error.path is None for error in result.errors or ()):
            raise GraphqlVariablesInvalid
        return result


def _result_json(result: ExecutionResult) -> JsonObject:
    shown: JsonObject = {"data": cast(Json, result.data)}
    if result.errors:
        shown["errors"] = [_field_error(error) for error in result.errors]
    return shown


def _field_error(error: GraphQLError) -> JsonObject:
    cause = error.original_error
    if not isinstance(cause, ConcordatError):
        _log.error("failed: %s", without_texts(error if cause is None else cause))
        cause = DoorFailed()
    places: list[JsonObject] = [{"line": at.line, "column": at.column} for at in error.locations or ()]
    return told(cause, places, error.path or ())


def _refusal(error: ConcordatError, media_type: MediaType) -> HttpResponse:
    status = next((_STATUS[cls] for cls in type(error).__mro__ if cls in _STATUS), OTHER_STATUS)
    if media_type != RESPONSE_TYPE and isinstance(error, _READ_AS_GRAPHQL):
        status = 200
    places = error.places if isinstance(error, InvalidDocument) else []
    entry = told(error, [{"line": line, "column": column} for line, column in places])
    return _response(status, {"errors": [entry]}, media_type)


def _response(status: int, body: JsonObject, media_type: MediaType) -> HttpResponse:
    headers = headers_for(media_type)
    if status == 401:
        headers["www-authenticate"] = 'Bearer realm="concordat"'
    if status == 405:
        headers["allow"] = "GET, POST"
    if status == 503:
        headers["retry-after"] = "1"
    # In the order of the selection, which the canonical form would not keep (GraphQL §7.1).
    return HttpResponse(status, headers, json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8"))
