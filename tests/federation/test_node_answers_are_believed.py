"""What a real node says of a real registry is what `verify_node_answer` recomputes, for whoever asks whatever."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import Any

import pytest

from concordat_node.registry.records import EvaluationRecord
from concordat_trust.answer import NodeAnswer, VerifiedAnswer, result_from_wire, verify_node_answer
from concordat_trust.canonical import parse_json
from concordat_trust.filters import And, Compare, Equals, In, MetricIs, Not, Or, TrainedOn
from concordat_trust.query_token import RequesterClaims
from concordat_trust.question import Part, Purpose, Question, Sort, parse_part
from concordat_trust.vocabulary import FACET_FIELDS
from tests.factories.answers import open_with
from tests.factories.network import NOW, make_network
from tests.factories.node import (
    ANALYST,
    GUEST,
    HOME,
    NORTH,
    SEALING_KEY,
    Asking,
    TestNode,
    asset_id,
    attributes_of,
    make_asset,
    make_assets_question,
    make_node,
    make_question,
)
from tests.factories.policy import decision_table
from tests.factories.tokens import fresh_id

NETWORK = make_network()
CLOSED = attributes_of(agreements=("dua-company",), discoverable="summary", relay_may_read=False)
DISEASES = ("sepsis", "heart failure", "lung cancer", "Straße", "naïve Bayes", "diabetes")


def evaluation(number: int) -> EvaluationRecord:
    return EvaluationRecord("accuracy", f"0.{number % 7}{number}", "train" if number % 5 == 0 else "test")


def registry() -> list[Any]:
    trial = make_asset("clinical trial data", kind="dataset", title="A clinical trial")
    models = [
        make_asset(
            f"{DISEASES[number % 6]} {number}",
            CLOSED if number % 3 == 0 else None,
            evaluations=(evaluation(number),) if number % 4 else (),
            task="" if number % 6 == 5 else ("regression" if number % 2 else "classification"),
            keywords=() if number % 8 == 7 else ("clinical", DISEASES[number % 6]),
            description="" if number % 7 == 3 else f"Words about trials, {number} of them.",
            created=f"2026-0{1 + number % 9}-11",
            trained_on=(trial.record.id,) if number % 2 else (),
        )
        for number in range(32)
    ]
    return [decision_table().agreements["dua-company"], trial, *models]


QUESTIONS: dict[str, dict[str, Any]] = {
    "everything": {"facets": FACET_FIELDS},
    "one word": {"text": "sepsis", "facets": ("task", "kind")},
    "words in every record": {"text": "clinical trial models of hearts"},
    "a word that nobody has": {"text": "zebra", "facets": ("kind",)},
    "nothing but stop words": {"text": "of the", "facets": ("license",)},
    "folded letters": {"text": "STRASSE NAÏVE"},
    "a metric": {"sort": Sort("metric", "accuracy"), "text": "clinical"},
    "a metric rising": {"sort": Sort("metric", "accuracy", "asc")},
    "by day": {"sort": Sort("created", None, "asc"), "page_size": 50, "facets": ("origin",)},
    "a page of one": {"page_size": 1, "text": "heart"},
    "accuracy above": {"filter": MetricIs("accuracy", "gt", "0.3"), "page_size": 50},
    "trained on": {"filter": TrainedOn("clinical trial data"), "text": "clinical", "page_size": 50},
    "not": {"filter": Not(Equals("task", "regression")), "facets": ("task",), "page_size": 50},
    "all kinds of conditions": {
        "filter": And(
            (
                Or((Equals("kind", "model"), In("keyword", ("clinical", "sepsis")))),
                Compare("created", "ge", "2026-03-01"),
                Compare("cohort_size", "lt", "1000"),
                Not(TrainedOn("registry data")),
            )
        ),
        "page_size": 50,
        "facets": FACET_FIELDS,
    },
}


@lru_cache
def the_node() -> TestNode:
    return make_node(NETWORK, NORTH, registry())


async def believed(question: Question, claims: RequesterClaims, part: Part) -> VerifiedAnswer:
    """Ask the node and verify its answer as the home node does."""
    asking = Asking(
        NETWORK,
        question.canonical(),
        part=part.canonical(),
        claims=claims,
        document=question.operation,
        token_id=fresh_id(f"{question.hash()} {claims}"),
    )
    response = await the_node().handle(asking.request())
    document: Any = parse_json(response.body, bytes_max=10**7)
    given = document["data"][question.operation]
    results = tuple(result_from_wire(item, question.projection) for item in given["results"])
    return verify_node_answer(
        NodeAnswer(NORTH, given["attestation"], results, given["receipt"], given["cursor"], given["sealed"]),
        org=NORTH,
        question=question,
        part=parse_part(asking.part),
        token_id=asking.token_id,
        home=HOME,
        bundle=NETWORK.bundle,
        open_sealed=open_with(SEALING_KEY),
        asked_at=NOW,
    )


@pytest.mark.parametrize("claims", [GUEST, ANALYST], ids=["guest", "analyst"])
@pytest.mark.parametrize("changes", QUESTIONS.values(), ids=QUESTIONS.keys())
async def test_a_search_is_believed(changes: dict[str, Any], claims: RequesterClaims) -> None:
    answer = await believed(make_question(NETWORK, **changes), claims, Part())
    assert answer.attestation.status == "OK"
    assert not answer.is_closed


@pytest.mark.parametrize("claims", [GUEST, ANALYST], ids=["guest", "analyst"])
async def test_assets_are_believed(claims: RequesterClaims) -> None:
    names = [f"{DISEASES[number % 6]} {number}" for number in range(8)]
    part = Part(tuple(str(asset_id(name)) for name in (*names, "unknown")))
    answer = await believed(make_assets_question(NETWORK), claims, part)
    assert len(answer.records) == len(names)


async def test_a_refusal_is_believed() -> None:
    question = make_question(NETWORK, purpose=Purpose("CC"))
    answer = await believed(question, GUEST, Part())
    assert (answer.attestation.status, answer.records) == ("DENIED", ())


async def test_other_statistics_are_believed_to_be_unsupported() -> None:
    question = make_question(NETWORK, stats_revision=hashlib.sha256(b"other").hexdigest())
    assert (await believed(question, GUEST, Part())).attestation.status == "UNSUPPORTED"


async def test_what_a_relay_may_not_read_is_believed_at_home() -> None:
    answer = await believed(make_question(NETWORK, page_size=49), ANALYST, Part())
    assert len(answer.records) == 33
    seen = answer.as_relay_saw()
    assert (seen.records, seen.attestation.total, seen.attestation.candidates) == ((), None, ())
