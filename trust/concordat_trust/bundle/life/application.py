"""An application: an organization's own keys, its self-signed statement, its role, and what it asks to be allowed.

    {"application_version": 1, "application": JWS, "statement": JWS, "role": the role's metadata as text}

The JWS (`concordat-application+jwt`, signed with the organization key that it names) binds the parts together:
`{"iss", "net", "root_sha256", "purpose": "join" | "replace_key", "invitation", "entity": JWK, "country",
"organization_type", "may_assert", "contact", "statement_sha256", "role_sha256", "self_test", "iat", "exp"}`.

Rules of this file:

* It holds public parts only, and shows possession of every key: the organization key signs the application, the
  statement and the role; each operational key signs who uses it and for what (`statement.listed_key`).
* The statement carries the nonce of the invitation, so that no statement made for anything else can be applied with.
* Every key is new to the network. Only for a lost organization key may the operational keys stay.
* Who sends it, nobody can see from here: keyholders compare the fingerprint of the organization key by voice.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from concordat_trust import jose
from concordat_trust.bundle.errors import StatementEndpointShared
from concordat_trust.bundle.files import BundleFiles
from concordat_trust.bundle.life.errors import (
    ApplicationInvalid,
    ApplicationKeyKnown,
    ApplicationNonceMismatch,
    ApplicationSignatureInvalid,
    InvitationOtherNetwork,
)
from concordat_trust.bundle.life.invitation import Invitation, read_invitation
from concordat_trust.bundle.life.membership import find, require, standing
from concordat_trust.bundle.life.own_role import OwnKeys, first_role, published_claims, refuse_claimed_issuer
from concordat_trust.bundle.life.self_test import Check, read_checks
from concordat_trust.bundle.life.state import role_keys, root_of, targets_of
from concordat_trust.bundle.members import statement_path
from concordat_trust.bundle.metadata import (
    MEMBER_LIFETIME_MAX_S,
    ROLE_BYTES_MAX,
    parse_metadata,
    refuse_below_threshold,
    refuse_outside_lifetime,
    verify_target,
)
from concordat_trust.bundle.policy import MemberPolicy, parse_member
from concordat_trust.bundle.repository import Files
from concordat_trust.bundle.signing import listed_public_key
from concordat_trust.bundle.statement import STATEMENT_BYTES_MAX, VISA_ISSUER, EntityStatement, verify_statement
from concordat_trust.bundle.trusted import TrustedBundle
from concordat_trust.bundle.tuf_api import DelegatedRole, Delegations, Key, Targets
from concordat_trust.canonical import JsonObject, canonical_bytes, parse_object
from concordat_trust.encoding import sha256_hex
from concordat_trust.errors import RefusedDocument
from concordat_trust.ids import KeyId, OrgId
from concordat_trust.jwk import public_key_from_jwk, thumbprint
from concordat_trust.shape import Shape
from concordat_trust.token_errors import TokenKeyUnknown, TokenSignatureInvalid
from concordat_trust.visa_issuer import read_visa_issuer

Purpose = Literal["join", "replace_key"]
TYP: Final = "concordat-application+jwt"
APPLICATION_LIFETIME_S: Final = 14 * 86_400
APPLICATION_BYTES_MAX: Final = 262_144
CLAIMS_BYTES_MAX: Final = 65_536
CONTACT_CHARS_MAX: Final = 300


@dataclass(frozen=True, slots=True)
class Application:
    """A verified application; `role_files` are what its owner signed, as a repository serves them."""

    purpose: Purpose
    organization: OrgId
    policy: MemberPolicy
    entity: Ed25519PublicKey
    statement: EntityStatement
    contact: str
    self_test: tuple[Check, ...]
    role_version: int
    role_files: Files
    made_at: int

    @property
    def fingerprint(self) -> KeyId:
        """The id of the organization key, to be compared by voice."""
        return thumbprint(self.entity)


def apply(
    bundle: TrustedBundle,
    invitation: Invitation,
    policy: MemberPolicy,
    *,
    legal_name: str,
    endpoint: str,
    contact: str,
    keys: OwnKeys,
    self_test: Sequence[Check],
    at: int,
) -> bytes:
    """Return the application file. Raises: InvitationInvalid and other refusals of `verify_application`."""
    role = first_role(
        policy.id,
        policy.kind,
        legal_name=legal_name,
        endpoint=endpoint,
        keys=keys,
        version=invitation.role_version,
        at=at,
        nonce=invitation.nonce,
    )
    return _signed(bundle, "join", policy, role, keys, contact=contact, tests=self_test, at=at, under=invitation)


def apply_for_key(bundle: TrustedBundle, member: OrgId, *, keys: OwnKeys, contact: str, at: int) -> bytes:
    """Return the application of a member that has lost its organization key and made another one.

    `keys.uses` are listed instead of the ones before; what was published of its issuer of visas stays. Raises:
    MemberUnknown, MembershipTransitionRefused.
    """
    listed = bundle.member(member)
    require(member, standing(bundle, member), "replace_key")
    policy = next(m for m in bundle.network.members if m.id == member)
    described = Shape(published_claims(bundle, member), "statement").object("metadata")
    role = first_role(
        member,
        listed.kind,
        legal_name=described.object("federation_entity").text("organization_name"),
        endpoint=described.object(f"concordat_{'node' if listed.kind == 'organization' else 'coordinator'}").text(
            "endpoint"
        ),
        keys=keys,
        version=bundle.memory.roles[member] + 1,
        at=at,
        visa_issuer=_readable_issuer(described),
    )
    return _signed(bundle, "replace_key", policy, role, keys, contact=contact, tests=(), at=at, under=None)


def _readable_issuer(described: Shape) -> JsonObject | None:
    # One that nobody could read counted for nothing, and must not keep its owner from a new key.
    try:
        read_visa_issuer(described.object(VISA_ISSUER))
    except RefusedDocument:
        return None
    return described.raw_object(VISA_ISSUER)


def _signed(
    bundle: TrustedBundle,
    purpose: Purpose,
    policy: MemberPolicy,
    role: Files,
    keys: OwnKeys,
    *,
    contact: str,
    tests: Sequence[Check],
    at: int,
    under: Invitation | None,
) -> bytes:
    (role_name,) = (name for name in role if "/" not in name)
    (statement_name,) = (name for name in role if "/" in name)
    claims: JsonObject = {
        "iss": policy.id,
        "net": bundle.network.id,
        "root_sha256": bundle.root_sha256,
        "purpose": purpose,
        "invitation": None if under is None else under.token,
        "entity": keys.entity.public_jwk,
        "policy": policy.to_json(),
        "contact": contact,
        "statement_sha256": sha256_hex(role[statement_name]),
        "role_sha256": sha256_hex(role[role_name]),
        "self_test": [check.to_json() for check in tests],
        "iat": at,
        "exp": at + APPLICATION_LIFETIME_S,
    }
    data = canonical_bytes(
        {
            "application_version": 1,
            "application": jose.sign(claims, key=keys.entity, typ=TYP),
            "statement": role[statement_name].decode("ascii"),
            "role": role[role_name].decode("utf-8"),
        }
    )
    verify_application(data, bundle, at=at)
    return data


def verify_application(data: bytes, bundle: TrustedBundle, *, at: int) -> Application:
    """Return what an organization applies for, after these checks in this order.

    1 form · 2 the application is signed with the organization key that it names · 3 it is for this network · 4 the
    invitation holds, is not spent and names this organization (to join), or it is a member (to replace its key) ·
    5 the role is signed with the same key, has the version that is due, and lists the statement · 6 the statement
    holds, carries the nonce, and each of its keys shows that it is held · 7 no key, endpoint or visa
    issuer is somebody else's.

    Raises: leaves `application_*`, `invitation_*`, `statement_*`, MembershipTransitionRefused.
    """
    try:
        shape = Shape(parse_object(data, bytes_max=APPLICATION_BYTES_MAX), "application")
        shape.integer("application_version", minimum=1, maximum=1)
        token, statement, role = (shape.text(n, length_max=200_000) for n in ("application", "statement", "role"))
        shape.finish()
        claims, entity = _claims(token, at)
        parts = _Parts(Shape(claims, "application"), entity, statement.encode(), role.encode())
        return _verified(parts, bundle, at)
    except RefusedDocument as error:
        if error.code.startswith(("application_", "invitation_", "statement_", "member")):
            raise
        raise ApplicationInvalid(problem=error.message.rstrip(".")) from error


def _claims(token: str, at: int) -> tuple[JsonObject, Ed25519PublicKey]:
    unverified = jose.unverified_claims(token, bytes_max=CLAIMS_BYTES_MAX)
    entity = public_key_from_jwk(unverified.get("entity"))
    try:
        claims = jose.verify(
            token,
            typ=TYP,
            resolve=lambda _issuer, _key_id: entity,
            now=at,
            leeway_s=jose.LEEWAY_S,
            lifetime_max_s=APPLICATION_LIFETIME_S,
            required=("net", "purpose", "entity", "policy", "exp"),
            audience=None,
            bytes_max=CLAIMS_BYTES_MAX,
        )
    except (TokenSignatureInvalid, TokenKeyUnknown) as error:
        raise ApplicationSignatureInvalid(organization=str(unverified.get("iss"))[:40]) from error
    return claims, entity


@dataclass(frozen=True, slots=True)
class _Parts:
    """The three parts of a file; `shape` reads the signed claims."""

    shape: Shape
    entity: Ed25519PublicKey
    statement: bytes
    role: bytes


def _verified(parts: _Parts, bundle: TrustedBundle, at: int) -> Application:
    shape, entity, statement, role = parts.shape, parts.entity, parts.statement, parts.role
    if (shape.text("net"), shape.text("root_sha256")) != (bundle.network.id, bundle.root_sha256):
        raise InvitationOtherNetwork
    policy = parse_member(shape.object("policy"))
    if shape.text("iss") != policy.id:
        raise ApplicationInvalid(problem="it is signed in another name than it applies for")
    purpose: Purpose = "join" if shape.one_of("purpose", ("join", "replace_key")) == "join" else "replace_key"
    version, nonce = _due(purpose, shape, policy, bundle, at)
    if shape.text("role_sha256") != sha256_hex(role) or shape.text("statement_sha256") != sha256_hex(statement):
        raise ApplicationInvalid(problem="its parts do not belong together")
    path, key_id = statement_path(policy.id), thumbprint(entity)
    served = {
        f"{version}.{policy.id}.json": role,
        f"targets/members/{policy.id}/{sha256_hex(statement)}.entity.jwt": statement,
    }
    signed = require_role(policy.id, {key_id: entity}, role, at=at)
    if signed.version != version:
        raise ApplicationInvalid(problem=f"its role has version {signed.version}, and {version} is due")
    verify_target(BundleFiles(served), path, signed.targets[path])
    entity_statement = verify_statement(
        statement, member=policy.id, kind=policy.kind, role_keys={key_id: entity}, at=at
    )
    carried = jose.unverified_claims(statement.decode("ascii"), bytes_max=STATEMENT_BYTES_MAX).get("nonce")
    if carried != nonce:
        raise ApplicationNonceMismatch(organization=policy.id)
    _refuse_known(bundle, policy.id, key_id, entity_statement)
    refuse_claimed_issuer(bundle, policy.id, entity_statement.visa_issuer)
    return Application(
        purpose=purpose,
        organization=policy.id,
        policy=policy,
        entity=entity,
        statement=entity_statement,
        contact=shape.text("contact", length_max=CONTACT_CHARS_MAX),
        self_test=read_checks(shape),
        role_version=version,
        role_files=served,
        made_at=shape.integer("iat"),
    )


def _due(
    purpose: Purpose, shape: Shape, policy: MemberPolicy, bundle: TrustedBundle, at: int
) -> tuple[int, str | None]:
    before = standing(bundle, policy.id)
    if purpose == "replace_key":
        require(policy.id, before, "replace_key")
        if policy != next(m for m in bundle.network.members if m.id == policy.id):
            raise ApplicationInvalid(problem="a new organization key changes nothing else")
        return bundle.memory.roles[policy.id] + 1, None
    if find(before, "invite") is None:
        require(policy.id, before, "apply")
    invitation = read_invitation(shape.text("invitation", length_max=CLAIMS_BYTES_MAX), bundle, at=at)
    if (invitation.organization, invitation.kind) != (policy.id, policy.kind):
        raise ApplicationInvalid(problem="its invitation is for somebody else")
    return invitation.role_version, invitation.nonce


def require_role(member: OrgId, keys: Mapping[KeyId, Ed25519PublicKey], role: bytes, *, at: int) -> Targets:
    """Return the role of a member that one of `keys` signed for as long as it may; it lists its statement alone.

    Raises: BundleThreshold, BundleTampered, BundleExpired, BundleLifetimeCap, BundleMalformed, ApplicationInvalid.
    """
    metadata = parse_metadata(role, Targets, role=member, bytes_max=ROLE_BYTES_MAX)
    listed: dict[str, Key] = {key_id: listed_public_key(key) for key_id, key in keys.items()}
    delegated = DelegatedRole(member, [*listed], 1, terminating=True, paths=[f"members/{member}/*"])
    only = Targets(delegations=Delegations(listed, {member: delegated}))
    refuse_below_threshold(only, member, metadata.signed_bytes, metadata.signatures)
    signed = metadata.signed
    refuse_outside_lifetime(f"{member}.json", signed, at=at, lifetime_max_s=MEMBER_LIFETIME_MAX_S)
    if set(signed.targets) != {statement_path(member)} or signed.delegations is not None:
        raise ApplicationInvalid(problem="its role lists more, or less, than its statement")
    return signed


def _refuse_known(bundle: TrustedBundle, member: OrgId, entity: KeyId, statement: EntityStatement) -> None:
    owners: dict[str, str] = dict.fromkeys(root_of(bundle).keys, "a keyholder or the online signer")
    for name, keys in role_keys(targets_of(bundle)).items():
        owners |= {key_id: name for key_id in keys if key_id not in owners}
    if entity in owners:
        raise ApplicationKeyKnown(organization=member, owner=owners[entity])
    for other in bundle.members.values():
        listed = {key_id for keys in other.keys.values() for key_id in keys} if other.id != member else set()
        owners |= dict.fromkeys(listed, other.id)
        if other.id != member and other.endpoint and _authority(other.endpoint) == _authority(statement.endpoint):
            raise StatementEndpointShared(member=member, owner=other.id)
    for key_id in (entity, *(key_id for keys in statement.keys.values() for key_id in keys)):
        if key_id in owners:
            raise ApplicationKeyKnown(organization=member, owner=owners[key_id])


def _authority(endpoint: str) -> str:
    return endpoint.partition("://")[2]
