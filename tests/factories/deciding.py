"""Decisions to start from, and an engine that decides by whatever function a test prescribes.

A prescribed decision need not be one that OPA would give: that is what these are for. Whole federations decide by the
compared table instead (`tests.factories.policy.TableEngine`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from concordat_node.policy.engine import (
    Decision,
    DecisionRequest,
    Mask,
    Missing,
    Notice,
    PolicyUnavailable,
    Scope,
    denied,
)
from concordat_node.registry.records import PolicyAttributes
from concordat_trust.vocabulary import Level

SUMMARY_MASKS = (
    "description",
    "cohort_size",
    "contact",
    "versions",
    "trained_on",
    "evaluations",
    "lineage",
    "complete",
)


def lineage_hides(attributes: PolicyAttributes) -> frozenset[str]:
    """Return what a class does not let be told of its lineage, at any level."""
    closed: frozenset[str] = frozenset() if attributes.lineage in ("open", "complete") else frozenset({"lineage"})
    return closed if attributes.lineage == "complete" else closed | {"complete"}


def permit(attributes: PolicyAttributes, **changes: object) -> Decision:
    """Return the decision that discloses everything, with changes."""
    values: dict[str, object] = {
        "verdict": "permit",
        "level": Level.FULL,
        "masks": {name: Mask() for name in sorted(lineage_hides(attributes))},
        "obligations": (),
        "reasons": (),
        "missing": (),
        "agreement_ids": (),
        "relay_may_read": attributes.relay_may_read,
        "valid_until": None,
    }
    return Decision(**{**values, **changes})  # type: ignore[arg-type]  # names are those of Decision


def review(attributes: PolicyAttributes, **changes: object) -> Decision:
    """Return the decision of a summary with the baseline's masks."""
    return permit(
        attributes,
        **{
            "verdict": "review",
            "level": Level.SUMMARY,
            "masks": {name: Mask() for name in SUMMARY_MASKS},
            "missing": (Missing("agreement_missing", "data_owner"),),
            **changes,
        },
    )


def by_clearance(request: DecisionRequest, attributes: PolicyAttributes) -> Decision:
    """A prescription: active assets within the clearance are permitted, discoverable ones are shown in summary."""
    if attributes.status != "active":
        return denied("status_not_active")
    if attributes.sensitivity <= request.requester.clearance:
        return permit(attributes, agreement_ids=attributes.agreements, valid_until=_ends(request, attributes))
    return review(attributes) if attributes.discoverable == "summary" else denied("clearance")


def _ends(request: DecisionRequest, attributes: PolicyAttributes) -> int | None:
    ends = [request.agreements[item].valid_until for item in attributes.agreements]
    return min(ends, default=None)


Prescription = Callable[[DecisionRequest, PolicyAttributes], Decision]


@dataclass
class PrescribedEngine:
    """A `PolicyEngine` that decides by a Python function; `page` decides the page, when it is to differ."""

    prescribed: Prescription = by_clearance
    page: Prescription | None = None
    revision: str = "cd" * 32
    is_dead: bool = False
    scope_calls: list[DecisionRequest] = field(default_factory=list)
    class_calls: list[Mapping[str, PolicyAttributes]] = field(default_factory=list)
    page_calls: list[Sequence[PolicyAttributes]] = field(default_factory=list)

    async def scope(self, request: DecisionRequest) -> Scope:
        self._refuse_dead()
        self.scope_calls.append(request)
        policy = request.node_policy
        notice = Notice()
        if policy.notice_mode == "standing":
            notice = Notice("standing", policy.notice_code, policy.notice_contact)
        if request.purpose.code in policy.purposes_admitted:
            return Scope(admitted=True, code=None, notice=notice)
        return Scope(admitted=False, code="purpose_not_admitted", notice=notice)

    async def decide_classes(
        self, request: DecisionRequest, classes: Mapping[str, PolicyAttributes]
    ) -> Mapping[str, Decision]:
        self._refuse_dead()
        self.class_calls.append(classes)
        return {key: self.prescribed(request, attributes) for key, attributes in classes.items()}

    async def decide_page(self, request: DecisionRequest, page: Sequence[PolicyAttributes]) -> tuple[Decision, ...]:
        self._refuse_dead()
        self.page_calls.append(page)
        return tuple((self.page or self.prescribed)(request, attributes) for attributes in page)

    def _refuse_dead(self) -> None:
        if self.is_dead:
            raise PolicyUnavailable(cause="unreachable")
