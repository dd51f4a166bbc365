"""The signature over an HTTP request: a narrow profile of RFC 9421, with RFC 9530 for the body.

Rules of this file:

* One label `concordat`, one list of covered components in one order, one order of parameters, one algorithm. Anything
  else is refused, so there is nothing to negotiate and a signature over less than everything cannot be valid.
* `@authority` is what the trust bundle says of the receiver, never what the `Host` header says: a request captured by
  one node is worthless at every other.
* The path has no query: nothing that is not covered may change the meaning of a request.
* `created` may differ from the receiver's clock by 30 s. Single use is the query token's matter, not the nonce's.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from concordat_trust.directory import KeyUnknown, MemberUnknown
from concordat_trust.errors import RefusedDocument
from concordat_trust.ids import KeyId
from concordat_trust.jose import Signer

LABEL = "concordat"
TAG = "concordat-v1"
COMPONENTS = ("@method", "@authority", "@path", "content-type", "content-digest", "authorization")
CREATED_WINDOW_S = 30
COMPONENT_CHARS_MAX = 65_536
SIGNATURE_INPUT_CHARS_MAX = 1_024

_INPUT = re.compile(rf"{LABEL}=\(([^()]*)\);(.*)")
_PARAMETERS = re.compile(
    r'created=(0|[1-9][0-9]{0,11});nonce="([A-Za-z0-9_-]{22,86})";keyid="([A-Za-z0-9_-]{43})"'
    rf';alg="ed25519";tag="{TAG}"'
)
_SIGNATURE = re.compile(rf"{LABEL}=:([A-Za-z0-9+/]{{86}}==):")
_VISIBLE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")
_PATH = re.compile(r"/[A-Za-z0-9._~!$&'()*+,;=:@%/-]*")
_AUTHORITY = re.compile(r"[a-z0-9.-]+(?::[0-9]{1,5})?|\[[0-9a-f:.]+\](?::[0-9]{1,5})?")
_COVERED = " ".join(f'"{name}"' for name in COMPONENTS)
_DEFAULT_PORT = {"https": 443, "http": 80}


class ContentDigestMismatch(RefusedDocument):
    code = "content_digest_mismatch"
    sentence = "The body is not the one that content-digest names."
    hint = "The body was changed on its way, or the digest is missing or not sha-256 (RFC 9530)."


class RequestSignatureInvalid(RefusedDocument):
    code = "request_signature_invalid"
    sentence = "The signature of the request does not match."
    hint = "The request was changed, was meant for another host, or was not signed by the key it names."


class RequestSignatureMalformed(RequestSignatureInvalid):
    code = "request_signature_malformed"
    sentence = "The request is not signed in the form of this protocol: {field}."
    hint = "Send one signature with label, parameters and algorithm exactly as the protocol says."


class RequestSignatureComponents(RequestSignatureInvalid):
    code = "request_signature_components"
    sentence = "The signature does not cover exactly the components of this protocol."
    hint = "Cover @method, @authority, @path, content-type, content-digest and authorization, in this order."


class RequestSignatureParameters(RequestSignatureInvalid):
    code = "request_signature_parameters"
    sentence = "The parameters of the signature are not those of this protocol."
    hint = 'Send created, nonce, keyid, alg="ed25519" and tag="concordat-v1", in this order and no others.'


class RequestSignatureTime(RequestSignatureInvalid):
    code = "request_signature_time"
    sentence = "The request was signed at {created}; it is {now}."
    hint = "Compare the clocks of both machines; at most 30 s may lie between."


class PresenterUnknown(RefusedDocument):
    code = "presenter_unknown"
    sentence = "The key of the request belongs to nobody in this network."
    hint = "The key may be new or withdrawn: compare the versions of the trust bundle on both sides."


class EndpointInvalid(RefusedDocument):
    code = "endpoint_invalid"
    sentence = "An endpoint is not scheme, host and port of a web server."
    hint = "Publish an endpoint such as https://concordat.example.org in the entity statement."


@dataclass(frozen=True, slots=True)
class SignedMessage:
    """What is covered. `authority` comes from `authority_of` the receiver's endpoint, `path` has no query."""

    method: str
    authority: str
    path: str
    content_type: str
    authorization: str
    body: bytes

    def components(self) -> tuple[tuple[str, str], ...]:
        """Return the covered (name, value) pairs in their order."""
        digest = content_digest(self.body)
        values = (self.method, self.authority, self.path, self.content_type, digest, self.authorization)
        return tuple(zip(COMPONENTS, values, strict=True))


def authority_of(endpoint: str) -> str:
    """Return host and port of an endpoint as `@authority` has them: lower case, no default port (RFC 9421 §2.2.3).

    Raises: EndpointInvalid.
    """
    try:
        parts = urlsplit(endpoint)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise EndpointInvalid from error
    extra = parts.username is not None or parts.password is not None or parts.query or parts.fragment
    if parts.scheme not in _DEFAULT_PORT or not host or extra or parts.path not in ("", "/"):
        raise EndpointInvalid
    shown = f"[{host}]" if ":" in host else host
    authority = shown if port in (None, _DEFAULT_PORT[parts.scheme]) else f"{shown}:{port}"
    if not _AUTHORITY.fullmatch(authority):
        raise EndpointInvalid
    return authority


