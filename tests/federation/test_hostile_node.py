"""A hostile node with its real key: an honest relay refuses whatever it signs, and with the relay's help home does.

`SIGNED` are statements that the node makes and signs itself; what only home can see is in `HOME_ALONE`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from concordat_node.home.ask import Asked
from concordat_trust.answer import NodeAnswer, OpenResult
from concordat_trust.attestation import ATTESTATION_BYTES_MAX
from concordat_trust.canonical import JsonObject, canonical_bytes
from concordat_trust.encoding import sha256_b64u
from concordat_trust.jose import unverified_claims
from concordat_trust.question import Part, Question
from concordat_trust.sealing import SealingKey
from concordat_trust.wire.transport import WireRequest, WireResponse
from tests.factories.answers import make_attestation, make_card, make_receipt, salt_of, sealed_answer, signed_answer
from tests.factories.network import NOW, TestNetwork
from tests.federation.consortium import HOME, NORTH, VITALIS, Consortium, make_consortium
from tests.federation.hostile_relay import Entries, HostileRelay, entry_of, payload_of, with_payload
from tests.federation.memory_transport import tamper
from tests.federation.virtual_clock import simulate

CARD, OTHER = make_card(NORTH, "sepsis"), make_card(NORTH, "stroke")
FOREIGN = make_card(VITALIS, "asthma")
HUGE = 2**53 - 1
Make = Callable[[TestNetwork, Question, dict[str, Any]], NodeAnswer]


def _saying(*cards: JsonObject, **changes: Any) -> Make:
    """Return the maker of an answer over these cards in which these attested members are other than they should be."""

    def make(network: TestNetwork, question: Question, bound: dict[str, Any]) -> NodeAnswer:
        good = make_attestation(network, cards, org=NORTH, question=question, part=Part(), **bound)
        results = [OpenResult(salt_of(card), card) for card in cards[: len(good.candidates)]]
        made = {name: value(good) if callable(value) else value for name, value in changes.items()}
        return signed_answer(network, replace(good, **made), results, org=NORTH)

    return make


def _more_results(network: TestNetwork, question: Question, bound: dict[str, Any]) -> NodeAnswer:
    good = _saying(CARD)(network, question, bound)
    return replace(good, results=(*good.results, OpenResult(salt_of(OTHER), OTHER)))


def _sealed_to_somebody_else(network: TestNetwork, question: Question, bound: dict[str, Any]) -> NodeAnswer:
    good = make_attestation(network, [CARD], org=NORTH, question=question, part=Part(), **bound)
    stranger = SealingKey.from_seed(b"s" * 32).public
    return sealed_answer(network, good, [OpenResult(salt_of(CARD), CARD)], org=NORTH, to=stranger)


def _sealed_and_told(network: TestNetwork, question: Question, bound: dict[str, Any]) -> NodeAnswer:
    good = make_attestation(network, [CARD], org=NORTH, question=question, part=Part(), **bound)
    return sealed_answer(network, good, [OpenResult(salt_of(CARD), CARD)], org=NORTH, total=1)


def _every_key(value: int) -> Callable[[Any], Any]:
    return lambda good: tuple(replace(candidate, sort_key=value) for candidate in good.candidates)


SIGNED: dict[str, tuple[Make, str]] = {
    "another's ids": (_saying(FOREIGN), "record_foreign"),
    "its record under another's name": (_saying({**CARD, "organization": VITALIS}), "record_malformed"),
    "a record twice": (_saying(CARD, CARD), "record_duplicate"),
    "more records than it attests": (_more_results, "record_not_attested"),
    "fewer records than it attests": (
        _saying(CARD, candidates=lambda good: (*good.candidates, *good.candidates), total=2),
        "record_missing",
    ),
    "a huge score": (_saying(CARD, candidates=_every_key(HUGE)), "sort_key_mismatch"),
    "a negative score": (_saying(CARD, candidates=_every_key(-HUGE)), "sort_key_mismatch"),
    "no score": (
        _saying(CARD, candidates=lambda good: tuple(replace(c, sort_key=None) for c in good.candidates)),
        "sort_key_mismatch",
    ),
    "another's place among equals": (
        _saying(CARD, candidates=lambda good: tuple(replace(c, tie="0" * 16) for c in good.candidates)),
        "tie_key_mismatch",
    ),
    "a total beyond all bounds": (_saying(CARD, total=10**9 + 1), "status_inconsistent"),
    "a total above its records": (_saying(CARD, total=2), "status_inconsistent"),
    "invented facets": (_saying(CARD, facets={"kind": {"model": 7}}), "facets_inconsistent"),
    "facets nobody asked for": (_saying(CARD, facets={"license": {"MIT": 1}}), "status_inconsistent"),
    "an answer for another organization": (_saying(CARD, organization=VITALIS), "attestation_key_unknown"),
    "an answer for another home": (_saying(CARD, home=VITALIS), "attestation_wrong_audience"),
    "an answer to another question": (_saying(CARD, question_hash="q" * 43), "attestation_wrong_question"),
    "an answer to another part": (_saying(CARD, part_hash="p" * 43), "attestation_wrong_part"),
    "an answer to another token": (_saying(CARD, token_id="t" * 22), "attestation_wrong_token"),
    "an answer from long ago": (_saying(CARD, issued_at=NOW - 400), "attestation_time"),
    "an answer from the future": (_saying(CARD, issued_at=NOW + 400), "attestation_time"),
    "other statistics": (_saying(CARD, stats_revision="ab" * 32), "stats_revision_mismatch"),
    "a refusal with records": (_saying(CARD, status="DENIED", code="purpose_not_admitted"), "status_inconsistent"),
    "a cursor that is not there": (_saying(CARD, cursor="c" * 43), "cursor_not_attested"),
    "counts beside what it seals": (_sealed_and_told, "sealed_part_unexpected"),
}
HOME_ALONE: dict[str, tuple[Make, str]] = {
    "sealed to somebody else": (_sealed_to_somebody_else, "seal_broken"),
}
AT_HOME = {**SIGNED, **HOME_ALONE}


def _bound_to(attestation: str) -> dict[str, Any]:
    """Return what an answer to the running question must say: of the honest attestation to it."""
    claims = unverified_claims(attestation, bytes_max=ATTESTATION_BYTES_MAX)
    return {"token_id": claims["tid"], "issued_at": claims["iat"]}


def _asked_honestly(make: Make) -> Asked:
    """Ask through an honest relay while North answers so."""

    async def main() -> Asked:
        consortium = make_consortium()
        honest = consortium.to_nodes.parties[consortium.endpoint(NORTH)]

        async def hostile(request: WireRequest) -> WireResponse:
            response = await honest(request)
            return _replaced(response, make, consortium)

        consortium.to_nodes.parties[consortium.endpoint(NORTH)] = hostile
        return await consortium.ask()

    return simulate(0, main())


def _replaced(response: WireResponse, make: Make, consortium: Consortium) -> WireResponse:
    given = json.loads(response.body)["data"]["search"]
    answer = make(consortium.network, consortium.question(), _bound_to(given["attestation"]))
    body = canonical_bytes({"data": {"search": _on_the_wire(answer)}})
    return replace(response, body=body)


def _on_the_wire(answer: NodeAnswer) -> JsonObject:
    return {
        "attestation": answer.attestation,
        "cursor": answer.cursor,
        "receipt": answer.receipt,
        "results": [_result(result) for result in answer.results],
        "sealed": answer.sealed,
    }


def _result(result: OpenResult) -> JsonObject:
    return {"asset": None, "card": result.record, "lineageVertex": None, "salt": result.salt}


def _asked_with_help(make: Make) -> Asked:
    """Ask through a relay that signs for whatever North made."""

    async def main() -> Asked:
        consortium: Consortium

        def before(entries: Entries) -> Entries:
            bound = _bound_to(payload_of(entry_of(entries, NORTH)).attestation)
            answer = make(consortium.network, consortium.question(), bound)
            results = tuple(_result(result) for result in answer.results)
            changes = {"attestation": answer.attestation, "results": results, "receipt": answer.receipt}
            return with_payload(entries, NORTH, **changes, cursor=answer.cursor, sealed=answer.sealed)

        consortium = make_consortium(relay_class=partial(HostileRelay, before=before))
        return await consortium.ask()

    return simulate(0, main())


def _north(asked: Asked) -> tuple[str, str | None, str]:
    entry = next(e for e in asked.judged.merged.completeness.entries if e.organization == NORTH)
    return entry.status, entry.code, entry.said_by


def _shown(asked: Asked) -> set[str]:
    return {hit.organization for hit in asked.judged.merged.hits}


@pytest.mark.parametrize(("make", "code"), SIGNED.values(), ids=SIGNED)
def test_an_honest_relay_refuses_what_a_hostile_node_signs(make: Make, code: str) -> None:
    asked = _asked_honestly(make)
    assert _north(asked) == ("INVALID", code, "coordinator")
    assert _shown(asked) == {HOME, VITALIS}


@pytest.mark.parametrize(("make", "code"), AT_HOME.values(), ids=AT_HOME)
def test_home_finds_it_also_when_the_relay_helps(make: Make, code: str) -> None:
    asked = _asked_with_help(make)
    status, found, said_by = _north(asked)
    assert (found, said_by) == (code, "home")
    assert status in ("INVALID", "UNTRUSTED")
    assert (NORTH, code) in {(finding.organization, finding.code) for finding in asked.findings}
    assert _shown(asked) == {HOME, VITALIS}


def test_the_same_answer_without_a_lie_is_believed_both_ways() -> None:
    for asked in (_asked_honestly(_saying(CARD)), _asked_with_help(_saying(CARD))):
        assert (NORTH, "sepsis") in {
            (hit.organization, "sepsis" if hit.record["id"] == CARD["id"] else "") for hit in asked.judged.merged.hits
        }
        assert _north(asked) == ("OK", None, "organization")


@pytest.mark.parametrize("score", [b"NaN", b"Infinity", b"1e308", b"0.5"])
def test_a_score_that_is_no_integer_never_gets_past_a_relay(score: bytes) -> None:
    async def main() -> Asked:
        consortium = make_consortium()
        consortium.fault(NORTH, tamper(lambda body: body.replace(b'"valid_until":null', b'"valid_until":' + score)))
        return await consortium.ask()

    asked = simulate(0, main())
    assert _north(asked) == ("INVALID", "number_not_canonical", "coordinator")
    assert _shown(asked) == {HOME, VITALIS}


def test_another_nodes_attestation_is_not_its_own() -> None:
    async def main() -> Asked:
        consortium = make_consortium()
        parties = consortium.to_nodes.parties
        parties[consortium.endpoint(NORTH)] = partial(_captured, parties[consortium.endpoint(VITALIS)], consortium)
        return await consortium.ask()

    assert _north(simulate(0, main()))[0] != "OK"


async def _captured(party: Any, consortium: Consortium, request: WireRequest) -> WireResponse:
    """North passes the request on to Vitalis, hoping for an answer that it can call its own."""
    response: WireResponse = await party(request)
    assert b"request_signature_invalid" in response.body
    return response


def test_a_receipt_of_another_log_is_found_at_home() -> None:
    def make(network: TestNetwork, question: Question, bound: dict[str, Any]) -> NodeAnswer:
        good = make_attestation(network, [CARD], org=NORTH, question=question, part=Part(), **bound)
        answer = signed_answer(network, good, [OpenResult(salt_of(CARD), CARD)], org=NORTH)
        other = replace(good, log_leaf=sha256_b64u(b"another entry"))
        key = network.keys[NORTH]["attestation"]
        return replace(answer, receipt=make_receipt(other, org=NORTH, key=key).to_text())

    assert _north(_asked_with_help(make))[1:] == ("receipt_wrong_leaf", "home")
