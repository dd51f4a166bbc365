"""Promise 3 at the portal: pages, events and stored searches of states that differ only in the hidden are the same.

A whole home node, a real coordinator and a node with the real index and the real OPA; only that node's state differs
between the two worlds. What may differ is what NON_INTERFERENCE_EXCLUDED names, and the names of session and job.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from concordat_coordinator.api.door import RelayDoor
from concordat_coordinator.relay import RelayKeys, RelayService
from concordat_node.home.pseudonym import pseudonym
from concordat_node.policy.engine import PolicyEngine
from concordat_node.policy.opa_engine import OpaPolicyEngine
from concordat_node.registry.records import Agreement
from concordat_node.registry.rules import Imported
from concordat_trust.ids import OrgId
from concordat_trust.wire.transport import Feed, WireRequest, WireResponse
from tests.factories.home import HOME, HOME_KEY, TestHome, make_home
from tests.factories.network import make_network
from tests.factories.node import Entropy, TestNode, make_node
from tests.factories.opa import running_opa
from tests.factories.streaming import STREAM_HEADERS
from tests.federation.test_promise_3_non_interference import FacetKeysOfEverything, TotalBeforeFilter
from tests.federation.worlds import Pair, make_pair
from tests.portal.browsing import Browser
from tests.portal.test_lineage import WALK, settled
from tests.portal.test_searching import events_of

NETWORK = make_network()
NORTH, VITALIS, RELAY = (OrgId.parse(name) for name in ("north-hospital", "vitalis", "relay-one"))
SEEDS = range(1)
LONG_SEEDS = range(40, 60)
LEAK_SEEDS = range(12)
RECORDS_OPENED = 3
"""Of each search; what other records say is on its page already."""
SENTENCES = ("clinical trial", "models", 'trained_on:"trial" accuracy above 10%')
_NAMED = "|".join(("Attestation", "Decision", "Disclosure log", "Entry of the log"))
_EXCLUDED = re.compile(
    rf"<dt>(?:{_NAMED})</dt><dd><code>[^<]+"
    r'|name="csrf" value="[^"]+'
    r"|/portal/search/[A-Za-z0-9_-]{22}"
)
_MEMBERS = ("decision_id", "id", "log_index", "log_leaf", "log_size")
"""What of an attestation a result repeats and the constant names: `id` is its `jti`, the others are of `log`."""


@pytest.fixture(scope="module")
def opa() -> Iterator[OpaPolicyEngine]:
    with running_opa() as point:
        yield OpaPolicyEngine(point)


@dataclass
class Direct:
    """A transport that calls the other party, with nothing between."""

    parties: dict[str, TestNode] = field(default_factory=dict)
    relay: tuple[str, RelayDoor] | None = None

    async def exchange(self, endpoint: str, request: WireRequest, *, deadline_s: float, bytes_max: int) -> WireResponse:
        return await self.parties[endpoint].handle(request)

    async def stream(
        self, endpoint: str, request: WireRequest, *, deadline_s: float, bytes_max: int, feed: Feed
    ) -> WireResponse:
        assert self.relay is not None
        assert self.relay[0] == endpoint
        async with self.relay[1].opened(request) as said:
            if isinstance(said, WireResponse):
                return said
            async for piece in said:
                if feed(piece):
                    break
            return WireResponse(200, STREAM_HEADERS, b"")


Wrap = Callable[..., object]


def _with_member(items: tuple[Imported, ...]) -> list[Imported]:
    """Let the agreement that the worlds hold for the requester name this home's person."""
    person = pseudonym(HOME_KEY, NETWORK.bundle.network.id, "person-1")
    return [
        replace(item, members=((HOME, person),)) if isinstance(item, Agreement) and item.id == "dua-held" else item
        for item in items
    ]


def make_world(folder: Path, items: tuple[Imported, ...], engine: PolicyEngine, index: Wrap) -> TestHome:
    north = make_node(NETWORK, NORTH, engine=engine, index=index, entropy=Entropy("north"))  # type: ignore[arg-type]  # a leak's class
    half = len(items) // 2
    for part in (items[:half], items[half:]):
        north.write(_with_member(part))
    nodes = {org: make_node(NETWORK, org) for org in (HOME, VITALIS)} | {NORTH: north}
    direct = Direct({NETWORK.bundle.member(org).endpoint: node for org, node in nodes.items()})
    keys = NETWORK.keys[RELAY]
    at_home = make_home(folder, network=NETWORK)
    relay = RelayService(
        me=RELAY,
        keys=RelayKeys(request=keys["request"], delivery=keys["delivery"]),
        bundle=lambda: NETWORK.bundle,
        transport=direct,
        clock=at_home.clock,
        entropy=Entropy("relay"),
        limits=None,
    )
    endpoint = NETWORK.bundle.member(RELAY).endpoint
    direct.relay = (endpoint, RelayDoor(relay))
    at_home.transport.streams[endpoint] = direct.stream
    return at_home


