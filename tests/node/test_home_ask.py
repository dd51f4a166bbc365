"""The round at home: what an honest coordinator gives, and what each lie of a dishonest one comes to."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from concordat_node.home.ask import Asked, Asker
from concordat_node.home.claims import PersonClaims
from concordat_node.home.errors import ClaimNotAssertable, PurposeNotInNetwork
from concordat_node.home.judge import STRAYS_MAX, Finding
from concordat_node.home.mint import HomeKeys
from concordat_node.home.pseudonym import pseudonym
from concordat_node.home.saving import saved_answer
from concordat_node.home.sessions import Session
from concordat_trust.answer import OpenResult, verify_saved_answer
from concordat_trust.attestation import AttestedNotice, AttestedView
from concordat_trust.canonical import JsonObject
from concordat_trust.encoding import sha256_b64u
from concordat_trust.errors import ConcordatError
from concordat_trust.ids import OrgId
from concordat_trust.merge import Reported
from concordat_trust.question import Purpose, Question
from concordat_trust.wire.transport import PeerOverloaded, PeerTimeout, Transport, WireRequest, WireResponse
from tests.factories.answers import (
    HOME,
    NORTH,
    RELAY,
    VITALIS,
    asset_id,
    demo_network,
    make_asset,
    make_assets_question,
    make_question,
)
from tests.factories.home import HOME_KEY, Clock, Entropy, Routed
from tests.factories.network import NOW
from tests.factories.relay import Away, FakeCoordinator, FakeNode, Handed, Says, demo_cards, with_results
from tests.factories.repository import Repository

NETWORK = demo_network()
RELAY_AT, HOME_AT = "https://relay-one.example", "https://alma-university.example"
SESSION = Session("session-1", "person-1", PersonClaims("staff", "researcher", 2), NOW + 3_600)
QUESTION = make_question(NETWORK)
SEPSIS = asset_id(NORTH, "sepsis")


def asker(coordinator: Transport, node: Transport | None = None, **changes: Any) -> Asker:
    keys = NETWORK.keys[HOME]
    arguments: dict[str, Any] = {
        "organization": HOME,
        "coordinators": (RELAY,),
        "deadline_ms": 5_000,
        "keys": HomeKeys(keys["query_token"], keys["request"], HOME_KEY),
        "transport": Routed(Away(), **{RELAY_AT: coordinator, HOME_AT: node or Away()}),
        "clock": Clock(),
        "entropy": Entropy(),
        "in_force": lambda: NETWORK.bundle,
    }
    return Asker(**(arguments | changes))


async def ask(coordinator: Transport, node: Transport | None = None, *, question: Question = QUESTION) -> Asked:
    return await asker(coordinator, node).ask(question, {}, session=SESSION, bundle=NETWORK.bundle)


def statuses(asked: Asked) -> dict[str, tuple[str, str | None, bool]]:
    entries = asked.judged.merged.completeness.entries
    return {entry.organization: (entry.status, entry.code, entry.proved) for entry in entries}


def hit_ids(asked: Asked) -> set[str]:
    return {str(hit.record["id"]) for hit in asked.judged.merged.hits}


def verify_again(asked: Asked) -> None:
    saved = saved_answer(asked, NETWORK.bundle, now=NOW + 5)
    verified = verify_saved_answer(saved, bundle_at=lambda _at: NETWORK.bundle)
    assert verified.merged.to_json() == asked.judged.merged.to_json()


async def test_an_honest_answer_is_complete_and_matches_the_coordinators_merge() -> None:
    coordinator = FakeCoordinator(NETWORK)
    asked = await ask(coordinator)
    assert asked.coordinator == RELAY
    assert asked.findings == ()
    assert asked.judged.merged.completeness.complete
    assert asked.judged.merged.total == 4
    assert len(hit_ids(asked)) == 4
    assert asked.judged.merged.facets["task"] == {"classification": 3, "regression": 1}
    verify_again(asked)


async def test_the_token_names_the_roster_the_presenter_and_a_pseudonym() -> None:
    coordinator = FakeCoordinator(NETWORK)
    await ask(coordinator)
    token = coordinator.tokens[0]
    assert token.audience == NETWORK.bundle.organizations
    assert token.presenter == NETWORK.keys[RELAY]["request"].key_id
    assert token.subject == pseudonym(HOME_KEY, NETWORK.bundle.network.id, "person-1")
    assert token.expires_at - token.issued_at <= 120
    assert token.claims.clearance == 2


async def test_every_question_has_its_own_token_and_key() -> None:
    coordinator = FakeCoordinator(NETWORK)
    one = asker(coordinator)
    for _ in range(2):
        await one.ask(QUESTION, {}, session=SESSION, bundle=NETWORK.bundle)
    first, second = coordinator.tokens
    assert first.token_id != second.token_id
    assert first.enc != second.enc


async def test_sealed_records_are_opened_at_home_and_do_not_count_as_a_difference() -> None:
    asked = await ask(FakeCoordinator(NETWORK, sealed=frozenset({SEPSIS})))
    assert SEPSIS in hit_ids(asked)
    assert asked.findings == ()
    verify_again(asked)


async def test_a_reported_organization_is_shown_as_reported_and_the_answer_as_partial() -> None:
    coordinator = FakeCoordinator(NETWORK, reported={VITALIS: Reported("TIMEOUT", "peer_timeout")})
    asked = await ask(coordinator)
    assert statuses(asked)[VITALIS] == ("TIMEOUT", "peer_timeout", False)
    assert not asked.judged.merged.completeness.complete
    assert asked.judged.merged.total is None
    verify_again(asked)


async def test_a_refusal_by_policy_is_proved_with_its_notice() -> None:
    refusal: dict[str, Any] = {
        "status": "DENIED",
        "code": "purpose_not_admitted",
        "total": None,
        "candidates": (),
        "facets": {},
        "notice": AttestedNotice("standing", "holds_controlled_records", "committee"),
    }

    cards = {**demo_cards(), VITALIS: []}
    asked = await ask(FakeCoordinator(NETWORK, cards=cards, attested={VITALIS: refusal}))
    assert asked.findings == ()
    assert statuses(asked)[VITALIS] == ("DENIED", "purpose_not_admitted", True)
    entry = next(e for e in asked.judged.merged.completeness.entries if e.organization == VITALIS)
    assert entry.notice is not None
    assert entry.notice.contact == "committee"


def altered_record(handed: Handed) -> None:
    answer = handed.answers[NORTH]
    first = answer.results[0]
    assert isinstance(first, OpenResult)
    changed = OpenResult(first.salt, {**first.record, "title": "Something better"})
    handed.answers[NORTH] = with_results(answer, [changed, *answer.results[1:]])


def withheld_record(handed: Handed) -> None:
    answer = handed.answers[NORTH]
    handed.answers[NORTH] = with_results(answer, answer.results[:-1])


def invented_record(handed: Handed) -> None:
    answer = handed.answers[NORTH]
    first = answer.results[0]
    handed.answers[NORTH] = with_results(answer, [*answer.results, first])


def reordered_records(handed: Handed) -> None:
    answer = handed.answers[NORTH]
    handed.answers[NORTH] = with_results(answer, answer.results[::-1])


def anothers_attestation(handed: Handed) -> None:
    north, vitalis = handed.answers[NORTH], handed.answers[VITALIS]
    handed.answers[NORTH] = replace(north, attestation=vitalis.attestation, results=vitalis.results)


@pytest.mark.parametrize(
    ("lie", "code"),
    [
        (altered_record, "record_not_attested"),
        (withheld_record, "record_missing"),
        (invented_record, "record_duplicate"),
        (reordered_records, "order_mismatch"),
        (anothers_attestation, "attestation_wrong_organization"),
    ],
)
async def test_what_a_coordinator_changed_of_one_answer_closes_that_answer(
    lie: Callable[[Handed], None], code: str
) -> None:
    asked = await ask(FakeCoordinator(NETWORK, lie=lie))
    assert statuses(asked)[NORTH] == ("INVALID", code, False)
    assert SEPSIS not in hit_ids(asked)
    assert asset_id(VITALIS, "asthma") in hit_ids(asked)
    assert not asked.judged.merged.completeness.complete
    assert asked.findings == (Finding(NORTH, code), Finding(None, "merge_mismatch"))
    verify_again(asked)


def changed_sums(handed: Handed) -> None:
    handed.merged["facets"] = {"kind": {"model": 400}, "task": {}}


def hidden_hit(handed: Handed) -> None:
    hits = handed.merged["hits"]
    assert isinstance(hits, list)
    hits.pop()


def reordered_hits(handed: Handed) -> None:
    hits = handed.merged["hits"]
    assert isinstance(hits, list)
    hits.reverse()


def roster_shortened_in_the_merge(handed: Handed) -> None:
    completeness = handed.merged["completeness"]
    assert isinstance(completeness, dict)
    entries = completeness["entries"]
    assert isinstance(entries, list)
    completeness.update({"asked": 2, "answered": 2, "entries": entries[:2]})


@pytest.mark.parametrize("lie", [changed_sums, hidden_hit, reordered_hits, roster_shortened_in_the_merge])
async def test_a_false_merge_is_noticed_and_not_believed(lie: Callable[[Handed], None]) -> None:
    honest = await ask(FakeCoordinator(NETWORK))
    asked = await ask(FakeCoordinator(NETWORK, lie=lie))
    assert asked.findings == (Finding(None, "merge_mismatch"),)
    assert asked.judged.merged.to_json() == honest.judged.merged.to_json()
    verify_again(asked)


def late(**changes: str) -> Callable[[JsonObject], None]:
    return lambda answer: answer.update(changes)


async def test_a_merge_that_is_not_json_is_a_mismatch() -> None:
    asked = await ask(FakeCoordinator(NETWORK, lie_late=late(merged="<html>")))
    assert asked.findings == (Finding(None, "merge_mismatch"),)


async def test_an_attestation_that_was_not_the_delivered_one_is_not_used() -> None:
    def swap(answer: JsonObject) -> None:
        answers = answer["answers"]
        assert isinstance(answers, list)
        for item in answers:
            assert isinstance(item, dict)
            if item["organization"] == NORTH:
                item["attestation"] = None

    asked = await ask(FakeCoordinator(NETWORK, lie_late=swap))
    assert statuses(asked)[NORTH] == ("INVALID", "delivery_mismatch", False)
    verify_again(asked)


async def test_a_good_attestation_that_the_delivery_does_not_name_is_not_used() -> None:
    """The coordinator signs for one answer and hands over another good one: blame could not be placed later."""

    def name_another(handed: Handed) -> None:
        handed.digests[NORTH] = sha256_b64u(b"another attestation")

    asked = await ask(FakeCoordinator(NETWORK, lie=name_another))
    assert statuses(asked)[NORTH] == ("INVALID", "delivery_mismatch", False)
    assert SEPSIS not in hit_ids(asked)


async def test_a_status_that_the_attestation_does_not_say_is_a_finding() -> None:
    def claim(handed: Handed) -> None:
        handed.claimed[NORTH] = "SUPPRESSED"

    asked = await ask(FakeCoordinator(NETWORK, lie=claim))
    assert statuses(asked)[NORTH] == ("OK", None, True)
    assert asked.findings == (Finding(NORTH, "delivery_mismatch"),)


async def test_answers_of_strangers_and_second_answers_are_findings() -> None:
    def more(answer: JsonObject) -> None:
        answers = answer["answers"]
        assert isinstance(answers, list)
        stranger: JsonObject = {"organization": "stranger", "status": "OK", "attestation": None, "results": None}
        answers.extend([stranger, answers[0]])

    asked = await ask(FakeCoordinator(NETWORK, lie_late=more))
    assert Finding(OrgId.parse("stranger"), "answer_not_in_roster") in asked.findings
    assert asked.judged.merged.completeness.complete


@pytest.mark.parametrize(("strays", "told"), [(STRAYS_MAX, STRAYS_MAX), (STRAYS_MAX + 1, STRAYS_MAX)])
async def test_no_more_strangers_are_told_of_than_fit_on_a_page(strays: int, told: int) -> None:
    def more(answer: JsonObject) -> None:
        answers = answer["answers"]
        assert isinstance(answers, list)
        for number in [*range(strays), 0]:
            nobody: JsonObject = {"status": "OK", "attestation": None, "results": None}
            answers.append({**nobody, "organization": f"stranger-{number}"})

    findings = (await ask(FakeCoordinator(NETWORK, lie_late=more))).findings
    assert len(findings) == len(set(findings)) == told


def shortened_roster(handed: Handed) -> None:
    del handed.answers[VITALIS]


@pytest.mark.parametrize(
    ("coordinator", "code"),
    [
        (FakeCoordinator(NETWORK, lie=shortened_roster), "delivery_organizations"),
        (FakeCoordinator(NETWORK, delivery_changes={"token_id": "another-token-0123456789"}), "delivery_wrong_token"),
        (FakeCoordinator(NETWORK, delivery_changes={"home": VITALIS}), "delivery_wrong_audience"),
        (FakeCoordinator(NETWORK, delivery_changes={"issued_at": NOW - 1_000}), "delivery_time"),
        (FakeCoordinator(NETWORK, lie_late=late(delivery="a.b.c")), "delivery_malformed"),
        (Says(200, b"<html>hello</html>"), "peer_answer_invalid"),
        (Says(200, b""), "peer_answer_invalid"),
        (Says(200, b'{"data":{"ask":{"delivery":NaN}}}'), "peer_answer_invalid"),
        (Says(200, b'{"data":{"ask":null}}'), "peer_answer_invalid"),
        (Says(500, b'{"data":{"ask":{}}}'), "peer_answer_invalid"),
        (Says(200, b'{"errors":[{"extensions":{"code":"token_replayed"}}]}'), "token_replayed"),
        (Says(200, b'{"errors":[{"extensions":{"code":"<b>"}}]}'), "peer_answer_invalid"),
    ],
)
async def test_a_coordinator_that_cannot_be_believed_is_not_used_at_all(coordinator: Transport, code: str) -> None:
    node = FakeNode(NETWORK)
    asked = await ask(coordinator, node)
    assert asked.coordinator is None
    assert asked.findings[0] == Finding(RELAY, code)
    assert statuses(asked)[HOME] == ("OK", None, True)
    assert statuses(asked)[NORTH] == ("UNREACHABLE", code, False)
    assert statuses(asked)[VITALIS] == ("UNREACHABLE", code, False)
    verify_again(asked)


class Raises:
    """A transport that fails the same way every time."""

    def __init__(self, error: ConcordatError) -> None:
        self.error = error

    async def exchange(self, endpoint: str, request: WireRequest, *, deadline_s: float, bytes_max: int) -> WireResponse:
        raise self.error


@pytest.mark.parametrize(
    "coordinator", [Away(), Raises(PeerTimeout(endpoint=RELAY_AT)), Raises(PeerOverloaded(endpoint=RELAY_AT))]
)
async def test_without_a_coordinator_the_own_node_is_asked_and_the_others_are_said_to_be_missing(
    coordinator: Transport,
) -> None:
    node = FakeNode(NETWORK)
    asked = await ask(coordinator, node)
    assert node.presenters == [NETWORK.keys[HOME]["request"].key_id]
    assert statuses(asked) == {
        HOME: ("OK", None, True),
        NORTH: ("UNREACHABLE", "coordinator_unreachable", False),
        VITALIS: ("UNREACHABLE", "coordinator_unreachable", False),
    }
    assert hit_ids(asked) == {asset_id(HOME, "diabetes")}
    verify_again(asked)


@pytest.mark.parametrize(
    ("node", "status", "code"),
    [
        (Away(), "UNREACHABLE", "peer_unreachable"),
        (Raises(PeerTimeout(endpoint=HOME_AT)), "TIMEOUT", "peer_timeout"),
        (Raises(PeerOverloaded(endpoint=HOME_AT)), "OVERLOADED", "peer_overloaded"),
        (Says(200, b"<html>"), "INVALID", "peer_answer_invalid"),
        (Says(403, b'{"errors":[{"extensions":{"code":"log_unavailable"}}]}'), "REFUSED", "log_unavailable"),
    ],
)
async def test_an_own_node_that_fails_is_not_an_empty_one(node: Transport, status: str, code: str) -> None:
    asked = await ask(Away(), node)
    assert statuses(asked)[HOME] == (status, code, False)
    assert asked.judged.merged.total is None
    verify_again(asked)


async def test_a_second_coordinator_is_asked_with_a_new_token() -> None:
    coordinator = FakeCoordinator(NETWORK)
    fails_once = [Says(200, b"<html>")]

    class First:
        async def exchange(
            self, endpoint: str, request: WireRequest, *, deadline_s: float, bytes_max: int
        ) -> WireResponse:
            chosen: Transport = fails_once.pop() if fails_once else coordinator
            return await chosen.exchange(endpoint, request, deadline_s=deadline_s, bytes_max=bytes_max)

    one = asker(First(), coordinators=(RELAY, RELAY))
    asked = await one.ask(QUESTION, {}, session=SESSION, bundle=NETWORK.bundle)
    assert asked.coordinator == RELAY
    assert asked.findings == (Finding(RELAY, "peer_answer_invalid"),)
    assert asked.judged.merged.completeness.complete


@pytest.mark.parametrize("coordinator", ["stranger", "north-hospital"])
async def test_who_is_not_a_coordinator_of_the_network_is_never_asked(coordinator: str) -> None:
    one = asker(FakeCoordinator(NETWORK), FakeNode(NETWORK), coordinators=(OrgId.parse(coordinator),))
    asked = await one.ask(QUESTION, {}, session=SESSION, bundle=NETWORK.bundle)
    assert asked.coordinator is None
    assert asked.findings[0].code == "member_unknown"


async def test_the_deadline_is_shared_and_a_part_is_kept_for_the_own_node() -> None:
    deadlines: list[float] = []

    class Slow:
        async def exchange(
            self, endpoint: str, request: WireRequest, *, deadline_s: float, bytes_max: int
        ) -> WireResponse:
            deadlines.append(deadline_s)
            if endpoint == RELAY_AT:
                assert json.loads(request.body)["variables"]["deadlineMs"] < deadline_s * 1_000
            raise PeerTimeout(endpoint=endpoint)

    await ask(Slow(), Slow())
    through, direct = deadlines
    assert through <= 3.75
    assert 0 < direct <= 5.0


async def test_assets_are_asked_by_id_and_only_their_owner_is_told_the_id() -> None:
    record = make_asset(NORTH, "sepsis")
    coordinator = FakeCoordinator(NETWORK, cards={NORTH: [record]})
    question = make_assets_question(NETWORK)
    one = asker(coordinator)
    asked = await one.ask(question, {NORTH: (SEPSIS,)}, session=SESSION, bundle=NETWORK.bundle)
    assert {org: part.ids for org, part in asked.round.parts.items()} == {HOME: (), NORTH: (SEPSIS,), VITALIS: ()}
    assert hit_ids(asked) == {SEPSIS}
    verify_again(asked)


async def test_a_view_of_the_network_that_was_superseded_too_long_ago_is_stale() -> None:
    repository = Repository(NETWORK)
    repository.publish_targets(2)
    repository.renew(NOW + 1)
    later = repository.verify(at=NOW + 1)
    clock = Clock(NOW + 1)
    one = asker(FakeCoordinator(NETWORK, clock=clock), clock=clock)
    clock.now = later.signed_at + later.network.bundle_age_max_s
    asked = await one.ask(QUESTION, {}, session=SESSION, bundle=later)
    assert statuses(asked)[NORTH][0] == "OK"
    clock.now += 1
    asked = await one.ask(QUESTION, {}, session=SESSION, bundle=later)
    assert statuses(asked)[NORTH] == ("STALE", "node_view_too_old", False)
    assert hit_ids(asked) == set()


async def test_a_split_view_is_invalid() -> None:
    view = NETWORK.bundle.view
    other = AttestedView(view.root, view.targets, view.snapshot, "0" * 64)

    asked = await ask(FakeCoordinator(NETWORK, attested={NORTH: {"bundle": other}}))
    assert statuses(asked)[NORTH] == ("INVALID", "attestation_split_view", False)
    verify_again(asked)


async def test_claims_beyond_the_caps_never_leave() -> None:
    one = asker(FakeCoordinator(NETWORK))
    person = replace(SESSION, claims=PersonClaims("intruder", "researcher", 0))
    with pytest.raises(ClaimNotAssertable):
        await one.ask(QUESTION, {}, session=person, bundle=NETWORK.bundle)


async def test_a_purpose_that_the_network_does_not_have_is_refused() -> None:
    one = asker(FakeCoordinator(NETWORK))
    question = replace(QUESTION, purpose=Purpose("XXX"))
    with pytest.raises(PurposeNotInNetwork):
        await one.ask(question, {}, session=SESSION, bundle=NETWORK.bundle)
