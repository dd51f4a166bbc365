"""What an organization signs about itself, alone: its entity statement and the role that lists it.

Rules of this file:

* The organization key signs both, and nobody else is asked: keys are rotated and endpoints moved by whoever they belong
  to. It is the keyholders' role that says which organization key counts.
* A rotation overlaps: a new key is listed beside the ones that are there, so that what was signed with those is
  verified as before. `retire` ends the overlap, at once for a key that was stolen.
* What another release wrote into a statement is kept.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from concordat_trust import jose
from concordat_trust.bundle.errors import StatementVisaIssuerShared
from concordat_trust.bundle.files import TARGETS, BundleFiles
from concordat_trust.bundle.life.errors import ChangeRefused
from concordat_trust.bundle.life.membership import require, standing
from concordat_trust.bundle.life.state import targets_of
from concordat_trust.bundle.members import statement_path
from concordat_trust.bundle.metadata import ROLE_BYTES_MAX, parse_metadata, verify_target
from concordat_trust.bundle.policy import MemberKind
from concordat_trust.bundle.repository import MEMBER_LIFETIME_S, Files, sign_role
from concordat_trust.bundle.statement import (
    METADATA_OF,
    STATEMENT_BYTES_MAX,
    STATEMENT_TYPE,
    USES_OF,
    VISA_ISSUER,
    listed_key,
    read_endpoint,
    sign_statement,
)
from concordat_trust.bundle.trusted import TrustedBundle
from concordat_trust.bundle.tuf_api import Targets
from concordat_trust.canonical import Json, JsonObject
from concordat_trust.directory import KeyUse
from concordat_trust.ids import KeyId, OrgId
from concordat_trust.jwk import Signer, public_key_from_jwk, thumbprint
from concordat_trust.node_sealing import node_sealing_key
from concordat_trust.shape import Shape
from concordat_trust.visa_issuer import PublishedIssuer, read_visa_issuer


@dataclass(frozen=True, slots=True)
class OwnKeys:
    """The keys of one member, on its own machine: `entity` is the organization key, the others sign every day."""

    entity: Signer
    uses: Mapping[KeyUse, Signer]


def first_role(
    member: OrgId,
    kind: MemberKind,
    *,
    legal_name: str,
    endpoint: str,
    keys: OwnKeys,
    version: int,
    at: int,
    nonce: str | None = None,
    visa_issuer: JsonObject | None = None,
) -> Files:
    """Return the role and the statement of a member with these keys and no others. Raises: StatementEndpointInvalid."""
    statement = sign_statement(
        member,
        kind=kind,
        legal_name=legal_name,
        endpoint=read_endpoint(endpoint, member),
        keys=keys.uses,
        entity_key=keys.entity,
        issued_at=at,
        expires_at=at + MEMBER_LIFETIME_S,
        nonce=nonce,
        visa_issuer=visa_issuer,
    )
    return _role(member, statement, keys.entity, version, at)


def rotate(
    bundle: TrustedBundle,
    member: OrgId,
    *,
    entity: Signer,
    new: Mapping[KeyUse, Signer],
    retire: Collection[KeyId] = (),
    endpoint: str | None = None,
    visa_issuer: JsonObject | None = None,
    at: int,
) -> Files:
    """Return the member's next role: `new` keys first, then those listed before without the retired ones.

    With no new key it is a renewal; `visa_issuer` replaces what was published of the member's issuer of visas. Raises:
    MemberUnknown, MembershipTransitionRefused, ChangeRefused, StatementEndpointInvalid, DocumentMalformed.
    """
    listed = bundle.member(member)
    require(member, standing(bundle, member), "rotate")
    if entity.key_id not in organization_keys(bundle, member):
        raise ChangeRefused(problem=f"the key {entity.key_id} is not the organization key of {member}")
    claims = published_claims(bundle, member)
    described = _described(claims, listed.kind)
    if endpoint is not None:
        described["endpoint"] = read_endpoint(endpoint, member)
    described["keys"] = _overlapping(member, listed.kind, described, new, retire)
    if "attestation" in new:
        # Whoever has the old key, also a thief, can open what is sealed to the key that is derived from it.
        described["sealing"] = node_sealing_key(new["attestation"]).public
    if visa_issuer is not None:
        read_visa_issuer(Shape(visa_issuer, VISA_ISSUER))
        claims["metadata"] = {**_metadata(claims), VISA_ISSUER: visa_issuer}
    claims |= {"iat": at, "exp": at + MEMBER_LIFETIME_S}
    claims.pop("nonce", None)
    claims["jwks"] = {"keys": [{**entity.public_jwk, "kid": entity.key_id, "use": "sig", "alg": "EdDSA"}]}
    statement = jose.sign(claims, key=entity, typ=STATEMENT_TYPE)
    return _role(member, statement, entity, bundle.memory.roles[member] + 1, at)


def refuse_claimed_issuer(bundle: TrustedBundle, member: OrgId, claimed: PublishedIssuer | None) -> None:
    """Refuse a new claim of a visa issuer that another member has; who claims it already may go on renewing.

    Raises: StatementVisaIssuerShared.
    """
    before = bundle.members[member].visa_issuer if member in bundle.members else None
    if claimed is None or (before is not None and before.issuer == claimed.issuer):
        return
    for other in bundle.visa_issuers.get(claimed.issuer, ()):
        if other.organization != member:
            raise StatementVisaIssuerShared(member=member, issuer=claimed.issuer, owner=other.organization)


def organization_keys(bundle: TrustedBundle, member: OrgId) -> tuple[KeyId, ...]:
    """Return the ids of the keys that the keyholders gave to the role of a member."""
    return tuple(targets_of(bundle).get_delegated_role(member).keyids)


def published_claims(bundle: TrustedBundle, member: OrgId) -> JsonObject:
    """Return what the published statement of a member claims, usable or not. Raises: ChangeRefused, BundleTampered."""
    path = statement_path(member)
    data = bundle.files.get(TARGETS + path)
    role = parse_metadata(bundle.files[f"{member}.json"], Targets, role=member, bytes_max=ROLE_BYTES_MAX).signed
    if data is None or path not in role.targets:
        raise ChangeRefused(problem=f"the statement of {member} is not in this bundle; take it from a mirror")
    verify_target(BundleFiles({TARGETS + path: data}), path, role.targets[path])
    return jose.unverified_claims(data.decode("ascii"), bytes_max=STATEMENT_BYTES_MAX)


def _metadata(claims: JsonObject) -> JsonObject:
    metadata = claims.get("metadata")
    return metadata if isinstance(metadata, dict) else {}


def _described(claims: JsonObject, kind: MemberKind) -> JsonObject:
    described = _metadata(claims).get(METADATA_OF[kind])
    if not isinstance(described, dict) or not isinstance(described.get("keys"), dict):
        raise ChangeRefused(problem="the statement that is published cannot be read; replace the organization key")
    return described


def _overlapping(
    member: OrgId, kind: MemberKind, described: JsonObject, new: Mapping[KeyUse, Signer], retire: Collection[KeyId]
) -> JsonObject:
    before = described["keys"]
    keys: JsonObject = {}
    for use in USES_OF[kind]:
        old = before.get(use) if isinstance(before, dict) else None
        kept: list[Json] = [e for e in old if _key_id(e) not in retire] if isinstance(old, list) else []
        keys[use] = [*([listed_key(member, use, new[use])] if use in new else []), *kept]
        if not keys[use]:
            raise ChangeRefused(problem=f"no key for {use} would be left")
    return keys


def _key_id(entry: Json) -> KeyId:
    return thumbprint(public_key_from_jwk(entry))


def _role(member: OrgId, statement: str, entity: Signer, version: int, at: int) -> Files:
    own = {statement_path(member): statement.encode("ascii")}
    return sign_role(member, own, signer=entity, version=version, expires_at=at + MEMBER_LIFETIME_S)
