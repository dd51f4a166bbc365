"""An invitation: one keyholder's signed word that an organization may apply.

    concordat-invitation+jwt {"iss": keyholder's key id, "net", "root_sha256", "organization", "kind", "nonce",
                              "role_version", "mirrors", "iat", "exp"}

Rules of this file:

* It admits nobody; it lets somebody apply, once. `role_version` is the version that the organization's first role will
  have. A snapshot never forgets a role, so an invitation is spent for everybody as soon as that version is published,
  also after the organization was removed again.
* The fingerprint inside is for comparing. Whoever is invited takes the fingerprint from a person, over another channel.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from concordat_trust import jose
from concordat_trust.bundle.life.errors import (
    InvitationExpired,
    InvitationInvalid,
    InvitationOtherNetwork,
    InvitationSpent,
    InvitationUnauthorised,
)
from concordat_trust.bundle.life.membership import require, standing
from concordat_trust.bundle.life.state import keyholder_keys
from concordat_trust.bundle.policy import MEMBER_KINDS, MemberKind
from concordat_trust.bundle.trusted import TrustedBundle
from concordat_trust.canonical import JsonObject
from concordat_trust.directory import KeyUnknown
from concordat_trust.errors import RefusedDocument
from concordat_trust.ids import KeyId, OrgId
from concordat_trust.jwk import Signer
from concordat_trust.patterns import FRESH_ID, HEX_DIGEST, matching
from concordat_trust.shape import Shape
from concordat_trust.token_errors import TokenExpired, TokenKeyUnknown, TokenNotYetValid

TYP: Final = "concordat-invitation+jwt"
INVITATION_LIFETIME_S: Final = 14 * 86_400
INVITATION_LIFETIME_MAX_S: Final = 60 * 86_400
INVITATION_BYTES_MAX: Final = 8_192
INVITED_MIRRORS_MAX: Final = 8
MIRROR_CHARS_MAX: Final = 300


@dataclass(frozen=True, slots=True)
class Invitation:
    """What a keyholder signed; `token` is the signed text."""

    network: str
    root_sha256: str
    organization: OrgId
    kind: MemberKind
    nonce: str
    role_version: int
    mirrors: tuple[str, ...]
    expires_at: int
    token: str


def invite(
    bundle: TrustedBundle,
    organization: OrgId,
    *,
    kind: MemberKind,
    mirrors: Sequence[str],
    keyholder: Signer,
    nonce: str,
    at: int,
    lifetime_s: int = INVITATION_LIFETIME_S,
) -> Invitation:
    """Return a signed invitation. Raises: InvitationUnauthorised, MembershipTransitionRefused, InvitationInvalid."""
    require(organization, standing(bundle, organization), "invite")
    if keyholder.key_id not in keyholder_keys(bundle):
        raise InvitationUnauthorised
    token = jose.sign(
        {
            "iss": keyholder.key_id,
            "net": bundle.network.id,
            "root_sha256": bundle.root_sha256,
            "organization": organization,
            "kind": kind,
            "nonce": nonce,
            "role_version": bundle.memory.roles.get(organization, 0) + 1,
            "mirrors": [*mirrors],
            "iat": at,
            "exp": at + lifetime_s,
        },
        key=keyholder,
        typ=TYP,
    )
    return read_invitation(token, bundle, at=at)


def read_invitation(token: str, bundle: TrustedBundle, *, at: int) -> Invitation:
    """Return the invitation that holds in this network at this time, and is not spent.

    Raises: InvitationInvalid, InvitationUnauthorised, InvitationExpired, InvitationOtherNetwork, InvitationSpent.
    """
    claims = _claims(token, keyholder_keys(bundle), at)
    try:
        invitation = _invitation(Shape(claims, "invitation"), token)
    except InvitationInvalid:
        raise
    except RefusedDocument as error:
        raise InvitationInvalid(problem=error.message.rstrip(".")) from error
    if (invitation.network, invitation.root_sha256) != (bundle.network.id, bundle.root_sha256):
        raise InvitationOtherNetwork
    if bundle.memory.roles.get(invitation.organization, 0) >= invitation.role_version:
        raise InvitationSpent(organization=invitation.organization)
    return invitation


def _claims(token: str, keyholders: Mapping[KeyId, Ed25519PublicKey], at: int) -> JsonObject:
    def resolve(issuer: str, key_id: str) -> Ed25519PublicKey:
        if issuer != key_id or key_id not in keyholders:
            raise KeyUnknown(organization="nobody", use="keyholder")
        return keyholders[key_id]

    try:
        return jose.verify(
            token,
            typ=TYP,
            resolve=resolve,
            now=at,
            leeway_s=jose.LEEWAY_S,
            lifetime_max_s=INVITATION_LIFETIME_MAX_S,
            required=("net", "root_sha256", "organization", "nonce", "exp"),
            audience=None,
            bytes_max=INVITATION_BYTES_MAX,
        )
    except TokenExpired as error:
        raise InvitationExpired(expires_at=error.fields["expires_at"], at=at) from error
    except TokenNotYetValid as error:
        raise InvitationInvalid(problem="it was signed in the future") from error
    except TokenKeyUnknown as error:
        raise InvitationUnauthorised from error
    except RefusedDocument as error:
        raise InvitationInvalid(problem=error.message.rstrip(".")) from error


def _invitation(shape: Shape, token: str) -> Invitation:
    kind = shape.one_of("kind", MEMBER_KINDS)
    mirrors = shape.texts("mirrors", count_max=INVITED_MIRRORS_MAX, length_max=MIRROR_CHARS_MAX)
    if not mirrors:
        raise shape.refuse("mirrors", "names no mirror")
    return Invitation(
        network=shape.text("net"),
        root_sha256=matching(shape, "root_sha256", HEX_DIGEST),
        organization=OrgId.parse(shape.text("organization")),
        kind="coordinator" if kind == "coordinator" else "organization",
        nonce=matching(shape, "nonce", FRESH_ID),
        role_version=shape.integer("role_version", minimum=1),
        mirrors=mirrors,
        expires_at=shape.integer("exp"),
        token=token,
    )
