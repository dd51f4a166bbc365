"""The ping with which somebody who is not a member yet tries out the way to a node, and the signed answer.

Rules of this file:

* Pure. A ping is a request under the profile of `request_signature`, signed with the key that its own body names: it
  shows that digest, authority, signature and clock survive the way, and nothing about who sends it.
* The answer (`concordat-pong+jwt`) is signed with the node's request key from the trust bundle, for this key and this
  nonce alone. It says the node's time, and what everybody can read in the bundle: whether the key is a member's.
* Whoever pings gets no standing by it, and nothing of the answer depends on a record.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from concordat_trust import jose
from concordat_trust.canonical import JsonObject, canonical_bytes, parse_object
from concordat_trust.directory import KeyDirectory, KeyUnknown, keys_for
from concordat_trust.errors import RefusedDocument
from concordat_trust.ids import KeyId, OrgId
from concordat_trust.jwk import Signer, public_key_from_jwk, thumbprint
from concordat_trust.patterns import FRESH_ID, matching
from concordat_trust.request_signature import SignedMessage, authority_of, sign_request, verify_request
from concordat_trust.shape import Shape
from concordat_trust.wire.transport import WireRequest

PATH: Final = "/v1/ping"
CONTENT_TYPE: Final = "application/json"
TYP: Final = "concordat-pong+jwt"
PING_BYTES_MAX: Final = 1_024
PONG_BYTES_MAX: Final = 4_096
PONG_LIFETIME_S: Final = 60
_AUTHORIZATION: Final = "Ping "


class PingMalformed(RefusedDocument):
    code = "ping_malformed"
    sentence = "The ping breaks a rule of its form: {problem}."
    hint = "Send exactly what `concordat trust apply` sends, to the endpoint of an organization."


class PingReplayed(RefusedDocument):
    code = "ping_replayed"
    sentence = "This ping was received before."
    hint = "Something between the two machines sends requests twice; send a new ping."


class PongRefused(RefusedDocument):
    code = "pong_refused"
    sentence = "What answered the ping is not the node of {organization}: {problem}."
    hint = "Compare the endpoint with the trust bundle; something else may stand in front of the node."


@dataclass(frozen=True, slots=True)
class Ping:
    """A ping that passed every check of its receiver but single use."""

    key_id: KeyId
    nonce: str


@dataclass(frozen=True, slots=True)
class Pong:
    """What a node answered: its time, and whether it knows the key as a member's."""

    organization: OrgId
    answered_at: int
    is_member: bool


def make_ping(key: Signer, *, endpoint: str, network: str, nonce: str, at: int) -> WireRequest:
    """Return the request. `nonce` is fresh. Raises: EndpointInvalid."""
    body = canonical_bytes({"ping_version": 1, "network": network, "key": key.public_jwk})
    message = SignedMessage("POST", authority_of(endpoint), PATH, CONTENT_TYPE, _AUTHORIZATION + nonce, body)
    return WireRequest("POST", PATH, sign_request(message, key=key, created=at, nonce=nonce), body)


def verify_ping(request: WireRequest, *, authority: str, network: str, now: int) -> Ping:
    """Return the ping, checked as `verify_request` does, with the key in its body.

    Raises: PingMalformed, the refusals of `verify_request` (PresenterUnknown when the body names another key).
    """
    if len(request.body) > PING_BYTES_MAX:
        raise PingMalformed(problem=f"it has more than {PING_BYTES_MAX} bytes")
    authorization = request.headers.get("authorization", "")
    if (request.method, request.path, request.headers.get("content-type")) != ("POST", PATH, CONTENT_TYPE):
        raise PingMalformed(problem="method, path or content type")

    def resolve(key_id: KeyId) -> Ed25519PublicKey:
        key = _key(request.body, network)
        if thumbprint(key) != key_id:
            raise KeyUnknown(organization="nobody", use="ping")
        return key

    message = SignedMessage(request.method, authority, request.path, CONTENT_TYPE, authorization, request.body)
    key_id = verify_request(message, request.headers, resolve_key=resolve, now=now)
    nonce = authorization.removeprefix(_AUTHORIZATION)
    if not authorization.startswith(_AUTHORIZATION) or not FRESH_ID.fullmatch(nonce):
        raise PingMalformed(problem="authorization")
    return Ping(key_id, nonce)


def _key(body: bytes, network: str) -> Ed25519PublicKey:
    # Called only when the digest of the body is right.
    try:
        shape = Shape(parse_object(body, bytes_max=PING_BYTES_MAX), "ping")
        shape.integer("ping_version", minimum=1, maximum=1)
        if shape.text("network") != network:
            raise shape.refuse("network", "is another one")
        key = public_key_from_jwk(shape.value("key"))
        shape.finish()
    except RefusedDocument as error:
        raise PingMalformed(problem=error.message.rstrip(".")) from error
    return key


def make_pong(ping: Ping, *, key: Signer, organization: OrgId, directory: KeyDirectory, now: int) -> str:
    """Return the node's signed answer."""
    try:
        directory.request_key_owner(ping.key_id)
        is_member = True
    except RefusedDocument:
        is_member = False
    claims: JsonObject = {
        "iss": organization,
        "aud": ping.key_id,
        "net": directory.network.id,
        "nonce": ping.nonce,
        "member": is_member,
        "iat": now,
        "exp": now + PONG_LIFETIME_S,
    }
    return jose.sign(claims, key=key, typ=TYP)


def verify_pong(token: str, *, organization: OrgId, key_id: KeyId, nonce: str, directory: KeyDirectory) -> Pong:
    """Return what the node of `organization` answered to this ping; its time is for the caller to compare.

    Raises: PongRefused.
    """
    try:
        claims = jose.verify(
            token,
            typ=TYP,
            resolve=keys_for(directory, "request"),
            now=None,
            leeway_s=jose.LEEWAY_S,
            lifetime_max_s=PONG_LIFETIME_S,
            required=("aud", "net", "nonce", "member", "exp"),
            audience=key_id,
            bytes_max=PONG_BYTES_MAX,
        )
        shape = Shape(claims, "pong")
        answered = Pong(OrgId.parse(shape.text("iss")), shape.integer("iat"), shape.boolean("member"))
        if matching(shape, "nonce", FRESH_ID) != nonce:
            raise shape.refuse("nonce", "is that of another ping")
        if shape.text("net") != directory.network.id:
            raise shape.refuse("net", "is another network")
    except RefusedDocument as error:
        raise PongRefused(organization=organization, problem=error.message.rstrip(".")) from error
    if answered.organization != organization:
        raise PongRefused(organization=organization, problem=f"it is that of {answered.organization}")
    return answered
