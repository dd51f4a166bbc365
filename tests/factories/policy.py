"""Policy requests, classes and the decision table; and `TableEngine`, a policy engine that answers from the table.

The table (`tests/policy/decision_table.json`) is written by hand and compared with the real OPA row by row, so that a
simulation that decides by it decides as a node does: there is no other table, and a case without a row fails.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, cast, get_args

import pytest

from concordat_node.policy.engine import (
    Decision,
    DecisionRequest,
    Grantor,
    Mask,
    Missing,
    NodePolicy,
    Obligation,
    Reason,
    Requester,
)
from concordat_node.policy.grants import turning_points, with_own_grants
from concordat_node.registry.records import Agreement, Approval, Modifier, PolicyAttributes, Subject
from concordat_trust.ids import OrgId
from concordat_trust.question import Purpose
from concordat_trust.vocabulary import Clearance, Level
from tests.factories.deciding import PrescribedEngine, Prescription, lineage_hides

TABLE_PATH = Path(__file__).parents[1] / "policy" / "decision_table.json"
DAY_S = 86_400
SUMMARY_HIDES = frozenset({"description", "cohort_size", "contact", "versions"})
_WITHOUT_METRICS = frozenset({"evaluations", "trained_on", "lineage", "complete"})
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

    @property
    def still_until(self) -> int:
        """The next time at which a decision of the table could change: a grant begins or ends, or a day does."""
        midnight = self.now + DAY_S - self.now % DAY_S
        return min(midnight, *(time for time in turning_points(self.request()) if time > self.now))

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
    told = lineage_hides(attributes)
    hidden = SUMMARY_HIDES | (told if attributes.summary_metrics else _WITHOUT_METRICS)
    discloses = verdict != "deny"
    return Decision(
        verdict=verdict,
        level=Level[row["level"]],
        masks={name: Mask() for name in sorted(_hides(verdict, told, hidden))},
        obligations=OBLIGATIONS if row["agreement_ids"] else (),
        reasons=tuple(Reason(code, public=discloses) for code in codes),
        missing=tuple(Missing(code, _grantor(code)) for code in codes) if verdict == "review" else (),
        agreement_ids=tuple(row["agreement_ids"]),
        relay_may_read=discloses and attributes.relay_may_read and attributes.sensitivity <= Clearance.REGISTERED,
        valid_until=row["valid_until"],
    )


def _hides(verdict: str, told: frozenset[str], hidden: frozenset[str]) -> frozenset[str]:
    return {"review": hidden, "permit": told}.get(verdict, frozenset())


def _grantor(code: str) -> Grantor:
    kinds = {"agreement": "data_owner", "approval": "ethics_board", "modifier": "data_access_committee"}
    grantor = kinds[code.split("_", maxsplit=1)[0]]
    assert grantor in get_args(Grantor)
    return cast(Grantor, grantor)


def by_table(request: DecisionRequest, attributes: PolicyAttributes) -> Decision:
    """Return the table's decision; a case that was not compared with the real OPA fails the test that asks for it."""
    decision = _by_key().get((request.requester, request.purpose, attributes.class_id))
    if decision is None:
        # pytest's failure is no `Exception`: no door turns it into an answer.
        pytest.fail(f"{TABLE_PATH.name} has no row for {_case(request, attributes)}")
    different = _difference(request, attributes)
    if different is not None:
        pytest.fail(f"{TABLE_PATH.name} was compared for another {different}: {_case(request, attributes)}")
    return decision


def _difference(request: DecisionRequest, attributes: PolicyAttributes) -> str | None:
    """Return what else the policy reads and is not as it was compared."""
    table = decision_table()
    if not table.now <= request.now < table.still_until:
        return "time"
    if request.purpose.code not in {*table.purposes_admitted} & {*request.node_policy.purposes_admitted}:
        return "choice of admitted purposes"
    # Grants that do not name the requester decide nothing about them, and a node does not send them.
    compared = with_own_grants(replace(request, agreements=table.agreements, approvals=table.approvals))
    sent = with_own_grants(request)
    if any(sent.agreements.get(key) != compared.agreements.get(key) for key in attributes.agreements):
        return "agreement"
    if any(sent.approvals.get(key) != compared.approvals.get(key) for key in attributes.approvals):
        return "approval"
    return None


def _case(request: DecisionRequest, attributes: PolicyAttributes) -> str:
    return json.dumps(
        {
            "class": attributes.to_json(),
            "now": request.now,
            "purpose": request.purpose.to_json(),
            "requester": request.requester.to_json(),
        }
    )


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
class TableEngine(PrescribedEngine):
    """The policy of simulated federations: every decision is one that the real OPA was compared with."""

    prescribed: Prescription = by_table
    revision: str = "ab" * 32
