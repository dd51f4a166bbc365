"""The network as it answers: each organization shown when it is verified, and the same final answer as at once."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from random import Random
from typing import Any

import pytest

from concordat_coordinator.check import CheckedAnswer
from concordat_coordinator.relay import RelayedEntry
from concordat_node.home.arrivals import OrganizationAnswered
from concordat_node.home.ask import Asked, Finished
from concordat_node.home.relay_client import ANSWER_BYTES_MAX
from concordat_trust.canonical import JsonObject
from concordat_trust.ids import OrgId
from concordat_trust.wire.coordinator_documents import COORDINATOR_ASK_ID, COORDINATOR_ASK_PROGRESS_ID
from concordat_trust.wire.transport import WireResponse
from tests.factories.streaming import read_whole, results_in
from tests.federation import stream_faults
from tests.federation.consortium import HOME, NORTH, RELAY, VITALIS, Consortium, make_consortium
from tests.federation.hostile_relay import After, Before, Entries, HostileRelay, entry_of, with_payload
from tests.federation.memory_transport import Fault, StreamFault, delay, hang, refuse, reset, says
from tests.federation.virtual_clock import simulate

ALL = {HOME, NORTH, VITALIS}
Prepare = Callable[[Consortium], None]


class Shown:
    """What somebody saw of one question, and when."""

    def __init__(self, consortium: Consortium) -> None:
        self.consortium = consortium
        self.told: list[tuple[float, OrganizationAnswered]] = []
        self.asked: Asked | None = None

    async def watch(self, **options: Any) -> Shown:
        async with contextlib.aclosing(self.consortium.ask_events(**options)) as events:
            async for event in events:
                assert self.asked is None, "something came after the result"
                if isinstance(event, Finished):
                    self.asked = event.asked
                else:
                    self.told.append((asyncio.get_running_loop().time(), event))
        return self

    @property
    def result(self) -> Asked:
        assert self.asked is not None
        return self.asked

    @property
    def statuses(self) -> dict[str, str]:
        return {event.entry.organization: event.entry.status for _, event in self.told}

    @property
    def findings(self) -> set[tuple[str | None, str]]:
        return {(finding.organization, finding.code) for finding in self.result.findings}


def _watch(
    prepare: Prepare = lambda _: None,
    *,
    seed: int = 0,
    before: Before | None = None,
    after: After | None = None,
    **options: Any,
) -> Shown:
    async def main() -> Shown:
        is_honest = before is None and after is None
        relay: dict[str, Any] = {} if is_honest else {"relay_class": partial(HostileRelay, before=before, after=after)}
        consortium = make_consortium(seed, **relay)
        prepare(consortium)
        return await Shown(consortium).watch(**options)

    return simulate(seed, main())


def _on_the_way(*faults: StreamFault) -> Prepare:
    def prepare(consortium: Consortium) -> None:
        consortium.from_home.stream_faults[consortium.endpoint(RELAY)] = list(faults)

    return prepare


def _slow(**seconds: float) -> Prepare:
    def prepare(consortium: Consortium) -> None:
        for org, delayed_s in seconds.items():
            consortium.fault(OrgId.parse(org.replace("_", "-")), delay(delayed_s))

    return prepare


# --------------------------------------------------------------------------------------------------------- honest


def test_the_fastest_organization_is_shown_while_the_others_are_still_searching() -> None:
    shown = _watch(_slow(alma_university=0.9, vitalis=0.4))
    assert [event.entry.organization for _, event in shown.told] == [NORTH, VITALIS, HOME]
    first, second, third = (at for at, _ in shown.told)
    assert first < 0.2
    assert 0.4 < second < 0.6
    assert 0.9 < third < 1.1
    assert {event.entry.status for _, event in shown.told} == {"OK"}


def test_what_is_shown_early_is_what_the_result_has() -> None:
    shown = _watch()
    merged = shown.result.judged.merged
    early = {event.entry.organization: event for _, event in shown.told}
    assert {org: event.entry for org, event in early.items()} == {
        entry.organization: entry for entry in merged.completeness.entries
    }
    ids = {str(record["id"]) for event in early.values() for record in event.records}
    assert ids == {str(hit.record["id"]) for hit in merged.hits}
    assert shown.result.findings == ()


def test_an_organization_that_fails_is_shown_with_its_reported_status() -> None:
    shown = _watch(lambda consortium: consortium.fault(VITALIS, refuse(), refuse()))
    [vitalis] = [event for _, event in shown.told if event.entry.organization == VITALIS]
    assert (vitalis.entry.status, vitalis.entry.code) == ("UNREACHABLE", "peer_unreachable")
    assert (vitalis.entry.proved, vitalis.entry.total, vitalis.records) == (False, None, ())


def test_ask_is_the_last_event() -> None:
    async def main() -> tuple[Asked, Asked]:
        consortium = make_consortium(3)
        return await consortium.ask(), (await Shown(consortium).watch()).result

    one, other = simulate(3, main())
    assert one.judged.merged.canonical() == other.judged.merged.canonical()
    assert (one.findings, one.coordinator) == (other.findings, other.coordinator)


FAULTS: tuple[Callable[[], tuple[Fault, ...]], ...] = (
    tuple,
    lambda: (delay(0.3),),
    lambda: (delay(0.9),),
    lambda: (hang(),),
    lambda: (refuse(),),
    lambda: (refuse(), refuse()),
    lambda: (reset(),),
    lambda: (says(b""),),
    lambda: (says(b'{"errors":[{"extensions":{"code":"log_unavailable"}}]}', status=500),),
)


def _faulty(seed: int) -> Prepare:
    def prepare(consortium: Consortium) -> None:
        random = Random(seed)
        for org in sorted(ALL):
            consortium.fault(org, *random.choice(FAULTS)())

    return prepare


async def _both_ways(seed: int) -> tuple[JsonObject, JsonObject]:
    """Return the object of `Query.ask` for one question, asked at once and collected from the stream."""
    once, streamed = make_consortium(seed), make_consortium(seed)
    for consortium in (once, streamed):
        _faulty(seed)(consortium)
    door = once.from_home.parties[once.endpoint(RELAY)]
    whole = json.loads((await door(once.sign(once.question()).request)).body)["data"]["ask"]
    request = streamed.sign(streamed.question(), document_id=COORDINATOR_ASK_PROGRESS_ID).request
    async with streamed.from_home.streams[streamed.endpoint(RELAY)](request) as answer:
        *told, last = [result["data"]["askProgress"] for result in results_in(await read_whole(answer))]
    answers = sorted((event["answer"] for event in told), key=lambda item: str(item["organization"]))
    return whole, {"answers": answers, "delivery": last["delivery"], "merged": last["merged"]}


def _told_of(ask: JsonObject) -> list[tuple[object, ...]]:
    answers = ask["answers"]
    assert isinstance(answers, list)
    return [
        (a["organization"], a["status"], a["code"], [r["card"] for r in a["results"] or []])  # type: ignore[index,call-overload,union-attr]
        for a in answers
    ]


@pytest.mark.parametrize("seed", range(30))
def test_the_query_and_the_stream_give_the_same_final_answer(seed: int) -> None:
    whole, collected = simulate(seed, _both_ways(seed))
    assert whole["merged"] == collected["merged"]
    assert _told_of(whole) == _told_of(collected)


@pytest.mark.long
@pytest.mark.parametrize("seed", range(1_000, 1_200))
def test_the_query_and_the_stream_give_the_same_final_answer_in_many_schedules(seed: int) -> None:
    whole, collected = simulate(seed, _both_ways(seed))
    assert (whole["merged"], _told_of(whole)) == (collected["merged"], _told_of(collected))


@pytest.mark.parametrize("seed", range(20))
def test_every_organization_is_told_of_once_whatever_happens(seed: int) -> None:
    shown = _watch(_faulty(seed), seed=seed)
    assert sorted(event.entry.organization for _, event in shown.told) == sorted(ALL)
    final = {entry.organization: entry for entry in shown.result.judged.merged.completeness.entries}
    assert {event.entry.organization: event.entry for _, event in shown.told} == final


# ----------------------------------------------------------------------------------------------------- going away


def test_whoever_leaves_ends_the_question_at_every_node() -> None:
    async def main() -> tuple[Consortium, int, float]:
        consortium = make_consortium()
        for org in (HOME, VITALIS):
            consortium.fault(org, hang())
        async with contextlib.aclosing(consortium.ask_events(deadline_ms=60_000)) as events:
            event = await anext(events)
            assert isinstance(event, OrganizationAnswered)
            running = consortium.relay.asks_running
        # `simulate` refuses a task that still runs; the clock shows that nobody waited for the silent nodes.
        return consortium, running, asyncio.get_running_loop().time()

    consortium, running, ended_s = simulate(0, main())
    assert (running, consortium.relay.asks_running) == (1, 0)
    assert ended_s < 0.5
    gc.collect()
    assert not [item for item in gc.get_objects() if isinstance(item, CheckedAnswer)]


def test_a_question_that_is_cancelled_leaves_nothing_running() -> None:
    async def main() -> int:
        consortium = make_consortium()
        consortium.fault(VITALIS, hang())
        asking = asyncio.create_task(consortium.ask(deadline_ms=60_000))
        await asyncio.sleep(0.5)
        asking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asking
        return consortium.relay.asks_running

    assert simulate(0, main()) == 0


def test_a_viewer_who_is_busy_is_not_disturbed_by_the_deadline() -> None:
    async def main() -> Asked | None:
        consortium = make_consortium()
        consortium.fault(VITALIS, hang())
        async with contextlib.aclosing(consortium.ask_events()) as events:
            async for event in events:
                await asyncio.sleep(30)  # the deadline of 2 s passes here, in somebody else's code
                if isinstance(event, Finished):
                    return event.asked
        return None

    asked = simulate(0, main())
    assert asked is not None
    assert [entry.organization for entry in asked.judged.merged.completeness.missing] == [VITALIS]


# ------------------------------------------------------------------------------------------- broken on the way


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (stream_faults.cut, "peer_stream_broken"),
        (stream_faults.early_end, "peer_stream_broken"),
        (stream_faults.garbage, "peer_answer_invalid"),
        (stream_faults.not_json, "peer_answer_invalid"),
        (stream_faults.nulls, "peer_answer_invalid"),
        (stream_faults.an_error, "relay_failed"),
        (stream_faults.heartbeats, "peer_timeout"),
        (stream_faults.flood, "peer_answer_too_large"),
    ],
)
def test_a_stream_that_breaks_is_asked_again_and_what_was_shown_is_replaced(
    fault: Callable[[], StreamFault], code: str
) -> None:
    shown = _watch(_on_the_way(fault()))
    assert shown.findings == {(RELAY, code)}
    assert shown.result.coordinator is None
    entries = {entry.organization: entry for entry in shown.result.judged.merged.completeness.entries}
    assert entries[HOME].proved
    assert {entries[org].status for org in (NORTH, VITALIS)} == {"UNREACHABLE"}
    assert sorted(event.entry.organization for _, event in shown.told) == sorted(
        {event.entry.organization for _, event in shown.told}
    )
    assert HOME in shown.statuses


def test_a_second_coordinator_completes_what_the_first_began() -> None:
    shown = _watch(_on_the_way(stream_faults.cut()), coordinators=(RELAY, RELAY))
    assert shown.findings == {(RELAY, "peer_stream_broken")}
    assert shown.result.coordinator == RELAY
    assert shown.result.judged.merged.completeness.complete
    assert sorted(event.entry.organization for _, event in shown.told) == sorted(ALL)


def test_a_gigabyte_is_cut_off_at_the_cap() -> None:
    shown = _watch(_on_the_way(stream_faults.flood()))
    assert shown.consortium.from_home.bytes_read <= ANSWER_BYTES_MAX + stream_faults.FLOOD_BYTES


def test_signs_of_life_do_not_extend_the_deadline() -> None:
    async def main() -> float:
        consortium = make_consortium()
        _on_the_way(stream_faults.heartbeats())(consortium)
        await Shown(consortium).watch(deadline_ms=2_000)
        return asyncio.get_running_loop().time()

    assert simulate(0, main()) < 2.1


@pytest.mark.parametrize("fault", [stream_faults.dribbled, stream_faults.after_the_end])
def test_harmless_differences_on_the_way_change_nothing(fault: Callable[[], StreamFault]) -> None:
    shown = _watch(_on_the_way(fault()))
    assert shown.result.findings == ()
    assert shown.result.judged.merged.completeness.complete
    assert len(shown.told) == 3


def test_an_organization_that_comes_twice_counts_once_and_is_found() -> None:
    shown = _watch(_on_the_way(stream_faults.doubled()))
    assert shown.findings == {(org, "answer_not_in_roster") for org in ALL}
    assert len(shown.told) == 3
    assert shown.result.judged.merged.completeness.complete
    assert shown.result.judged.merged.total == 9


# --------------------------------------------------------------------------------------------------------- lies


def test_an_answer_that_was_shown_and_not_signed_for_is_found_and_removed() -> None:
    """The stream says OK with North's own proof; the delivery then says that North timed out."""
    honest: list[RelayedEntry] = []

    def silence(entries: Entries) -> Entries:
        honest.append(entry_of(entries, NORTH))
        told = replace(entry_of(entries, NORTH), status="TIMEOUT", code="peer_timeout", answer=None)
        return [told if entry.organization == NORTH else entry for entry in entries]

    def tell_it_anyway(sent: JsonObject) -> JsonObject:
        answers = sent["answers"]
        assert isinstance(answers, list)
        told = [honest[-1].to_json() if a["organization"] == NORTH else a for a in answers]  # type: ignore[index,call-overload]
        return {**sent, "answers": list(told)}

    shown = _watch(before=silence, after=tell_it_anyway)
    assert shown.statuses[NORTH] == "OK"
    assert shown.findings == {(NORTH, "delivery_mismatch")}
    entries = {entry.organization: entry for entry in shown.result.judged.merged.completeness.entries}
    assert (entries[NORTH].status, entries[NORTH].proved) == ("TIMEOUT", False)
    assert NORTH not in {hit.organization for hit in shown.result.judged.merged.hits}


