"""Promise 3 at the report of token uses: what the requester may not see changes no byte of what issuers are told.

Not even what `NON_INTERFERENCE_EXCLUDED` names is in it: token, status and time are the requester's own or the clock's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from concordat_node.ledger.entry import LogEntry
from concordat_node.ledger.ledger import Ledger, Logged
from concordat_node.ledger.outbox import UseOutbox
from concordat_node.policy.opa_engine import OpaPolicyEngine
from tests.factories.network import make_network
from tests.factories.node import ANALYST, Entropy, TestNode, make_node, memory_database
from tests.factories.opa import running_opa
from tests.factories.peer import Post, make_peer
from tests.federation.worlds import Pair, doors, make_pair

SEEDS = range(4)
NETWORK = make_network()
HOME = "alma-university"


@pytest.fixture(scope="module")
def opa() -> Iterator[OpaPolicyEngine]:
    with running_opa() as point:
        yield OpaPolicyEngine(point)


def _node(side: Any, engine: OpaPolicyEngine, ledger: Ledger | None = None) -> TestNode:
    ledger = ledger or Ledger(memory_database())
    return make_node(NETWORK, "north-hospital", side, engine=engine, entropy=Entropy(), ledger=ledger)


async def _told(node: TestNode, pair: Pair) -> list[bytes]:
    """Return the bodies that the issuer gets after every question was asked once."""
    for _, request in doors(NETWORK, pair):
        await node.handle(replace(request, claims=ANALYST).request())
    post = Post()
    make_peer(NETWORK, HOME, post, clock=node.clock)
    north = make_peer(NETWORK, "north-hospital", post, clock=node.clock)
    await north.reporter(node.ledger.database, lambda: NETWORK.bundle).report()
    assert UseOutbox(node.ledger.database).issuers() == ()
    return [request.body for _, request in post.carried]


@pytest.mark.parametrize("seed", SEEDS)
async def test_promise_3_issuers_are_told_the_same_of_two_states(seed: int, opa: OpaPolicyEngine) -> None:
    pair = make_pair(seed)
    one, other = await _told(_node(pair.one, opa), pair), await _told(_node(pair.other, opa), pair)
    assert one[0].count(b"token_id") > 10
    assert one == other


class TellsWhatItHeld(Ledger):
    """A log whose report depends on what the node holds: a later time for every hidden record."""

    hidden = 0

    def append(self, entry: LogEntry, *, salt: bytes) -> Logged:
        return super().append(replace(entry, at=entry.at + self.hidden), salt=salt)


async def test_a_planted_trace_of_hidden_records_is_found(opa: OpaPolicyEngine) -> None:
    pair = make_pair(1)
    seen = []
    for side, hidden in ((pair.one, 1), (pair.other, 2)):
        ledger = TellsWhatItHeld(memory_database())
        ledger.hidden = hidden
        seen.append(await _told(_node(side, opa, ledger), pair))
    assert seen[0] != seen[1]
