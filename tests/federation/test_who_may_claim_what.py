"""Who may claim what (DESIGN section 5): every row of the table, with what becomes of a claim beyond it.

On the real OPA, through the node's door. `CLAIMS` is the table; every other test here is one of its rows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

import pytest

from concordat_node.home.claims import PersonClaims
from concordat_node.home.errors import PurposeNotInNetwork
from concordat_node.home.mint import HomeKeys, mint_round
from concordat_node.home.sessions import Session
from concordat_node.policy.opa_engine import OpaPolicyEngine
from concordat_node.registry.rules import Imported
from concordat_trust import jose
from concordat_trust.bundle import MayAssert
from concordat_trust.canonical import JsonObject
from concordat_trust.query_token import TYP, RequesterClaims
from concordat_trust.question import Part, Purpose
from concordat_trust.vocabulary import Clearance
from tests.factories.network import CAPS, NOW, TestNetwork, make_network
from tests.factories.node import (
    HOME,
    NORTH,
    RELAY,
    Asking,
    Entropy,
    TestNode,
    answer_of,
    asking,
    attributes_of,
    make_asset,
    make_node,
    make_question,
    refused_code,
    told_of,
)
from tests.factories.opa import running_opa
from tests.factories.registry import make_agreement, make_approval

NETWORK = make_network()
NARROW = make_network(
    may_assert={
        HOME: MayAssert(
            affiliations=frozenset({"staff"}), roles=frozenset({"guest"}), clearance_max=Clearance.REGISTERED
        )
    }
)
WITHIN = RequesterClaims("staff", "guest", Clearance.REGISTERED)
CONTROLLED: dict[str, Any] = {"sensitivity": 2, "agreements": ("dua-1",)}
ANALYST = RequesterClaims("faculty", "analyst", Clearance.CONTROLLED)


@dataclass(frozen=True)
class Row:
    """One line of the table: whose word counts, what bounds it, and the code of what goes beyond."""

    claim: str
    said_by: str
    bounded_by: str
    code: str


CLAIMS: Final = (
    Row("affiliation", "home organization", "may_assert, set by keyholders", "token_claim_not_allowed"),
    Row("role", "home organization", "may_assert, set by keyholders", "token_claim_not_allowed"),
    Row("clearance", "home organization", "may_assert, set by keyholders", "token_claim_not_allowed"),
    Row("purpose of a question", "home organization", "the network's purposes", "purpose_not_in_network"),
    Row("purpose of a question", "home organization", "what the node admits", "purpose_not_admitted"),
    Row("purpose of a question", "home organization", "what the matched agreement records", "agreement_purpose"),
    Row("purpose of a question", "home organization", "what the matched approval records", "approval_purpose"),
    Row("member of an agreement", "data owner", "its own record", "agreement_missing"),
    Row("holder of an approval", "data owner", "its own record", "approval_missing"),
    Row("anything else", "nobody", "the claims of a query token", "token_malformed"),
    Row("country and kind of organization", "keyholders", "the trust bundle", "token_malformed"),
    Row("who presents", "home organization", "the presenter's own signature", "token_presenter"),
)


@pytest.fixture(scope="module")
def opa() -> Iterator[OpaPolicyEngine]:
    with running_opa() as point:
        yield OpaPolicyEngine(point)


def node_with(engine: OpaPolicyEngine, *records: Imported, network: TestNetwork = NETWORK) -> TestNode:
    return make_node(network, NORTH, records, engine=engine, entropy=Entropy())


def ask(network: TestNetwork = NETWORK, *, purpose: str = "GRU", **changes: Any) -> Asking:
    question = make_question(network, purpose=Purpose(purpose))
    return asking(network, question, **{"claims": ANALYST, "subject": "p-analyst", **changes})


async def seen(node: TestNode, asked: Asking) -> dict[str, Any]:
    return told_of(answer_of(await node.handle(asked.request())))


async def missing(node: TestNode, asked: Asking) -> list[str]:
    """Return what the one record that is listed says to lack; none when it is shown in full."""
    (result,) = (await seen(node, asked))["results"]
    record = result.get("record") or result["card"]
    return [str(item["code"]) for item in record["missing"]]


def test_every_row_has_a_code_and_a_test() -> None:
    tested = {
        "token_claim_not_allowed",
        "purpose_not_in_network",
        "purpose_not_admitted",
        "agreement_purpose",
        "approval_purpose",
        "agreement_missing",
        "approval_missing",
        "token_malformed",
        "token_presenter",
    }
    assert {row.code for row in CLAIMS} == tested
    assert all(row.claim and row.said_by and row.bounded_by for row in CLAIMS)


@pytest.mark.parametrize(
    "claims",
    [
        replace(WITHIN, affiliation="faculty"),
        replace(WITHIN, role="analyst"),
        replace(WITHIN, clearance=Clearance.CONTROLLED),
    ],
    ids=["affiliation", "role", "clearance"],
)
async def test_home_claims_affiliation_role_and_clearance_within_its_caps_only(
    claims: RequesterClaims, opa: OpaPolicyEngine
) -> None:
    node = node_with(opa, make_asset("a"), network=NARROW)
    assert refused_code(await node.handle(ask(NARROW, claims=claims).request())) == "token_claim_not_allowed"
    within = ask(NARROW, claims=WITHIN, token_id="w" * 22)
    assert (await seen(node, within))["status"] == "OK"
    assert NARROW.bundle.member(HOME).may_assert != CAPS


def test_home_mints_nothing_for_a_purpose_that_the_network_does_not_have() -> None:
    keys = NETWORK.keys[HOME]
    session = Session("session-1", "ada", PersonClaims("faculty", "analyst", 2), NOW + 3_600)
    foreign = replace(make_question(NETWORK).purpose, code="XX")
    with pytest.raises(PurposeNotInNetwork):
        mint_round(
            make_question(NETWORK, purpose=foreign),
            {NORTH: Part()},
            session=session,
            organization=HOME,
            carrier=RELAY,
            presenter=NETWORK.keys[RELAY]["request"].key_id,
            keys=HomeKeys(keys["query_token"], keys["request"], b"p" * 32),
            bundle=NETWORK.bundle,
            now=NOW,
            entropy=Entropy("mint"),
        )


async def test_a_purpose_that_the_node_does_not_admit_is_denied_with_a_proof(opa: OpaPolicyEngine) -> None:
    told = await seen(node_with(opa, make_asset("a")), ask(purpose="CC"))
    assert (told["status"], told["code"], told["results"]) == ("DENIED", "purpose_not_admitted", [])


@pytest.mark.parametrize(
    ("code", "agreement", "approval"),
    [
        ("agreement_purpose", {"purposes": ("HMB",)}, {}),
        ("agreement_missing", {"members": ((NORTH, None),)}, {}),
        ("agreement_missing", {"members": ((HOME, "p-other"),)}, {}),
        ("agreement_missing", {"members": ()}, {}),
        ("approval_purpose", {}, {"purposes": ("HMB",)}),
        ("approval_missing", {}, {"holders": ((HOME, "p-other"),)}),
        ("approval_missing", {}, {"holders": ((NORTH, "p-analyst"),)}),
    ],
)
async def test_membership_and_its_purpose_are_the_owners_record_and_nobody_elses_word(
    code: str, agreement: dict[str, Any], approval: dict[str, Any], opa: OpaPolicyEngine
) -> None:
    attributes = attributes_of(**CONTROLLED, approvals=("irb-1",), discoverable="summary")
    good = (make_agreement(id="dua-1"), make_approval(id="irb-1", holders=((HOME, "p-analyst"),)))
    records = (
        make_agreement(id="dua-1", **agreement),
        make_approval(id="irb-1", **{"holders": ((HOME, "p-analyst"),), **approval}),
    )
    assert await missing(node_with(opa, *good, make_asset("a", attributes)), ask()) == []
    assert code in await missing(node_with(opa, *records, make_asset("a", attributes)), ask())


@pytest.mark.parametrize("clearance", list(Clearance))
async def test_no_clearance_that_home_claims_stands_for_a_membership(
    clearance: Clearance, opa: OpaPolicyEngine
) -> None:
    """Above SUMMARY the home organization's word is never enough."""
    attributes = attributes_of(**CONTROLLED, discoverable="summary")
    node = node_with(opa, make_agreement(id="dua-1", members=((NORTH, None),)), make_asset("a", attributes))
    told = await seen(node, ask(claims=replace(ANALYST, clearance=clearance)))
    for result in told["results"]:
        record = result.get("record") or result["card"]
        assert record["level"] == "SUMMARY"