def test_another_attestation_than_the_one_shown_is_found_and_removed() -> None:
    def another(sent: JsonObject) -> JsonObject:
        answers = sent["answers"]
        assert isinstance(answers, list)
        home, *rest = answers
        first = {**home, "attestation": rest[0]["attestation"]}  # type: ignore[index,call-overload,dict-item]
        return {**sent, "answers": [first, *rest]}

    shown = _watch(after=another)
    assert shown.statuses[HOME] == "INVALID"
    assert (HOME, "delivery_mismatch") in shown.findings
    assert HOME not in {hit.organization for hit in shown.result.judged.merged.hits}


def test_a_touched_answer_is_never_shown_even_for_a_moment() -> None:
    def invented(entries: Entries) -> Entries:
        results = list(entry_of(entries, NORTH).answer.payload.results)  # type: ignore[union-attr]
        at = next(index for index, result in enumerate(results) if result["card"] is not None)
        card = results[at]["card"]
        assert isinstance(card, dict)
        results[at] = {**results[at], "card": {**card, "title": "invented"}}
        return with_payload(entries, NORTH, results=tuple(results))

    shown = _watch(before=invented)
    assert shown.statuses[NORTH] == "INVALID"
    assert "invented" not in {record["title"] for _, event in shown.told for record in event.records}
    assert (NORTH, "record_not_attested") in shown.findings


def test_a_status_without_a_proof_is_not_shown_as_proved() -> None:
    def claimed(sent: JsonObject) -> JsonObject:
        answers = sent["answers"]
        assert isinstance(answers, list)
        empty: JsonObject = {"organization": NORTH, "status": "OK", "code": None, "attestation": None, "results": []}
        return {**sent, "answers": [empty if a["organization"] == NORTH else a for a in answers]}  # type: ignore[index,call-overload]

    shown = _watch(after=claimed)
    [north] = [event.entry for _, event in shown.told if event.entry.organization == NORTH]
    assert (north.status, north.code, north.proved) == ("INVALID", "status_not_proved", False)


def test_a_plain_request_at_the_stream_is_refused_without_asking_anybody() -> None:
    async def main() -> tuple[int, int]:
        consortium = make_consortium()
        request = consortium.sign(consortium.question(), document_id=COORDINATOR_ASK_ID).request
        async with consortium.from_home.streams[consortium.endpoint(RELAY)](request) as answer:
            assert isinstance(answer, WireResponse)
            return answer.status, len(consortium.to_nodes.requests)

    assert simulate(0, main()) == (406, 0)