def content_digest(body: bytes) -> str:
    """Return the `content-digest` field of a body (RFC 9530 §2)."""
    return f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode('ascii')}:"


def signature_base(components: Sequence[tuple[str, str]], parameters: str) -> bytes:
    """Return the bytes that are signed (RFC 9421 §2.5). `parameters` is the value of `@signature-params`."""
    lines = [f'"{name}": {value}' for name, value in components]
    return "\n".join([*lines, f'"@signature-params": {parameters}']).encode("utf-8")


def sign_request(message: SignedMessage, *, key: Signer, created: int, nonce: str) -> dict[str, str]:
    """Return the five headers to send: content-type, authorization, content-digest, signature-input, signature.

    `nonce` is at least 22 characters of base64url, fresh for each request.
    Raises: RequestSignatureMalformed, RequestSignatureParameters for a request that nobody would accept.
    """
    _refuse_unsignable(message)
    key_id = key.key_id
    parameters = f'created={created};nonce="{nonce}";keyid="{key_id}";alg="ed25519";tag="{TAG}"'
    if not _PARAMETERS.fullmatch(parameters):
        raise RequestSignatureParameters
    covered = f"({_COVERED});{parameters}"
    signature = key.sign(signature_base(message.components(), covered))
    if key.key_id != key_id:  # it follows its file, and was exchanged between its id and its signature
        return sign_request(message, key=key, created=created, nonce=nonce)
    return {
        "authorization": message.authorization,
        "content-digest": content_digest(message.body),
        "content-type": message.content_type,
        "signature": f"{LABEL}=:{base64.b64encode(signature).decode('ascii')}:",
        "signature-input": f"{LABEL}={covered}",
    }


def verify_request(
    message: SignedMessage,
    headers: Mapping[str, str],
    *,
    resolve_key: Callable[[KeyId], Ed25519PublicKey],
    now: int,
) -> KeyId:
    """Return the id of the key that signed this request, after these checks in this order.

    1 content-digest is the body's · 2 form of the message and of both signature headers · 3 covered components ·
    4 parameters · 5 `created` within 30 s of `now` · 6 the key belongs to somebody · 7 the signature.
    `headers` has lower-case names; of them only content-digest, signature-input and signature are read here.

    Raises: ContentDigestMismatch, RequestSignatureMalformed, RequestSignatureComponents, RequestSignatureParameters,
    RequestSignatureTime, PresenterUnknown, RequestSignatureInvalid; OrganizationSuspended from `resolve_key`.
    """
    if headers.get("content-digest") != content_digest(message.body):
        raise ContentDigestMismatch
    _refuse_unsignable(message)
    signature = _signature(headers.get("signature", ""))
    parameters, created, key_id = _signature_input(headers.get("signature-input", ""))
    if abs(now - created) > CREATED_WINDOW_S:
        raise RequestSignatureTime(created=created, now=now)
    try:
        key = resolve_key(key_id)
    except (KeyUnknown, MemberUnknown) as error:
        raise PresenterUnknown from error
    try:
        key.verify(signature, signature_base(message.components(), f"({_COVERED});{parameters}"))
    except InvalidSignature as error:
        raise RequestSignatureInvalid from error
    return key_id


def _refuse_unsignable(message: SignedMessage) -> None:
    # A line break in a value would let one component pass for two; surplus spaces are stripped on the way.
    for name, value in message.components():
        if len(value) > COMPONENT_CHARS_MAX or not _VISIBLE.fullmatch(value):
            raise RequestSignatureMalformed(field=name)
    if not _PATH.fullmatch(message.path):
        raise RequestSignatureMalformed(field="@path")
    if not _AUTHORITY.fullmatch(message.authority):
        raise RequestSignatureMalformed(field="@authority")


def _signature(header: str) -> bytes:
    match = _SIGNATURE.fullmatch(header)
    if match is None:
        raise RequestSignatureMalformed(field="signature")
    signature = base64.b64decode(match.group(1), validate=True)
    if base64.b64encode(signature).decode("ascii") != match.group(1):
        raise RequestSignatureMalformed(field="signature")
    return signature


def _signature_input(header: str) -> tuple[str, int, KeyId]:
    match = _INPUT.fullmatch(header) if len(header) <= SIGNATURE_INPUT_CHARS_MAX else None
    if match is None:
        raise RequestSignatureMalformed(field="signature-input")
    if match.group(1) != _COVERED:
        raise RequestSignatureComponents
    parameters = _PARAMETERS.fullmatch(match.group(2))
    if parameters is None:
        raise RequestSignatureParameters
    return parameters.group(0), int(parameters.group(1)), parameters.group(3)
