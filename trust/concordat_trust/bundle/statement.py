"""What a member says of itself: a self-signed entity statement in the shape of OpenID Federation 1.0 §3.

Rules of this file:

* `iss` = `sub` = the member's id; signed by one of the keys that the keyholders gave to the member's delegated role,
  and by nothing else: the `jwks` inside is for other readers and must name the same keys.
* `metadata` describes exactly the kind that the keyholders listed: `concordat_node` or `concordat_coordinator`, with
  one endpoint (scheme, host, port) and the public keys per use. A key has one use and one owner.
* Every listed key carries a proof that the member holds it: its own signature over who uses it and for what
  (`listed_key`). Public keys are public, so without it a member could list another's and take it away from it.
* What a member may claim about its people is not here but in the network policy.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, cast
from urllib.parse import urlsplit

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from concordat_trust import jose
from concordat_trust.bundle.errors import (
    StatementEndpointInvalid,
    StatementExpired,
    StatementKeyShared,
    StatementKeyUnproven,
    StatementLifetime,
    StatementMalformed,
    StatementNotYetValid,
    StatementRefused,
    StatementSignatureInvalid,
    StatementWrongKind,
    StatementWrongSubject,
)
from concordat_trust.bundle.policy import MemberKind
from concordat_trust.canonical import Json, JsonObject, canonical_bytes
from concordat_trust.directory import KeyUnknown, KeyUse
from concordat_trust.encoding import EncodingInvalid, b64u, unb64u
from concordat_trust.errors import RefusedDocument
from concordat_trust.ids import KeyId, OrgId
from concordat_trust.jwk import Signer, public_key_from_jwk, thumbprint
from concordat_trust.node_sealing import node_sealing_key
from concordat_trust.sealing import parse_sealing_key
from concordat_trust.shape import Shape
from concordat_trust.token_errors import (
    TokenExpired,
    TokenKeyUnknown,
    TokenLifetime,
    TokenNotYetValid,
    TokenSignatureInvalid,
)
from concordat_trust.visa_issuer import PublishedIssuer, read_visa_issuer

STATEMENT_TYPE: Final = "entity-statement+jwt"
STATEMENT_LIFETIME_MAX_S: Final = 120 * 86_400
STATEMENT_BYTES_MAX: Final = 16_384
KEYS_PER_USE_MAX: Final = 8
PROOF_LABEL: Final = "concordat-key-possession-1"
LEEWAY_S: Final = 30
USES_OF: Final[Mapping[MemberKind, tuple[KeyUse, ...]]] = {
    "organization": ("query_token", "attestation", "request"),
    "coordinator": ("request", "delivery"),
}
METADATA_OF: Final[Mapping[MemberKind, str]] = {
    "organization": "concordat_node",
    "coordinator": "concordat_coordinator",
}
VISA_ISSUER: Final = "ga4gh_visa_issuer"
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_HOST = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?|[0-9a-f:.]{2,39}")

Keys = Mapping[KeyUse, Mapping[KeyId, Ed25519PublicKey]]


@dataclass(frozen=True, slots=True)
class EntityStatement:
    """A verified statement of one member."""

    legal_name: str
    endpoint: str
    keys: Keys
    expires_at: int
    sealing: str = ""
    visa_issuer: PublishedIssuer | None = None


def sign_statement(
    member: OrgId,
    *,
    kind: MemberKind,
    legal_name: str,
    endpoint: str,
    keys: Mapping[KeyUse, Signer],
    entity_key: Signer,
    issued_at: int,
    expires_at: int,
    nonce: str | None = None,
    visa_issuer: JsonObject | None = None,
) -> str:
    """Return the statement as a compact JWS; `nonce` is that of the invitation under which it is made.

    `visa_issuer` is made by `visa_issuer.issuer_metadata`.
    """
    listed: JsonObject = {use: [listed_key(member, use, key)] for use, key in sorted(keys.items())}
    claims: JsonObject = {
        "iss": member,
        "sub": member,
        "iat": issued_at,
        "exp": expires_at,
        "jwks": {"keys": [{**entity_key.public_jwk, "kid": entity_key.key_id, "use": "sig", "alg": "EdDSA"}]},
        "metadata": {
            "federation_entity": {"organization_name": legal_name},
            METADATA_OF[kind]: {"endpoint": endpoint, "keys": listed},
        },
    }
    if nonce is not None:
        claims["nonce"] = nonce
    metadata = cast(JsonObject, claims["metadata"])
    if kind == "organization":
        described = cast(JsonObject, metadata[METADATA_OF[kind]])
        described["sealing"] = node_sealing_key(keys["attestation"]).public
    if visa_issuer is not None:
        metadata[VISA_ISSUER] = visa_issuer
    return jose.sign(claims, key=entity_key, typ=STATEMENT_TYPE)


def listed_key(member: OrgId, use: KeyUse, key: Signer) -> JsonObject:
    """Return the entry of `key` in a statement: its public JWK and the proof that who lists it holds it."""
    # A key's id is its thumbprint, so it is not written beside it: bundles of 200 members must stay small.
    return {**key.public_jwk, "proof": b64u(key.sign(_possession(member, use, key.key_id)))}


def _possession(member: OrgId, use: KeyUse, key_id: KeyId) -> bytes:
    # JSON in the clear with its own label: no token, request signature or metadata of this network reads like it, so
    # the proof is nothing else that a key may be asked to sign, and nothing else is a proof.
    return canonical_bytes({"key_id": key_id, "member": member, "proof": PROOF_LABEL, "use": use})


def verify_statement(
    data: bytes, *, member: OrgId, kind: MemberKind, role_keys: Mapping[KeyId, Ed25519PublicKey], at: int
) -> EntityStatement:
    """Return what `member` says of itself, checked in the order of the module's rules.

    Raises: leaves `statement_*`.
    """
    claims = _claims(data, member=member, role_keys=role_keys, at=at)
    if claims["iss"] != member or claims["sub"] != member:
        raise StatementWrongSubject(member=member)
    try:
        return _entity(Shape(claims, "statement"), member=member, kind=kind, role_keys=role_keys)
    except StatementRefused:
        raise
    except RefusedDocument as error:
        raise StatementMalformed(member=member, problem=error.message.rstrip(".")) from error


def _claims(data: bytes, *, member: OrgId, role_keys: Mapping[KeyId, Ed25519PublicKey], at: int) -> JsonObject:
    def resolve(_issuer: str, key_id: str) -> Ed25519PublicKey:
        if key_id not in role_keys:
            raise KeyUnknown(organization=member, use="entity")
        return role_keys[key_id]

    try:
        return jose.verify(
            data.decode("ascii"),
            typ=STATEMENT_TYPE,
            resolve=resolve,
            now=at,
            leeway_s=LEEWAY_S,
            lifetime_max_s=STATEMENT_LIFETIME_MAX_S,
            required=("iss", "sub", "exp", "jwks", "metadata"),
            audience=None,
            bytes_max=STATEMENT_BYTES_MAX,
        )
    except TokenExpired as error:
        raise StatementExpired(member=member, expires_at=error.fields["expires_at"], at=at) from error
    except TokenNotYetValid as error:
        raise StatementNotYetValid(member=member, issued_at=error.fields["issued_at"], at=at) from error
    except TokenLifetime as error:
        raise StatementLifetime(
            member=member, lifetime_s=error.fields["lifetime_s"], lifetime_max_s=STATEMENT_LIFETIME_MAX_S
        ) from error
    except (TokenSignatureInvalid, TokenKeyUnknown) as error:
        raise StatementSignatureInvalid(member=member) from error
    except RefusedDocument as error:
        raise StatementMalformed(member=member, problem=error.message.rstrip(".")) from error
    except UnicodeDecodeError as error:
        raise StatementMalformed(member=member, problem="it is not ASCII text") from error


def _entity(
    shape: Shape, *, member: OrgId, kind: MemberKind, role_keys: Mapping[KeyId, Ed25519PublicKey]
) -> EntityStatement:
    published = shape.object("jwks").objects("keys", count_max=KEYS_PER_USE_MAX)
    if not published or any(key.text("kid") not in role_keys for key in published):
        raise shape.refuse("jwks", "names other keys than the member's role")
    metadata = shape.object("metadata")
    kinds = {name for name in METADATA_OF.values() if metadata.has(name)}
    if kinds != {METADATA_OF[kind]}:
        raise StatementWrongKind(member=member, kind=kind)
    described = metadata.object(METADATA_OF[kind])
    return EntityStatement(
        legal_name=metadata.object("federation_entity").text("organization_name", length_min=1, length_max=200),
        endpoint=read_endpoint(described.text("endpoint", length_max=300), member),
        keys=_keys(described.object("keys"), member=member, kind=kind, entity_keys=role_keys),
        expires_at=shape.integer("exp"),
        sealing=_sealing(described),
        visa_issuer=read_visa_issuer(metadata.object(VISA_ISSUER)) if metadata.has(VISA_ISSUER) else None,
    )


def _sealing(described: Shape) -> str:
    if not described.has("sealing"):
        return ""
    sealing = described.text("sealing", length_max=64)
    parse_sealing_key(sealing)
    return sealing


def read_endpoint(text: str, member: OrgId) -> str:
    """Return `text` when it is scheme, host and port and nothing else. Raises: StatementEndpointInvalid."""
    try:
        url = urlsplit(text)
        host, port = url.hostname or "", url.port
    except ValueError as error:
        raise StatementEndpointInvalid(member=member) from error
    shown = f"[{host}]" if ":" in host else host
    rebuilt = f"{url.scheme}://{shown}" + ("" if port is None else f":{port}")
    if rebuilt != text or not _HOST.fullmatch(host) or port == 0:
        raise StatementEndpointInvalid(member=member)
    if url.scheme != "https" and not (url.scheme == "http" and host in _LOOPBACK):
        raise StatementEndpointInvalid(member=member)
    return text


def _keys(shape: Shape, *, member: OrgId, kind: MemberKind, entity_keys: Mapping[KeyId, Ed25519PublicKey]) -> Keys:
    keys: dict[KeyUse, Mapping[KeyId, Ed25519PublicKey]] = {}
    seen = set(entity_keys)
    for use in USES_OF[kind]:
        entries = shape.value(use)
        if not isinstance(entries, list) or not 0 < len(entries) <= KEYS_PER_USE_MAX:
            raise shape.refuse(use, f"has not 1 to {KEYS_PER_USE_MAX} keys")
        listed = {thumbprint(key): key for key in map(public_key_from_jwk, entries)}
        if len(listed) != len(entries) or seen & set(listed):
            raise StatementKeyShared(member=member, owner=member)
        for entry, (key_id, key) in zip(entries, listed.items(), strict=True):
            if not _is_proved(entry, _possession(member, use, key_id), key):
                raise StatementKeyUnproven(member=member, use=use)
        seen |= set(listed)
        keys[use] = listed
    return keys


def _is_proved(entry: Json, text: bytes, key: Ed25519PublicKey) -> bool:
    proof = entry.get("proof") if isinstance(entry, dict) else None
    if not isinstance(proof, str):
        return False
    try:
        key.verify(unb64u(proof), text)
    except (EncodingInvalid, InvalidSignature):
        return False
    return True
