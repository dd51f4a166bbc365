"""One call to one node: deadline, the one retry, and a closed status for every way to fail."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from concordat_coordinator.errors import NodeAnswerEmpty
from concordat_coordinator.fanout import fanning_out
from concordat_coordinator.node_call import NEXT, Answered, Event, Failed, NodeCall, State
from concordat_coordinator.plan import NodeRequest
from concordat_trust.wire.transport import (
    PeerAnswerInvalid,
    PeerAnswerTooLarge,
    PeerOverloaded,
    PeerTimeout,
    PeerUnreachable,
    WireRequest,
    WireResponse,
)
from tests.coordinator.fakes import NORTH, ScriptedTransport, Step, answers, fails
from tests.federation.virtual_clock import simulate

OK = WireResponse(200, {}, b"ok")
NOTHING_SENT = PeerUnreachable(endpoint="e", sent=False)
REQUEST = NodeRequest(NORTH, "https://north.example", b"part", b"body")


def _sign(request: NodeRequest) -> WireRequest:
    return WireRequest("POST", "/graphql", {"authorization": "Bearer t"}, request.body)


def _inspect(response: WireResponse) -> bytes:
    if not response.body:
        raise NodeAnswerEmpty
    return response.body


def _run(transport: ScriptedTransport, deadline_s: float = 1.0) -> tuple[Answered[bytes] | Failed, float]:
    async def main() -> tuple[Answered[bytes] | Failed, float]:
        call = NodeCall(REQUEST, transport=transport, sign=_sign, inspect=_inspect, bytes_max=100)
        outcome = await call.run(deadline_at=deadline_s)
        return outcome, asyncio.get_running_loop().time()

    return simulate(0, main())


def _status(*steps: Step) -> tuple[str, str]:
    outcome, _ = _run(ScriptedTransport(*steps))
    assert isinstance(outcome, Failed)
    return outcome.status, outcome.code


def test_an_answer_is_handed_over_with_the_time_it_took() -> None:
    outcome, _ = _run(ScriptedTransport(answers(OK, after_s=0.25)))
    assert outcome == Answered(NORTH, b"ok", 250)


def test_the_node_is_told_what_is_left_of_the_deadline() -> None:
    transport = ScriptedTransport(fails(NOTHING_SENT), answers(OK))
    _run(transport)
    assert [request.headers["concordat-timeout-ms"] for request in transport.requests] == ["1000", "980"]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (PeerTimeout(endpoint="e"), ("TIMEOUT", "peer_timeout")),
        (PeerUnreachable(endpoint="e", sent=True), ("UNREACHABLE", "peer_unreachable")),
        (PeerOverloaded(endpoint="e"), ("OVERLOADED", "peer_overloaded")),
        (PeerAnswerInvalid(endpoint="e"), ("INVALID", "peer_answer_invalid")),
        (PeerAnswerTooLarge(endpoint="e", bytes_max=1), ("INVALID", "peer_answer_too_large")),
    ],
)
def test_every_failure_of_the_transport_has_its_status(error: Exception, expected: tuple[str, str]) -> None:
    assert _status(fails(error)) == expected


def test_an_answer_that_does_not_pass_inspection_is_invalid() -> None:
    assert _status(answers(WireResponse(200, {}, b""))) == ("INVALID", "node_answer_empty")


def test_a_connection_that_failed_before_a_byte_was_sent_is_tried_once_more() -> None:
    transport = ScriptedTransport(fails(NOTHING_SENT), answers(OK))
    outcome, _ = _run(transport)
    assert isinstance(outcome, Answered)
    assert len(transport.requests) == 2


def test_it_is_not_tried_a_third_time() -> None:
    transport = ScriptedTransport(fails(NOTHING_SENT), fails(NOTHING_SENT), answers(OK))
    outcome, _ = _run(transport)
    assert isinstance(outcome, Failed)
    assert (outcome.status, len(transport.requests)) == ("UNREACHABLE", 2)


@pytest.mark.parametrize(
    "error",
    [PeerUnreachable(endpoint="e", sent=True), PeerUnreachable(endpoint="e"), PeerOverloaded(endpoint="e")],
)
def test_a_token_that_may_have_been_seen_is_not_presented_again(error: Exception) -> None:
    transport = ScriptedTransport(fails(error), answers(OK))
    assert isinstance(_run(transport)[0], Failed)
    assert len(transport.requests) == 1


def test_there_is_no_retry_past_the_deadline() -> None:
    transport = ScriptedTransport(fails(NOTHING_SENT), answers(OK))
    outcome, ended_at = _run(transport, deadline_s=0.01)
    assert isinstance(outcome, Failed)
    assert (len(transport.requests), ended_at) == (1, 0)


def test_a_silent_node_is_a_timeout_at_the_deadline_and_not_later() -> None:
    outcome, ended_at = _run(ScriptedTransport(answers(OK, after_s=3_600)))
    assert isinstance(outcome, Failed)
    assert (outcome.status, outcome.took_ms) == ("TIMEOUT", 1_000)
    assert ended_at == pytest.approx(1.0)


def test_a_node_whose_turn_never_came_is_skipped_and_not_blamed_for_a_timeout() -> None:
    transport = ScriptedTransport(answers(OK))
    outcome, _ = _run(transport, deadline_s=0.0)
    assert isinstance(outcome, Failed)
    assert (outcome.status, outcome.code, transport.requests) == ("SKIPPED", "not_asked_in_time", [])


def test_a_bug_is_not_hidden_as_a_failed_node() -> None:
    with pytest.raises(ZeroDivisionError):
        _run(ScriptedTransport(fails(ZeroDivisionError())))


def test_the_table_of_transitions_is_complete_and_ends() -> None:
    open_states = [state for state in State if state is not State.DONE]
    assert set(NEXT) == set(itertools.product(open_states, Event))
    assert State.FIRST_ATTEMPT not in NEXT.values()


@pytest.mark.parametrize("seed", range(10))
def test_the_fan_out_is_bounded_and_gives_every_outcome_as_it_comes(seed: int) -> None:
    running = 0
    most = 0

    async def work(number: int) -> int:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(number % 3)
        running -= 1
        return number

    async def main() -> list[int]:
        async with fanning_out(range(20), work, parallel_max=4) as next_outcome:
            return [await next_outcome() for _ in range(20)]

    results = simulate(seed, main())
    assert sorted(results) == list(range(20))
    assert results[:2] != [2, 1]  # what takes longer does not come first
    assert most == 4


@pytest.mark.parametrize("seed", range(5))
def test_leaving_the_fan_out_cancels_what_runs_and_what_waits(seed: int) -> None:
    started: list[int] = []
    ended: list[int] = []

    async def work(number: int) -> int:
        started.append(number)
        await asyncio.sleep(number)
        ended.append(number)
        return number

    async def main() -> int:
        async with fanning_out(range(20), work, parallel_max=4) as next_outcome:
            first = await next_outcome()
        await asyncio.sleep(100)
        return first

    assert simulate(seed, main()) in started
    assert len(started) <= 8
    assert len(ended) <= 4


def test_a_bug_in_one_call_is_raised_and_is_no_failed_node() -> None:
    async def work(number: int) -> int:
        return 1 // number

    async def main() -> None:
        async with fanning_out([0], work, parallel_max=4) as next_outcome:
            await next_outcome()

    with pytest.raises(ZeroDivisionError):
        simulate(0, main())
