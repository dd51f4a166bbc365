"""Good tokens, requests, attestations and deliveries of a small network, for tests that then break one thing.

Everything is deterministic: keys and ids come from labels. `FakeDirectory` stands for a verified trust bundle.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import settings

from concordat_trust import jose
from concordat_trust.attestation import (
    Attestation,
    AttestedNotice,
    AttestedView,
    Candidate,
    CitedAgreement,
    PolicyRevisions,
    record_commitment,
)
from concordat_trust.canonical import Json, JsonObject
from concordat_trust.delivery import DeliveredAnswer, Delivery
from concordat_trust.directory import KeyUnknown, KeyUse, MemberUnknown, OrganizationSuspended
from concordat_trust.encoding import b64u, sha256_b64u
from concordat_trust.ids import KeyId, OrgId, tie_key
from concordat_trust.jwk import SigningKey
from concordat_trust.query_token import RequesterClaims, mint_query_token
from concordat_trust.request_signature import SignedMessage
from concordat_trust.sealing import SealingKey
from concordat_trust.vocabulary import Clearance

PROPERTY = settings(deadline=None, max_examples=min(60, settings().max_examples))
"""Without a deadline: on a busy machine a slow example is not a finding. A profile with fewer examples has its way."""

NOW = 1_800_000_000
NETWORK = "health-research-demo"
HOME = OrgId.parse("alma-university")
NORTH = OrgId.parse("north-hospital")
VITALIS = OrgId.parse("vitalis")
RELAY = OrgId.parse("relay-one")
QUESTION = b'{"question_version":1,"text":"clinical trial"}'
PARTS: Mapping[OrgId, bytes] = {NORTH: b'{"ids":["north"]}', VITALIS: b'{"ids":["vitalis"]}'}
RECORD: JsonObject = {"id": "urn:concordat:north-hospital:model:" + "a" * 26, "title": "Sepsis onset"}


def digest_of(label: str) -> bytes:
    return hashlib.sha256(label.encode()).digest()


def signing_key(org: str, use: str) -> SigningKey:
    return SigningKey.from_seed(digest_of(f"{org} {use}"))


def fresh_id(label: str) -> str:
    return b64u(digest_of(label)[:16])


SALT = fresh_id("salt")
SEALING_KEY = SealingKey.from_seed(digest_of("sealing"))


@dataclass(frozen=True)
class FakeCaps:
    affiliations: frozenset[str] = frozenset({"faculty", "staff"})
    roles: frozenset[str] = frozenset({"researcher"})
    clearance_max: int = Clearance.CONTROLLED
    acr_values: frozenset[str] = frozenset({"mfa"})


@dataclass(frozen=True)
class FakeMember:
    id: OrgId
    kind: str = "organization"
    endpoint: str = "https://node.example.org"
    may_assert: FakeCaps = FakeCaps()
    suspended: bool = False


@dataclass(frozen=True)
class FakeNetwork:
    id: str = NETWORK


@dataclass(frozen=True)
class FakeView:
    root: int = 1
    targets: int = 4
    snapshot: int = 7
    snapshot_sha256: str = "ab" * 32


@dataclass(frozen=True)
class FakeDirectory:
    """`gives_suspended_keys` makes a directory that leaves the refusal of suspended members to its reader."""

    members: Mapping[OrgId, FakeMember]
    keys: Mapping[tuple[OrgId, KeyUse, KeyId], Ed25519PublicKey]
    network: FakeNetwork = FakeNetwork()
    view: FakeView = FakeView()
    gives_suspended_keys: bool = False
    asked: list[tuple[OrgId, KeyUse, KeyId]] = field(default_factory=list)

    def member(self, org: OrgId, /) -> FakeMember:
        if org not in self.members:
            raise MemberUnknown(organization=org)
        return self.members[org]

    def key(self, org: OrgId, use: KeyUse, key_id: KeyId, /) -> Ed25519PublicKey:
        self.asked.append((org, use, key_id))
        if self.member(org).suspended and not self.gives_suspended_keys:
            raise OrganizationSuspended(organization=org)
        key = self.keys.get((org, use, key_id))
        if key is None:
            raise KeyUnknown(organization=org, use=use)
        return key

    def request_key_owner(self, key_id: KeyId, /) -> FakeMember:
        for org, use, listed in self.keys:
            if use == "request" and listed == key_id:
                return self.member(org)
        raise KeyUnknown(organization="nobody", use="request")

    def with_member(self, org: OrgId, **changes: object) -> FakeDirectory:
        changed = replace(self.member(org), **changes)  # type: ignore[arg-type]  # field names are the tests' own
        return replace(self, members={**self.members, org: changed})


_USES: Mapping[str, tuple[KeyUse, ...]] = {
    "organization": ("query_token", "attestation", "request"),
    "coordinator": ("request", "delivery"),
}


def make_directory() -> FakeDirectory:
    members = {org: FakeMember(org, endpoint=f"https://{org}.example.org") for org in (HOME, NORTH, VITALIS)}
    members[RELAY] = FakeMember(RELAY, kind="coordinator", endpoint="https://relay.example.org:8443")
    keys: dict[tuple[OrgId, KeyUse, KeyId], Ed25519PublicKey] = {}
    for member in members.values():
        for use in _USES[member.kind]:
            key = signing_key(member.id, use)
            keys[member.id, use, key.key_id] = key.public_key
    return FakeDirectory(members, keys)


def make_query_token(
    *,
    claims: RequesterClaims | None = None,
    parts: Mapping[OrgId, bytes] = PARTS,
    lifetime_s: int = 120,
    issuer: OrgId = HOME,
    now: int = NOW,
) -> str:
    return mint_query_token(
        key=signing_key(issuer, "query_token"),
        issuer=issuer,
        subject="p-4711",
        network=NETWORK,
        question=QUESTION,
        parts=parts,
        claims=claims or RequesterClaims("faculty", "researcher", Clearance.REGISTERED),
        presenter=signing_key(RELAY, "request").key_id,
        enc=SEALING_KEY.public,
        token_id=fresh_id("token"),
        now=now,
        lifetime_s=lifetime_s,
    )


def token_claims() -> JsonObject:
    """The claims of a good query token, to be changed and signed again with `signed`."""
    return jose.unverified_claims(make_query_token())


def signed(claims: JsonObject, *, typ: str = "concordat-query+jwt", key: jose.Signer | None = None) -> str:
    return jose.sign(claims, key=key or signing_key(HOME, "query_token"), typ=typ)


def changed(claims: JsonObject, /, **members: Json) -> JsonObject:
    return {**claims, **members}


def without(claims: JsonObject, name: str) -> JsonObject:
    return {key: value for key, value in claims.items() if key != name}


def make_message() -> SignedMessage:
    return SignedMessage(
        method="POST",
        authority="north-hospital.example.org",
        path="/graphql",
        content_type="application/json",
        authorization=f"Bearer {make_query_token()}",
        body=b'{"documentId":"00","variables":{}}',
    )


def make_attestation() -> Attestation:
    return Attestation(
        organization=NORTH,
        home=HOME,
        issued_at=NOW,
        attestation_id=fresh_id("attestation"),
        token_id=fresh_id("token"),
        question_hash=sha256_b64u(QUESTION),
        part_hash=sha256_b64u(PARTS[NORTH]),
        status="OK",
        code=None,
        decision_id="decision-1",
        policy=PolicyRevisions(baseline="cd" * 32, overlay=None),
        bundle=AttestedView.of(FakeView()),
        agreements=(CitedAgreement("dua-1", "ef" * 32),),
        stats_revision="12" * 32,
        total=1,
        facets={"task": {"classification": 1}},
        candidates=(Candidate(record_commitment(RECORD, SALT), 1_234, tie_key(str(RECORD["id"]))),),
        notice=AttestedNotice("none"),
        unknown_fields=(),
        valid_until=NOW + 86_400,
        log_leaf=sha256_b64u(b"leaf"),
    )


def make_delivery() -> Delivery:
    return Delivery(
        coordinator=RELAY,
        home=HOME,
        issued_at=NOW,
        delivery_id=fresh_id("delivery"),
        token_id=fresh_id("token"),
        question_hash=sha256_b64u(QUESTION),
        answers=(
            DeliveredAnswer(NORTH, "OK", None, sha256_b64u(b"attestation"), "<100ms"),
            DeliveredAnswer(VITALIS, "TIMEOUT", "peer_timeout", None, ">=5s"),
        ),
    )


def flipped(text: str, position: int, mask: int) -> str:
    """Return `text` with one byte changed; `mask` 1 to 127, so that the result stays a text."""
    at = position % len(text)
    return text[:at] + chr(ord(text[at]) ^ mask) + text[at + 1 :]
