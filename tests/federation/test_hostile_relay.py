"""A hostile coordinator, one lie at a time: each is found at home, with its code and whose answer it concerns.

The party is the organization whose answer was touched, or nobody (None) for what is the coordinator's own work, or the
coordinator itself when nothing it sent can be used.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pytest

from concordat_coordinator.admission import Ask
from concordat_coordinator.plan import NodeRequest, node_body
from concordat_coordinator.relay import RelayedEntry
from concordat_node.home.ask import Asked
from concordat_trust import jose
from concordat_trust.canonical import JsonObject, canonical_bytes
from concordat_trust.delivery import TYP
from concordat_trust.encoding import b64u, sha256_b64u
from concordat_trust.ids import OrgId
from concordat_trust.merge import Entry
from concordat_trust.question import Purpose
from tests.federation.consortium import HOME, NORTH, RELAY, VITALIS, Consortium, make_consortium
from tests.federation.hostile_relay import (
    After,
    Asks,
    Before,
    Entries,
    HostileRelay,
    entry_of,
    payload_of,
    with_payload,
)
from tests.federation.virtual_clock import simulate

ALL = {HOME, NORTH, VITALIS}


@dataclass(frozen=True)
class Found:
    """What home believes after a round through a hostile coordinator."""

    asked: Asked
    consortium: Consortium

    @property
    def findings(self) -> set[tuple[str | None, str]]:
        return {(finding.organization, finding.code) for finding in self.asked.findings}

    @property
    def entries(self) -> dict[OrgId, Entry]:
        return {entry.organization: entry for entry in self.asked.judged.merged.completeness.entries}

    def believed(self) -> set[OrgId]:
        return {org for org, entry in self.entries.items() if entry.proved}


def _ask(*, before: Before | None = None, after: After | None = None, asks: Asks | None = None) -> Found:
    async def main() -> Found:
        relay_class = partial(HostileRelay, before=before, after=after, asks=asks)
        consortium = make_consortium(relay_class=relay_class)
        return Found(await consortium.ask(), consortium)

    return simulate(0, main())


def _ask_twice(second: Callable[[HostileRelay, JsonObject], JsonObject]) -> Found:
    """Ask honestly once, then let the coordinator answer the second question with what it kept of the first."""

    async def main() -> Found:
        relays: list[HostileRelay] = []

        def after(sent: JsonObject) -> JsonObject:
            return sent if len(relays[0].handed) == 1 else second(relays[0], sent)

        def relay_class(**parts: Any) -> HostileRelay:
            relays.append(HostileRelay(after=after, **parts))
            return relays[0]

        consortium = make_consortium(relay_class=relay_class)
        assert (await consortium.ask()).findings == ()
        return Found(await consortium.ask(), consortium)

    return simulate(0, main())


def _results(entries: Entries, org: OrgId) -> list[JsonObject]:
    return list(payload_of(entry_of(entries, org)).results)


def _first_open(results: list[JsonObject]) -> int:
    return next(index for index, result in enumerate(results) if result["card"] is not None)


def _altered(entries: Entries) -> Entries:
    results = _results(entries, NORTH)
    at = _first_open(results)
    card = results[at]["card"]
    assert isinstance(card, dict)
    results[at] = {**results[at], "card": {**card, "license": "CC0-1.0"}}
    return with_payload(entries, NORTH, results=tuple(results))


def _invented(entries: Entries) -> Entries:
    results = _results(entries, NORTH)
    card = results[_first_open(results)]["card"]
    assert isinstance(card, dict)
    invented = {**results[_first_open(results)], "card": {**card, "id": str(card["id"])[:-26] + "a" * 26}}
    return with_payload(entries, NORTH, results=(*results, invented))


def _withheld(entries: Entries) -> Entries:
    return with_payload(entries, NORTH, results=tuple(_results(entries, NORTH)[:-1]))


def _doubled(entries: Entries) -> Entries:
    results = _results(entries, NORTH)
    at = _first_open(results)
    other = next(index for index, result in enumerate(results) if result["card"] is not None and index != at)
    results[other] = results[at]
    return with_payload(entries, NORTH, results=tuple(results))


def _reordered(entries: Entries) -> Entries:
    results = _results(entries, NORTH)
    is_open = [index for index, result in enumerate(results) if result["card"] is not None]
    first, last = is_open[0], is_open[-1]
    results[first], results[last] = results[last], results[first]
    return with_payload(entries, NORTH, results=tuple(results))


def _swapped(entries: Entries) -> Entries:
    north, vitalis = payload_of(entry_of(entries, NORTH)), payload_of(entry_of(entries, VITALIS))
    swapped = with_payload(entries, NORTH, attestation=vitalis.attestation, results=vitalis.results)
    return with_payload(swapped, VITALIS, attestation=north.attestation, results=north.results)


def _with_more_facets(entries: Entries) -> Entries:
    head, claims, signature = payload_of(entry_of(entries, NORTH)).attestation.split(".")
    changed = jose.unverified_claims(f"{head}.{claims}.{signature}", bytes_max=200_000)
    changed["facets"] = {"kind": {"model": 999}, "task": {}}
    forged = f"{head}.{b64u(canonical_bytes(changed))}.{signature}"
    return with_payload(entries, NORTH, attestation=forged)


@pytest.mark.parametrize(
    ("lie", "code"),
    [
        (_altered, "record_not_attested"),
        (_invented, "record_not_attested"),
        (_withheld, "record_missing"),
        (_doubled, "record_duplicate"),
        (_reordered, "order_mismatch"),
        (_with_more_facets, "attestation_signature_invalid"),
    ],
)
def test_a_touched_answer_is_found_and_only_that_organization_is_lost(lie: Before, code: str) -> None:
    found = _ask(before=lie)
    assert (NORTH, code) in found.findings
    assert found.entries[NORTH].status == "INVALID"
    assert found.believed() == ALL - {NORTH}
    assert NORTH not in {hit.organization for hit in found.asked.judged.merged.hits}
    assert not found.asked.judged.merged.completeness.complete


def test_the_answers_of_two_nodes_cannot_be_exchanged() -> None:
    found = _ask(before=_swapped)
    assert {(NORTH, "attestation_wrong_organization"), (VITALIS, "attestation_wrong_organization")} <= found.findings
    assert found.believed() == {HOME}


def test_an_answer_of_an_earlier_question_is_found() -> None:
    def replay(relay: HostileRelay, sent: JsonObject) -> JsonObject:
        return _resigned(relay, sent, relay.handed[0].to_json())

    found = _ask_twice(replay)
    assert {(org, "attestation_wrong_token") for org in ALL} <= found.findings
    assert found.believed() == set()


def test_a_whole_delivery_of_an_earlier_question_is_found() -> None:
    found = _ask_twice(lambda relay, _: relay.handed[0].to_json())
    assert (RELAY, "delivery_wrong_token") in found.findings
    assert found.believed() == {HOME}  # asked directly


def _resigned(relay: HostileRelay, sent: JsonObject, shown: JsonObject) -> JsonObject:
    """Return `shown` under a delivery for the running question that names the attestations of `shown`."""
    claims = jose.unverified_claims(str(sent["delivery"]), bytes_max=200_000)
    attestations = {str(answer["organization"]): answer["attestation"] for answer in _answers(shown)}
    for answer in claims["answers"] if isinstance(claims["answers"], list) else []:
        assert isinstance(answer, dict)
        answer["attestation_sha256"] = sha256_b64u(str(attestations[str(answer["org"])]).encode())
    return {**shown, "delivery": jose.sign(claims, key=relay._keys.delivery, typ=TYP)}


def _answers(sent: JsonObject) -> list[JsonObject]:
    answers = sent["answers"]
    assert isinstance(answers, list)
    return [answer for answer in answers if isinstance(answer, dict)]


def _merged(sent: JsonObject, change: Callable[[Any], None]) -> JsonObject:
    merged = json.loads(str(sent["merged"]))
    change(merged)
    return {**sent, "merged": json.dumps(merged)}


def _other_order(merged: Any) -> None:
    merged["hits"].reverse()


def _other_sums(merged: Any) -> None:
    merged["facets"]["task"]["classification"] += 1


def _shorter_roster(merged: Any) -> None:
    merged["completeness"]["entries"].pop()
    merged["completeness"]["asked"] -= 1


def _fewer_hits(merged: Any) -> None:
    merged["hits"].pop()


def _other_total(merged: Any) -> None:
    merged["total"] = 0


@pytest.mark.parametrize("change", [_other_order, _other_sums, _shorter_roster, _fewer_hits, _other_total])
def test_a_merge_that_is_not_ours_is_found_and_ours_is_shown(change: Callable[[Any], None]) -> None:
    found = _ask(after=lambda sent: _merged(sent, change))
    assert found.findings == {(None, "merge_mismatch")}
    merged = found.asked.judged.merged
    assert (merged.total, len(merged.hits)) == (9, 9)
    assert merged.facets["task"] == {"classification": 6, "regression": 3}
    assert set(found.entries) == ALL


def test_a_merge_that_is_no_json_is_found() -> None:
    found = _ask(after=lambda sent: {**sent, "merged": "NaN"})
    assert found.findings == {(None, "merge_mismatch")}


def test_an_organization_left_out_after_signing_is_found() -> None:
    def without(sent: JsonObject) -> JsonObject:
        return {**sent, "answers": [answer for answer in _answers(sent) if answer["organization"] != NORTH]}

    found = _ask(after=without)
    assert (NORTH, "delivery_mismatch") in found.findings
    assert found.entries[NORTH].status == "INVALID"


def test_an_organization_left_out_before_signing_is_found() -> None:
    found = _ask(before=lambda entries: [entry for entry in entries if entry.organization != NORTH])
    assert (RELAY, "delivery_organizations") in found.findings
    assert set(found.entries) == ALL  # the roster is the bundle's
    assert found.believed() == {HOME}


def test_an_organization_that_was_never_asked_is_found() -> None:
    def added(sent: JsonObject) -> JsonObject:
        return {**sent, "answers": [*_answers(sent), {**_answers(sent)[0], "organization": "mallory-labs"}]}

    found = _ask(after=added)
    assert ("mallory-labs", "answer_not_in_roster") in found.findings
    assert set(found.entries) == ALL


def test_another_attestation_than_the_one_signed_for_is_found() -> None:
    def exchanged(sent: JsonObject) -> JsonObject:
        first, *rest = _answers(sent)
        return {**sent, "answers": [{**first, "attestation": rest[0]["attestation"]}, *rest]}

    found = _ask(after=exchanged)
    assert (HOME, "delivery_mismatch") in found.findings


def test_a_delivery_signed_by_another_key_is_found() -> None:
    def forged(sent: JsonObject) -> JsonObject:
        claims = jose.unverified_claims(str(sent["delivery"]), bytes_max=200_000)
        key = make_consortium().network.keys[VITALIS]["request"]
        return {**sent, "delivery": jose.sign(claims, key=key, typ=TYP)}

    found = _ask(after=forged)
    assert (RELAY, "delivery_key_unknown") in found.findings
    assert found.believed() == {HOME}


def _slandered(entry: RelayedEntry) -> RelayedEntry:
    return replace(entry, status="INVALID", code="record_missing", answer=None)


def test_a_coordinators_word_that_an_honest_node_is_invalid_is_reported_and_not_found() -> None:
    found = _ask(
        before=lambda entries: [_slandered(entry) if entry.organization == NORTH else entry for entry in entries]
    )
    north = found.entries[NORTH]
    assert (north.status, north.code, north.said_by, north.proved) == (
        "INVALID",
        "record_missing",
        "coordinator",
        False,
    )
    assert found.findings == set()


def test_what_home_itself_found_invalid_says_so() -> None:
    found = _ask(before=_withheld)
    assert (found.entries[NORTH].status, found.entries[NORTH].said_by) == ("INVALID", "home")
    assert found.entries[HOME].said_by == "organization"
    assert NORTH in {org for org, _ in found.findings}


def test_a_delivery_changed_after_signing_is_found() -> None:
    def changed(sent: JsonObject) -> JsonObject:
        head, _, signature = str(sent["delivery"]).split(".")
        claims = jose.unverified_claims(str(sent["delivery"]), bytes_max=200_000)
        claims["iat"] = int(str(claims["iat"])) - 1
        return {**sent, "delivery": f"{head}.{b64u(canonical_bytes(claims))}.{signature}"}

    found = _ask(after=changed)
    assert (RELAY, "delivery_signature_invalid") in found.findings


def _silenced(entry: RelayedEntry) -> RelayedEntry:
    return replace(entry, status="TIMEOUT", code="peer_timeout", answer=None)


def test_an_answer_held_back_is_shown_as_the_coordinators_word_and_never_as_proved() -> None:
    """Nobody can prove a silence. It costs completeness, visibly, and the coordinator has signed for it."""
    found = _ask(
        before=lambda entries: [_silenced(entry) if entry.organization == NORTH else entry for entry in entries]
    )
    north = found.entries[NORTH]
    assert (north.status, north.code, north.proved, north.total) == ("TIMEOUT", "peer_timeout", False, None)
    assert not found.asked.judged.merged.completeness.complete
    claims = jose.unverified_claims(str(found.asked.judged.delivery), bytes_max=200_000)
    assert {"org": NORTH, "status": "TIMEOUT"}.items() <= _answer_of(claims, NORTH).items()


def _answer_of(claims: JsonObject, org: OrgId) -> JsonObject:
    answers = claims["answers"]
    assert isinstance(answers, list)
    return next(answer for answer in answers if isinstance(answer, dict) and answer["org"] == org)


def test_a_silence_cannot_be_called_an_empty_answer() -> None:
    def claimed(sent: JsonObject) -> JsonObject:
        answers = [answer for answer in _answers(sent) if answer["organization"] != NORTH]
        empty: JsonObject = {"organization": NORTH, "status": "OK", "code": None, "attestation": None, "results": []}
        return {**sent, "answers": [*answers, empty]}

    found = _ask(after=claimed)
    assert (NORTH, "delivery_mismatch") in found.findings
    assert found.entries[NORTH].total is None


def _other_text(ask: Ask, request: NodeRequest) -> NodeRequest:
    question = replace(ask.question, text="stroke")
    return replace(request, body=node_body(question, question.canonical(), request.part))


def _other_purpose(ask: Ask, request: NodeRequest) -> NodeRequest:
    question = replace(ask.question, purpose=Purpose("MDS", commercial=True))
    return replace(request, body=node_body(question, question.canonical(), request.part))


def _other_part(ask: Ask, request: NodeRequest) -> NodeRequest:
    part = b'{"cursor":null,"ids":["urn:concordat:vitalis:model:' + b"a" * 26 + b'"],"part_version":1}'
    return replace(request, body=node_body(ask.question, ask.question_bytes, part))


@pytest.mark.parametrize(
    ("asks", "code"),
    [
        (_other_text, "token_question_mismatch"),
        (_other_purpose, "token_question_mismatch"),
        (_other_part, "token_part_mismatch"),
    ],
)
def test_no_node_answers_a_question_that_home_did_not_sign(asks: Asks, code: str) -> None:
    found = _ask(asks=asks)
    assert {(entry.status, entry.code) for entry in found.entries.values()} == {("REFUSED", code)}
    assert found.asked.judged.merged.hits == ()
    assert not found.asked.judged.merged.completeness.complete


def test_a_token_opens_nothing_at_an_organization_it_does_not_name() -> None:
    async def main() -> bytes:
        consortium = make_consortium()
        signed = consortium.sign(consortium.question(), orgs=(NORTH,))
        await consortium.from_home.parties[consortium.endpoint(RELAY)](signed.request)
        [(_, request)] = consortium.to_nodes.requests
        ask_vitalis = replace(request, body=request.body)
        return (await consortium.nodes[VITALIS].handle(ask_vitalis)).body

    # Signed for North's authority; Vitalis does not even come to look at the token.
    assert b"request_signature_invalid" in simulate(0, main())


def test_an_honest_round_through_the_same_class_finds_nothing() -> None:
    found = _ask()
    assert found.findings == set()
    assert found.believed() == ALL
