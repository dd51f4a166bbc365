"""A whole round through the coordinator, and what its nodes report to home about the tokens they saw."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from concordat_node.home.ask import Asker
from concordat_trust.ids import OrgId
from tests.factories.node import Asking, answer_of, make_question
from tests.factories.peer import Peer, Post, make_peer
from tests.factories.tokens import fresh_id
from tests.federation.consortium import HOME, NORTH, SESSION, Consortium, make_consortium
from tests.federation.virtual_clock import simulate


def _peers(consortium: Consortium) -> tuple[Post, dict[OrgId, Peer]]:
    post = Post()
    peers = {org: make_peer(consortium.network, org, post, clock=consortium.clock) for org in consortium.nodes}
    return post, peers


def _asker(consortium: Consortium, home: Peer) -> Asker:
    asker = consortium.asker()
    asker._note_minted = home.uses.note_minted
    return asker


async def _report(consortium: Consortium, peers: dict[OrgId, Peer]) -> None:
    for org, node in consortium.nodes.items():
        await peers[org].reporter(node.ledger.database, lambda: consortium.network.bundle).report()


def test_a_whole_round_is_reported_and_nothing_is_found() -> None:
    async def main() -> tuple[int, Any]:
        consortium = make_consortium(own_nodes=True)
        post, peers = _peers(consortium)
        asker = _asker(consortium, peers[HOME])
        asked = await asker.ask(consortium.question(), {}, session=SESSION, bundle=consortium.network.bundle)
        assert asked.judged.merged.completeness.complete
        await _report(consortium, peers)
        return len(post.carried), peers[HOME].store.findings()

    assert simulate(0, main()) == (3, ())


def test_of_a_round_beside_which_a_thief_asks_only_the_thief_is_found() -> None:
    async def main() -> Any:
        consortium = make_consortium(own_nodes=True)
        _, peers = _peers(consortium)
        asker = _asker(consortium, peers[HOME])
        await asker.ask(consortium.question(), {}, session=SESSION, bundle=consortium.network.bundle)
        forged = Asking(consortium.network, make_question(consortium.network).canonical())
        forged = replace(forged, token_id=fresh_id("forged"), now=consortium.clock())
        assert answer_of(await consortium.nodes[NORTH].handle(forged.request()))["attestation"]
        await _report(consortium, peers)
        return [(finding.code, finding.organization, finding.token_id) for finding in peers[HOME].store.findings()]

    assert simulate(0, main()) == [("token_never_minted", NORTH, fresh_id("forged"))]
