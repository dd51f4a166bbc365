"""Visas and sign-in at the node that owns the data: what they open, for how long, and that nothing else opens it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from concordat_node.policy.engine import NodePolicy, SignInPolicy
from concordat_node.policy.opa_engine import OpaPolicyEngine
from concordat_node.registry.records import Agreement
from concordat_trust.canonical import JsonObject
from concordat_trust.encoding import sha256_b64u
from concordat_trust.node_sealing import node_sealing_key
from concordat_trust.query_token import RequesterClaims
from concordat_trust.question import PART_BYTES_MAX, VISAS_CHARS_MAX, Part, parse_part
from concordat_trust.sealed_visas import CARRIED_BYTES_MAX, CarriedVisas, VisasContext, open_visas, seal_visas
from concordat_trust.sealing import SealBroken
from concordat_trust.shape import DocumentMalformed
from concordat_trust.vocabulary import Clearance
from tests.factories.network import NOW, make_network
from tests.factories.node import (
    ANALYST,
    HOME,
    NORTH,
    TestNode,
    answer_of,
    asking,
    attributes_of,
    make_asset,
    make_node,
    make_question,
    told_of,
)
from tests.factories.opa import running_opa
from tests.factories.visas import DUA, PERSON, VITALIS_ISSUER, make_visa, metadata, visa_object
from tests.federation.worlds import OTHERS

NETWORK = make_network(visa_issuers=metadata())
QUESTION = make_question(NETWORK)
TOKEN = "visa-question-token-0001"
CONTEXT = VisasContext(NORTH, TOKEN, sha256_b64u(QUESTION.canonical()))
# Nobody but a stranger is a member: what opens the record to the requester is a visa.
AGREEMENT = Agreement(
    id="dua-1",
    title="Trial data",
    parties=(NORTH, HOME, OTHERS),
    members=((OTHERS, "p-stranger"),),
    purposes=("GRU",),
    valid_from=NOW - 1_000,
    valid_until=NOW + 90_000,
    status="active",
    document_digest="ab" * 32,
    contact="",
)
ATTRIBUTES = attributes_of(sensitivity=2, agreements=("dua-1",), discoverable="summary")


@pytest.fixture(scope="module")
def opa() -> Iterator[OpaPolicyEngine]:
    with running_opa() as running:
        yield OpaPolicyEngine(running)


@pytest.fixture
def node(opa: OpaPolicyEngine) -> TestNode:
    return make_node(NETWORK, "north-hospital", (AGREEMENT, make_asset("a", ATTRIBUTES)), engine=opa)


def sealed(*visas: str, context: VisasContext = CONTEXT, **changes: Any) -> str:
    carried = replace(CarriedVisas(PERSON, visas), **changes)
    return seal_visas(carried, to=NETWORK.bundle.member(NORTH).sealing, context=context)


async def card(node: TestNode, visas: str | None, claims: RequesterClaims = ANALYST) -> JsonObject:
    """Return the one record as the requester gets it."""
    part = Part(visas=visas).canonical()
    asked = asking(NETWORK, QUESTION, part=part, claims=claims, token_id=TOKEN)
    (result,) = _results(answer_of(await node.handle(asked.request())))
    return result


def _results(answer: JsonObject) -> list[JsonObject]:
    results = told_of(answer)["results"]
    assert isinstance(results, list)
    shown = [item.get("record") or item["card"] for item in results if isinstance(item, dict)]
    return [record for record in shown if isinstance(record, dict)]


@pytest.mark.parametrize(("visas", "level"), [((), "SUMMARY"), ((make_visa(),), "FULL")])
async def test_a_grant_of_the_owners_committee_opens_the_record(
    node: TestNode, visas: tuple[str, ...], level: str
) -> None:
    assert (await card(node, sealed(*visas) if visas else None))["level"] == level


@pytest.mark.parametrize(
    ("visa", "code"),
    [
        (make_visa()[:-4] + "AAAA", "visa_signature_invalid"),
        (make_visa(exp=NOW), "visa_expired"),
        (make_visa(sub="person-2"), "visa_other_subject"),
        (make_visa(header={"alg": "HS256"}), "visa_algorithm"),
        (make_visa(iss="https://visas.evil.example"), "visa_issuer_unknown"),
        (make_visa(header={"kid": "other"}), "visa_key_unknown"),
    ],
)
async def test_a_visa_that_is_refused_opens_nothing_and_refuses_nothing(
    node: TestNode, visa: str, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "concordat.node.access")
    assert (await card(node, sealed(visa)))["level"] == "SUMMARY"
    assert [record.getMessage() for record in caplog.records] == [f"visas of alma-university: {code}"]


async def test_who_copies_issuer_and_keys_keeps_no_grant_from_the_owners_node(
    opa: OpaPolicyEngine,
) -> None:
    north = metadata()[NORTH]
    network = make_network((HOME, NORTH, "vitalis"), visa_issuers={HOME: north, NORTH: north})
    assert next(iter(network.bundle.visa_issuers[str(north["issuer"])])).organization == HOME
    node = make_node(network, "north-hospital", (AGREEMENT, make_asset("a", ATTRIBUTES)), engine=opa)
    part = Part(visas=sealed(make_visa())).canonical()
    asked = asking(network, QUESTION, part=part, claims=ANALYST, token_id=TOKEN)
    (result,) = _results(answer_of(await node.handle(asked.request())))
    assert result["level"] == "FULL"


async def test_what_another_organization_signs_opens_nothing_here(node: TestNode) -> None:
    link = visa_object(type="LinkedIdentities", value=f"{PERSON[1]},{PERSON[0]}")
    by_vitalis: dict[str, Any] = {"iss": VITALIS_ISSUER, "sub": "v-7", "key": "vitalis-1"}
    theirs = make_visa(**by_vitalis), make_visa(**by_vitalis, ga4gh_visa_v1=link)
    assert (await card(node, sealed(*theirs)))["level"] == "SUMMARY"


async def test_a_visa_opens_nothing_to_people_of_an_organization_that_is_no_party(opa: OpaPolicyEngine) -> None:
    stranger = replace(AGREEMENT, parties=(NORTH, OTHERS))
    node = make_node(NETWORK, "north-hospital", (stranger, make_asset("a", ATTRIBUTES)), engine=opa)
    assert (await card(node, sealed(make_visa())))["level"] == "SUMMARY"


async def test_a_visa_for_another_agreement_opens_nothing(node: TestNode) -> None:
    other = make_visa(ga4gh_visa_v1=visa_object(value=DUA.replace("dua-1", "dua-2")))
    assert (await card(node, sealed(other)))["level"] == "SUMMARY"


@pytest.mark.parametrize(
    "context",
    [
        replace(CONTEXT, organization=OTHERS),
        replace(CONTEXT, token_id="visa-question-token-0002"),
        replace(CONTEXT, question_hash=sha256_b64u(b"another")),
    ],
)
async def test_visas_for_another_place_do_not_open(
    node: TestNode, context: VisasContext, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "concordat.node.access")
    assert (await card(node, sealed(make_visa(), context=context)))["level"] == "SUMMARY"
    assert [record.getMessage() for record in caplog.records] == ["visas of alma-university: seal_broken"]


async def test_a_decision_that_rests_on_a_visa_is_not_remembered_beyond_it(node: TestNode) -> None:
    visa, seen = make_visa(exp=NOW + 10), []
    for at in (NOW, NOW + 9, NOW + 10):
        node.clock.now = at
        token_id = f"visa-question-token-{at}"
        part = Part(visas=sealed(visa, context=replace(CONTEXT, token_id=token_id))).canonical()
        asked = asking(NETWORK, QUESTION, part=part, claims=ANALYST, token_id=token_id, now=at)
        answer = answer_of(await node.handle(asked.request()))
        seen.append((_results(answer)[0]["level"], _valid_until(answer)))
    assert seen == [("FULL", NOW + 10), ("FULL", NOW + 10), ("SUMMARY", None)]


def _valid_until(answer: JsonObject) -> object:
    return told_of(answer)["valid_until"]


# The sealed form.


def test_sealed_visas_open_with_the_nodes_key_alone_and_hide_their_number() -> None:
    key = node_sealing_key(NETWORK.keys[NORTH]["attestation"])
    one, two = sealed("a.b.c"), sealed("a.b.c", "d.e.f")
    assert len(one) == len(two)
    assert open_visas(two, key=key, context=CONTEXT) == CarriedVisas(PERSON, ("a.b.c", "d.e.f"))
    with pytest.raises(SealBroken):
        open_visas(two, key=node_sealing_key(NETWORK.keys[OTHERS]["attestation"]), context=CONTEXT)
    with pytest.raises(SealBroken):
        open_visas("short", key=key, context=CONTEXT)


def test_the_largest_sealed_visas_fit_into_a_part() -> None:
    room = CARRIED_BYTES_MAX - 1_536
    texts = tuple("x" * 8_000 for _ in range(room // 8_003))
    part = Part(visas=sealed(*texts)).canonical()
    assert len(part) < PART_BYTES_MAX
    assert parse_part(part).visas is not None


@pytest.mark.parametrize("visas", ["", "x" * (VISAS_CHARS_MAX + 1), "not base64url!"])
def test_a_part_with_other_visas_is_refused(visas: str) -> None:
    with pytest.raises(DocumentMalformed):
        parse_part(Part(visas=visas).canonical())
    assert parse_part(Part(visas="x" * VISAS_CHARS_MAX).canonical()).visas == "x" * VISAS_CHARS_MAX


# Step-up.

DEMAND = NodePolicy(("GRU",), sign_in=SignInPolicy(900, ("mfa",), Clearance.CONTROLLED))


@pytest.mark.parametrize(
    ("auth_time", "acr", "missing"),
    [
        (None, None, {"sign_in_old", "sign_in_weak"}),
        (NOW - 900, "mfa", {"sign_in_old"}),
        (NOW - 899, "pwd", {"sign_in_weak"}),
        (NOW - 899, "mfa", None),
    ],
)
async def test_a_sensitive_record_asks_for_a_recent_and_strong_sign_in(
    opa: OpaPolicyEngine, auth_time: int | None, acr: str | None, missing: set[str] | None
) -> None:
    # A network in which home may say both values of acr.
    caps = replace(NETWORK.bundle.member(HOME).may_assert, acr_values=frozenset({"mfa", "pwd"}))
    network = make_network(may_assert={HOME: caps})
    held = replace(AGREEMENT, members=((HOME, None),))
    node = make_node(network, "north-hospital", (held, make_asset("a", ATTRIBUTES)), engine=opa, node_policy=DEMAND)
    claims = replace(ANALYST, auth_time=auth_time, acr=acr)
    asked = asking(network, make_question(network), claims=claims, token_id=TOKEN)
    (shown,) = _results(answer_of(await node.handle(asked.request())))
    items = shown["missing"] or []
    assert isinstance(items, list)
    assert {item["code"] for item in items if isinstance(item, dict)} == (missing or set())
    assert shown["level"] == ("SUMMARY" if missing else "FULL")
