"""A node's HTTP answer, read as if the node were hostile.

Rules of this file:

* Pure: status, headers and body in, a `NodePayload` out or one error whose code says what was wrong. The size was
  bounded while the body arrived; what is checked here is everything else.
* In this order: HTTP status → media type → nothing at all → JSON with one reading (no NaN, no float, no second key) →
  GraphQL shape → number of results → each result is one record with its salt → shape of the record.
* A refusal is a well-formed GraphQL error with a code; anything less is not a refusal but an invalid answer.
* Nothing is repaired, and nothing of the body is quoted in an error.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from concordat_coordinator.errors import (
    NodeAnswerContentType,
    NodeAnswerEmpty,
    NodeAnswerErrors,
    NodeAnswerHttpStatus,
    NodeAnswerTooManyResults,
    NodeRefused,
    NodeResultAmbiguous,
)
from concordat_trust.attestation import ATTESTATION_BYTES_MAX, SALT_BYTES
from concordat_trust.canonical import Json, JsonObject, parse_object
from concordat_trust.encoding import unb64u
from concordat_trust.errors import PeerFailure, RefusedDocument
from concordat_trust.question import CURSOR_LENGTH_MAX, PROJECTION_OF, Question, candidate_count
from concordat_trust.receipt import RECEIPT_CHARS_MAX
from concordat_trust.records import validate_record
from concordat_trust.sealing import SEALED_CHARS_MAX
from concordat_trust.shape import Shape
from concordat_trust.wire.transport import PeerOverloaded, PeerTimeout, PeerUnreachable, WireResponse

MEDIA_TYPES = frozenset({"application/graphql-response+json", "application/json"})
ATTESTATION_CHARS_MAX = ATTESTATION_BYTES_MAX
# The two refusals of a node that have a status of their own.
NODE_OVERLOADED = "node_overloaded"
NODE_TIMEOUT = "answer_timeout"


_OK = 200
_OVERLOADED = frozenset({429, 503})
_GATEWAY = frozenset({502, 504})
_CODE = re.compile(r"[a-z][a-z0-9_]{2,63}")


@dataclass(frozen=True, slots=True)
class NodePayload:
    """What a node sent, well-formed and not yet believed; `results` are the wire objects exactly as they came."""

    attestation: str
    results: tuple[JsonObject, ...]
    receipt: str | None = None
    cursor: str | None = None
    sealed: str | None = None


def read_payload(response: WireResponse, *, question: Question, endpoint: str) -> NodePayload:
    """Return the payload of a node's answer.

    Raises: NodeRefused, PeerOverloaded, PeerUnreachable (a gateway's status), NodeAnswer*, NodeResultAmbiguous, the
    JSON refusals, DocumentMalformed, EncodingInvalid, RecordMalformed, AssetIdInvalid.
    """
    if response.status != _OK:
        raise _refusal(response, endpoint)
    _check_media_type(response)
    if not response.body.strip():
        raise NodeAnswerEmpty
    document = _parse(response.body)
    if document.get("errors"):
        raise NodeAnswerErrors
    data = Shape(document.get("data"), "answer.data").value(question.operation)
    if data is None:
        raise NodeAnswerEmpty
    answer = Shape(data, "answer")
    attestation = answer.text("attestation", length_min=1, length_max=ATTESTATION_CHARS_MAX)
    results = answer.value("results")
    receipt = answer.optional_text("receipt", length_max=RECEIPT_CHARS_MAX)
    cursor = answer.optional_text("cursor", length_max=CURSOR_LENGTH_MAX)
    sealed = answer.optional_text("sealed", length_max=SEALED_CHARS_MAX)
    answer.finish()
    return NodePayload(attestation, _results(results, question), receipt, cursor, sealed)


def _results(value: Json, question: Question) -> tuple[JsonObject, ...]:
    if not isinstance(value, list):
        raise Shape({}, "answer").refuse("results", "is not a list")
    if len(value) > candidate_count(question):
        raise NodeAnswerTooManyResults(count=len(value), count_max=candidate_count(question))
    return tuple(_result(item, question) for item in value)


def _result(value: Json, question: Question) -> JsonObject:
    shape = Shape(value, "answer.results")
    salt, opened = shape.optional_text("salt"), _optional_object(shape, question.projection)
    others = [name for name in PROJECTION_OF.values() if name != question.projection]
    if any(_optional_object(shape, name) is not None for name in others):
        raise NodeResultAmbiguous
    shape.finish()
    if opened is None or salt is None:
        raise NodeResultAmbiguous
    if len(unb64u(salt)) != SALT_BYTES:
        raise shape.refuse("salt", "has not 16 bytes")
    validate_record(opened, question.projection)
    return {"salt": salt, **dict.fromkeys(others), question.projection: opened}


def _optional_object(shape: Shape, name: str) -> JsonObject | None:
    return shape.raw_object(name) if shape.has(name) and shape.value(name) is not None else None


def _check_media_type(response: WireResponse) -> None:
    media_type = response.headers.get("content-type", "").split(";")[0].strip().lower()
    if media_type not in MEDIA_TYPES:
        # Nothing at all has no type either, and is named for what it is.
        raise NodeAnswerContentType if response.body.strip() else NodeAnswerEmpty


def _refusal(response: WireResponse, endpoint: str) -> PeerFailure:
    code = _refusal_code(response)
    if code == NODE_TIMEOUT:
        return PeerTimeout(endpoint=endpoint)
    if code is not None and code != NODE_OVERLOADED:
        return NodeRefused(node_code=code)
    if response.status in _OVERLOADED:
        return PeerOverloaded(endpoint=endpoint)
    if response.status in _GATEWAY:
        return PeerUnreachable(endpoint=endpoint, sent=True)
    return NodeAnswerHttpStatus(http_status=response.status)


def _refusal_code(response: WireResponse) -> str | None:
    """Return the code of a well-formed refusal. None is no refusal: the status alone decides then."""
    try:
        _check_media_type(response)
        errors = _parse(response.body).get("errors")
    except (PeerFailure, RefusedDocument):
        return None
    first = errors[0] if isinstance(errors, list) and errors else None
    extensions = first.get("extensions") if isinstance(first, dict) else None
    code = extensions.get("code") if isinstance(extensions, dict) else None
    return code if isinstance(code, str) and _CODE.fullmatch(code) else None


def _parse(body: bytes) -> JsonObject:
    return parse_object(body, bytes_max=len(body))
