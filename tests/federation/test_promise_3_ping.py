"""Promise 3 at the door for pings: what a node holds changes no byte of what somebody who wants to join is answered.

Strangers reach this door. Its answer names the node's time and whether a key is a member's, and a ping touches neither
registry nor policy nor log: the answers of two nodes with different records are the same bytes, signature included.
"""

from __future__ import annotations

import pytest

from concordat_node.peer.ping import PingDoor
from concordat_trust.ids import OrgId
from concordat_trust.join_ping import make_ping
from concordat_trust.wire.transport import WireRequest
from tests.factories.network import NETWORK_ID, NOW, make_key, make_network
from tests.factories.node import TestNode, make_node
from tests.federation.worlds import make_pair

NETWORK = make_network()
NORTH = OrgId("north-hospital")
ENDPOINT = NETWORK.bundle.member(NORTH).endpoint


def _pings() -> list[WireRequest]:
    def ping(name: str, number: int, at: int = NOW) -> WireRequest:
        return make_ping(make_key(name), endpoint=ENDPOINT, network=NETWORK_ID, nonce=f"{number:022d}", at=at)

    twice = ping("stranger", 1)
    changed = WireRequest("POST", twice.path, twice.headers, twice.body + b" ")
    return [twice, twice, changed, ping("vitalis/request/1", 2), ping("late", 3, NOW - 60)]


async def _told(node: TestNode, *, leak: str = "") -> list[tuple[int, bytes]]:
    network = make_network(minimum_cell=10 + len(leak)) if leak else NETWORK
    key = NETWORK.keys[NORTH]["request"]
    opened = PingDoor(organization=NORTH, bundle=lambda: network.bundle, key=key, clock=lambda: NOW + len(leak))
    before = node.ledger.count()
    answers = [await opened.handle(request) for request in _pings()]
    assert node.ledger.count() == before
    return [(answer.status, answer.body) for answer in answers]


@pytest.mark.parametrize("seed", range(4))
async def test_promise_3_strangers_are_told_the_same_of_two_states(seed: int) -> None:
    pair = make_pair(seed)
    one, other = (make_node(NETWORK, "north-hospital", side) for side in (pair.one, pair.other))
    told = await _told(one)
    assert [status for status, _ in told] == [200, 409, 400, 200, 401]
    assert told == await _told(other)


async def test_a_planted_trace_of_what_a_node_holds_is_found() -> None:
    pair = make_pair(1)
    one, other = (make_node(NETWORK, "north-hospital", side) for side in (pair.one, pair.other))
    assert await _told(one, leak="x") != await _told(other, leak="xx")
