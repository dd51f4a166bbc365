"""Verifying GA4GH visas (Passport 1.2, AAI profile): bytes, issuers of the bundle and a clock reading → facts. PURE.

Rules of this file, in the order in which they are applied to each visa:

1. Size and form: one compact JWS in canonical base64url, JSON without duplicate keys. A `jku` may stand in the header
   and is not looked at; `crit`, `jwk`, `x5c` and `x5u` refuse the visa.
2. The algorithm is ES256 or RS256, and that of the key. The key is found by (issuer, kid) among those of the bundle.
   Of several members that claim the issuer, it is the word of the first whose key signed the visa.
3. Signature, then `exp` and `iat`: each visa has its own end.
4. Identity: the visa is about the person, or about an identity that LinkedIdentities visas of the same organization
   join with the person's. No organization can give away what another one's visas say.
5. Conditions in disjunctive normal form: each clause is met by one other valid visa that has no conditions itself.
   Comparing has a limit (`COMPARED_MAX`); conditions beyond it are met by nothing.

A fact ends with the earliest of everything it rests on: its own visa, the links and the visas that meet its conditions.
A refused visa is a code in `refused`; the others stand. Whether a fact means anything is the policy's business.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import unquote

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from concordat_trust.canonical import JsonObject
from concordat_trust.encoding import unb64u
from concordat_trust.errors import RefusedDocument
from concordat_trust.ids import OrgId
from concordat_trust.visa_conditions import Clause, Conditions, is_met_by, read_conditions, size_of
from concordat_trust.visa_errors import (
    PassportTooLarge,
    VisaAlgorithm,
    VisaConditionUnmet,
    VisaExpired,
    VisaIssuerUnknown,
    VisaKeyUnknown,
    VisaMalformed,
    VisaNotYetValid,
    VisaOtherSubject,
    VisaRefused,
    VisaSignatureInvalid,
)
from concordat_trust.visa_issuer import VisaIssuer, VisaIssuers, VisaKey

VISAS_MAX: Final = 50
VISA_CHARS_MAX: Final = 8_192
TEXT_MAX: Final = 2_000
LINKED_MAX: Final = 50
LEEWAY_S: Final = 30
COMPARED_MAX: Final = 20_000_000
"""Characters of conditions, times those of the visas they are compared with, in one passport: a blink of computing."""
ALGORITHMS: Final = ("ES256", "RS256")
KINDS: Final = (
    "AcceptedTermsAndPolicies",
    "AffiliationAndRole",
    "ControlledAccessGrants",
    "LinkedIdentities",
    "ResearcherStatus",
)
LINKED: Final = "LinkedIdentities"
_BY_REQUIRED: Final = ("AcceptedTermsAndPolicies", "ControlledAccessGrants")
_HEADER_REFUSED: Final = frozenset({"crit", "jwk", "x5c", "x5u"})
_SURROGATE = re.compile("[\ud800-\udfff]")  # half a character, which JSON can spell and UTF-8 cannot
_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")

Identity = tuple[str, str]
"""Issuer and subject; neither means anything alone."""


@dataclass(frozen=True, slots=True, order=True)
class VisaFact:
    """What a verified visa says. `organization` is the one whose issuer signed it; `by` is "" when it does not say."""

    kind: str
    value: str
    source: str
    by: str
    asserted: int
    expires_at: int
    issuer: str
    organization: OrgId

    def to_json(self) -> JsonObject:
        return {
            "asserted": self.asserted,
            "by": self.by,
            "expires_at": self.expires_at,
            "issuer": self.issuer,
            "organization": self.organization,
            "source": self.source,
            "type": self.kind,
            "value": self.value,
        }


@dataclass(frozen=True, slots=True)
class VerifiedVisa:
    """A visa whose signature and times are right: whose it is, what it says and under which conditions."""

    text: str
    identities: frozenset[Identity]
    fact: VisaFact
    conditions: Conditions | None


@dataclass(frozen=True, slots=True)
class VerifiedPassport:
    """The visas that count, in a fixed order, and the codes of those that do not."""

    visas: tuple[VerifiedVisa, ...]
    refused: tuple[VisaRefused, ...]

    @property
    def facts(self) -> tuple[VisaFact, ...]:
        return tuple(sorted({visa.fact for visa in self.visas}))


def verify_visas(visas: Sequence[str], *, issuers: VisaIssuers, person: Identity, now: int) -> VerifiedPassport:
    """Return what these visas say of `person` at `now`. Raises: PassportTooLarge; nothing for a single bad visa."""
    if len(visas) > VISAS_MAX or any(len(visa) > VISA_CHARS_MAX for visa in visas):
        raise PassportTooLarge(visas_max=VISAS_MAX, chars_max=VISA_CHARS_MAX)
    verified: list[VerifiedVisa] = []
    refused: list[VisaRefused] = []
    for visa in dict.fromkeys(visas):
        try:
            verified.append(verify_visa(visa, issuers=issuers, now=now))
        except VisaRefused as error:
            refused.append(error)
    ours = _of_person(verified, person, refused)
    return VerifiedPassport(tuple(_with_conditions_met(ours, refused)), tuple(refused))


def verify_visa(visa: str, *, issuers: VisaIssuers, now: int) -> VerifiedVisa:
    """Return one visa after the rules 1 to 3, before anybody is compared. Raises: leaves of VisaRefused."""
    header, claims = _read(visa)
    issuer_url, subject = _text(claims, "iss"), _text(claims, "sub")
    if header.get("alg") not in ALGORITHMS:
        raise VisaAlgorithm
    issuer = _signer(visa, header, issuers.get(issuer_url, ()))
    expires_at = _check_times(claims, now)
    fact, conditions = _visa_object(claims, issuer_url, issuer, expires_at)
    identities = frozenset((url, subject) for url in {issuer_url, *issuer.subject_issuers})
    return VerifiedVisa(visa, identities, fact, conditions)


def _signer(visa: str, header: Mapping[str, object], claimants: Sequence[VisaIssuer]) -> VisaIssuer:
    """Return the first of those that claim the address whose key signed the visa. Raises: leaves of VisaRefused."""
    if not claimants:
        raise VisaIssuerUnknown
    listed = [
        (issuer, key) for issuer in claimants for key_id, key in issuer.keys.items() if key_id == header.get("kid")
    ]
    if not listed:
        raise VisaKeyUnknown
    fitting = [(issuer, key) for issuer, key in listed if key.algorithm == header.get("alg")]
    if not fitting:
        raise VisaAlgorithm
    for issuer, key in fitting:
        if _is_signed_with(visa, key):
            return issuer
    raise VisaSignatureInvalid


def _read(visa: str) -> tuple[dict[str, object], dict[str, object]]:
    if len(visa) > VISA_CHARS_MAX or not _COMPACT.fullmatch(visa):
        # A token without a signature part is what "alg": "none" looks like.
        raise VisaAlgorithm if visa.endswith(".") else VisaMalformed(field="form")
    header_text, payload_text, _ = visa.split(".")
    header = _object(header_text, "header")
    refused = _HEADER_REFUSED & set(header)
    if refused:
        raise VisaMalformed(field=min(refused))
    return header, _object(payload_text, "payload")


def _object(text: str, field: str) -> dict[str, object]:
    # Issuers are foreign software: plain JSON with what they like in it, but one spelling and no duplicate key.
    def without_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
        if len(dict(pairs)) != len(pairs):
            raise VisaMalformed(field=field)
        return dict(pairs)

    try:
        value = json.loads(unb64u(text).decode("utf-8"), object_pairs_hook=without_duplicates)
    except VisaRefused:
        raise
    except (RefusedDocument, ValueError, RecursionError) as error:
        raise VisaMalformed(field=field) from error
    if not isinstance(value, dict):
        raise VisaMalformed(field=field)
    return value


def _is_signed_with(visa: str, key: VisaKey) -> bool:
    signed, _, signature_text = visa.rpartition(".")
    try:
        signature, data = unb64u(signature_text), signed.encode("ascii")
        if isinstance(key.key, ec.EllipticCurvePublicKey):
            if len(signature) != 64:
                return False
            r, s = int.from_bytes(signature[:32]), int.from_bytes(signature[32:])
            key.key.verify(encode_dss_signature(r, s), data, ec.ECDSA(SHA256()))
        else:
            key.key.verify(signature, data, padding.PKCS1v15(), SHA256())
    except (InvalidSignature, RefusedDocument):
        return False
    return True


def _check_times(claims: Mapping[str, object], now: int) -> int:
    issued_at, expires_at = _seconds(claims, "iat"), _seconds(claims, "exp")
    if expires_at <= now:
        raise VisaExpired
    if issued_at > now + LEEWAY_S:
        raise VisaNotYetValid
    return expires_at


def _visa_object(
    claims: Mapping[str, object], issuer_url: str, issuer: VisaIssuer, expires_at: int
) -> tuple[VisaFact, Conditions | None]:
    told = claims.get("ga4gh_visa_v1")
    if not isinstance(told, dict):
        raise VisaMalformed(field="ga4gh_visa_v1")
    kind = _text(told, "type")
    by = _text(told, "by") if told.get("by") is not None else ""
    if kind not in KINDS or (kind in _BY_REQUIRED and not by):
        raise VisaMalformed(field="type" if kind not in KINDS else "by")
    fact = VisaFact(
        kind=kind,
        value=_text(told, "value"),
        source=_text(told, "source"),
        by=by,
        asserted=_seconds(told, "asserted"),
        expires_at=expires_at,
        issuer=issuer_url,
        organization=issuer.organization,
    )
    return fact, None if told.get("conditions") in (None, []) else read_conditions(told["conditions"])


def _of_person(verified: Sequence[VerifiedVisa], person: Identity, refused: list[VisaRefused]) -> list[VerifiedVisa]:
    """Return the visas about the person, each ending with the links that make it the person's."""
    organizations = {visa.fact.organization for visa in verified}
    known_to = {organization: _linked(verified, person, organization) for organization in organizations}
    ours = []
    for visa in verified:
        known = known_to[visa.fact.organization]
        until = max((known[identity] for identity in visa.identities if identity in known), default=None)
        if until is None:
            refused.append(VisaOtherSubject())
        else:
            ours.append(_ending(visa, until))
    return ours


