"""A person's visas on their way to the one node they are for: chosen by home, sealed to that node, bound to one token.

Rules of this file:

* A visa travels to the organization whose issuer signed it, because that one knows it already; and with it those visas
  of others that its conditions name, and the links that make these the person's. Nothing else of a passport leaves.
* No condition brings what opens data (`LENT_TO_NOBODY`) to anybody but its own organization: who holds a visa and has a
  home of its own could present it there for a person of its own. Such a condition is met by nothing at the node.
* The part of a question is read by the coordinator, so what it holds of visas is sealed (HPKE, `sealing`) to the key in
  the node's entity statement. `info` binds it to organization, token and question; the token binds the part's hash.
* The plaintext is filled up to a multiple of `PADDING_BYTES`, so that its length does not count the visas.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from concordat_trust.canonical import JsonObject, canonical_bytes, parse_object
from concordat_trust.encoding import unb64u
from concordat_trust.errors import RefusedDocument
from concordat_trust.ids import OrgId
from concordat_trust.sealing import SealBroken, SealingKey, seal_bytes
from concordat_trust.shape import Shape
from concordat_trust.visas import LINKED, VISA_CHARS_MAX, VISAS_MAX, Identity, VerifiedPassport, VerifiedVisa, meeting

CARRIED_BYTES_MAX: Final = 22_528
"""Of one plaintext, filled up; its base64url form fits into a part."""
PADDING_BYTES: Final = 2_048
_ROOM_FOR_FORM: Final = 1_536
LENT_TO_NOBODY: Final = ("ControlledAccessGrants", "LinkedIdentities")


@dataclass(frozen=True, slots=True)
class VisasContext:
    """The place that sealed visas belong to."""

    organization: OrgId
    token_id: str
    question_hash: str

    def info(self) -> bytes:
        return canonical_bytes(
            {"org": self.organization, "qh": self.question_hash, "tid": self.token_id, "use": "visas"}
        )


@dataclass(frozen=True, slots=True)
class CarriedVisas:
    """What one node is told: who the person is to the identity provider, and the visas themselves."""

    person: Identity
    visas: tuple[str, ...]


def visas_for(organization: OrgId, passport: VerifiedPassport) -> tuple[str, ...]:
    """Return the visas that travel to `organization`, in a fixed order, as many as fit."""
    own = [visa for visa in passport.visas if visa.fact.organization == organization]
    lent = [visa for visa in passport.visas if visa.fact.kind not in LENT_TO_NOBODY]
    needed = [other for visa in own for other in meeting(visa.conditions or (), lent)]
    theirs = {visa.fact.organization for visa in needed}
    needed += [visa for visa in passport.visas if visa.fact.kind == LINKED and visa.fact.organization in theirs]
    return tuple(_fitting(visa.text for visa in [*sorted(own, key=_order), *sorted(needed, key=_order)]))


def _order(visa: VerifiedVisa) -> tuple[bool, str]:
    # What opens data goes first when there is not room for all.
    return visa.fact.kind != "ControlledAccessGrants", visa.text


def _fitting(texts: Iterable[str]) -> Iterable[str]:
    room = CARRIED_BYTES_MAX - _ROOM_FOR_FORM
    for text in dict.fromkeys(texts):
        room -= len(text) + 3
        if room < 0:
            return
        yield text


def seal_visas(carried: CarriedVisas, *, to: str, context: VisasContext) -> str:
    """Return the sealed form that the part carries. Raises: SealKeyInvalid, SealTooLarge."""
    plain: JsonObject = {"person": [*carried.person], "visas": [*carried.visas]}
    missing = -len(canonical_bytes({**plain, "padding": ""})) % PADDING_BYTES
    padded = canonical_bytes({**plain, "padding": "." * missing})
    return seal_bytes(padded, to=to, info=context.info(), bytes_max=CARRIED_BYTES_MAX)


def open_visas(sealed: str, *, key: SealingKey, context: VisasContext) -> CarriedVisas:
    """Return the visas that were sealed for exactly this place, NOT VERIFIED. Raises: SealBroken."""
    try:
        plain = key.decrypt(unb64u(sealed), context.info())
        shape = Shape(parse_object(plain, bytes_max=CARRIED_BYTES_MAX), "visas")
        person = shape.texts("person", count_max=2, length_max=500)
        visas = shape.texts("visas", count_max=VISAS_MAX, length_max=VISA_CHARS_MAX)
        shape.text("padding", length_max=PADDING_BYTES)
        shape.finish()
    except RefusedDocument as error:
        raise SealBroken from error
    if len(person) != 2:
        raise SealBroken
    return CarriedVisas((person[0], person[1]), visas)
