"""One GraphQL request as it comes over HTTP, and the answer as it leaves (GraphQL over HTTP, working draft). Pure.

Rules of this file:

* POST takes application/json alone, so that no form and no `text/plain` of another site is read (and there are no
  cookies to abuse); GET takes the same parameters from the address. A list (batching) is refused, as is multipart.
* JSON is read strictly: no duplicate names, no floats, bounded in depth. Parameters that are unknown are not looked at.
* A caller who accepts `application/graphql-response+json` gets status codes; one who accepts JSON gets 200 for every
  request that could be read as GraphQL, as the specification has it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import parse_qsl

from concordat_node.doors.errors import (
    GraphqlBodyTooLarge,
    GraphqlMediaTypeUnsupported,
    GraphqlMethodRefused,
    GraphqlNotAcceptable,
    GraphqlRequestMalformed,
)
from concordat_trust.canonical import JsonObject, parse_object
from concordat_trust.errors import RefusedDocument

BODY_BYTES_MAX: Final = 65_536
QUERY_BYTES_MAX: Final = 16_384
PARAMETERS_MAX: Final = 10
ACCEPT_MAX: Final = 20
RESPONSE_TYPE: Final = "application/graphql-response+json"
JSON_TYPE: Final = "application/json"
MediaType = Literal["application/graphql-response+json", "application/json"]


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """What came; header names in lower case, each at most once."""

    method: str
    query: bytes
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class HttpResponse:
    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class GraphqlRequest:
    query: str
    variables: JsonObject
    operation_name: str | None


def read_request(request: HttpRequest) -> GraphqlRequest:
    """Return the GraphQL request.

    Raises: GraphqlMethodRefused, GraphqlMediaTypeUnsupported, GraphqlBodyTooLarge, GraphqlRequestMalformed.
    """
    if request.method == "GET":
        return _request(_from_address(request.query))
    if request.method != "POST":
        raise GraphqlMethodRefused
    kind, _, parameters = request.headers.get("content-type", "").partition(";")
    charset = parameters.strip().lower().removeprefix("charset=").strip('"')
    if kind.strip().lower() != JSON_TYPE or charset not in ("", "utf-8"):
        raise GraphqlMediaTypeUnsupported
    if len(request.body) > BODY_BYTES_MAX:
        raise GraphqlBodyTooLarge(bytes_max=BODY_BYTES_MAX)
    return _request(_object(request.body))


def _from_address(query: bytes) -> JsonObject:
    if len(query) > QUERY_BYTES_MAX:
        raise GraphqlBodyTooLarge(bytes_max=QUERY_BYTES_MAX)
    try:
        pairs = parse_qsl(
            query.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=True,
            errors="strict",
            max_num_fields=PARAMETERS_MAX,
        )
    except ValueError as error:
        raise GraphqlRequestMalformed from error
    given: JsonObject = dict(pairs)
    if len(given) != len(pairs):
        raise GraphqlRequestMalformed
    for name in ("variables", "extensions"):
        text = given.pop(name, "")
        if isinstance(text, str) and text:
            given[name] = _object(text.encode("utf-8"))
    return given


def _object(data: bytes) -> JsonObject:
    try:
        return parse_object(data, bytes_max=BODY_BYTES_MAX)
    except RefusedDocument as error:
        raise GraphqlRequestMalformed from error


def _request(given: JsonObject) -> GraphqlRequest:
    query, name = given.get("query"), given.get("operationName")
    variables, extensions = given.get("variables"), given.get("extensions")
    if not isinstance(query, str) or not isinstance(name, str | None):
        raise GraphqlRequestMalformed
    if not isinstance(variables, dict | None) or not isinstance(extensions, dict | None):
        raise GraphqlRequestMalformed
    return GraphqlRequest(query, variables or {}, name or None)


def accepted(accept: str | None) -> MediaType:
    """Return the media type of the answer. Raises: GraphqlNotAcceptable."""
    ranges = [] if accept is None else [_range(item) for item in accept.split(",")[:ACCEPT_MAX] if item.strip()]
    if not ranges:
        return JSON_TYPE
    # In order of preference; the caller's order decides between equals.
    for kind, quality in sorted(ranges, key=lambda item: -item[1]):
        if quality <= 0:
            continue
        if kind == RESPONSE_TYPE:
            return RESPONSE_TYPE
        if kind in (JSON_TYPE, "application/*", "*/*"):
            return JSON_TYPE
    raise GraphqlNotAcceptable


def _range(item: str) -> tuple[str, float]:
    kind, *parameters = (part.strip().lower() for part in item.split(";"))
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return kind, min(1.0, max(0.0, float(value)))
            except ValueError:
                return kind, 0.0
    return kind, 1.0


def headers_for(media_type: MediaType) -> dict[str, str]:
    """Return the headers of every answer: never stored, and never taken for something else."""
    return {
        "content-type": f"{media_type}; charset=utf-8",
        "cache-control": "no-store",
        "vary": "accept, authorization, concordat-purpose",
        "x-content-type-options": "nosniff",
    }
