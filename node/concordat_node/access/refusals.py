"""The unsigned refusals of a node: one closed list of codes, each with its HTTP status.

Rules of this file:

* A finer code is a subclass of one that travels; the wire gets the one that travels, our own log both. Anything that is
  not in the list travels as `node_failed`, so that no text, type or place of our code leaves.
* 503 is used for overload alone: a transport takes it for "ask later", and everything else must be seen as it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Final

from concordat_trust.canonical import canonical_bytes
from concordat_trust.errors import ConcordatError, OperatorError, PeerFailure
from concordat_trust.wire.transport import WireResponse

MEDIA_TYPE: Final = "application/graphql-response+json"
FAILED: Final = "node_failed"

HTTP_STATUS: Final[Mapping[str, int]] = MappingProxyType(
    {
        "body_too_large": 413,
        "body_too_slow": 408,
        "content_digest_mismatch": 400,
        "request_signature_invalid": 401,
        "presenter_unknown": 401,
        "request_malformed": 400,
        "document_unknown": 400,
        "document_mismatch": 400,
        "token_malformed": 401,
        "token_wrong_type": 401,
        "token_issuer_unknown": 401,
        "token_key_unknown": 401,
        "token_signature_invalid": 401,
        "token_audience": 403,
        "token_expired": 401,
        "token_not_yet_valid": 401,
        "token_lifetime": 401,
        "token_network": 403,
        "token_presenter": 403,
        "token_question_mismatch": 403,
        "token_part_mismatch": 403,
        "token_claim_not_allowed": 403,
        "token_replayed": 409,
        "peer_kind_unknown": 400,
        "ping_malformed": 400,
        "ping_replayed": 409,
        "peer_body_mismatch": 403,
        "peer_sender_mismatch": 403,
        "peer_not_organization": 403,
        "peer_replayed": 409,
        "token_uses_malformed": 400,
        "organization_suspended": 403,
        "bundle_stale": 500,
        "log_unavailable": 500,
        "answer_timeout": 504,
        "node_overloaded": 503,
        FAILED: 500,
    }
)


class BodyTooSlow(PeerFailure):
    code = "body_too_slow"
    sentence = "The request's body did not arrive in time."
    hint = "Send the whole body at once; look at what is between the sender and the node."


class NodeOverloaded(PeerFailure):
    code = "node_overloaded"
    sentence = "The node already answers {questions_max} questions."
    hint = "Ask again in a moment."


class AnswerTimeout(PeerFailure):
    code = "answer_timeout"
    sentence = "The node did not finish within {timeout_ms} ms."
    hint = "Ask again with a longer deadline, or later."


class NodeFailed(OperatorError):
    code = FAILED
    sentence = "The node could not answer for a reason of its own."
    hint = "The node's log names the reason; nothing of it leaves the node."


@contextmanager
def bugs_masked() -> Iterator[None]:
    """The last line before the network: a bug must not become a text that leaves. Raises: NodeFailed in its place."""
    try:
        yield
    except ConcordatError:
        raise
    except Exception as error:
        raise NodeFailed from error


def wire_code(error: BaseException) -> str:
    """Return the code that travels: the nearest class of the error that the closed list names."""
    for cls in type(error).__mro__:
        if issubclass(cls, ConcordatError) and cls.code in HTTP_STATUS:
            return cls.code
    return FAILED


def refusal(code: str) -> WireResponse:
    """Return the unsigned refusal as it travels."""
    status = HTTP_STATUS[code]
    body = canonical_bytes({"errors": [{"extensions": {"code": code}, "message": code}]})
    headers = {"content-type": MEDIA_TYPE, "cache-control": "no-store"}
    return WireResponse(status, headers | ({"retry-after": "1"} if status == 503 else {}), body)
