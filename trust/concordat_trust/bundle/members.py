"""Reading the members of a bundle: each one's delegated role, its statement, and what is its alone.

A member is listed by the keyholders, so its role and its statement file must be there and unchanged: otherwise somebody
between them and us shortened or altered the roster, and the whole bundle is refused. What is inside is the member's own
doing: a fault there closes this member (`unusable`) and nobody else.

Who owns a key or an endpoint (BR-10, BR-11, BR-13):

* A member claims only keys that it has proved to hold (`statement`). A key that two members hold belongs to the one
  listed earlier.
* An endpoint cannot be proved from here. The member listed earlier keeps it; who was listed later and names the same
  one is closed until one of them publishes another, or the earlier one is suspended.
* Who cannot be asked owns nothing: a suspended, removed or unusable member keeps nobody from a key or an endpoint. So
  one keyholder can free whom a hostile member stands in the way of, by suspending the hostile one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from concordat_trust.bundle.errors import (
    BundleExpired,
    BundleLifetimeCap,
    StatementEndpointShared,
    StatementExpired,
    StatementKeyShared,
    StatementLifetime,
    StatementMalformed,
    StatementRefused,
    StatementVisaIssuerShared,
)
from concordat_trust.bundle.files import BundleFiles
from concordat_trust.bundle.metadata import (
    MEMBER_LIFETIME_MAX_S,
    TopLevel,
    public_keys,
    refuse_outside_lifetime,
    verify_delegated,
    verify_target,
)
from concordat_trust.bundle.policy import MemberKind, MemberPolicy, NetworkPolicy
from concordat_trust.bundle.statement import STATEMENT_BYTES_MAX, EntityStatement, verify_statement
from concordat_trust.bundle.trusted import Member
from concordat_trust.bundle.tuf_api import Targets
from concordat_trust.ids import KeyId, OrgId

MEMBERS: Final = "members/"


def statement_path(member: str) -> str:
    """Return the target path of a member's entity statement."""
    return f"{MEMBERS}{member}/entity.jwt"


@dataclass(slots=True)
class Members:
    """The members read so far, in the order of their admission."""

    found: dict[OrgId, Member] = field(default_factory=dict)
    unusable: dict[OrgId, StatementRefused] = field(default_factory=dict)
    request_owners: dict[KeyId, OrgId] = field(default_factory=dict)
    key_owners: dict[KeyId, OrgId] = field(default_factory=dict)
    endpoint_owners: dict[str, OrgId] = field(default_factory=dict)

    def usable(self, kind: MemberKind) -> tuple[OrgId, ...]:
        """Return who can be asked, sorted."""
        members = self.found.values()
        return tuple(sorted(m.id for m in members if m.kind == kind and not m.suspended and m.id not in self.unusable))

    def claim(self, member: OrgId, statement: EntityStatement) -> None:
        """Give the keys and the endpoint of `statement` to `member`, all or none.

        Raises: StatementKeyShared, StatementEndpointShared.
        """
        keys = {key_id for listed in statement.keys.values() for key_id in listed}
        self.refuse_owned_keys(member, keys)
        authority = statement.endpoint.partition("://")[2]
        self.refuse_owned_endpoint(member, authority)
        self.endpoint_owners[authority] = member
        self.key_owners |= dict.fromkeys(keys, member)
        self.request_owners |= dict.fromkeys(statement.keys["request"], member)

    def refuse_owned_keys(self, member: OrgId, keys: set[KeyId]) -> None:
        """BR-10. Raises: StatementKeyShared."""
        for key_id in sorted(keys & set(self.key_owners)):
            raise StatementKeyShared(member=member, owner=self.key_owners[key_id])

    def refuse_owned_endpoint(self, member: OrgId, authority: str) -> None:
        """BR-11. Raises: StatementEndpointShared."""
        if authority in self.endpoint_owners:
            raise StatementEndpointShared(member=member, owner=self.endpoint_owners[authority])

    def shared_issuers(self) -> tuple[StatementVisaIssuerShared, ...]:
        """Return an alarm for each claim of a visa issuer that a usable member admitted earlier has (BR-29)."""
        owners: dict[str, OrgId] = {}
        found: list[StatementVisaIssuerShared] = []
        usable = set(self.usable("organization"))
        for member in self.found.values():
            if member.visa_issuer is not None and member.id in usable:
                issuer = member.visa_issuer.issuer
                if owners.setdefault(issuer, member.id) != member.id:
                    found.append(StatementVisaIssuerShared(member=member.id, issuer=issuer, owner=owners[issuer]))
        return tuple(found)

    def name_suspended(self) -> None:
        """Let the request keys of suspended members name them, so that a refusal can say why; owned ones stay."""
        for member in self.found.values():
            for key_id in member.keys.get("request", {}) if member.suspended else ():
                self.request_owners.setdefault(key_id, member.id)


