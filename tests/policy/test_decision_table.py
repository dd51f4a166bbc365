"""The decision table against the real OPA, and the fake engine of the simulations against both."""

from __future__ import annotations

import pytest

from concordat_node.policy.engine import Decision, NodePolicy, Notice, PolicyEngine, Scope
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
    return dict(await engine.decide_classes(TABLE.request(requester, purpose), classes))


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


async def test_the_fake_engine_decides_as_opa(opa_engine: OpaPolicyEngine) -> None:
    fake = TableEngine()
    for (requester, purpose), rows in by_request().items():
        assert await decide(fake, requester, purpose, rows) == await decide(opa_engine, requester, purpose, rows)


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
