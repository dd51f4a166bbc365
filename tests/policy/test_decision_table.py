"""The decision table against the real OPA, and the engine of simulated federations against both.

Simulated federations have no other decisions than these: a case that is not in the table fails the test that asks it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from concordat_node.policy.engine import Decision, NodePolicy, Notice, PolicyEngine, Scope
from concordat_node.policy.grants import with_own_grants
from concordat_node.policy.opa_engine import OpaPolicyEngine
from concordat_trust.vocabulary import Level
from tests.factories.policy import Row, TableEngine, decision_table

TABLE = decision_table()


def by_request() -> dict[tuple[str, str], list[Row]]:
    grouped: dict[tuple[str, str], list[Row]] = {}
    for row in TABLE.rows:
        grouped.setdefault((row.requester, row.purpose), []).append(row)
    return grouped


async def decide(engine: PolicyEngine, requester: str, purpose: str, rows: list[Row]) -> dict[str, Decision]:
    classes = {row.class_name: TABLE.classes[row.class_name] for row in rows}
    decided = await engine.decide_classes(TABLE.request(requester, purpose), classes)
    # A node sends only the grants that name the requester.
    assert await engine.decide_classes(with_own_grants(TABLE.request(requester, purpose)), classes) == decided
    return dict(decided)


def test_the_table_is_large_and_has_no_row_twice() -> None:
    keys = {(row.requester, row.purpose, row.class_name) for row in TABLE.rows}
    assert len(keys) == len(TABLE.rows) >= 60
    assert {row.class_name for row in TABLE.rows} == set(TABLE.classes)
    assert {row.decision.verdict for row in TABLE.rows} == {"permit", "review", "deny"}


@pytest.mark.parametrize(("requester", "purpose"), sorted(by_request()))
async def test_opa_decides_every_row_as_the_table(opa_engine: OpaPolicyEngine, requester: str, purpose: str) -> None:
    rows = by_request()[requester, purpose]
    decided = await decide(opa_engine, requester, purpose, rows)
    assert decided == {row.class_name: row.decision for row in rows}


@pytest.mark.parametrize(("requester", "purpose"), sorted(by_request()))
async def test_the_page_is_decided_as_the_classes(opa_engine: OpaPolicyEngine, requester: str, purpose: str) -> None:
    rows = by_request()[requester, purpose]
    page = [TABLE.classes[row.class_name] for row in rows]
    assert await opa_engine.decide_page(TABLE.request(requester, purpose), page) == tuple(r.decision for r in rows)


async def test_the_engine_of_the_simulations_decides_as_opa(opa_engine: OpaPolicyEngine) -> None:
    table = TableEngine()
    for (requester, purpose), rows in by_request().items():
        assert await decide(table, requester, purpose, rows) == await decide(opa_engine, requester, purpose, rows)


UNCOMPARED: dict[str, tuple[str, dict[str, Any], str]] = {
    "a class without a row": ("model_sealed", {}, "has no row"),
    "a person without a row": ("open", {"requester": replace(TABLE.requesters["guest"], role="guest")}, "has no row"),
    "a time before": ("open", {"now": TABLE.now - 1}, "another time"),
    "a time at which a grant ends": ("open", {"now": TABLE.still_until}, "another time"),
    "a purpose that is not admitted": ("open", {"node_policy": NodePolicy(("HMB",))}, "admitted purposes"),
    "an agreement that is not held": ("trial", {"agreements": {}}, "another agreement"),
    "an approval that is not held": ("trial", {"approvals": {}}, "another approval"),
}


@pytest.mark.parametrize("name", UNCOMPARED)
async def test_a_case_that_was_not_compared_fails_the_simulation(name: str) -> None:
    class_name, changes, said = UNCOMPARED[name]
    purpose = "health" if class_name == "trial" else "general"
    person = "analyst" if class_name == "trial" else "guest"
    request = replace(TABLE.request(person, purpose), **changes)
    attributes = TABLE.classes[class_name]
    with pytest.raises(pytest.fail.Exception, match=said):
        await TableEngine().decide_classes(request, {"class": attributes})
    with pytest.raises(pytest.fail.Exception, match=said):
        await TableEngine().decide_page(request, [attributes])


async def test_the_table_stands_until_its_next_grant_ends_and_no_longer(opa_engine: OpaPolicyEngine) -> None:
    trial = {"trial": TABLE.classes["trial"]}
    last = TABLE.request("analyst", "health", now=TABLE.still_until - 1)
    over = TABLE.request("analyst", "health", now=TABLE.still_until)
    assert await TableEngine().decide_classes(last, trial) == await opa_engine.decide_classes(last, trial)
    assert (await opa_engine.decide_classes(over, trial))["trial"].level is Level.SUMMARY


def test_no_failure_of_the_table_becomes_an_answer() -> None:
    assert not issubclass(pytest.fail.Exception, Exception)


async def test_three_people_get_three_answers_about_the_trial(opa_engine: OpaPolicyEngine) -> None:
    classes = {"trial": TABLE.classes["trial"]}
    levels = [
        (await opa_engine.decide_classes(TABLE.request(person), classes))["trial"].level
        for person in ("guest", "lapsed", "analyst")
    ]
    assert levels == [Level.NONE, Level.SUMMARY, Level.FULL]


STANDING = NodePolicy(("HMB",), "standing", "more_on_request", "data@north-hospital.example")


@pytest.mark.parametrize(
    ("purpose", "node_policy", "expected"),
    [
        ("health", NodePolicy(("HMB",)), Scope(True, None, Notice())),
        ("general", NodePolicy(("HMB",)), Scope(False, "purpose_not_admitted", Notice())),
        ("health", NodePolicy(()), Scope(False, "purpose_not_admitted", Notice())),
        (
            "health",
            STANDING,
            Scope(True, None, Notice("standing", "more_on_request", "data@north-hospital.example")),
        ),
        (
            "general",
            STANDING,
            Scope(False, "purpose_not_admitted", Notice("standing", "more_on_request", "data@north-hospital.example")),
        ),
    ],
)
async def test_scope_and_notice_come_from_purpose_and_node_policy(
    opa_engine: OpaPolicyEngine, purpose: str, node_policy: NodePolicy, expected: Scope
) -> None:
    request = TABLE.request("analyst", purpose, node_policy=node_policy)
    assert await opa_engine.scope(request) == expected
    assert await TableEngine().scope(request) == expected


async def test_scope_does_not_depend_on_agreements_or_approvals(opa_engine: OpaPolicyEngine) -> None:
    bare = TABLE.request("analyst", "health", agreements={}, approvals={})
    assert await opa_engine.scope(bare) == await opa_engine.scope(TABLE.request("analyst", "health"))


async def test_a_purpose_that_the_node_does_not_admit_opens_no_class(opa_engine: OpaPolicyEngine) -> None:
    request = TABLE.request("analyst", "health", node_policy=NodePolicy(("GRU",)))
    decided = await opa_engine.decide_classes(request, TABLE.classes)
    assert {decision.level for decision in decided.values()} == {Level.NONE}


async def test_more_classes_than_one_request_takes_are_all_decided(opa_engine: OpaPolicyEngine) -> None:
    classes = {f"class-{number}": TABLE.classes["open"] for number in range(251)}
    decided = await opa_engine.decide_classes(TABLE.request("guest"), classes)
    assert decided.keys() == classes.keys()
    assert {decision.verdict for decision in decided.values()} == {"permit"}
