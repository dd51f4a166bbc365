"""A person's visas at home: what they say now, and which of them goes with a question to which organization.

They are kept as they came and verified at every use, because issuers leave the bundle and visas end.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from concordat_node.home.sessions import Session
from concordat_trust.bundle.trusted import TrustedBundle
from concordat_trust.canonical import JsonObject
from concordat_trust.ids import OrgId
from concordat_trust.question import Part
from concordat_trust.sealed_visas import CarriedVisas, VisasContext, seal_visas, visas_for
from concordat_trust.visas import Identity, VerifiedPassport, verify_visas


@dataclass(frozen=True, slots=True)
class HeldPassport:
    """A person's visas as they are verified for one round."""

    person: Identity
    verified: VerifiedPassport


def passport_of(session: Session, bundle: TrustedBundle, now: int) -> HeldPassport | None:
    """Return the verified visas of a session; None when the provider handed over none."""
    if not session.passport.visas:
        return None
    person = (session.passport.issuer, session.subject)
    verified = verify_visas(session.passport.visas, issuers=bundle.visa_issuers, person=person, now=now)
    return HeldPassport(person, verified)


def with_visas(
    parts: Mapping[OrgId, Part],
    passport: HeldPassport | None,
    bundle: TrustedBundle,
    *,
    token_id: str,
    question_hash: str,
) -> Mapping[OrgId, Part]:
    """Return the parts, each with the person's visas for that organization, sealed to its node."""
    if passport is None:
        return parts
    person, verified = passport.person, passport.verified

    def carrying(org: OrgId, part: Part) -> Part:
        texts, to = visas_for(org, verified), bundle.member(org).sealing
        if not texts or not to:
            return part
        context = VisasContext(org, token_id, question_hash)
        return replace(part, visas=seal_visas(CarriedVisas(person, texts), to=to, context=context))

    return {org: carrying(org, part) for org, part in parts.items()}


def visas_json(session: Session, bundle: TrustedBundle, *, now: int) -> Iterator[JsonObject]:
    """Yield what a person's visas say, and why the others say nothing: for the person's own eyes."""
    passport = passport_of(session, bundle, now)
    if passport is not None:
        yield from (fact.to_json() for fact in passport.verified.facts)
        for error in passport.verified.refused:
            yield {"refused": error.code}
