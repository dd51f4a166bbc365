"""The signed channel between organizations: one message, for one organization, over one body, once.

Rules of this file:

* Pure. A message is a JWS (`typ concordat-peer+jwt`) under the sender's request key, over the hash of the body it comes
  with. It travels as the `authorization` of a request that the same key signs (RFC 9421), so that neither message nor
  request is of any use at another organization, with another body, or under another key.
* Kinds are a closed list. What a kind may say stands in its own module (`token_use`); a new one is a new name here.
* Only organizations speak on it, never a coordinator: it exists so that nobody has to be believed in between.
* Single use of (sender, message id) is the receiver's store's matter: a message lives for a minute, so it is remembered
  no longer than that. Who sends again sends a new message; receivers make a second one with the same content harmless.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, cast, get_args

from concordat_trust import jose
from concordat_trust.canonical import JsonObject
from concordat_trust.directory import KeyDirectory, keys_for
from concordat_trust.encoding import sha256_b64u
from concordat_trust.errors import RefusedDocument
from concordat_trust.ids import KeyId, OrgId
from concordat_trust.patterns import CODE, DIGEST, matching
from concordat_trust.shape import DocumentMalformed, Shape
from concordat_trust.token_errors import TokenClaimInvalid, TokenNetwork

TYP: Final = "concordat-peer+jwt"
PATH: Final = "/v1/peer"
CONTENT_TYPE: Final = "application/json"
LIFETIME_MAX_S = 60
MESSAGE_BYTES_MAX = 4_096
BODY_BYTES_MAX = 65_536
REQUIRED = ("iss", "aud", "iat", "exp", "jti", "net", "kind", "bh")

PeerKind = Literal["token_uses"]
PEER_KINDS: Final[tuple[PeerKind, ...]] = get_args(PeerKind)


class PeerKindUnknown(RefusedDocument):
    code = "peer_kind_unknown"
    sentence = "There is no message of this kind between organizations."
    hint = "Send a kind of this release's list; the other organization may run an older one."


class PeerBodyMismatch(RefusedDocument):
    code = "peer_body_mismatch"
    sentence = "The body is not the one that the message was signed for."
    hint = "Send message and body together, byte for byte as they were signed."


class PeerSenderMismatch(RefusedDocument):
    code = "peer_sender_mismatch"
    sentence = "The message and the request it came with are signed by two different keys."
    hint = "Sign both with the organization's request key; a message cannot be passed on by somebody else."


class PeerNotOrganization(RefusedDocument):
    code = "peer_not_organization"
    sentence = "The sender of a message between organizations is not one."
    hint = "Coordinators have no part in this channel; send it from the organization's own node."


@dataclass(frozen=True, slots=True)
class PeerMessage:
    """A message that passed every check of its receiver; made by `verify_peer_message`."""

    sender: OrgId
    message_id: str
    kind: PeerKind
    issued_at: int
    expires_at: int


def mint_peer_message(
    *, key: jose.Signer, sender: OrgId, to: OrgId, network: str, kind: PeerKind, body: bytes, message_id: str, now: int
) -> str:
    """Return the signed message over `body`. `key` is the request key, `message_id` fresh (22 characters or more)."""
    claims: JsonObject = {
        "aud": [to],
        "bh": sha256_b64u(body),
        "exp": now + LIFETIME_MAX_S,
        "iat": now,
        "iss": sender,
        "jti": message_id,
        "kind": kind,
        "net": network,
    }
    return jose.sign(claims, key=key, typ=TYP)


def verify_peer_message(
    token: str, *, me: OrgId, bundle: KeyDirectory, body: bytes, presenter: KeyId, now: int
) -> PeerMessage:
    """Return the message as the receiving organization `me` may act on it.

    After the nine checks of `jose.verify`: 10 claims of this kind of token and no others · 11 network · 12 the sender
    is an organization · 13 the key is the one that signed the request (`presenter`) · 14 kind · 15 body. What the
    caller does: signature of the request before, single use of (sender, message id) after.

    Raises: leaves of TokenRefused, OrganizationSuspended, and the leaves above.
    """
    claims = jose.verify(
        token,
        typ=TYP,
        resolve=keys_for(bundle, "request"),
        now=now,
        leeway_s=jose.LEEWAY_S,
        lifetime_max_s=LIFETIME_MAX_S,
        required=REQUIRED,
        audience=me,
        bytes_max=MESSAGE_BYTES_MAX,
    )
    try:
        message, network, body_hash, kind = _parse(claims)
    except DocumentMalformed as error:
        raise TokenClaimInvalid(claim=error.fields.get("field")) from error
    if network != bundle.network.id:
        raise TokenNetwork
    if bundle.member(message.sender).kind != "organization":
        raise PeerNotOrganization
    if jose.unverified_key_id(token, bytes_max=MESSAGE_BYTES_MAX) != presenter:
        raise PeerSenderMismatch
    if kind not in PEER_KINDS:
        raise PeerKindUnknown
    if body_hash != sha256_b64u(body):
        raise PeerBodyMismatch
    return message


def _parse(claims: JsonObject) -> tuple[PeerMessage, str, str, str]:
    shape = Shape(claims, "message")
    kind = matching(shape, "kind", CODE)
    message = PeerMessage(
        sender=OrgId.parse(shape.text("iss")),
        message_id=shape.text("jti"),
        kind=cast("PeerKind", kind),
        issued_at=shape.integer("iat", minimum=0),
        expires_at=shape.integer("exp", minimum=0),
    )
    network, body_hash = shape.text("net", length_max=64), matching(shape, "bh", DIGEST)
    shape.texts("aud", count_max=1)  # the receiver is in it (check 9 of `jose.verify`), and so nobody else
    shape.finish()
    return message, network, body_hash, kind
