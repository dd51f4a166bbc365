"""From the identity provider's claims to what the network is told about a person.

Rules of this file:

* The mapping is declared in the settings, value by value. What is not declared is not asserted: a person without an
  affiliation or role cannot sign in, a person without a declared clearance has none (public).
* The first declared rule that holds decides, so that the order in the provider's own list does not matter.
* The network's caps (`may_assert`) are applied when a token is minted, because the bundle changes after a sign-in:
  clearance is lowered to the cap, any other claim beyond it is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from concordat_node.home.errors import ClaimNotAssertable, PersonNotMapped
from concordat_trust.canonical import JsonObject
from concordat_trust.directory import Caps
from concordat_trust.shape import Shape
from concordat_trust.vocabulary import Clearance

RULES_MAX = 100
REGISTRAR = "registrar"
_VALUE_MAX = 200


@dataclass(frozen=True, slots=True)
class PersonClaims:
    """What the home organization says of a person."""

    affiliation: str
    role: str
    clearance: int
    is_registrar: bool = False
    """May change the own registry. A matter of this node alone: no token carries it."""
    purposes: tuple[str, ...] | None = None
    """The purposes for which this person may ask; None: every one that the network has."""

    def to_json(self) -> JsonObject:
        return {"affiliation": self.affiliation, "clearance": self.clearance, "role": self.role}


@dataclass(frozen=True, slots=True)
class Rule:
    """When the provider's claim is (or contains) `is_`, the network is told `becomes`."""

    is_: str
    becomes: str


@dataclass(frozen=True, slots=True)
class ClaimRules:
    """The rules for one claim of the network: the provider's claim they read, and their order."""

    claim: str
    rules: tuple[Rule, ...]

    def apply(self, provided: Mapping[str, object]) -> str | None:
        """Return what the first rule that holds says, or None."""
        held = _texts(provided.get(self.claim))
        return next((rule.becomes for rule in self.rules if rule.is_ in held), None)


@dataclass(frozen=True, slots=True)
class ClaimsMapping:
    affiliation: ClaimRules
    role: ClaimRules
    clearance: ClaimRules
    registrar: ClaimRules | None = None
    """None: nobody may change the registry through the REST door."""


def parse_claims_mapping(shape: Shape) -> ClaimsMapping:
    """Return the mapping of the settings object `claims`. Raises: DocumentMalformed."""
    mapping = ClaimsMapping(
        affiliation=_rules(shape.object("affiliation")),
        role=_rules(shape.object("role")),
        clearance=_rules(shape.object("clearance")),
        registrar=_rules(shape.object("registrar")) if shape.has("registrar") else None,
    )
    if mapping.registrar is not None and any(rule.becomes != REGISTRAR for rule in mapping.registrar.rules):
        raise shape.refuse("registrar", f"becomes something else than {REGISTRAR}")
    for rule in mapping.clearance.rules:
        if rule.becomes.upper() not in Clearance.__members__:
            raise shape.refuse("clearance", "becomes something that is not a clearance")
    shape.finish()
    return mapping


def map_claims(provided: Mapping[str, object], mapping: ClaimsMapping) -> PersonClaims:
    """Return a person's claims. Raises: PersonNotMapped for one without affiliation or role."""
    affiliation = mapping.affiliation.apply(provided)
    role = mapping.role.apply(provided)
    if affiliation is None:
        raise PersonNotMapped(claim="affiliation")
    if role is None:
        raise PersonNotMapped(claim="role")
    clearance = mapping.clearance.apply(provided)
    level = Clearance.PUBLIC if clearance is None else Clearance[clearance.upper()]
    is_registrar = mapping.registrar is not None and mapping.registrar.apply(provided) == REGISTRAR
    return PersonClaims(affiliation, role, int(level), is_registrar)


def within_caps(claims: PersonClaims, caps: Caps) -> PersonClaims:
    """Return the claims as far as the network lets this organization state them. Raises: ClaimNotAssertable."""
    if claims.affiliation not in caps.affiliations:
        raise ClaimNotAssertable(claim="affiliation")
    if claims.role not in caps.roles:
        raise ClaimNotAssertable(claim="role")
    return replace(claims, clearance=min(claims.clearance, caps.clearance_max))


def _rules(shape: Shape) -> ClaimRules:
    claim = shape.text("claim", length_min=1, length_max=_VALUE_MAX)
    rules = []
    for entry in shape.objects("rules", count_max=RULES_MAX):
        rules.append(
            Rule(
                entry.text("is", length_min=1, length_max=_VALUE_MAX),
                entry.text("becomes", length_min=1, length_max=_VALUE_MAX),
            )
        )
        entry.finish()
    shape.finish()
    return ClaimRules(claim, tuple(rules))


def _texts(value: object) -> tuple[str, ...]:
    # A whole number is compared as its digits; anything else a provider may send (true, objects) matches no rule.
    values = value if isinstance(value, list) else [value]
    return tuple(str(item) for item in values if isinstance(item, str | int) and not isinstance(item, bool))
