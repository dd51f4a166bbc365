"""Who is on the network's list and cannot speak for itself is still accounted for: home finds it, and says so."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from concordat_node.home.ask import Asked, Asker
from concordat_node.home.claims import PersonClaims
from concordat_node.home.judge import Finding
from concordat_node.home.mint import HomeKeys
from concordat_node.home.requests import parse_assets
from concordat_node.home.result import ShownJob, result_json
from concordat_node.home.saving import saved_answer
from concordat_node.home.sessions import Session
from concordat_trust.answer import verify_saved_answer
from concordat_trust.bundle import TrustedBundle
from concordat_trust.canonical import canonical_bytes, parse_json
from concordat_trust.errors import ConcordatError
from concordat_trust.ids import OrgId
from concordat_trust.wire.transport import Transport
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
from tests.factories.network import NOW, TestNetwork
from tests.factories.relay import Away, FakeCoordinator, FakeNode
from tests.factories.repository import Repository, expires

SESSION = Session("session-1", "person-1", PersonClaims("staff", "researcher", 2), NOW + 3_600)
EXPIRED = ("UNTRUSTED", "statement_expired", False)


def with_expired(*members: OrgId) -> Repository:
    """Return the demo network in which these members let their role expire."""
    repository = Repository(demo_network())
    for member in members:
        repository.edit(f"1.{member}.json", expires(NOW), signers=[repository.entity(member)])
    return repository


def network_of(repository: Repository, *, at: int = NOW) -> TestNetwork:
    return replace(repository.network, bundle=repository.verify(at=at))


NETWORK = network_of(with_expired(VITALIS))


async def ask(
    coordinator: Transport, node: Transport | None = None, *, network: TestNetwork = NETWORK, assets: str | None = None
) -> Asked:
    keys = network.keys[HOME]
    by_endpoint = {"https://relay-one.example": coordinator, "https://alma-university.example": node or Away()}
    asker = Asker(
        organization=HOME,
        coordinators=(RELAY,),
        deadline_ms=5_000,
        keys=HomeKeys(keys["query_token"], keys["request"], HOME_KEY),
        transport=Routed(Away(), **by_endpoint),
        clock=Clock(),
        entropy=Entropy(),
        in_force=lambda: network.bundle,
    )
    if assets is None:
        return await asker.ask(make_question(network), {}, session=SESSION, bundle=network.bundle)
    body = json.dumps({"ids": [assets], "purpose": {"code": "HMB"}}).encode()
    ids = parse_assets(body, network.bundle).ids
    return await asker.ask(make_assets_question(network), ids, session=SESSION, bundle=network.bundle)


def statuses(asked: Asked) -> dict[str, tuple[str, str | None, bool]]:
    entries = asked.judged.merged.completeness.entries
    return {entry.organization: (entry.status, entry.code, entry.proved) for entry in entries}


def refused(saved: bytes, bundle: TrustedBundle) -> str:
    with pytest.raises(ConcordatError) as caught:
        verify_saved_answer(saved, bundle_at=lambda _at: bundle)
    return caught.value.code


async def test_promise_1_a_listed_organization_with_an_unusable_statement_is_accounted_for() -> None:
    coordinator = FakeCoordinator(NETWORK)
    asked = await ask(coordinator)
    merged = asked.judged.merged
    assert statuses(asked) == {HOME: ("OK", None, True), NORTH: ("OK", None, True), VITALIS: EXPIRED}
    assert (merged.completeness.asked, merged.completeness.answered) == (3, 2)
    assert not merged.completeness.complete
    assert merged.total is None
    assert coordinator.tokens[0].audience == (HOME, NORTH)
    assert asked.findings == (Finding(VITALIS, "statement_expired"),)


async def test_promise_1_it_is_accounted_for_without_a_coordinator() -> None:
    asked = await ask(Away(), FakeNode(NETWORK))
    assert statuses(asked) == {
        HOME: ("OK", None, True),
        NORTH: ("UNREACHABLE", "coordinator_unreachable", False),
        VITALIS: EXPIRED,
    }


async def test_promise_1_it_is_accounted_for_when_it_is_home_itself() -> None:
    network = network_of(with_expired(HOME))
    asked = await ask(Away(), FakeNode(network), network=network)
    assert statuses(asked)[HOME] == EXPIRED


async def test_promise_1_a_suspended_organization_is_no_part_of_the_network() -> None:
    repository = with_expired(VITALIS)
    repository.publish_suspended({VITALIS: 2}, 2)
    repository.renew(NOW)
    network = network_of(repository)
    asked = await ask(FakeCoordinator(network), network=network)
    assert set(statuses(asked)) == {HOME, NORTH}
    assert asked.judged.merged.completeness.complete


async def test_promise_1_a_coordinator_is_nobody_to_account_for() -> None:
    network = network_of(with_expired(RELAY))
    asked = await ask(Away(), FakeNode(network), network=network)
    assert set(statuses(asked)) == {HOME, NORTH, VITALIS}


async def test_promise_1_a_person_is_shown_who_cannot_speak() -> None:
    shown: Any = result_json(await ask(FakeCoordinator(NETWORK)), None, ShownJob("job", NOW), NETWORK.bundle)
    assert set(shown["organizations"]) == {HOME, NORTH, VITALIS}
    assert shown["organizations"][VITALIS]["policy"] is None
    assert shown["merge"] == "match"


async def test_promise_1_its_assets_are_not_called_foreign() -> None:
    coordinator = FakeCoordinator(NETWORK, cards={NORTH: [make_asset(NORTH, "sepsis")]})
    asked = await ask(coordinator, assets=asset_id(VITALIS, "asthma"))
    assert statuses(asked)[VITALIS] == EXPIRED
    assert VITALIS not in asked.round.parts


async def test_promise_1_a_saved_answer_accounts_for_it_years_later() -> None:
    for asked in (await ask(FakeCoordinator(NETWORK)), await ask(Away(), FakeNode(NETWORK))):
        saved = saved_answer(asked, NETWORK.bundle, now=NOW + 5)
        verified = verify_saved_answer(saved, bundle_at=lambda _at: NETWORK.bundle)
        assert verified.merged.to_json() == asked.judged.merged.to_json()
        missing = [(entry.organization, entry.code) for entry in verified.merged.completeness.missing]
        assert (VITALIS, "statement_expired") in missing


async def test_promise_1_a_saved_answer_that_leaves_it_out_or_says_otherwise_is_refused() -> None:
    saved = saved_answer(await ask(FakeCoordinator(NETWORK)), NETWORK.bundle, now=NOW + 5)

    def edited(reported: object, *, code: str | None = "statement_expired") -> bytes:
        document: Any = parse_json(saved, bytes_max=1_000_000)
        document["reported"] = reported
        entries = document["result"]["completeness"]["entries"]
        entry = next(e for e in entries if e["organization"] == VITALIS)
        entry["code"] = code
        return canonical_bytes(document)

    assert refused(edited({VITALIS: {"code": None, "status": "TIMEOUT"}}), NETWORK.bundle) == "saved_answer_malformed"
    assert refused(edited({}, code="statement_malformed"), NETWORK.bundle) == "merge_mismatch"
    without: Any = parse_json(saved, bytes_max=1_000_000)
    completeness = without["result"]["completeness"]
    completeness["entries"] = [e for e in completeness["entries"] if e["organization"] != VITALIS]
    assert refused(canonical_bytes(without), NETWORK.bundle) == "merge_mismatch"