def _linked(verified: Sequence[VerifiedVisa], person: Identity, organization: OrgId) -> Mapping[Identity, int]:
    """Return the person's identities by what one organization says, each with the second until which it says so."""
    forever = max((visa.fact.expires_at for visa in verified), default=0)
    known: dict[Identity, int] = {person: forever}
    links = [
        (visa.identities | _listed(visa.fact.value), visa.fact.expires_at)
        for visa in verified
        if visa.fact.kind == LINKED and visa.conditions is None and visa.fact.organization == organization
    ]
    for _ in links:  # the longest chain uses every link once
        for identities, expires_at in links:
            until = min(expires_at, max(known.get(identity, 0) for identity in identities))
            for identity in identities:
                known[identity] = max(known.get(identity, 0), until)
    return {identity: until for identity, until in known.items() if until > 0}


def _listed(value: str) -> frozenset[Identity]:
    """Return the identities of a LinkedIdentities value: `sub,iss` pairs, URI-encoded, joined by ";"."""
    pairs = [entry.split(",") for entry in value.split(";")[:LINKED_MAX]]
    return frozenset((unquote(pair[1]), unquote(pair[0])) for pair in pairs if len(pair) == 2 and all(pair))


def _with_conditions_met(visas: Sequence[VerifiedVisa], refused: list[VisaRefused]) -> list[VerifiedVisa]:
    plain = [visa for visa in visas if visa.conditions is None]
    each, left = sum(len(text) for visa in plain for text in _fields(visa.fact).values()), COMPARED_MAX
    met = []
    for visa in visas:
        if visa.conditions is None:
            met.append(visa)
            continue
        left -= each * size_of(visa.conditions)
        until = _met_until(visa.conditions, plain) if left >= 0 else 0
        if until > 0:
            met.append(_ending(visa, until))
        else:
            refused.append(VisaConditionUnmet())
    return met


