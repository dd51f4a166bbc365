"""Promise 3 at the stream: hidden differences change no event, neither of the coordinator's stream nor of home's.

On the real index and the real OPA. Compared is every event with what it weighs, but for what the one constant names and
for the delivery's times and fresh ids. The order of arrival is a time too, and is not compared.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import pytest

from concordat_coordinator.api.door import RelayDoor
from concordat_coordinator.relay import RelayKeys, RelayService
from concordat_node.home.arrivals import OrganizationAnswered
from concordat_node.home.ask import Asker, Finished
from concordat_node.home.claims import PersonClaims
from concordat_node.home.mint import HomeKeys
from concordat_node.home.sessions import Session
from concordat_node.policy.engine import PolicyEngine
from concordat_node.policy.opa_engine import OpaPolicyEngine
from concordat_node.registry.rules import Imported
from concordat_trust import jose
from concordat_trust.attestation import comparable_answer
from concordat_trust.canonical import JsonObject, canonical_bytes
from concordat_trust.question import Question
from concordat_trust.vocabulary import FACET_FIELDS
from concordat_trust.wire.event_stream import EventReader
from concordat_trust.wire.transport import WireRequest, WireResponse
from tests.factories.network import NOW, make_network
from tests.factories.node import HOME, NORTH, RELAY, Clock, Entropy, make_node, make_question
from tests.factories.opa import running_opa
from tests.federation.memory_transport import Fault, MemoryTransport, reset
from tests.federation.test_promise_3_non_interference import ValidUntilOfHiddenClasses
from tests.federation.worlds import make_pair

NETWORK = make_network()
SEEDS = range(4)
LEAK_SEEDS = range(20)
SESSION = Session("session-1", "ada", PersonClaims("faculty", "analyst", 2), NOW + 3_600)
QUESTIONS = ("", "clinical trial", "sepsis imaging tumour")
NOT_COMPARED = ("iat", "jti", "tid")


@pytest.fixture(scope="module")
def opa() -> Iterator[OpaPolicyEngine]:
    with running_opa() as running:
        yield OpaPolicyEngine(running)


@dataclass
class Side:
    """One state of North behind a relay, and the home that asks through it; nobody else can be reached."""

    transport: MemoryTransport
    from_home: MemoryTransport
    streams: list[bytes]
    entropy: Entropy

    async def shown(self, question: Question) -> JsonObject:
        asker = Asker(
            organization=HOME,
            coordinators=(RELAY,),
            deadline_ms=60_000,
            keys=HomeKeys(NETWORK.keys[HOME]["query_token"], NETWORK.keys[HOME]["request"], b"p" * 32),
            transport=self.from_home,
            clock=Clock(NOW),
            entropy=self.entropy,
            in_force=lambda: NETWORK.bundle,
        )
        told: dict[str, Any] = {}
        async with aclosing(asker.ask_events(question, {}, session=SESSION, bundle=NETWORK.bundle)) as events:
            async for event in events:
                if isinstance(event, OrganizationAnswered):
                    records = [dict(record) for record in event.records]
                    told[event.entry.organization] = {"entry": event.entry.to_json(), "records": records}
                elif isinstance(event, Finished):
                    findings = [finding.to_json() for finding in event.asked.findings]
                    told["result"] = {"merged": event.asked.judged.merged.to_json(), "findings": findings}
        return {"home": told, "relay": _comparable(self.streams.pop())}


def _side(records: tuple[Imported, ...], engine: PolicyEngine) -> Side:
    node = make_node(NETWORK, NORTH, engine=engine, entropy=Entropy())
    node.write(records[: len(records) // 2])
    node.write(records[len(records) // 2 :])
    endpoint = {org: NETWORK.bundle.member(org).endpoint for org in (NORTH, RELAY)}
    transport = MemoryTransport(0, {endpoint[NORTH]: node.handle})
    keys = NETWORK.keys[RELAY]
    relay = RelayService(
        me=RELAY,
        keys=RelayKeys(request=keys["request"], delivery=keys["delivery"]),
        bundle=lambda: NETWORK.bundle,
        transport=transport,
        clock=lambda: NOW,
        entropy=Entropy("relay"),
    )
    side = Side(transport, MemoryTransport(1), [], Entropy("home"))

    async def kept(request: WireRequest) -> WireResponse:
        async with RelayDoor(relay).opened(request) as answer:
            assert not isinstance(answer, WireResponse), answer
            side.streams.append(b"".join([piece async for piece in answer]))
        return WireResponse(200, {"content-type": "text/event-stream"}, side.streams[-1])

    side.from_home.parties[endpoint[RELAY]] = kept
    return side


def _comparable(stream: bytes) -> JsonObject:
    """Return every event of a coordinator's stream by what it is about, with its size."""
    events: dict[str, Any] = {}
    for event in EventReader().feed(stream):
        if event.name != "next":
            continue
        result = json.loads(event.data)["data"]["askProgress"]
        answer = result["answer"]
        if answer is None:
            claims = jose.unverified_claims(result["delivery"], bytes_max=200_000)
            said = {name: value for name, value in claims.items() if name not in NOT_COMPARED}
            for item in said["answers"]:  # type: ignore[union-attr]
                assert isinstance(item, dict)
                item["attestation_sha256"], item["took"] = item["attestation_sha256"] is not None, ""
            events["handover"] = {"delivery": said, "merged": result["merged"]}
            continue
        attestation = answer.pop("attestation")
        shown = (
            None
            if attestation is None
            else comparable_answer(attestation, answer["results"], sealed=answer["sealed"]).decode()
        )
        events[answer["organization"]] = {
            "status": [answer["status"], answer["code"]],
            "answer": shown,
            "bytes": len(event.data),
        }
    return events


