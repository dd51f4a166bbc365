"""The rules that a trust bundle is held to, numbered, in plain words; each has one stable error code.

`judge` tells for every rule whether a bundle held it. A rule that closes the bundle ends the verification, so the rules
that come with it are then undecided; a rule that closes a member is broken by that member alone. BR-07 and BR-17 also
compare with what a party has seen before: one bundle alone shows only what it contradicts in itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from concordat_trust.bundle import errors
from concordat_trust.bundle.trusted import TrustedBundle
from concordat_trust.errors import RefusedDocument

Closes = Literal["the bundle", "the member", "nothing"]
State = Literal["held", "broken", "undecided"]


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule; `closes` is what is refused when it is broken ("nothing": an alarm is raised)."""

    number: str
    says: str
    error: type[RefusedDocument]
    closes: Closes = "the bundle"

    @property
    def code(self) -> str:
        return self.error.code


@dataclass(frozen=True, slots=True)
class Judgement:
    """How one rule fared; `by` says what broke it."""

    rule: Rule
    state: State
    by: tuple[str, ...] = ()


RULES: Final = (
    Rule(
        "BR-01",
        "The first root has the fingerprint that came over another channel; nothing is trusted on first use.",
        errors.BundleBootstrapMismatch,
    ),
    Rule(
        "BR-02",
        "Every key is an Ed25519 key named by its thumbprint, so that one key under two ids counts once.",
        errors.BundleKeyForm,
    ),
    Rule("BR-03", "Root and targets need at least two keyholders.", errors.BundleQuorumTooSmall),
    Rule("BR-04", "The online key is no keyholder's key.", errors.BundleOnlineKeyShared),
    Rule(
        "BR-05",
        "Nothing is signed for longer than its cap, so that a stolen key cannot freeze the network.",
        errors.BundleLifetimeCap,
    ),
    Rule(
        "BR-06",
        "The timestamp says when it was signed, so that everybody can tell the age of this state.",
        errors.BundleAgeHidden,
    ),
    Rule(
        "BR-07",
        "A suspension stands until the quorum lifts it by its version; one keyholder cannot take it back.",
        errors.BundleReinstateUnauthorised,
        "nothing",
    ),
    Rule(
        "BR-08",
        "Each member has exactly one role, named by its id, for its own path alone.",
        errors.BundleDelegationForeign,
    ),
    Rule(
        "BR-09",
        "The list of suspensions belongs to the keyholders, and one of them is enough.",
        errors.BundleSuspendedRoleForeign,
    ),
    Rule(
        "BR-10",
        "A key has one owner and one use; of two members the one admitted earlier keeps it.",
        errors.StatementKeyShared,
        "the member",
    ),
    Rule(
        "BR-11",
        "An endpoint has one owner; of two members the one admitted earlier keeps it.",
        errors.StatementEndpointShared,
        "the member",
    ),
    Rule("BR-12", "No key serves two roles.", errors.BundleKeyTwoRoles),
    Rule("BR-13", "A member has proved that it holds every key it lists.", errors.StatementKeyUnproven, "the member"),
    Rule(
        "BR-14",
        "Each root is signed by the quorum before it and by its own, and no version between them is missing.",
        errors.BundleRootChain,
    ),
    Rule("BR-15", "Every role is signed by as many of its keys as it needs.", errors.BundleThreshold),
    Rule("BR-16", "Nothing was changed after it was signed or listed.", errors.BundleTampered),
    Rule(
        "BR-17",
        "Timestamp, snapshot and roles are of one state, and no version goes back.",
        errors.BundleRollback,
    ),
    Rule("BR-18", "Root, timestamp, snapshot, targets and suspensions are in force.", errors.BundleExpired),
    Rule("BR-19", "Every member that the keyholders list is there.", errors.BundleMissingMember),
    Rule("BR-20", "Every document has one reading and the required form.", errors.BundleMalformed),
    Rule("BR-21", "A member's statement has the required form.", errors.StatementMalformed, "the member"),
    Rule(
        "BR-22",
        "A member's statement is signed by a key that the keyholders listed for it.",
        errors.StatementSignatureInvalid,
        "the member",
    ),
    Rule("BR-23", "A member speaks of itself only.", errors.StatementWrongSubject, "the member"),
    Rule("BR-24", "A member describes the kind that the keyholders admitted.", errors.StatementWrongKind, "the member"),
    Rule("BR-25", "A member's role and statement are in force.", errors.StatementExpired, "the member"),
    Rule("BR-26", "A member's statement was issued before it is verified.", errors.StatementNotYetValid, "the member"),
    Rule("BR-27", "A member's role and statement keep the cap on lifetimes.", errors.StatementLifetime, "the member"),
    Rule(
        "BR-28",
        "An endpoint is scheme, host and port, and https beyond loopback.",
        errors.StatementEndpointInvalid,
        "the member",
    ),
    Rule(
        "BR-29",
        "An address of a visa issuer is claimed by one member alone.",
        errors.StatementVisaIssuerShared,
        "nothing",
    ),
)


def judge(outcome: TrustedBundle | RefusedDocument) -> tuple[Judgement, ...]:
    """Return how every rule fared, in the order of their numbers; `outcome` is what `verify_bundle` gave or raised."""
    if isinstance(outcome, RefusedDocument):
        broken: dict[str, tuple[str, ...]] = {outcome.code: (outcome.message,)}
        return tuple(_judgement(rule, broken, "undecided") for rule in RULES)
    found: dict[str, tuple[str, ...]] = {}
    for error in (*outcome.unusable.values(), *outcome.findings):
        found[error.code] = (*found.get(error.code, ()), error.message)
    return tuple(_judgement(rule, found, "held") for rule in RULES)


def _judgement(rule: Rule, broken: dict[str, tuple[str, ...]], otherwise: State) -> Judgement:
    by = broken.get(rule.code, ())
    return Judgement(rule, "broken" if by else otherwise, by)
