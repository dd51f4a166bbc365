"""The ordered check of an incoming request: from bytes that anybody may have sent to `Admitted`.

Rules of this file:

* Pure: bytes, the bundle and a clock reading in; `Admitted` or one refusal out. Single use of the token is not checked
  here but consumed in the transaction of the log entry (`ledger`), because only there it is true.
* Order (DESIGN section 3, step 4): size · bundle in force · content digest · request signature and presenter · form of
  the body and trusted document · token (its own order, over the received bytes of question and part).
* Every refusal here is answered unsigned: its sender has proved nothing yet (`refusals` has the closed list of codes).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from concordat_trust.bundle.trusted import TrustedBundle
from concordat_trust.canonical import parse_object
from concordat_trust.directory import KeyUnknown, OrganizationSuspended, request_keys, require_standing
from concordat_trust.errors import OperatorError, RefusedDocument
from concordat_trust.ids import KeyId, OrgId
from concordat_trust.query_token import VerifiedToken, verify_query_token
from concordat_trust.request_signature import PresenterUnknown, SignedMessage, authority_of, verify_request
from concordat_trust.shape import Shape
from concordat_trust.token_use import token_digest
from concordat_trust.vocabulary import Clearance
from concordat_trust.wire.documents import NODE_DOCUMENTS, document_id
from concordat_trust.wire.transport import WireRequest

PATH: Final = "/graphql"
CONTENT_TYPE: Final = "application/json"
TIMEOUT_HEADER: Final = "concordat-timeout-ms"
VARIABLE_CHARS_MAX = 65_536

_BEARER = "Bearer "
_TIMEOUT = re.compile(r"[1-9][0-9]{0,5}")
_OPERATIONS: Final[Mapping[str, str]] = {document_id(text): name for name, text in NODE_DOCUMENTS.items()}


class BodyTooLarge(RefusedDocument):
    code = "body_too_large"
    sentence = "The request has more than {bytes_max} bytes."
    hint = "Ask a smaller question; a node reads no more than this."


class BundleStale(OperatorError):
    code = "bundle_stale"
    sentence = "This node has no trust bundle that is in force now."
    hint = "Check the bundle's mirrors: `concordat node doctor`. Local use goes on; other organizations are refused."


class RequestMalformed(RefusedDocument):
    code = "request_malformed"
    sentence = "The request is not of this protocol: {field}."
    hint = "POST canonical JSON with documentId and the variables question and part to /graphql."


class DocumentUnknown(RefusedDocument):
    code = "document_unknown"
    sentence = "There is no trusted document with this id."
    hint = "Send the documentId of a document of this release's wire schema; query texts are not executed."


@dataclass(frozen=True, slots=True)
class Admitted:
    """A request whose sender, token and bytes are verified; `operation` is that of the named document."""

    operation: str
    presenter: KeyId
    token: VerifiedToken
    token_sha256: str
    question: bytes
    part: bytes
    timeout_ms: int | None
    bundle: TrustedBundle


@dataclass(frozen=True, slots=True)
class _Body:
    operation: str
    question: bytes
    part: bytes


def check_request(
    request: WireRequest, *, me: OrgId, bundle: TrustedBundle | None, now: int, bytes_max: int
) -> Admitted:
    """Return the admitted request.

    Raises, in this order: BodyTooLarge, BundleStale, the refusals of `verify_request`, RequestMalformed,
    DocumentUnknown, the refusals of `verify_query_token`; OrganizationSuspended for presenter or issuer.
    """
    if len(request.body) > bytes_max:
        raise BodyTooLarge(bytes_max=bytes_max)
    if bundle is None or bundle.expires_at <= now:
        raise BundleStale
    presenter = signed_presenter(request, me=me, bundle=bundle, now=now)
    body = _body(request, bytes_max)
    presented = _bearer(request)
    token = verify_query_token(
        presented, me=me, bundle=bundle, question=body.question, part=body.part, presenter=presenter, now=now
    )
    return Admitted(
        operation=body.operation,
        presenter=presenter,
        token=token,
        token_sha256=token_digest(presented),
        question=body.question,
        part=body.part,
        timeout_ms=_timeout_ms(request),
        bundle=bundle,
    )


def signed_presenter(request: WireRequest, *, me: OrgId, bundle: TrustedBundle, now: int) -> KeyId:
    """Return whose key signed a request that was meant for this node. Raises: the refusals of `verify_request`."""
    message = _message(request, _own_authority(bundle, me))
    return verify_request(message, request.headers, resolve_key=request_keys(bundle), now=now)


def check_still_admitted(admitted: Admitted, *, me: OrgId, bundle: TrustedBundle | None, now: int) -> None:
    """Refuse what the bundle in force no longer admits: a party of it was suspended, or its key withdrawn, meanwhile.

    Raises: BundleStale, OrganizationSuspended, MemberUnknown, PresenterUnknown.
    """
    if bundle is None or bundle.expires_at <= now:
        raise BundleStale
    for party in (me, admitted.token.issuer):
        require_standing(bundle, party)
    try:
        bundle.request_key_owner(admitted.presenter)
    except KeyUnknown as error:
        raise PresenterUnknown from error


def sensitivity_max(bundle: TrustedBundle, now: int) -> Clearance:
    """Return what may be disclosed at most on this bundle.

    A bundle that was not confirmed within the network's `bundle_age_max_s` closes controlled classes, because a
    suspension may be missing from it; at its expiry everything closes (DESIGN section 6).
    """
    is_fresh = bundle.age_s(now) <= bundle.network.bundle_age_max_s
    return Clearance.RESTRICTED if is_fresh else Clearance.REGISTERED


def _own_authority(bundle: TrustedBundle, me: OrgId) -> str:
    member = bundle.members.get(me)
    if member is None or not member.endpoint:
        raise BundleStale
    if member.suspended:
        raise OrganizationSuspended(organization=me)
    return authority_of(member.endpoint)


def _message(request: WireRequest, authority: str) -> SignedMessage:
    return SignedMessage(
        method=request.method,
        authority=authority,
        path=request.path,
        content_type=request.headers.get("content-type", ""),
        authorization=request.headers.get("authorization", ""),
        body=request.body,
    )


def _bearer(request: WireRequest) -> str:
    value = request.headers.get("authorization", "")
    if not value.startswith(_BEARER):
        raise RequestMalformed(field="authorization")
    return value.removeprefix(_BEARER)


def _body(request: WireRequest, bytes_max: int) -> _Body:
    if (request.method, request.path) != ("POST", PATH):
        raise RequestMalformed(field="method or path")
    if request.headers.get("content-type") != CONTENT_TYPE:
        raise RequestMalformed(field="content-type")
    try:
        shape = Shape(parse_object(request.body, bytes_max=bytes_max), "body")
        name = shape.text("documentId", length_max=200)
        variables = shape.object("variables")
        question = variables.text("question", length_max=VARIABLE_CHARS_MAX)
        part = variables.text("part", length_max=VARIABLE_CHARS_MAX)
        shape.finish()
        variables.finish()
    except RefusedDocument as error:
        raise RequestMalformed(field="body") from error
    if name not in _OPERATIONS:
        raise DocumentUnknown
    return _Body(_OPERATIONS[name], question.encode(), part.encode())


def _timeout_ms(request: WireRequest) -> int | None:
    value = request.headers.get(TIMEOUT_HEADER)
    if value is None:
        return None
    if not _TIMEOUT.fullmatch(value):
        raise RequestMalformed(field=TIMEOUT_HEADER)
    return int(value)