async def _seen(at_home: TestHome) -> dict[str, str]:
    """Return everything the portal and the stored searches show, by its place, without what may differ."""
    seen: dict[str, str] = {}
    async with at_home.client() as client:
        await at_home.sign_in_browser(client)
        browser = Browser(at_home, client)
        for sentence in SENTENCES:
            path = await browser.search(sentence)
            seen[f"search {sentence}"] = (await browser.get(path)).text
            seen[f"events {sentence}"] = await events_without_order(browser, path)
            for number, record in enumerate((await browser.records(path))[:RECORDS_OPENED]):
                seen[f"record {number} of {sentence}"] = (await browser.get(record)).text
                if number == 0:
                    seen[f"lineage of {sentence}"] = await _lineage(browser, record)
    seen.update(await _seen_by_a_program(at_home))
    await at_home.home.stop()
    at_home.home.close()
    return {place: comparable(text) for place, text in seen.items()}


def comparable(text: str) -> str:
    """Return a page without what may differ."""
    return _EXCLUDED.sub("", text)


async def _lineage(browser: Browser, record: str) -> str:
    """Return a record's page with both directions of its lineage."""
    (action,) = WALK.findall((await browser.get(record)).text)
    for direction in ("up", "down"):
        await browser.post(action, direction=direction)
    page = await settled(browser, record)
    assert page.count('class="walk"') == 2
    return page


async def events_without_order(browser: Browser, path: str) -> str:
    """Return what each organization's event says, without what counts who answered before."""
    told = {str(data.get("organization")): data for _, _, data in events_of(await browser.get(f"{path}/events"))}
    for data in told.values():
        data.pop("summary", None)
    return json.dumps(told, sort_keys=True, default=str)


async def _seen_by_a_program(at_home: TestHome) -> dict[str, str]:
    async with at_home.client() as program:
        program.headers["authorization"] = f"Bearer {await at_home.sign_in(program)}"
        body = {"sentence": SENTENCES[0], "purpose": {"code": "HMB"}, "facets": ["task"]}
        begun = await program.post("/v1/questions", json=body, headers={"prefer": "respond-async"})
        place = f"/v1/{begun.headers['location']}"
        stream = [data for _, name, data in events_of(await program.get(f"{place}/events")) if name == "organization"]
        events = {data["entry"]["organization"]: data for data in stream}
        told = (await program.get(place)).json()
    for about in told["result"]["organizations"].values():
        if about["attestation"] is not None:
            for member in _MEMBERS:
                about["attestation"].pop(member)
    for names in (told, told["result"]["job"]):
        names.pop("id")
    return {"v1": json.dumps(told, sort_keys=True), "v1 events": json.dumps(events, sort_keys=True)}


async def _difference(folder: Path, pair: Pair, engine: PolicyEngine, index: Wrap = lambda real: real) -> str | None:
    """Return the first place at which the two states can be told apart, or None."""
    shown = []
    for name, items in (("one", pair.one), ("other", pair.other)):
        (folder / name).mkdir(parents=True)
        shown.append(await _seen(make_world(folder / name, items, engine, index)))
    assert any(place.startswith("record") for place in shown[0]) or not pair.visible
    return next((place for place in {**shown[0], **shown[1]} if shown[0].get(place) != shown[1].get(place)), None)


@pytest.mark.parametrize("seed", SEEDS)
async def test_promise_3_hidden_differences_change_no_byte_of_any_page(
    seed: int, tmp_path: Path, opa: OpaPolicyEngine
) -> None:
    assert await _difference(tmp_path, make_pair(seed), opa) is None


@pytest.mark.long
@pytest.mark.parametrize("seed", LONG_SEEDS)
async def test_promise_3_holds_for_many_worlds_of_pages(seed: int, tmp_path: Path, opa: OpaPolicyEngine) -> None:
    assert await _difference(tmp_path, make_pair(seed), opa) is None


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize("leak", [FacetKeysOfEverything, TotalBeforeFilter])
async def test_a_planted_leak_is_seen_on_the_page(leak: Wrap, tmp_path: Path, opa: OpaPolicyEngine) -> None:
    for seed in LEAK_SEEDS:
        if await _difference(tmp_path / str(seed), make_pair(seed), opa, leak) is not None:
            return
    pytest.fail("no world showed the leak")
