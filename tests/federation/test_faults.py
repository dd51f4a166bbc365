"""Nodes that fail in every way: the rest is answered, everybody is named, and no failure looks like an empty answer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

import pytest

from concordat_coordinator.cost import Limits
from concordat_coordinator.plan import reserve_ms
from concordat_node.home.ask import Asked
from concordat_trust import jose
from concordat_trust.attestation import TYP as ATTESTATION_TYP
from concordat_trust.ids import OrgId
from concordat_trust.merge import Entry
from tests.federation.consortium import HOME, NORTH, RELAY, VITALIS, Consortium, make_consortium
from tests.federation.memory_transport import (
    Event,
    Fault,
    delay,
    endless,
    hang,
    refuse,
    reset,
    says,
    tamper,
)
from tests.federation.virtual_clock import simulate

GIGABYTE = 2**30
ALL = {HOME, NORTH, VITALIS}
Prepare = Callable[[Consortium], None]


def _run(prepare: Prepare, *, seed: int = 0, deadline_ms: int = 2_000) -> tuple[Asked, Consortium, float]:
    async def main() -> tuple[Asked, Consortium, float]:
        consortium = make_consortium(seed)
        prepare(consortium)
        asked = await consortium.ask(deadline_ms=deadline_ms)
        return asked, consortium, asyncio.get_running_loop().time()

    return simulate(seed, main())


def _faulty(org: OrgId, *faults: Fault) -> Prepare:
    return lambda consortium: consortium.fault(org, *faults)


def _entries(asked: Asked) -> dict[OrgId, Entry]:
    return {entry.organization: entry for entry in asked.judged.merged.completeness.entries}


def _outcome(asked: Asked, org: OrgId) -> tuple[str, str | None, bool]:
    entry = _entries(asked)[org]
    return entry.status, entry.code, entry.proved


def _only_missing(asked: Asked, org: OrgId) -> None:
    """Say that everybody but `org` answered, and that the sums do not pretend otherwise."""
    merged = asked.judged.merged
    assert set(_entries(asked)) == ALL
    assert {entry.organization for entry in merged.completeness.missing} == {org}
    assert not merged.completeness.complete
    assert (merged.total, merged.total_at_least) == (None, 6)
    assert {hit.organization for hit in merged.hits} == ALL - {org}


def test_a_dead_node_leaves_an_honest_partial_answer() -> None:
    asked, _, took_s = _run(lambda consortium: consortium.kill(NORTH))
    _only_missing(asked, NORTH)
    assert _outcome(asked, NORTH) == ("UNREACHABLE", "peer_unreachable", False)
    assert took_s < 0.3


def test_a_silent_node_is_a_timeout_at_the_deadline_and_the_answer_is_still_in_time() -> None:
    asked, _, took_s = _run(_faulty(NORTH, hang()), deadline_ms=2_000)
    _only_missing(asked, NORTH)
    assert _outcome(asked, NORTH) == ("TIMEOUT", "peer_timeout", False)
    assert took_s <= 2.0


@pytest.mark.parametrize("deadline_ms", [1_000, 2_000, 5_000])
def test_two_slow_nodes_cost_one_deadline(deadline_ms: int) -> None:
    def prepare(consortium: Consortium) -> None:
        consortium.fault(NORTH, hang())
        consortium.fault(VITALIS, delay(deadline_ms / 1_000))

    asked, _, took_s = _run(prepare, deadline_ms=deadline_ms)
    assert took_s <= deadline_ms / 1_000
    assert {entry.status for org, entry in _entries(asked).items() if org != HOME} == {"TIMEOUT"}


@pytest.mark.parametrize("deadline_ms", [100, 1_000, 10_000])
def test_a_relay_has_its_answer_ready_before_its_own_deadline(deadline_ms: int) -> None:
    async def main() -> float:
        consortium = make_consortium()
        consortium.fault(NORTH, hang())
        signed = consortium.sign(consortium.question(), deadline_ms=deadline_ms)
        response = await consortium.from_home.parties[consortium.endpoint(RELAY)](signed.request)
        assert response.status == 200
        return asyncio.get_running_loop().time() * 1_000

    took_ms = simulate(0, main())
    assert took_ms == pytest.approx(deadline_ms - reserve_ms(deadline_ms))
    assert took_ms < deadline_ms


def test_times_leave_the_relay_as_buckets() -> None:
    async def main() -> dict[str, str]:
        consortium = make_consortium()
        consortium.fault(NORTH, delay(0.3))
        signed = consortium.sign(consortium.question())
        response = await consortium.from_home.parties[consortium.endpoint(RELAY)](signed.request)
        delivery = json.loads(response.body)["data"]["ask"]["delivery"]
        answers = jose.unverified_claims(delivery, bytes_max=100_000)["answers"]
        assert isinstance(answers, list)
        return {str(one["org"]): str(one["took"]) for one in answers if isinstance(one, dict)}

    assert simulate(0, main()) == {HOME: "<100ms", NORTH: "<1s", VITALIS: "<100ms"}


@pytest.mark.parametrize("deadline_ms", [60, 100, 200, 500])
def test_a_deadline_too_short_for_the_network_is_kept_all_the_same(deadline_ms: int) -> None:
    asked, _, took_s = _run(_faulty(NORTH, hang()), deadline_ms=deadline_ms)
    assert took_s <= deadline_ms / 1_000 + 0.002  # the last millisecond is never waited for in parts
    assert set(_entries(asked)) == ALL
    assert not asked.judged.merged.completeness.complete


def test_a_slow_node_within_the_deadline_is_waited_for() -> None:
    asked, _, took_s = _run(_faulty(NORTH, delay(0.8)))
    assert asked.judged.merged.completeness.complete
    assert took_s > 0.8


def test_when_all_nodes_are_down_everybody_is_named_and_nothing_looks_empty() -> None:
    asked, _, _ = _run(lambda consortium: consortium.kill(*ALL))
    merged = asked.judged.merged
    assert {org: entry.status for org, entry in _entries(asked).items()} == dict.fromkeys(ALL, "UNREACHABLE")
    assert (merged.hits, merged.total, merged.completeness.answered) == ((), None, 0)


def test_without_a_coordinator_the_own_node_still_answers() -> None:
    def prepare(consortium: Consortium) -> None:
        consortium.from_home.parties.pop(consortium.endpoint(RELAY))
        consortium.from_home.streams.pop(consortium.endpoint(RELAY))

    asked, _, _ = _run(prepare)
    assert asked.coordinator is None
    assert _outcome(asked, HOME) == ("OK", None, True)
    assert {entry.status for org, entry in _entries(asked).items() if org != HOME} == {"UNREACHABLE"}


def test_a_refused_connection_is_tried_once_more() -> None:
    asked, _, _ = _run(_faulty(NORTH, refuse()))
    assert asked.judged.merged.completeness.complete
    asked, _, _ = _run(_faulty(NORTH, refuse(), refuse()))
    assert _outcome(asked, NORTH) == ("UNREACHABLE", "peer_unreachable", False)


def test_a_node_that_was_reached_is_never_asked_again() -> None:
    asked, consortium, _ = _run(_faulty(NORTH, reset()))
    assert _outcome(asked, NORTH) == ("UNREACHABLE", "peer_unreachable", False)
    north = consortium.endpoint(NORTH)
    assert [endpoint for endpoint, _ in consortium.to_nodes.requests].count(north) == 1


def test_a_token_that_comes_again_is_refused_by_the_node() -> None:
    async def main() -> tuple[str, str]:
        consortium = make_consortium()
        await consortium.ask()
        by_endpoint = dict(consortium.to_nodes.requests)
        response = await consortium.nodes[NORTH].handle(by_endpoint[consortium.endpoint(NORTH)])
        return str(response.status), str(json.loads(response.body)["errors"][0]["message"])

    assert simulate(0, main()) == ("409", "token_replayed")


def _nan(body: bytes) -> bytes:
    return body.replace(b'"valid_until":null', b'"valid_until":NaN', 1)


def _other_title(body: bytes) -> bytes:
    return body.replace(b"sepsis title", b"cancer title", 1)


def _other_signature(body: bytes) -> bytes:
    document = json.loads(body)
    head, claims, signature = document["data"]["search"]["attestation"].split(".")
    flipped = ("A" if signature[0] != "A" else "B") + signature[1:]
    document["data"]["search"]["attestation"] = f"{head}.{claims}.{flipped}"
    return json.dumps(document).encode()


def _without_last_result(body: bytes) -> bytes:
    document = json.loads(body)
    document["data"]["search"]["results"].pop()
    return json.dumps(document).encode()


def _reversed_results(body: bytes) -> bytes:
    document = json.loads(body)
    results = document["data"]["search"]["results"]
    position = [index for index, result in enumerate(results) if result["card"]]
    results[position[0]], results[position[1]] = results[position[1]], results[position[0]]
    return json.dumps(document).encode()


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (says(b""), "node_answer_empty"),
        (says(b"<html>502</html>", content_type="text/html"), "node_answer_content_type"),
        (says(b"<html>hello</html>"), "json_malformed"),
        (says(b"\x00\xff" * 100), "json_malformed"),
        (says(b"[" * 10_000), "json_too_deep"),
        (says(b'{"data":{"search":{"attestation":"a","results":"many"}}}'), "document_malformed"),
        (says(b'{"data":{"search":{"attestation":"a.b.c","results":[]}}}'), "attestation_malformed"),
        (says(b"oops", status=500, content_type="text/plain"), "node_answer_http_status"),
        (endless(GIGABYTE), "peer_answer_too_large"),
        (tamper(_nan), "number_not_canonical"),
        (tamper(_other_title), "record_not_attested"),
        (tamper(_other_signature), "attestation_signature_invalid"),
        (tamper(_without_last_result), "record_missing"),
        (tamper(_reversed_results), "order_mismatch"),
        (tamper(lambda body: body[: len(body) // 2]), "json_malformed"),
    ],
)
def test_every_kind_of_garbage_is_invalid_with_its_code(fault: Fault, code: str) -> None:
    asked, _, _ = _run(_faulty(NORTH, fault))
    _only_missing(asked, NORTH)
    assert _outcome(asked, NORTH) == ("INVALID", code, False)
    (north,) = (e for e in asked.judged.merged.completeness.entries if e.organization == NORTH)
    assert north.said_by == "coordinator"  # home never saw the garbage: this is the relay's word
    assert asked.findings == ()


@pytest.mark.parametrize("change", [_other_title, _other_signature, _without_last_result, _reversed_results])
def test_a_relay_passes_nothing_on_that_its_node_did_not_attest(change: Callable[[bytes], bytes]) -> None:
    async def main() -> dict[str, object]:
        consortium = make_consortium()
        consortium.fault(NORTH, tamper(change))
        signed = consortium.sign(consortium.question())
        response = await consortium.from_home.parties[consortium.endpoint(RELAY)](signed.request)
        answers = json.loads(response.body)["data"]["ask"]["answers"]
        return next(answer for answer in answers if answer["organization"] == NORTH)

    north = simulate(0, main())
    assert (north["status"], north["attestation"], north["results"]) == ("INVALID", None, None)


def test_a_relay_passes_no_attestation_on_that_is_dated_to_another_time() -> None:
    """A key that was withdrawn must not date an answer back to when it was good; the node itself signed this one."""

    async def main() -> dict[str, object]:
        consortium = make_consortium()
        key = consortium.network.keys[NORTH]["attestation"]

        def dated_back(body: bytes) -> bytes:
            document = json.loads(body)
            answer = document["data"]["search"]
            claims = jose.unverified_claims(answer["attestation"], bytes_max=200_000)
            claims["iat"] = int(str(claims["iat"])) - 1_000
            answer["attestation"] = jose.sign(claims, key=key, typ=ATTESTATION_TYP)
            return json.dumps(document).encode()

        consortium.fault(NORTH, tamper(dated_back))
        signed = consortium.sign(consortium.question())
        response = await consortium.from_home.parties[consortium.endpoint(RELAY)](signed.request)
        answers = json.loads(response.body)["data"]["ask"]["answers"]
        return next(answer for answer in answers if answer["organization"] == NORTH)

    north = simulate(0, main())
    assert (north["status"], north["code"], north["attestation"]) == ("INVALID", "attestation_time", None)


def test_a_relay_accounts_for_whom_it_was_told_to_ask_and_home_for_its_roster() -> None:
    async def main() -> dict[str, str]:
        consortium = make_consortium()
        signed = consortium.sign(consortium.question(), orgs=(NORTH,))
        response = await consortium.from_home.parties[consortium.endpoint(RELAY)](signed.request)
        merged = json.loads(json.loads(response.body)["data"]["ask"]["merged"])
        return {entry["organization"]: entry["status"] for entry in merged["completeness"]["entries"]}

    # Two parties that poll at different times know different rosters: the token names whom both merge over.
    assert simulate(0, main()) == {NORTH: "OK"}

    async def only_north() -> dict[str, str]:
        asked = await make_consortium().ask(only=frozenset({NORTH}))
        return {entry.organization: entry.status for entry in asked.judged.merged.completeness.entries}

    assert simulate(0, only_north()) == {HOME: "SKIPPED", NORTH: "OK", VITALIS: "SKIPPED"}


def test_of_a_gigabyte_only_the_limit_is_read() -> None:
    _, consortium, _ = _run(_faulty(NORTH, endless(GIGABYTE)))
    assert consortium.to_nodes.bytes_read < 2 * Limits().answer_bytes_max(consortium.question())


def test_the_answer_of_another_organization_is_refused() -> None:
    def prepare(consortium: Consortium) -> None:
        # North's address is answered by Vitalis: its authority is not the one that was signed.
        consortium.to_nodes.parties[consortium.endpoint(NORTH)] = consortium.nodes[VITALIS].handle

    asked, _, _ = _run(prepare)
    _only_missing(asked, NORTH)
    assert _outcome(asked, NORTH) == ("REFUSED", "request_signature_invalid", False)


def test_an_old_answer_of_the_same_node_is_refused() -> None:
    kept: list[bytes] = []

    def keep(body: bytes) -> bytes:
        kept.append(body)
        return body

    async def main() -> Asked:
        consortium = make_consortium()
        consortium.fault(NORTH, tamper(keep), tamper(lambda _: kept[0]))
        await consortium.ask()
        return await consortium.ask()

    assert _outcome(simulate(0, main()), NORTH) == ("INVALID", "attestation_wrong_token", False)


def test_more_questions_than_a_relay_takes_are_refused_at_once() -> None:
    async def main() -> tuple[list[Asked], list[Event]]:
        consortium = make_consortium(limits=Limits(asks_parallel_max=1))
        for org in ALL:
            consortium.fault(org, delay(0.5))
        return list(await asyncio.gather(consortium.ask(), consortium.ask())), consortium.from_home.trace

    asked, trace = simulate(0, main())
    assert sorted(one.coordinator or "" for one in asked) == ["", "relay-one"]
    assert any(event.what == "answered 503" and event.at_ms < 100 for event in trace)


def _mixed(consortium: Consortium) -> None:
    consortium.fault(NORTH, refuse(), delay(0.3))
    consortium.fault(VITALIS, tamper(_other_title))


@pytest.mark.parametrize("seed", range(41))
def test_one_seed_gives_one_trace(seed: int) -> None:
    first, second = (_run(_mixed, seed=seed) for _ in range(2))
    assert first[1].to_nodes.trace == second[1].to_nodes.trace
    assert first[1].from_home.trace == second[1].from_home.trace
    assert first[0].judged.merged.canonical() == second[0].judged.merged.canonical()
    assert _outcome(first[0], VITALIS) == ("INVALID", "record_not_attested", False)


def test_seeds_differ_in_what_happens_first() -> None:
    orders = set()
    for seed in range(10):
        _, consortium, _ = _run(lambda _: None, seed=seed)
        orders.add(tuple(event.endpoint for event in consortium.to_nodes.trace if event.what == "answered 200"))
    assert len(orders) > 2