@pytest.mark.parametrize(
    ("place", "claim"),
    [
        ("claims", {"agreements": ["dua-1"]}),
        ("claims", {"approvals": ["irb-1"]}),
        ("claims", {"country": "DE"}),
        ("claims", {"organization_type": "public"}),
        ("claims", {"purposes": ["GRU"]}),
        ("top", {"purpose": "GRU"}),
        ("top", {"visas": ["eyJ"]}),
        ("top", {"admin": True}),
    ],
    ids=str,
)
async def test_a_token_says_what_a_query_token_says_and_nothing_else(
    place: str, claim: JsonObject, opa: OpaPolicyEngine
) -> None:
    good = ask()
    claims = jose.unverified_claims(good.token())
    inner = claims["claims"]
    assert isinstance(inner, dict)
    widened = {**claims, "claims": {**inner, **claim}} if place == "claims" else {**claims, **claim}
    token = jose.sign(widened, key=NETWORK.keys[HOME]["query_token"], typ=TYP)
    node = node_with(opa, make_asset("a"))
    assert refused_code(await node.handle(good.request(token=token))) == "token_malformed"


async def test_only_whom_home_names_presents_its_token(opa: OpaPolicyEngine) -> None:
    good = ask()
    node = node_with(opa, make_asset("a"))
    passed_on = replace(good, presenter=NORTH).signed(good.token(), good.body())
    assert refused_code(await node.handle(passed_on)) == "token_presenter"
