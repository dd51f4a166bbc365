"""A signed-in person as this node remembers one: what the network is told, and when and how they proved who they are.

Stored as one canonical JSON text, in sessions and in sign-ins under way, so that what is known of a person is written
and read in one place.
"""

from __future__ import annotations

from dataclasses import dataclass

from concordat_node.home.claims import PersonClaims
from concordat_trust.canonical import JsonObject, canonical_bytes, parse_object
from concordat_trust.shape import Shape
from concordat_trust.visas import VISA_CHARS_MAX

PERSON_BYTES_MAX = 524_288
"""More than the largest passport."""


@dataclass(frozen=True, slots=True)
class SignIn:
    """When the identity provider spoke to this node, and what it said about how the person was recognised.

    `auth_time` and `acr` are those of OpenID Connect Core §2; None when the provider does not say.
    """

    at: int = 0
    auth_time: int | None = None
    acr: str | None = None


UNKNOWN_SIGN_IN = SignIn()
"""The oldest there is: whoever forgets to say gets no right that asks for a recent one."""


@dataclass(frozen=True, slots=True)
class Passport:
    """The visas that the provider handed over, as they came; each is verified whenever it is used."""

    issuer: str = ""
    """The identity provider whose subject the person is: the visas are compared with that identity."""
    visas: tuple[str, ...] = ()


NO_PASSPORT = Passport()


@dataclass(frozen=True, slots=True)
class Person:
    """A signed-in person before there is a session: the provider's subject, the mapped claims, the sign-in."""

    subject: str
    claims: PersonClaims
    sign_in: SignIn = UNKNOWN_SIGN_IN
    passport: Passport = NO_PASSPORT


def person_bytes(person: Person) -> bytes:
    """Return the form in which a person is stored."""
    claims, sign_in = person.claims, person.sign_in
    told: JsonObject = {
        "acr": sign_in.acr,
        "affiliation": claims.affiliation,
        "auth_time": sign_in.auth_time,
        "clearance": claims.clearance,
        "is_registrar": claims.is_registrar,
        "passport": {"issuer": person.passport.issuer, "visas": [*person.passport.visas]},
        "purposes": None if claims.purposes is None else [*claims.purposes],
        "role": claims.role,
        "signed_in_at": sign_in.at,
        "subject": person.subject,
    }
    return canonical_bytes(told)


def read_person(data: bytes) -> Person:
    """Return the person that was stored."""
    shape = Shape(parse_object(data, bytes_max=PERSON_BYTES_MAX), "person")
    claims = PersonClaims(
        affiliation=shape.text("affiliation"),
        role=shape.text("role"),
        clearance=shape.integer("clearance"),
        is_registrar=shape.boolean("is_registrar"),
        purposes=None if shape.value("purposes") is None else shape.texts("purposes"),
    )
    sign_in = SignIn(shape.integer("signed_in_at"), shape.optional_integer("auth_time"), shape.optional_text("acr"))
    passport = shape.object("passport")
    held = Passport(passport.text("issuer"), passport.texts("visas", length_max=VISA_CHARS_MAX))
    person = Person(shape.text("subject"), claims, sign_in, held)
    shape.finish()
    return person
