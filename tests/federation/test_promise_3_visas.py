"""Promise 3 where a question carries visas and a sign-in: two states that differ only in the hidden answer alike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest

from concordat_node.policy.engine import NodePolicy, SignInPolicy
from concordat_node.policy.opa_engine import OpaPolicyEngine
from concordat_node.registry.records import Agreement
from concordat_node.registry.rules import Imported
from concordat_trust.canonical import parse_object
from concordat_trust.encoding import sha256_b64u
from concordat_trust.query_token import RequesterClaims
from concordat_trust.question import Part, Question
from concordat_trust.sealed_visas import CarriedVisas, VisasContext, seal_visas
from concordat_trust.vocabulary import Clearance
from tests.factories.network import NOW, make_network
from tests.factories.node import (
    ANALYST,
    HOME,
    NORTH,
    Entropy,
    TestNode,
    answer_of,
    asking,
    comparable_given,
    make_node,
    make_question,
    told_of,
)
from tests.factories.opa import running_opa
from tests.factories.visas import PERSON, make_visa, metadata, visa_object
from tests.federation.worlds import Pair, make_pair

SEEDS = range(4)
NETWORK = make_network(visa_issuers=metadata())
QUESTIONS = tuple(make_question(NETWORK, text=text, facets=("kind",)) for text in ("", "clinical trial"))
# A grant that opens what the requester's organization may see anyway, one for nothing here, one that is refused.
GRANTS = ("dua-held", "dua-nowhere")
VISAS = (
    *(make_visa(ga4gh_visa_v1=visa_object(value=f"urn:concordat:north-hospital:agreement:{name}")) for name in GRANTS),
    make_visa(exp=NOW),
)
DEMAND = NodePolicy(("GRU", "HMB"), sign_in=SignInPolicy(900, (), Clearance.REGISTERED))
CLAIMS = (ANALYST, replace(ANALYST, auth_time=NOW - 5_000), replace(ANALYST, auth_time=NOW - 10))


@pytest.fixture(scope="module")
def opa() -> Iterator[OpaPolicyEngine]:
    with running_opa() as running:
        yield OpaPolicyEngine(running)


def parts_of() -> dict[tuple[int, int], bytes]:
    """Return one part per question and claims, sealed once: sealing is never the same twice."""
    to = NETWORK.bundle.member(NORTH).sealing
    parts = {}
    for number, question in enumerate(QUESTIONS):
        for place, _ in enumerate(CLAIMS):
            context = VisasContext(NORTH, token_id(number, place), sha256_b64u(question.canonical()))
            parts[number, place] = Part(
                visas=seal_visas(CarriedVisas(PERSON, VISAS), to=to, context=context)
            ).canonical()
    return parts


def token_id(number: int, place: int) -> str:
    return f"visas-{number:010d}-{place:010d}"


PARTS = parts_of()


async def answers_of(node: TestNode) -> list[bytes]:
    return [
        await _answer(node, question, claims, number, place)
        for number, question in enumerate(QUESTIONS)
        for place, claims in enumerate(CLAIMS)
    ]


async def _answer(node: TestNode, question: Question, claims: RequesterClaims, number: int, place: int) -> bytes:
    asked = asking(NETWORK, question, part=PARTS[number, place], claims=claims, token_id=token_id(number, place))
    data = parse_object((await node.handle(asked.request())).body, bytes_max=4_000_000)["data"]
    assert isinstance(data, dict)
    answer = data["search"]
    assert isinstance(answer, dict)
    return comparable_given(answer)


def with_party(side: Sequence[Imported]) -> list[Imported]:
    """Return the side with the requester's organization as a party of every agreement, also of the strangers'."""
    return [
        replace(item, parties=tuple(sorted({*item.parties, HOME}))) if isinstance(item, Agreement) else item
        for item in side
    ]


def nodes_of(pair: Pair, opa: OpaPolicyEngine, policy: NodePolicy | None = None) -> list[TestNode]:
    sides = (with_party(pair.one), with_party(pair.other))
    return [
        make_node(NETWORK, "north-hospital", side, engine=opa, entropy=Entropy(), node_policy=policy) for side in sides
    ]


@pytest.mark.parametrize("demand", [None, DEMAND], ids=["no demand", "recent sign-in"])
@pytest.mark.parametrize("seed", SEEDS)
async def test_promise_3_visas_and_sign_in_tell_nothing_of_the_hidden(
    seed: int, demand: NodePolicy | None, opa: OpaPolicyEngine
) -> None:
    one, other = nodes_of(make_pair(seed), opa, demand)
    assert await answers_of(one) == await answers_of(other)


async def test_a_grant_that_opens_what_was_hidden_is_seen(opa: OpaPolicyEngine) -> None:
    """The comparison is not blind: a visa for the strangers' agreement makes the hidden records differ."""
    opening = make_visa(ga4gh_visa_v1=visa_object(value="urn:concordat:north-hospital:agreement:dua-others"))
    context = VisasContext(NORTH, token_id(0, 0), sha256_b64u(QUESTIONS[0].canonical()))
    sealed = seal_visas(CarriedVisas(PERSON, (opening,)), to=NETWORK.bundle.member(NORTH).sealing, context=context)
    part = Part(visas=sealed).canonical()
    differing = 0
    for seed in SEEDS:
        seen = []
        for node in nodes_of(make_pair(seed), opa):
            asked = asking(NETWORK, QUESTIONS[0], part=part, claims=ANALYST, token_id=token_id(0, 0))
            results = told_of(answer_of(await node.handle(asked.request())))["results"]
            assert isinstance(results, list)
            seen.append(len(results))
        differing += seen[0] != seen[1]
    assert differing > 0