def _questions() -> Iterator[Question]:
    for text in QUESTIONS:
        yield make_question(NETWORK, text=text, facets=FACET_FIELDS)


async def _difference(seed: int, engine: PolicyEngine) -> str | None:
    pair = make_pair(seed)
    one, other = _side(pair.one, engine), _side(pair.other, engine)
    for question in _questions():
        seen = [canonical_bytes(await side.shown(question)) for side in (one, other)]
        if seen[0] != seen[1]:
            return question.text
    return None


@pytest.mark.parametrize("seed", SEEDS)
async def test_promise_3_hidden_differences_change_no_event_of_a_stream(seed: int, opa: OpaPolicyEngine) -> None:
    assert await _difference(seed, opa) is None


@pytest.mark.long
@pytest.mark.parametrize("seed", range(100, 130))
async def test_promise_3_no_event_differs_in_many_worlds(seed: int, opa: OpaPolicyEngine) -> None:
    assert await _difference(seed, opa) is None


async def test_promise_3_a_node_that_breaks_off_says_the_same_in_both_states(opa: OpaPolicyEngine) -> None:
    """The work was done and the answer lost: what is reported then must not know what was in it."""
    pair = make_pair(0)
    shown = []
    for records in (pair.one, pair.other):
        side = _side(records, opa)
        faults: list[Fault] = [reset()]
        side.transport.faults[NETWORK.bundle.member(NORTH).endpoint] = faults
        shown.append(await side.shown(make_question(NETWORK, text="clinical trial")))
    assert shown[0] == shown[1]
    assert "UNREACHABLE" in json.dumps(shown[0]["relay"])


async def test_the_streams_of_these_worlds_really_carry_records(opa: OpaPolicyEngine) -> None:
    shown = 0
    for seed in SEEDS:
        side = _side(make_pair(seed).one, opa)
        told = await side.shown(make_question(NETWORK))
        shown += len(told["home"][NORTH]["records"])  # type: ignore[index,call-overload,arg-type]
    assert shown > len(SEEDS)


async def test_an_end_of_validity_that_knows_the_hidden_is_found_in_the_stream(opa: OpaPolicyEngine) -> None:
    """Most leaks of an index contradict the records that came with them, and the relay refuses those answers."""
    for seed in LEAK_SEEDS:
        if await _difference(seed, ValidUntilOfHiddenClasses(opa)) is not None:
            return
    pytest.fail("no world found the leak")
