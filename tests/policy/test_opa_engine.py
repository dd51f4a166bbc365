"""What is sent to OPA: only what can decide something for this requester, in pieces, and with the same outcome."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given

from concordat_node.policy.decision import CANARY_ID, parse_decision
from concordat_node.policy.engine import DecisionRequest, PolicyUnavailable, denied
from concordat_node.policy.opa_engine import (
    CLASSES_BYTES_MAX,
    CLASSES_MAX,
    CLASSES_RULE,
    NOT_ACTIVE,
    OpaPolicyEngine,
)
from concordat_node.registry.records import Agreement, Approval, PolicyAttributes
from concordat_trust.canonical import JsonObject
from concordat_trust.ids import OrgId
from concordat_trust.vocabulary import Level
from tests.factories.opa import RunningOpa
from tests.factories.policy import decision_table
from tests.factories.registry import make_agreement, make_approval
from tests.policy.test_never_widens import few, many_classes, requests

TABLE = decision_table()
ALMA, VITALIS, NORTH = (OrgId.parse(name) for name in ("alma-university", "vitalis", "north-hospital"))
REFUSAL: dict[str, Any] = {
    "verdict": "deny",
    "level": "NONE",
    "masks": {},
    "obligations": [],
    "reasons": [],
    "missing": [],
    "agreement_ids": [],
    "relay_may_read": False,
    "valid_until": None,
}


class Listening:
    """A DecisionPoint that denies everything and keeps what it was sent."""

    revision = "00" * 32

    def __init__(self) -> None:
        self.documents: list[Any] = []

    async def evaluate(self, rule: str, document: JsonObject) -> object:
        asked: Any = document
        self.documents.append(asked)
        if "page" in asked:
            return [REFUSAL for _ in asked["page"]]
        if "classes" in asked:
            return dict.fromkeys(asked["classes"], REFUSAL)
        return {"admitted": True, "code": None, "notice": {"mode": "none", "code": None, "contact": None}}

    def class_counts(self) -> list[int]:
        return [len(document["classes"]) - 1 for document in self.documents]


def class_of(size: int) -> PolicyAttributes:
    """Return a class whose JSON has exactly `size` bytes."""
    bare = replace(TABLE.classes["open"], permission="")
    return replace(bare, permission="x" * (size - len(json.dumps(bare.to_json(), separators=(",", ":")))))


def asking(agreements: list[Agreement], approvals: list[Approval]) -> DecisionRequest:
    """Return the analyst's request with the owner's whole record."""
    return TABLE.request(
        agreements={item.id: item for item in agreements}, approvals={item.id: item for item in approvals}
    )


NAMING_ALL = replace(TABLE.classes["open"], agreements=("dua-1", "dua-2"), approvals=("irb-1", "irb-2"))


async def test_only_what_names_the_requester_is_sent_and_nobody_else_in_it() -> None:
    analyst = (ALMA, "p-analyst")
    subjects = (analyst, (ALMA, "p-other"), (ALMA, None), (VITALIS, "p-analyst"), (VITALIS, None))
    strangers = ((ALMA, "p-other"), (VITALIS, "p-analyst"), (VITALIS, None))
    request = asking(
        [
            make_agreement(id="dua-1", members=subjects, parties=(ALMA, NORTH, VITALIS)),
            make_agreement(id="dua-2", members=strangers),
        ],
        [make_approval(id="irb-1", holders=subjects), make_approval(id="irb-2", holders=strangers)],
    )
    point = Listening()
    await OpaPolicyEngine(point).decide_classes(request, {"x": NAMING_ALL})
    await OpaPolicyEngine(point).decide_page(request, [NAMING_ALL])
    own = [{"organization": "alma-university", "pseudonym": name} for name in ("p-analyst", None)]
    for document in point.documents:
        assert {key: value["members"] for key, value in document["agreements"].items()} == {"dua-1": own}
        assert {key: value["holders"] for key, value in document["approvals"].items()} == {"irb-1": own}
        assert document["agreements"]["dua-1"]["parties"] == ["alma-university"]
        assert "p-other" not in json.dumps(document)
        assert "vitalis" not in json.dumps(document)


async def test_a_grant_that_names_nobody_is_sent_for_nobody() -> None:
    point = Listening()
    request = asking([make_agreement(id="dua-1", members=())], [make_approval(id="irb-1", holders=())])
    await OpaPolicyEngine(point).decide_classes(request, {"x": NAMING_ALL})
    assert (point.documents[0]["agreements"], point.documents[0]["approvals"]) == ({}, {})


async def test_a_grant_that_no_published_class_names_is_not_sent() -> None:
    point = Listening()
    request = asking([make_agreement(id="dua-1")], [make_approval(id="irb-1")])
    classes = {"open": TABLE.classes["open"], "draft": replace(NAMING_ALL, status="draft")}
    await OpaPolicyEngine(point).decide_classes(request, classes)
    assert (point.documents[0]["agreements"], point.documents[0]["approvals"]) == ({}, {})


async def test_scope_is_asked_without_any_grant() -> None:
    point = Listening()
    await OpaPolicyEngine(point).scope(TABLE.request("analyst"))
    assert (point.documents[0]["agreements"], point.documents[0]["approvals"]) == ({}, {})


async def test_what_is_not_published_is_denied_without_being_sent() -> None:
    point = Listening()
    engine, request = OpaPolicyEngine(point), TABLE.request("analyst")
    classes = {name: TABLE.classes[name] for name in ("withdrawn", "open", "draft")}
    decided = await engine.decide_classes(request, classes)
    assert list(decided) == ["draft", "open", "withdrawn"]
    assert {name for name, decision in decided.items() if decision == denied(NOT_ACTIVE)} == {"draft", "withdrawn"}
    page = await engine.decide_page(request, list(classes.values()))
    assert [decision == denied(NOT_ACTIVE) for decision in page] == [True, False, True]
    assert point.documents[0]["classes"].keys() == {"open", CANARY_ID}
    assert len(point.documents[1]["page"]) == 2


async def test_opa_is_asked_even_when_nothing_is_published() -> None:
    point = Listening()
    for classes in ({}, {"draft": TABLE.classes["draft"]}):
        await OpaPolicyEngine(point).decide_classes(TABLE.request(), classes)
        await OpaPolicyEngine(point).decide_page(TABLE.request(), list(classes.values()))
    assert len(point.documents) == 4


@pytest.mark.parametrize("status", ["draft", "withdrawn"])
async def test_opa_too_denies_what_is_not_published(opa: RunningOpa, status: str) -> None:
    document = TABLE.request("analyst").to_json()
    for attributes in TABLE.classes.values():
        document["classes"] = {"x": {**attributes.to_json(), "status": status}}
        answer = await opa.evaluate(CLASSES_RULE, document)
        assert isinstance(answer, dict)
        decision = parse_decision(answer["x"], TABLE.now)
        assert (decision.verdict, decision.level) == ("deny", Level.NONE)
        assert NOT_ACTIVE in {reason.code for reason in decision.reasons}
    document["classes"] = {"x": {**TABLE.classes["open"].to_json(), "status": status}}
    answer = await opa.evaluate(CLASSES_RULE, document)
    assert isinstance(answer, dict)
    assert parse_decision(answer["x"], TABLE.now) == denied(NOT_ACTIVE)


@few
@given(request=requests, held=many_classes)
async def test_what_is_left_out_decides_nothing(
    opa: RunningOpa, request: DecisionRequest, held: Mapping[str, PolicyAttributes]
) -> None:
    document = request.to_json()
    document["classes"] = {key: attributes.to_json() for key, attributes in held.items()}
    answer = await opa.evaluate(CLASSES_RULE, document)
    assert isinstance(answer, dict)
    decided = await OpaPolicyEngine(opa).decide_classes(request, held)
    for key, attributes in held.items():
        whole = parse_decision(answer[key], request.now)
        if attributes.status == "active":
            assert decided[key] == whole
        else:
            assert (decided[key].level, whole.level) == (Level.NONE, Level.NONE)


@pytest.mark.parametrize(
    ("count", "counts"),
    [(CLASSES_MAX, [CLASSES_MAX]), (CLASSES_MAX + 1, [CLASSES_MAX, 1]), (2 * CLASSES_MAX, [CLASSES_MAX] * 2)],
)
async def test_one_request_has_a_limit_of_classes(count: int, counts: list[int]) -> None:
    point = Listening()
    small = {f"{number:04}": TABLE.classes["open"] for number in range(count)}
    decided = await OpaPolicyEngine(point).decide_classes(TABLE.request(), small)
    assert point.class_counts() == counts
    assert decided.keys() == small.keys()


HALF = CLASSES_BYTES_MAX // 2


@pytest.mark.parametrize(
    ("sizes", "counts"),
    [
        ([HALF, HALF], [2]),
        ([HALF, HALF + 1], [1, 1]),
        ([HALF, HALF, HALF, HALF, HALF], [2, 2, 1]),
        ([CLASSES_BYTES_MAX + 1], [1]),
        ([500, CLASSES_BYTES_MAX + 1, 500, 500], [1, 1, 2]),
    ],
)
async def test_one_request_has_a_limit_of_bytes(sizes: list[int], counts: list[int]) -> None:
    point = Listening()
    engine, classes = OpaPolicyEngine(point), [class_of(size) for size in sizes]
    await engine.decide_classes(TABLE.request(), {str(number): item for number, item in enumerate(classes)})
    assert point.class_counts() == counts
    point.documents.clear()
    assert len(await engine.decide_page(TABLE.request(), classes)) == len(classes)
    assert [len(document["page"]) - 1 for document in point.documents] == counts


async def test_the_grants_of_a_class_count_towards_the_limit_of_bytes() -> None:
    point = Listening()
    analyst = ((ALMA, "p-analyst"),)
    request = asking([make_agreement(id="dua-1", members=analyst)], [make_approval(id="irb-1", holders=analyst)])
    bare = class_of(HALF)
    engine = OpaPolicyEngine(point)
    for named in (bare, replace(bare, agreements=("dua-1",)), replace(bare, approvals=("irb-1",))):
        await engine.decide_classes(request, {"a": bare, "b": named})
    assert point.class_counts() == [2, 1, 1, 1, 1]


async def test_a_policy_that_fails_one_piece_is_unavailable() -> None:
    class FailsSecond(Listening):
        async def evaluate(self, rule: str, document: JsonObject) -> object:
            if self.documents:
                raise PolicyUnavailable(cause="timeout")
            return await super().evaluate(rule, document)

    with pytest.raises(PolicyUnavailable):
        await OpaPolicyEngine(FailsSecond()).decide_page(TABLE.request(), [class_of(HALF), class_of(HALF + 1)])


async def test_pieces_are_put_together_in_order(opa_engine: OpaPolicyEngine) -> None:
    names = ["open", "draft", "trial", "restricted", "open", "withdrawn"] * 60
    page = await opa_engine.decide_page(TABLE.request("analyst"), [TABLE.classes[name] for name in names])
    verdicts = {"open": "permit", "trial": "permit"}
    assert [decision.verdict for decision in page] == [verdicts.get(name, "deny") for name in names]
