"""What a verifier asks of the trust bundle: whose key is this, and what may its owner claim.

Rules of this file:

* Verification code takes a `KeyDirectory`, never keys out of a message: `jku`, `x5u`, `jwk` and discovery do not exist.
  `TrustedBundle` is the one that counts; tests bring their own.
* A key is found by (organization, use, key id), all three exact. A key of a suspended organization is not a key.
* Everything here is read-only; a directory is one state of the network and never changes under a verifier.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Literal, Protocol, get_args

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from concordat_trust.errors import RefusedDocument
from concordat_trust.ids import KeyId, OrgId

KeyUse = Literal["query_token", "attestation", "request", "delivery"]
KEY_USES: tuple[KeyUse, ...] = get_args(KeyUse)


class MemberUnknown(RefusedDocument):
    code = "member_unknown"
    sentence = "{organization} is not a member of this network."
    hint = "Compare the organization id and the version of the trust bundle on both sides."


class OrganizationSuspended(RefusedDocument):
    code = "organization_suspended"
    sentence = "{organization} is suspended from this network."
    hint = "The keyholders suspended it; only their quorum can lift this."


class KeyUnknown(RefusedDocument):
    code = "key_unknown"
    sentence = "{organization} has no such key for {use} in the trust bundle."
    hint = "The key may be new or withdrawn: compare the versions of the trust bundle on both sides."


class Caps(Protocol):
    """What keyholders let an organization say about its people."""

    @property
    def affiliations(self) -> Collection[str]: ...
    @property
    def roles(self) -> Collection[str]: ...
    @property
    def clearance_max(self) -> int: ...
    @property
    def acr_values(self) -> Collection[str]: ...


class DirectoryMember(Protocol):
    """One organization or coordinator."""

    @property
    def id(self) -> OrgId: ...
    @property
    def kind(self) -> str: ...
    @property
    def endpoint(self) -> str: ...
    @property
    def may_assert(self) -> Caps: ...
    @property
    def suspended(self) -> bool: ...


class DirectoryNetwork(Protocol):
    @property
    def id(self) -> str: ...


class DirectoryView(Protocol):
    """The versions that make two bundles comparable (split-view detection)."""

    @property
    def root(self) -> int: ...
    @property
    def targets(self) -> int: ...
    @property
    def snapshot(self) -> int: ...
    @property
    def snapshot_sha256(self) -> str: ...


class KeyDirectory(Protocol):
    """One verified state of a network; `TrustedBundle` satisfies it."""

    @property
    def network(self) -> DirectoryNetwork: ...

    @property
    def view(self) -> DirectoryView: ...

    def member(self, org: OrgId, /) -> DirectoryMember:
        """Return the member, suspended or not. Raises: MemberUnknown."""
        ...

    def key(self, org: OrgId, use: KeyUse, key_id: KeyId, /) -> Ed25519PublicKey:
        """Return the key. Raises: MemberUnknown, OrganizationSuspended, KeyUnknown."""
        ...

    def request_key_owner(self, key_id: KeyId, /) -> DirectoryMember:
        """Return who signs requests with this key. Raises: KeyUnknown, OrganizationSuspended."""
        ...


def require_standing(directory: KeyDirectory, organization: OrgId) -> None:
    """Refuse who may not speak or be spoken to now. Raises: MemberUnknown, OrganizationSuspended."""
    if directory.member(organization).suspended:
        raise OrganizationSuspended(organization=organization)


def is_listed(directory: KeyDirectory, organization: OrgId, use: KeyUse, key_id: KeyId) -> bool:
    """Tell whether others would believe this key of `organization` for `use`."""
    try:
        directory.key(organization, use, key_id)
    except RefusedDocument:
        return False
    return True


def keys_for(directory: KeyDirectory, use: KeyUse) -> Callable[[str, str], Ed25519PublicKey]:
    """Return the (issuer, key id) lookup for one use, as `jose.verify` takes it.

    The lookup raises: OrganizationIdInvalid, MemberUnknown, OrganizationSuspended, KeyUnknown.
    """

    def resolve(issuer: str, key_id: str) -> Ed25519PublicKey:
        return directory.key(OrgId.parse(issuer), use, key_id)

    return resolve


def request_keys(directory: KeyDirectory) -> Callable[[KeyId], Ed25519PublicKey]:
    """Return the lookup of request keys, as `request_signature.verify_request` takes it.

    The lookup raises: KeyUnknown, MemberUnknown, OrganizationSuspended.
    """

    def resolve(key_id: KeyId) -> Ed25519PublicKey:
        return directory.key(directory.request_key_owner(key_id).id, "request", key_id)

    return resolve
