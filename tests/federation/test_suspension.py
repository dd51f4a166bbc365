"""Suspension, live: from the bundle that says so on, nobody answers or believes the organization, also not in flight.

Parties learn of it at different times. Whoever learns first refuses; nobody mistakes that for somebody's lie.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import pytest

from concordat_coordinator.api.door import RelayDoor
from concordat_node.home.arrivals import OrganizationAnswered
from concordat_node.home.ask import Asked, Finished
from concordat_node.home.saving import saved_answer
from concordat_node.policy.engine import DecisionRequest, Scope
from concordat_trust.answer import verify_saved_answer
from concordat_trust.bundle import TrustedBundle
from concordat_trust.directory import OrganizationSuspended
from concordat_trust.ids import OrgId
from concordat_trust.wire.transport import WireRequest, WireResponse
from tests.factories.network import NOW, make_network
from tests.factories.node import (
    ANALYST,
    TestNode,
    answer_of,
    asking,
    make_asset,
    make_node,
    make_question,
    refused_code,
)
from tests.factories.policy import TableEngine
from tests.factories.suspension import after_suspending
from tests.federation.consortium import DEADLINE_MS, HOME, NORTH, RELAY, VITALIS, Consortium, make_consortium
from tests.federation.memory_transport import delay
from tests.federation.virtual_clock import simulate

NETWORK = make_network()
WITHOUT = {org: after_suspending(NETWORK, org) for org in (HOME, NORTH, VITALIS, RELAY)}
SLOW_S = 1.0


def statuses(asked: Asked) -> dict[OrgId, tuple[str, str | None, str]]:
    entries = asked.judged.merged.completeness.entries
    return {entry.organization: (entry.status, entry.code, entry.said_by) for entry in entries}


def organizations_shown(asked: Asked) -> set[OrgId]:
    return {hit.organization for hit in asked.judged.merged.hits}


async def in_flight(consortium: Consortium, bundle: TrustedBundle, *parties: OrgId, slow: OrgId = NORTH) -> Asked:
    """Ask, and let parties adopt `bundle` while the answer of `slow` is still on its way."""
    consortium.fault(slow, delay(SLOW_S))
    asked = asyncio.create_task(consortium.ask())
    await asyncio.sleep(SLOW_S / 2)
    consortium.adopt(bundle, *parties)
    return await asked


# A node's door.


def question_of(home: OrgId, token_id: str = "q" * 22) -> WireRequest:
    return asking(NETWORK, make_question(NETWORK), home=home, claims=ANALYST, token_id=token_id).request()


@pytest.mark.parametrize("suspended", [HOME, NORTH, RELAY])
async def test_a_node_refuses_a_suspended_home_a_suspended_presenter_and_while_it_is_suspended(
    suspended: OrgId,
) -> None:
    node = make_node(NETWORK, NORTH, [make_asset("a")])
    node.bundle = WITHOUT[suspended]
    assert refused_code(await node.handle(question_of(HOME))) == "organization_suspended"
    assert node.ledger.count() == 0
    node.bundle = NETWORK.bundle
    assert answer_of(await node.handle(question_of(HOME)))["results"]


class Suspending(TableEngine):
    """Decides as the table; while it does, the node polls another bundle."""

    def __init__(self, adopt: Callable[[], None]) -> None:
        super().__init__()
        self._adopt = adopt

    async def scope(self, request: DecisionRequest) -> Scope:
        self._adopt()
        return await super().scope(request)


def interrupted(bundle: TrustedBundle | None) -> TestNode:
    """Return a node that adopts `bundle` between the admission of a question and its log entry."""
    held: list[TestNode] = []

    def adopt() -> None:
        held[0].bundle = bundle

    held.append(make_node(NETWORK, NORTH, [make_asset("a")], engine=Suspending(adopt)))
    return held[0]


@pytest.mark.parametrize("suspended", [HOME, NORTH, RELAY])
async def test_a_suspension_between_admission_and_entry_leaves_neither_entry_nor_answer(suspended: OrgId) -> None:
    node = interrupted(WITHOUT[suspended])
    assert refused_code(await node.handle(question_of(HOME))) == "organization_suspended"
    assert node.ledger.count() == 0


async def test_a_bundle_that_ran_out_between_admission_and_entry_leaves_neither() -> None:
    node = interrupted(None)
    assert refused_code(await node.handle(question_of(HOME))) == "bundle_stale"
    assert node.ledger.count() == 0


async def test_the_suspension_of_somebody_else_changes_nothing_for_a_question_under_way() -> None:
    node = interrupted(WITHOUT[VITALIS])
    assert answer_of(await node.handle(question_of(HOME)))["results"]
    assert node.ledger.count() == 1


# The coordinator.


async def relayed(consortium: Consortium) -> WireResponse:
    signed = consortium.sign(consortium.question(), orgs=(HOME, NORTH, VITALIS))
    return await RelayDoor(consortium.relay).handle(signed.request)


def test_a_coordinator_refuses_a_suspended_home_and_asks_nobody_for_it() -> None:
    async def main() -> None:
        consortium = make_consortium()
        consortium.adopt(WITHOUT[HOME], RELAY)
        assert refused_code(await relayed(consortium)) == "organization_suspended"
        assert consortium.to_nodes.requests == []

    simulate(0, main())


def test_a_coordinator_refuses_a_home_that_is_suspended_while_it_asks() -> None:
    async def main() -> None:
        consortium = make_consortium()
        consortium.fault(NORTH, delay(SLOW_S))
        answer = asyncio.create_task(relayed(consortium))
        await asyncio.sleep(SLOW_S / 2)
        consortium.adopt(WITHOUT[HOME], RELAY)
        assert refused_code(await answer) == "organization_suspended"

    simulate(0, main())


def test_a_coordinator_does_not_ask_a_suspended_node() -> None:
    async def main() -> tuple[Asked, list[str]]:
        consortium = make_consortium()
        consortium.adopt(WITHOUT[NORTH], RELAY)
        asked = await consortium.ask()
        return asked, [endpoint for endpoint, _ in consortium.to_nodes.requests]

    asked, endpoints = simulate(0, main())
    assert NETWORK.bundle.member(NORTH).endpoint not in endpoints
    assert statuses(asked)[NORTH] == ("SKIPPED", "organization_suspended", "coordinator")
    # Home has not polled yet: that the coordinator was first is no difference of the results.
    assert asked.findings == ()


def test_a_coordinator_drops_the_answer_of_a_node_that_is_suspended_meanwhile() -> None:
    async def main() -> Asked:
        return await in_flight(make_consortium(), WITHOUT[NORTH], RELAY)

    asked = simulate(0, main())
    assert statuses(asked)[NORTH] == ("SKIPPED", "organization_suspended", "coordinator")
    assert organizations_shown(asked) == {HOME, VITALIS}
    assert asked.findings == ()


# Home.


def test_nobody_asks_a_suspended_organization_nor_accounts_for_it() -> None:
    async def main() -> Asked:
        consortium = make_consortium()
        consortium.adopt(WITHOUT[VITALIS], RELAY)
        consortium.in_force[HOME] = WITHOUT[VITALIS]
        return await consortium.ask()

    asked = simulate(0, main())
    assert set(statuses(asked)) == {HOME, NORTH}
    assert asked.judged.merged.completeness.complete
    assert asked.findings == ()


@pytest.mark.parametrize("slow", [NORTH, VITALIS], ids=["its own answer is late", "another answer is late"])
def test_an_answer_in_flight_of_an_organization_suspended_meanwhile_is_untrusted_at_home(slow: OrgId) -> None:
    async def main() -> Asked:
        consortium = make_consortium(own_nodes=True)
        return await in_flight(consortium, WITHOUT[NORTH], HOME, slow=slow)

    asked = simulate(0, main())
    assert statuses(asked)[NORTH] == ("UNTRUSTED", "organization_suspended", "home")
    assert organizations_shown(asked) == {HOME, VITALIS}
    assert not asked.judged.merged.completeness.complete
    assert [(finding.organization, finding.code) for finding in asked.findings] == [(NORTH, "organization_suspended")]
    assert NORTH not in asked.judged.raw


def test_the_saved_answer_of_such_a_round_holds_nothing_of_it_and_verifies() -> None:
    async def main() -> Asked:
        return await in_flight(make_consortium(own_nodes=True), WITHOUT[NORTH], HOME)

    saved = saved_answer(simulate(0, main()), NETWORK.bundle, now=NOW + 60)
    assert b"north-hospital-sepsis" not in saved
    verified = verify_saved_answer(saved, bundle_at=lambda _: NETWORK.bundle)
    entries = {entry.organization: entry for entry in verified.merged.completeness.entries}
    assert (entries[NORTH].status, entries[NORTH].said_by) == ("UNTRUSTED", "home")


def test_a_suspended_organization_asks_nothing() -> None:
    async def main() -> Consortium:
        consortium = make_consortium(own_nodes=True)
        consortium.adopt(WITHOUT[HOME], HOME)
        with pytest.raises(OrganizationSuspended):
            await consortium.ask()
        return consortium

    assert simulate(0, main()).from_home.requests == []


def test_the_round_of_an_organization_ends_as_soon_as_it_is_suspended() -> None:
    async def main() -> float:
        consortium = make_consortium(own_nodes=True)
        loop = asyncio.get_running_loop()
        with pytest.raises(OrganizationSuspended):
            await in_flight(consortium, WITHOUT[HOME], HOME)
        return loop.time()

    ended_at = simulate(0, main())
    assert ended_at <= SLOW_S  # before the slow answer came, and long before the deadline
    assert ended_at < DEADLINE_MS / 1_000


def test_nothing_of_a_coordinator_that_was_suspended_meanwhile_is_believed() -> None:
    async def main() -> Asked:
        return await in_flight(make_consortium(own_nodes=True), WITHOUT[RELAY], HOME)

    asked = simulate(0, main())
    assert asked.coordinator is None
    assert (RELAY, "organization_suspended") in {(f.organization, f.code) for f in asked.findings}
    assert statuses(asked)[NORTH] == ("UNREACHABLE", "organization_suspended", "home")


async def told_in_flight(
    consortium: Consortium, bundle: TrustedBundle, told: list[OrganizationAnswered], *, slow: OrgId = NORTH
) -> Asked:
    """Take the events of a question; home adopts `bundle` while the answer of `slow` is on its way."""
    consortium.fault(slow, delay(SLOW_S))
    asyncio.get_running_loop().call_later(SLOW_S / 2, consortium.adopt, bundle, HOME)
    async with contextlib.aclosing(consortium.ask_events()) as events:
        async for event in events:
            if isinstance(event, Finished):
                return event.asked
            told.append(event)
    raise AssertionError


def test_what_arrives_of_an_organization_suspended_meanwhile_is_told_without_its_records() -> None:
    async def main() -> tuple[Asked, list[OrganizationAnswered]]:
        told: list[OrganizationAnswered] = []
        return await told_in_flight(make_consortium(own_nodes=True), WITHOUT[NORTH], told), told

    asked, told = simulate(0, main())
    (north,) = (event for event in told if event.entry.organization == NORTH)
    assert (north.entry.status, north.entry.said_by, north.records) == ("UNTRUSTED", "home", ())
    assert statuses(asked)[NORTH] == ("UNTRUSTED", "organization_suspended", "home")
    assert [finding.code for finding in asked.findings] == ["organization_suspended"]


def test_the_stream_of_a_suspended_organization_ends_before_the_next_answer() -> None:
    async def main() -> tuple[float, set[OrgId]]:
        told: list[OrganizationAnswered] = []
        with pytest.raises(OrganizationSuspended):
            await told_in_flight(make_consortium(own_nodes=True), WITHOUT[HOME], told)
        return asyncio.get_running_loop().time(), {event.entry.organization for event in told}

    ended_at, organizations = simulate(0, main())
    assert ended_at < SLOW_S
    assert organizations == {HOME, VITALIS}


def test_the_coordinators_stream_ends_for_a_home_that_is_suspended_meanwhile() -> None:
    async def main() -> Asked:
        # Home itself has not polled yet, and goes on by asking its own node.
        return await in_flight(make_consortium(), WITHOUT[HOME], RELAY)

    asked = simulate(0, main())
    assert asked.coordinator is None
    assert (RELAY, "organization_suspended") in {(f.organization, f.code) for f in asked.findings}


@pytest.mark.parametrize("seed", range(4))
def test_whenever_parties_learn_of_it_nothing_of_the_organization_is_shown_afterwards(seed: int) -> None:
    """Every party adopts the suspension at another moment; once home has it, no record is shown."""

    async def main() -> tuple[Asked, Asked]:
        consortium = make_consortium(seed, own_nodes=True)
        for position, party in enumerate((HOME, RELAY, NORTH, VITALIS)):
            later = ((seed * 7 + position * 3) % 5) * 0.02
            asyncio.get_running_loop().call_later(later, consortium.adopt, WITHOUT[VITALIS], party)
        first = await consortium.ask()
        await asyncio.sleep(0.2)
        return first, await consortium.ask()

    first, second = simulate(seed, main())
    assert VITALIS not in organizations_shown(second)
    assert VITALIS not in statuses(second)
    assert organizations_shown(second) == {HOME, NORTH}
    assert {f.code for f in (*first.findings, *second.findings)} <= {"organization_suspended"}
    if statuses(first)[VITALIS][2] != "organization":
        assert VITALIS not in organizations_shown(first)
