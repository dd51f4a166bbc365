"""What the node asks of its policy and what it gets back; the words between the gate and OPA. PURE.

Rules of this file:

* `PolicyEngine` answers per policy class, never per person's data: classes hold every attribute policy may read.
* An engine that cannot decide raises `PolicyUnavailable`. It never answers with an empty permission.
* A `Decision` is made by `decision.py` from a document that is valid literally, or it is `DENIED`.
* Nothing here reads a clock: `now` comes in the request.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal, Protocol

from concordat_trust.canonical import Json, JsonObject
from concordat_trust.errors import OperatorError
from concordat_trust.ids import OrgId
from concordat_trust.question import Purpose
from concordat_trust.visas import VisaFact
from concordat_trust.vocabulary import Clearance, Level, NoticeMode, OrganizationType

if TYPE_CHECKING:
    from concordat_node.registry.records import Agreement, Approval, PolicyAttributes

Verdict = Literal["permit", "review", "deny"]
Grantor = Literal["data_owner", "ethics_board", "data_access_committee", "requester"]
MaskOp = Literal["hide"]
UnavailableCause = Literal["not_ready", "unreachable", "timeout", "refused", "undefined", "malformed", "canary"]


class PolicyUnavailable(OperatorError):
    """The policy gave no answer that counts; everything asked of it is denied. `cause` is an UnavailableCause."""

    code = "policy_unavailable"
    sentence = "The node's policy could not decide ({cause})."
    hint = "See `concordat node doctor`; nothing is disclosed until the policy engine decides again."


@dataclass(frozen=True, slots=True)
class Requester:
    """Who asks, as verified: flattened claims of the query token and the organization's entry in the bundle."""

    organization: OrgId
    pseudonym: str
    affiliation: str
    role: str
    clearance: Clearance
    country: str
    organization_type: OrganizationType
    auth_time: int | None = None
    acr: str | None = None
    visas: tuple[VisaFact, ...] = ()
    """Verified visas that were sent to this node, each with its own end."""

    def to_json(self) -> JsonObject:
        return {
            "acr": self.acr,
            "affiliation": self.affiliation,
            "auth_time": self.auth_time,
            "clearance": int(self.clearance),
            "country": self.country,
            "organization": str(self.organization),
            "organization_type": self.organization_type,
            "pseudonym": self.pseudonym,
            "role": self.role,
            "visas": [visa.to_json() for visa in self.visas],
        }


@dataclass(frozen=True, slots=True)
class SignInPolicy:
    """How recent, and how strong, the sign-in of whoever reads sensitive classes must be.

    `age_max_s` 0 demands no recent one, `acr_values` () no particular one; classes below `sensitivity_min` need
    neither.
    """

    age_max_s: int = 0
    acr_values: tuple[str, ...] = ()
    sensitivity_min: Clearance = Clearance.RESTRICTED

    def to_json(self) -> JsonObject:
        return {
            "acr_values": [*self.acr_values],
            "age_max_s": self.age_max_s,
            "sensitivity_min": int(self.sensitivity_min),
        }


NO_SIGN_IN_DEMAND = SignInPolicy()


@dataclass(frozen=True, slots=True)
class NodePolicy:
    """What this node's configuration says to its policy: purposes, its standing notice, what a sign-in must be."""

    purposes_admitted: tuple[str, ...]
    notice_mode: NoticeMode = "none"
    notice_code: str | None = None
    notice_contact: str | None = None
    sign_in: SignInPolicy = NO_SIGN_IN_DEMAND

    def to_json(self, organization: OrgId) -> JsonObject:
        return {
            "notice_code": self.notice_code,
            "notice_contact": self.notice_contact,
            "notice_mode": self.notice_mode,
            "organization": str(organization),
            "purposes_admitted": list(self.purposes_admitted),
            "sign_in": self.sign_in.to_json(),
        }


@dataclass(frozen=True, slots=True)
class DecisionRequest:
    """Everything a decision depends on besides the class: person, purpose, time and the owner's own records."""

    requester: Requester
    purpose: Purpose
    now: int
    organization: OrgId
    node_policy: NodePolicy
    agreements: Mapping[str, Agreement]
    approvals: Mapping[str, Approval]

    def to_json(self) -> JsonObject:
        """Return the input document of OPA without `classes` or `page`."""
        agreements: dict[str, Json] = {key: value.to_json() for key, value in self.agreements.items()}
        approvals: dict[str, Json] = {key: value.to_json() for key, value in self.approvals.items()}
        return {
            "agreements": agreements,
            "approvals": approvals,
            "node": self.node_policy.to_json(self.organization),
            "now": self.now,
            "purpose": self.purpose.to_json(),
            "requester": self.requester.to_json(),
            "today": datetime.fromtimestamp(self.now, UTC).date().isoformat(),
        }


@dataclass(frozen=True, slots=True)
class Notice:
    """What the node says about withheld assets to everyone alike; it never depends on the question."""

    mode: NoticeMode = "none"
    code: str | None = None
    contact: str | None = None


@dataclass(frozen=True, slots=True)
class Scope:
    """Whether the purpose is admitted at all, decided before any class is read. `code` says why not."""

    admitted: bool
    code: str | None
    notice: Notice


@dataclass(frozen=True, slots=True)
class Mask:
    """What happens to one field. This version carries out `hide` only; every other operation hides too."""

    op: MaskOp = "hide"


@dataclass(frozen=True, slots=True)
class Obligation:
    code: str
    text: str


@dataclass(frozen=True, slots=True)
class Reason:
    """One ground of a decision. Only `public` ones may leave the organization."""

    code: str
    public: bool


@dataclass(frozen=True, slots=True)
class Missing:
    """One condition that is not met and could be, and who can grant it."""

    code: str
    who_can_grant: Grantor


@dataclass(frozen=True, slots=True)
class Decision:
    """The decision of one class (DESIGN section 5). `masks` names only fields that are changed."""

    verdict: Verdict
    level: Level
    masks: Mapping[str, Mask]
    obligations: tuple[Obligation, ...]
    reasons: tuple[Reason, ...]
    missing: tuple[Missing, ...]
    agreement_ids: tuple[str, ...]
    relay_may_read: bool
    valid_until: int | None

    @property
    def hidden(self) -> frozenset[str]:
        """The fields that the requester may not read."""
        return frozenset(self.masks)


def denied(code: str) -> Decision:
    """Return the decision that discloses nothing, with a reason that stays inside the organization."""
    return Decision(
        verdict="deny",
        level=Level.NONE,
        masks={},
        obligations=(),
        reasons=(Reason(code, public=False),),
        missing=(),
        agreement_ids=(),
        relay_may_read=False,
        valid_until=None,
    )


class PolicyEngine(Protocol):
    """Decides. Every method raises PolicyUnavailable when there is no answer that counts."""

    @property
    def revision(self) -> str:
        """The digest of the policy text that decides (hex), as attestations name it."""

    async def scope(self, request: DecisionRequest) -> Scope: ...

    async def decide_classes(
        self, request: DecisionRequest, classes: Mapping[str, PolicyAttributes]
    ) -> Mapping[str, Decision]:
        """Return one decision per key of `classes`, no more and no fewer."""

    async def decide_page(self, request: DecisionRequest, page: Sequence[PolicyAttributes]) -> tuple[Decision, ...]:
        """Return the decisions of a page's records from their current attributes, in the page's order."""
