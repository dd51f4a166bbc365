"""Promise 3 at the bundle that a node hands on: it is the network's, and no byte of it follows from a record."""

from __future__ import annotations

import httpx

from concordat_node.api.http import node_app
from concordat_trust.bundle.serving import BUNDLE_PATH, ServedBundle, repository_files
from tests.factories.network import make_network
from tests.factories.node import make_node
from tests.federation.worlds import make_pair

NETWORK = make_network()
NAMES = (*repository_files(NETWORK.bundle), "2.root.json", "memory.json", "../memory.json", "")


async def served(side: object) -> list[tuple[int, bytes, str]]:
    """Return every answer of the door, for names that are there and names that are not."""
    node = make_node(NETWORK, "north-hospital", side)  # type: ignore[arg-type]  # a side of a pair
    app = node_app(
        node.door, is_ready=lambda: True, request_bytes_max=1_000, bundle=ServedBundle(lambda: NETWORK.bundle)
    )
    found = []
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://node.test") as client:
        for name in NAMES:
            answer = await client.get(BUNDLE_PATH + name)
            found.append((answer.status_code, answer.content, str(sorted(answer.headers.items()))))
    return found


async def test_promise_3_the_bundle_that_is_handed_on_is_the_same_whatever_the_node_holds() -> None:
    for seed in range(4):
        pair = make_pair(seed)
        left, right = await served(pair.one), await served(pair.other)
        assert left == right
        assert [status for status, _, _ in left].count(200) == len(repository_files(NETWORK.bundle))


async def test_the_door_takes_get_alone_and_hands_out_verified_files() -> None:
    node = make_node(NETWORK, "north-hospital", [])
    app = node_app(
        node.door, is_ready=lambda: True, request_bytes_max=1_000, bundle=ServedBundle(lambda: NETWORK.bundle)
    )
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://node.test") as client:
        for method in ("POST", "PUT", "DELETE", "PATCH"):
            assert (await client.request(method, f"{BUNDLE_PATH}timestamp.json")).status_code == 405
        answer = await client.get(f"{BUNDLE_PATH}timestamp.json")
        assert answer.content == NETWORK.files["timestamp.json"]
        assert answer.headers["cache-control"] == "no-store"
