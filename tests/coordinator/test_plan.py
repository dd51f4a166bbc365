"""The plan: every organization of the audience exactly once, asked or skipped with a reason."""

from __future__ import annotations

import json

import pytest

from concordat_coordinator.cost import Limits
from concordat_coordinator.plan import Plan, is_safe_endpoint, make_plan, node_body, reserve_ms
from concordat_trust.ids import OrgId
from concordat_trust.question import Part
from concordat_trust.wire.documents import DOCUMENT_IDS
from tests.coordinator.fakes import HOME, NORTH, RELAY, VITALIS, FakeDirectory, FakeMember, make_directory
from tests.coordinator.wire_records import make_question

AUDIENCE = (HOME, NORTH, VITALIS)
PART = Part().canonical()


def _plan(
    directory: FakeDirectory, audience: tuple[OrgId, ...] = AUDIENCE, without_part: tuple[OrgId, ...] = ()
) -> Plan:
    question = make_question()
    return make_plan(
        question,
        question.canonical(),
        parts={org: PART for org in audience if org not in without_part},
        audience=audience,
        bundle=directory,
        deadline_ms=1_000,
        limits=Limits(),
    )


def _skipped(plan: Plan) -> dict[str, str]:
    return {skip.organization: skip.code for skip in plan.skipped}


def test_every_organization_is_asked_once_in_the_order_of_the_audience() -> None:
    plan = _plan(make_directory())
    assert [request.organization for request in plan.requests] == list(AUDIENCE)
    assert plan.skipped == ()


def test_a_request_carries_the_exact_bytes_of_question_and_part() -> None:
    question = make_question(text="„Sepsis“ – früh")
    body = json.loads(node_body(question, question.canonical(), PART))
    assert body["documentId"] == DOCUMENT_IDS["search"]
    assert body["variables"]["question"].encode() == question.canonical()
    assert body["variables"]["part"].encode() == PART


@pytest.mark.parametrize(
    ("member", "code"),
    [
        (FakeMember(NORTH, endpoint="https://north.example", suspended=True), "organization_suspended"),
        (FakeMember(NORTH), "endpoint_missing"),
        (FakeMember(NORTH, endpoint="http://north.example"), "endpoint_insecure"),
        (FakeMember(NORTH, endpoint="https://north.example/base?x=1"), "endpoint_insecure"),
        (FakeMember(NORTH, kind="coordinator", endpoint="https://north.example"), "not_an_organization"),
    ],
)
def test_who_cannot_be_asked_is_skipped_with_the_reason(member: FakeMember, code: str) -> None:
    plan = _plan(make_directory(north=member))
    assert _skipped(plan) == {NORTH: code}
    assert [request.organization for request in plan.requests] == [HOME, VITALIS]


def test_an_organization_that_is_no_member_is_skipped() -> None:
    assert _skipped(_plan(make_directory(), (HOME, OrgId.parse("stranger")))) == {"stranger": "member_unknown"}


def test_an_organization_without_a_part_is_skipped_and_gets_none_made_up() -> None:
    assert _skipped(_plan(make_directory(), without_part=(NORTH,))) == {NORTH: "part_missing"}


def test_the_relay_itself_is_not_asked() -> None:
    assert _skipped(_plan(make_directory(), (RELAY,))) == {RELAY: "not_an_organization"}


@pytest.mark.parametrize(("deadline_ms", "reserve"), [(50, 10), (100, 10), (1_000, 100), (2_500, 250), (60_000, 250)])
def test_the_relay_keeps_a_reserve_of_the_deadline(deadline_ms: int, reserve: int) -> None:
    assert reserve_ms(deadline_ms) == reserve


@pytest.mark.parametrize(
    ("endpoint", "safe"),
    [
        ("https://north.example", True),
        ("https://north.example:8443/", True),
        ("http://127.0.0.1:8080", True),
        ("http://[::1]:8080", True),
        ("http://localhost:8080", True),
        ("http://localhost.evil.example", False),
        ("http://127.0.0.1.evil.example", False),
        ("http://10.0.0.1", False),
        ("ftp://127.0.0.1", False),
        ("https://user@north.example", False),
        ("https://north.example/path", False),
        ("https://", False),
        ("https://north.example:99999", False),
    ],
)
def test_plain_http_is_for_this_machine_alone(endpoint: str, safe: bool) -> None:
    assert is_safe_endpoint(endpoint) is safe
