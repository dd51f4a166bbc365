"""Policy requests, classes and the decision table; and `TableEngine`, a policy engine that answers from the table.

The table (`tests/policy/decision_table.json`) is written by hand and compared with the real OPA row by row, so that a
simulation that decides by it decides as a node does.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, cast, get_args

from concordat_node.policy.engine import (
    Decision,
    DecisionRequest,
    Grantor,
    Mask,
    Missing,
    NodePolicy,
    Notice,
    Obligation,
    PolicyUnavailable,
    Reason,
    Requester,
    Scope,
)
from concordat_node.registry.records import Agreement, Approval, Modifier, PolicyAttributes, Subject
from concordat_trust.ids import OrgId
from concordat_trust.question import Purpose
from concordat_trust.vocabulary import Clearance, Level

TABLE_PATH = Path(__file__).parents[1] / "policy" / "decision_table.json"
SUMMARY_HIDES = frozenset({"description", "cohort_size", "contact", "versions"})
OBLIGATIONS = (
    Obligation("cite", "Cite the agreement and its owner in what is published from this use."),
    Obligation(
        "no_redistribution",
        "Do not pass the asset or copies of it on to anybody whom the agreement does not cover.",
    ),
)


def attributes_from(fields: Mapping[str, Any]) -> PolicyAttributes:
    """Return the class that `PolicyAttributes.to_json` would show so."""
    modifiers = tuple(
        Modifier(m["code"], tuple((p["name"], p["value"]) for p in m["parameters"])) for m in fields["modifiers"]
    )
    lists = {name: tuple(fields[name]) for name in ("agreements", "approvals")}
    values = {**fields, **lists, "modifiers": modifiers}
    return PolicyAttributes(**values).in_order()


def agreement_from(fields: Mapping[str, Any]) -> Agreement:
    parties = tuple(OrgId.parse(party) for party in fields["parties"])
    values = {**fields, "parties": parties, "purposes": tuple(fields["purposes"])}
    return Agreement(**{**values, "members": _subjects(fields["members"])})


def approval_from(fields: Mapping[str, Any]) -> Approval:
    values = {**fields, "purposes": tuple(fields["purposes"]), "holders": _subjects(fields["holders"])}
    return Approval(**values)


def requester_from(fields: Mapping[str, Any]) -> Requester:
    organization = OrgId.parse(fields["organization"])
    return Requester(**{**fields, "organization": organization, "clearance": Clearance(fields["clearance"])})


def _subjects(items: Sequence[Mapping[str, Any]]) -> tuple[Subject, ...]:
    return tuple((OrgId.parse(item["organization"]), item["pseudonym"]) for item in items)


@dataclass(frozen=True)
class Row:
    """One line of the table: who asks for which purpose about which class, and the whole decision."""

    requester: str
    purpose: str
    class_name: str
    decision: Decision


@dataclass(frozen=True)
class DecisionTable:
    """The table, parsed. `request(row)` is what a node would send to its policy for that row."""

    now: int
    organization: OrgId
    purposes_admitted: tuple[str, ...]
    requesters: Mapping[str, Requester]
    purposes: Mapping[str, Purpose]
    agreements: Mapping[str, Agreement]
    approvals: Mapping[str, Approval]
    classes: Mapping[str, PolicyAttributes]
    rows: tuple[Row, ...]

    def request(self, requester: str = "analyst", purpose: str = "health", **changes: Any) -> DecisionRequest:
        """Return the request of a named person and purpose; changes replace its fields."""
        request = DecisionRequest(
            requester=self.requesters[requester],
            purpose=self.purposes[purpose],
            now=self.now,
            organization=self.organization,
            node_policy=NodePolicy(self.purposes_admitted),
            agreements=self.agreements,
            approvals=self.approvals,
        )
        return replace(request, **changes)


@cache
def decision_table() -> DecisionTable:
    table = json.loads(TABLE_PATH.read_text())
    classes = {name: attributes_from(fields) for name, fields in table["classes"].items()}
    return DecisionTable(
        now=table["now"],
        organization=OrgId.parse(table["organization"]),
        purposes_admitted=tuple(table["purposes_admitted"]),
        requesters={name: requester_from(fields) for name, fields in table["requesters"].items()},
        purposes={name: Purpose(**fields) for name, fields in table["purposes"].items()},
        agreements={key: agreement_from(fields) for key, fields in table["agreements"].items()},
        approvals={key: approval_from(fields) for key, fields in table["approvals"].items()},
        classes=classes,
        rows=tuple(
            Row(row["requester"], row["purpose"], row["class"], _decision(row, classes[row["class"]]))
            for row in table["rows"]
        ),
    )


def _decision(row: Mapping[str, Any], attributes: PolicyAttributes) -> Decision:
    verdict, codes = row["verdict"], sorted(row["codes"])
    hidden = SUMMARY_HIDES if attributes.summary_metrics else SUMMARY_HIDES | {"evaluations", "trained_on"}
    discloses = verdict != "deny"
    return Decision(
        verdict=verdict,
        level=Level[row["level"]],
        masks={name: Mask() for name in sorted(hidden)} if verdict == "review" else {},
        obligations=OBLIGATIONS if row["agreement_ids"] else (),
        reasons=tuple(Reason(code, public=discloses) for code in codes),
        missing=tuple(Missing(code, _grantor(code)) for code in codes) if verdict == "review" else (),
        agreement_ids=tuple(row["agreement_ids"]),
        relay_may_read=discloses and attributes.relay_may_read and attributes.sensitivity <= Clearance.REGISTERED,
        valid_until=row["valid_until"],
    )


def _grantor(code: str) -> Grantor:
    kinds = {"agreement": "data_owner", "approval": "ethics_board", "modifier": "data_access_committee"}
    grantor = kinds[code.split("_", maxsplit=1)[0]]
    assert grantor in get_args(Grantor)
    return cast(Grantor, grantor)


Decide = Callable[[DecisionRequest, PolicyAttributes], Decision]


def by_table(request: DecisionRequest, attributes: PolicyAttributes) -> Decision:
    """Return the table's decision. A case that the table does not have is a mistake of the test: KeyError."""
    return _by_key()[request.requester, request.purpose, attributes.class_id]


