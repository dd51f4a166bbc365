"""From the identity provider's claims to what the network is told about a person.

Rules of this file:

* The mapping is declared, value by value, in a file or in the settings. What is not declared is not asserted: a person
  without an affiliation or role cannot sign in, a person without a declared clearance has none (public).
* The first declared rule that holds decides, so that the order in the provider's own list does not matter. Purposes are
  several: every rule that holds adds its own. Without rules for purposes a person may ask for all that the network has.
* The network's caps (`may_assert`) are applied when a token is minted, because the bundle changes after a sign-in:
  clearance is lowered to the cap, any other claim beyond it is refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from concordat_node.home.errors import (
    ClaimNotAssertable,
    ClaimsMappingInvalid,
    ClaimsSampleInvalid,
    PersonNotMapped,
)
from concordat_trust.canonical import JsonObject, parse_object
from concordat_trust.directory import Caps
from concordat_trust.errors import RefusedDocument
from concordat_trust.shape import DocumentMalformed, Shape
from concordat_trust.vocabulary import PURPOSES, Clearance

RULES_MAX = 100
PATH_MAX = 5
REGISTRAR = "registrar"
MAPPING_VERSION = 1
MAPPING_BYTES_MAX = 262_144
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
    """The rules for one claim of the network: the provider's claim they read, and their order.

    `claim` is a name, or the names on the way to a claim inside another (`["realm_access", "roles"]`).
    """

    claim: str | tuple[str, ...]
    rules: tuple[Rule, ...]

    def apply(self, provided: Mapping[str, object]) -> str | None:
        """Return what the first rule that holds says, or None."""
        return next(iter(self.all(provided)), None)

    def all(self, provided: Mapping[str, object]) -> tuple[str, ...]:
        """Return what every rule that holds says, each once, in the order of the rules."""
        value: object = provided
        for name in (self.claim,) if isinstance(self.claim, str) else self.claim:
            value = value.get(name) if isinstance(value, Mapping) else None
        held = _texts(value)
        return tuple(dict.fromkeys(rule.becomes for rule in self.rules if rule.is_ in held))


@dataclass(frozen=True, slots=True)
class ClaimsMapping:
    affiliation: ClaimRules
    role: ClaimRules
    clearance: ClaimRules
    registrar: ClaimRules | None = None
    """None: nobody may change the registry through the REST door."""
    purposes: ClaimRules | None = None
    """None: everybody may ask for every purpose of the network."""


def read_claims_mapping(data: bytes) -> ClaimsMapping:
    """Return the mapping of a file: the object `claims` with `mapping_version` 1. Raises: ClaimsMappingInvalid."""
    try:
        shape = Shape(parse_object(data, bytes_max=MAPPING_BYTES_MAX), "claims")
        shape.integer("mapping_version", minimum=MAPPING_VERSION, maximum=MAPPING_VERSION)
        return parse_claims_mapping(shape)
    except DocumentMalformed as error:
        place = f"{error.fields['where']}.{error.fields['field']}"
        raise ClaimsMappingInvalid(place=place, problem=error.fields["problem"]) from error
    except RefusedDocument as error:
        raise ClaimsMappingInvalid(place="claims", problem=error.message.rstrip(".")) from error


def parse_claims_mapping(shape: Shape) -> ClaimsMapping:
    """Return the mapping of the settings object `claims`. Raises: DocumentMalformed."""
    mapping = ClaimsMapping(
        affiliation=_rules(shape.object("affiliation")),
        role=_rules(shape.object("role")),
        clearance=_rules(shape.object("clearance")),
        registrar=_rules(shape.object("registrar")) if shape.has("registrar") else None,
        purposes=_rules(shape.object("purposes")) if shape.has("purposes") else None,
    )
    for purpose in () if mapping.purposes is None else mapping.purposes.rules:
        if purpose.becomes not in PURPOSES:
            raise shape.refuse("purposes", "becomes something that is not a purpose code")
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
    purposes = None if mapping.purposes is None else mapping.purposes.all(provided)
    return PersonClaims(affiliation, role, int(level), is_registrar, purposes)


def read_claims_sample(path: Path) -> Mapping[str, object]:
    """Return the claims of a file as a provider sends them. Raises: ClaimsSampleInvalid."""
    try:
        # Foreign providers may use floats and vendor fields, so this is plain JSON and not the canonical parser.
        value = json.loads(path.read_bytes())
    except OSError as error:
        raise ClaimsSampleInvalid(path=str(path), problem=error.strerror or "no such file") from error
    except (ValueError, RecursionError) as error:
        raise ClaimsSampleInvalid(path=str(path), problem="it is not JSON") from error
    if not isinstance(value, dict):
        raise ClaimsSampleInvalid(path=str(path), problem="it is a list or a single value")
    return value


def within_caps(claims: PersonClaims, caps: Caps) -> PersonClaims:
    """Return the claims as far as the network lets this organization state them. Raises: ClaimNotAssertable."""
    if claims.affiliation not in caps.affiliations:
        raise ClaimNotAssertable(claim="affiliation")
    if claims.role not in caps.roles:
        raise ClaimNotAssertable(claim="role")
    return replace(claims, clearance=min(claims.clearance, caps.clearance_max))


def _rules(shape: Shape) -> ClaimRules:
    claim = _claim(shape)
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


def _claim(shape: Shape) -> str | tuple[str, ...]:
    if isinstance(shape.value("claim"), str):
        return shape.text("claim", length_min=1, length_max=_VALUE_MAX)
    path = shape.texts("claim", count_max=PATH_MAX, length_max=_VALUE_MAX)
    if not path or not all(path):
        raise shape.refuse("claim", "is neither a name nor a list of names")
    return path


def beyond_caps(mapping: ClaimsMapping, caps: Caps) -> tuple[str, ...]:
    """Return what the mapping says of somebody and the network does not let this organization say, in words."""
    said = [("affiliation", r.becomes) for r in mapping.affiliation.rules if r.becomes not in caps.affiliations]
    said += [("role", r.becomes) for r in mapping.role.rules if r.becomes not in caps.roles]
    levels = [r.becomes for r in mapping.clearance.rules if Clearance[r.becomes.upper()] > caps.clearance_max]
    return tuple(f"{claim} {value}" for claim, value in dict.fromkeys([*said, *(("clearance", v) for v in levels)]))


def _texts(value: object) -> tuple[str, ...]:
    # A whole number is compared as its digits; anything else a provider may send (true, objects) matches no rule.
    values = value if isinstance(value, list) else [value]
    return tuple(str(item) for item in values if isinstance(item, str | int) and not isinstance(item, bool))