def read_members(
    files: BundleFiles, top: TopLevel, network: NetworkPolicy, *, suspended: Mapping[OrgId, int], at: int
) -> Members:
    """Return all members of `network`. Raises: BundleMissingMember, BundleTampered and other leaves `bundle_*`."""
    members = Members()
    for policy in network.members:
        role = verify_delegated(files, top, policy.id)
        statement: EntityStatement | None = None
        try:
            statement = _statement(files, top, policy, role, at)
            if policy.id not in suspended:
                members.claim(policy.id, statement)
        except StatementRefused as error:
            members.unusable[policy.id] = error
            statement = None
        members.found[policy.id] = _member(policy, statement, suspended=policy.id in suspended)
    members.name_suspended()
    return members


def _statement(files: BundleFiles, top: TopLevel, policy: MemberPolicy, role: Targets, at: int) -> EntityStatement:
    member = policy.id
    listed = role.targets.get(statement_path(member))
    is_too_long = listed is not None and listed.length > STATEMENT_BYTES_MAX
    if listed is not None and not is_too_long:
        # Also of a role that has run out: an archive keeps it, so that its owner can renew what it says there.
        files.find_target(statement_path(member), listed.hashes.get("sha256", ""))
    try:
        refuse_outside_lifetime(f"{member}.json", role, at=at, lifetime_max_s=MEMBER_LIFETIME_MAX_S)
    except BundleExpired as error:
        raise StatementExpired(member=member, expires_at=error.fields["expires_at"], at=at) from error
    except BundleLifetimeCap as error:
        lifetime_s = error.fields["lifetime_s"]
        raise StatementLifetime(member=member, lifetime_s=lifetime_s, lifetime_max_s=MEMBER_LIFETIME_MAX_S) from error
    path = statement_path(member)
    if path not in role.targets or role.delegations is not None:
        raise StatementMalformed(member=member, problem="its role lists no statement, or delegates further")
    if is_too_long:
        # Nobody has to fetch it, keep it or pass it on: it closes its member whether it is there or not.
        raise StatementMalformed(member=member, problem=f"it has more than {STATEMENT_BYTES_MAX} bytes")
    data = verify_target(files, path, role.targets[path])
    delegations = top.targets.delegations
    key_ids = top.targets.get_delegated_role(member).keyids
    keys = {} if delegations is None else {key_id: delegations.keys[key_id] for key_id in key_ids}
    return verify_statement(data, member=member, kind=policy.kind, role_keys=public_keys(keys, "targets.json"), at=at)


def _member(policy: MemberPolicy, statement: EntityStatement | None, *, suspended: bool) -> Member:
    return Member(
        id=policy.id,
        kind=policy.kind,
        legal_name=policy.id if statement is None else statement.legal_name,
        country=policy.country,
        organization_type=policy.organization_type,
        endpoint="" if statement is None else statement.endpoint,
        may_assert=policy.may_assert,
        suspended=suspended,
        keys={} if statement is None else statement.keys,
        sealing="" if statement is None else statement.sealing,
        visa_issuer=None if statement is None else statement.visa_issuer,
    )
