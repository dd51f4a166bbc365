"""Who may have something relayed: the checks on a home node's request, in the order in which they cost.

Rules of this file:

* Pure. Nothing of the body is parsed before the request's signature is verified, so only members can make a relay work.
* 1 size · 2 signature of the request, for *our* authority as the bundle has it · 3 the body is the trusted document of
  this way of answering, and its variables · 4 deadline and size limits · 5 question and parts are canonical and for our
  network · 6 cost · 7 the query token, or one for each organization (`round_tokens`): issuer's signature, times, our
  key as its presenter, hashes of question and every part · 8 the token is the presenter's own.
* What a relay does not check: single use (each node does), the purpose, and the claims beyond their caps. It has no
  authority over any of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from concordat_coordinator.cost import Limits, check_cost, check_deadline, check_texts
from concordat_coordinator.errors import (
    AskTooLarge,
    DocumentNotAcceptable,
    DocumentUnknown,
    HomeMismatch,
    PartsMalformed,
    QuestionNetworkForeign,
)
from concordat_trust.canonical import parse_object
from concordat_trust.directory import KeyDirectory, request_keys
from concordat_trust.errors import RefusedDocument
from concordat_trust.ids import KeyId, OrgId
from concordat_trust.question import Question, parse_part, parse_question
from concordat_trust.request_signature import SignedMessage, authority_of, verify_request
from concordat_trust.round_tokens import RoundTokens, verify_relayed_round
from concordat_trust.shape import Shape
from concordat_trust.token_errors import TokenMalformed
from concordat_trust.wire.coordinator_documents import COORDINATOR_DOCUMENTS_BY_ID
from concordat_trust.wire.transport import WireRequest

PATH = "/graphql"
BEARER = "Bearer "


@dataclass(frozen=True, slots=True)
class SignedAsk:
    """A request whose signature is verified, with the variables of its document; the token is not verified yet."""

    home: OrgId
    token: str
    question: str
    parts: str
    deadline_ms: int


@dataclass(frozen=True, slots=True)
class Ask:
    """A question that may be relayed; made only by `admit`."""

    home: OrgId
    tokens: RoundTokens
    question: Question
    question_bytes: bytes
    parts: Mapping[OrgId, bytes]
    deadline_ms: int


def read_signed(
    request: WireRequest, *, me: OrgId, document_id: str, bundle: KeyDirectory, now: int, limits: Limits
) -> SignedAsk:
    """Return what a member of the network signed (steps 1 to 3); `document_id` is that of the one document meant here.

    Raises: AskTooLarge, ContentDigestMismatch, RequestSignatureInvalid and its leaves, PresenterUnknown,
    OrganizationSuspended, TokenMalformed, DocumentUnknown, DocumentNotAcceptable, DocumentMalformed,
    the JSON refusals.
    """
    if len(request.body) > limits.request_bytes_max:
        raise AskTooLarge(what="request", size=len(request.body), size_max=limits.request_bytes_max)
    authorization = request.headers.get("authorization", "")
    message = SignedMessage(
        method=request.method,
        authority=authority_of(bundle.member(me).endpoint),
        path=request.path,
        content_type=request.headers.get("content-type", ""),
        authorization=authorization,
        body=request.body,
    )
    key_id = verify_request(message, request.headers, resolve_key=request_keys(bundle), now=now)
    if not authorization.startswith(BEARER):
        raise TokenMalformed(problem="form")
    home = bundle.request_key_owner(key_id).id
    return _variables(request.body, document_id, home, authorization.removeprefix(BEARER), limits)


def admit(signed: SignedAsk, *, me: OrgId, relay: KeyId, bundle: KeyDirectory, now: int, limits: Limits) -> Ask:
    """Return the question as it may be relayed (steps 4 to 8).

    Raises: AskTooLarge, DeadlineOutOfRange, PartsMalformed, QuestionNetworkForeign, HomeMismatch, the refusals of
    `parse_question` and of `verify_relayed_round`.
    """
    check_deadline(signed.deadline_ms, limits)
    question_bytes, parts_bytes = signed.question.encode("utf-8"), signed.parts.encode("utf-8")
    check_texts(question_bytes, parts_bytes, limits)
    question = parse_question(question_bytes)
    if question.network != bundle.network.id:
        raise QuestionNetworkForeign(network=question.network, served=bundle.network.id)
    handed = _parts(parts_bytes)
    parts = {org: part for org, part in handed.items() if org != me}
    check_cost(question, parts, len(parts), limits)
    tokens = verify_relayed_round(
        signed.token, me=me, bundle=bundle, question=question_bytes, parts=handed, relay=relay, now=now
    )
    issuer = tokens.presented.issuer
    if issuer != signed.home:
        raise HomeMismatch(presenter=signed.home, issuer=issuer)
    for part in parts.values():
        parse_part(part)
    return Ask(
        home=signed.home,
        tokens=tokens,
        question=question,
        question_bytes=question_bytes,
        parts=parts,
        deadline_ms=signed.deadline_ms,
    )


def _variables(body: bytes, document_id: str, home: OrgId, token: str, limits: Limits) -> SignedAsk:
    shape = Shape(parse_object(body, bytes_max=limits.request_bytes_max), "request")
    named = shape.text("documentId")
    if named not in COORDINATOR_DOCUMENTS_BY_ID:
        raise DocumentUnknown
    if named != document_id:
        raise DocumentNotAcceptable
    variables = shape.object("variables")
    shape.finish()
    signed = SignedAsk(
        home=home,
        token=token,
        question=variables.text("question", length_max=limits.request_bytes_max),
        parts=variables.text("parts", length_max=limits.request_bytes_max),
        deadline_ms=variables.integer("deadlineMs"),
    )
    variables.finish()
    return signed


def _parts(data: bytes) -> Mapping[OrgId, bytes]:
    try:
        obj = parse_object(data, bytes_max=len(data))
        parts = {OrgId.parse(org): part.encode("utf-8") for org, part in obj.items() if isinstance(part, str)}
    except RefusedDocument as error:
        raise PartsMalformed from error
    if len(parts) != len(obj):
        raise PartsMalformed
    return parts
