"""A signed-in person as this node remembers one: what the network is told, and when and how they proved who they are.

Stored as one canonical JSON text, in sessions and in sign-ins under way, so that what is known of a person is written
and read in one place.
"""

from __future__ import annotations

from dataclasses import dataclass

from concordat_node.home.claims import PersonClaims
from concordat_trust.canonical import JsonObject, canonical_bytes, parse_object
from concordat_trust.shape import Shape

PERSON_BYTES_MAX = 262_144


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
class Person:
    """A signed-in person before there is a session: the provider's subject, the mapped claims, the sign-in."""

    subject: str
    claims: PersonClaims
    sign_in: SignIn = UNKNOWN_SIGN_IN


def person_bytes(person: Person) -> bytes:
    """Return the form in which a person is stored."""
    claims, sign_in = person.claims, person.sign_in
    told: JsonObject = {
        "acr": sign_in.acr,
        "affiliation": claims.affiliation,
        "auth_time": sign_in.auth_time,
        "clearance": claims.clearance,
        "is_registrar": claims.is_registrar,
        "role": claims.role,
        "signed_in_at": sign_in.at,
        "subject": person.subject,
    }
    return canonical_bytes(told)


def read_person(data: bytes) -> Person:
    """Return the person that was stored."""
    shape = Shape(parse_object(data, bytes_max=PERSON_BYTES_MAX), "person")
    claims = PersonClaims(
        shape.text("affiliation"), shape.text("role"), shape.integer("clearance"), shape.boolean("is_registrar")
    )
    sign_in = SignIn(shape.integer("signed_in_at"), shape.optional_integer("auth_time"), shape.optional_text("acr"))
    person = Person(shape.text("subject"), claims, sign_in)
    shape.finish()
    return person