@cache
def _by_key() -> dict[tuple[Requester, Purpose, str], Decision]:
    table = decision_table()
    return {
        (
            table.requesters[row.requester],
            table.purposes[row.purpose],
            table.classes[row.class_name].class_id,
        ): row.decision
        for row in table.rows
    }


@dataclass
class TableEngine:
    """A PolicyEngine that decides by the table, or by another function; `is_down` makes it unavailable."""

    decide: Decide = by_table
    is_down: bool = False
    revision: str = "ab" * 32

    async def scope(self, request: DecisionRequest) -> Scope:
        self._refuse_when_down()
        policy = request.node_policy
        is_admitted = request.purpose.code in policy.purposes_admitted
        notice = Notice()
        if policy.notice_mode == "standing":
            notice = Notice("standing", policy.notice_code, policy.notice_contact)
        return Scope(is_admitted, None if is_admitted else "purpose_not_admitted", notice)

    async def decide_classes(
        self, request: DecisionRequest, classes: Mapping[str, PolicyAttributes]
    ) -> Mapping[str, Decision]:
        self._refuse_when_down()
        return {class_id: self.decide(request, attributes) for class_id, attributes in classes.items()}

    async def decide_page(self, request: DecisionRequest, page: Sequence[PolicyAttributes]) -> tuple[Decision, ...]:
        self._refuse_when_down()
        return tuple(self.decide(request, attributes) for attributes in page)

    def _refuse_when_down(self) -> None:
        if self.is_down:
            raise PolicyUnavailable(cause="not_ready")