def _met_until(conditions: Conditions | None, plain: Sequence[VerifiedVisa]) -> int:
    """Return until when the best alternative holds; 0 for none."""
    return max((min(_clause_until(clause, plain) for clause in clauses) for clauses in conditions or ()), default=0)


def _clause_until(clause: Clause, plain: Sequence[VerifiedVisa]) -> int:
    return max((visa.fact.expires_at for visa in plain if is_met_by(clause, _fields(visa.fact))), default=0)


def meeting(conditions: Conditions, visas: Sequence[VerifiedVisa]) -> tuple[VerifiedVisa, ...]:
    """Return the visas that some clause of the conditions is met by, so that no others need to travel with it."""
    clauses = [clause for alternative in conditions for clause in alternative]
    plain = [visa for visa in visas if visa.conditions is None]
    return tuple(visa for visa in plain if any(is_met_by(clause, _fields(visa.fact)) for clause in clauses))


def _fields(fact: VisaFact) -> Mapping[str, str]:
    return {"type": fact.kind, "value": fact.value, "source": fact.source, "by": fact.by}


def _ending(visa: VerifiedVisa, until: int) -> VerifiedVisa:
    return replace(visa, fact=replace(visa.fact, expires_at=min(visa.fact.expires_at, until)))


def _text(obj: Mapping[str, object], name: str) -> str:
    value = obj.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= TEXT_MAX or _SURROGATE.search(value):
        raise VisaMalformed(field=name)
    return value


def _seconds(obj: Mapping[str, object], name: str) -> int:
    value = obj.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 2**40:
        raise VisaMalformed(field=name)
    return value
