"""Promise 1: ask once, get everything you may see, know what is missing.

Whatever goes wrong, every organization of the bundle's roster is accounted for exactly once; who failed has no total
and no records, and only what an organization signed is called proved.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from random import Random

import pytest

from concordat_coordinator.relay import RelayedEntry
from concordat_node.home.ask import Asked
from concordat_node.policy.engine import NodePolicy
from concordat_trust.attestation import verify_attestation
from concordat_trust.canonical import Json, JsonObject
from concordat_trust.ids import OrgId
from concordat_trust.merge import Entry, MergedResult
from concordat_trust.vocabulary import FOUND_AT_HOME, PROVED, REPORTED
from tests.factories.node import TableEngine, make_node
from tests.federation.consortium import HOME, NORTH, RELAY, VITALIS, Consortium, default_records, make_consortium
from tests.federation.hostile_relay import After, Before, Entries, HostileRelay
from tests.federation.memory_transport import Fault, delay, endless, hang, refuse, reset, says, tamper
from tests.federation.virtual_clock import simulate

ROSTER = (HOME, NORTH, VITALIS)
VISIBLE_PER_NODE = 3
Faults = Callable[[], tuple[Fault, ...]]

HARMLESS: dict[str, Faults] = {
    "nothing": tuple,
    "a slow answer": lambda: (delay(0.5),),
    "one refused connection": lambda: (refuse(),),
}
FATAL: dict[str, Faults] = {
    "nobody listens": lambda: (refuse(), refuse()),
    "a reset": lambda: (reset(),),
    "silence": lambda: (hang(),),
    "too slow": lambda: (delay(2.0),),
    "nothing in it": lambda: (says(b""),),
    "an empty object": lambda: (says(b"{}"),),
    "an empty answer": lambda: (says(b'{"data":{"search":{"attestation":null,"results":[]}}}'),),
    "no data": lambda: (says(b'{"data":null}'),),
    "html": lambda: (says(b"<html></html>", content_type="text/html"),),
    "an error": lambda: (says(b"oops", status=500, content_type="text/plain"),),
    "overloaded": lambda: (says(b'{"errors":[]}', status=503),),
    "a refusal": lambda: (
        says(b'{"errors":[{"extensions":{"code":"log_unavailable"},"message":"log_unavailable"}]}', status=500),
    ),
    "an endless answer": lambda: (endless(2**30),),
    "half an answer": lambda: (tamper(lambda body: body[: len(body) // 2]),),
    "another title": lambda: (tamper(lambda body: body.replace(b"sepsis title", b"cancer title", 1)),),
    "no results": lambda: (tamper(lambda body: body[: body.index(b'"results":')] + b'"results":[]}}}'),),
}
COORDINATOR: dict[str, Faults] = {
    **{name: FATAL[name] for name in ("nobody listens", "silence", "html", "nothing in it", "overloaded")},
    "half an answer": FATAL["half an answer"],
}


def _ask(
    prepare: Callable[[Consortium], None], *, seed: int = 0, before: Before | None = None, after: After | None = None
) -> Asked:
    async def main() -> Asked:
        consortium = make_consortium(seed, relay_class=partial(HostileRelay, before=before, after=after))
        prepare(consortium)
        return await consortium.ask()

    return simulate(seed, main())


def _entries(asked: Asked) -> dict[OrgId, Entry]:
    return {entry.organization: entry for entry in asked.judged.merged.completeness.entries}


def _accounted_for(merged: MergedResult, roster: tuple[OrgId, ...] = ROSTER) -> None:
    """Say what holds of every answer, whatever happened."""
    completeness = merged.completeness
    assert tuple(entry.organization for entry in completeness.entries) == tuple(sorted(roster))
    answered = {entry.organization for entry in completeness.entries if entry.status in ("OK", "SUPPRESSED")}
    for entry in completeness.entries:
        assert entry.status in (*PROVED, *REPORTED, *FOUND_AT_HOME)
        assert entry.proved == (entry.status in PROVED)
        if entry.status != "OK":
            assert entry.total is None
            assert entry.code is not None
        if not entry.proved:
            assert entry.notice is None
    assert {hit.organization for hit in merged.hits} <= answered
    assert (completeness.asked, completeness.answered) == (len(roster), len(answered))
    assert completeness.complete == (answered == set(roster))
    assert (merged.total is None) == (answered != set(roster))
    assert merged.total_at_least == sum(entry.total or 0 for entry in completeness.entries)


@pytest.mark.parametrize("name", FATAL)
@pytest.mark.parametrize("org", ROSTER)
def test_promise_1_every_fault_is_accounted_for_and_none_looks_empty(org: OrgId, name: str) -> None:
    asked = _ask(lambda consortium: consortium.fault(org, *FATAL[name]()))
    merged = asked.judged.merged
    _accounted_for(merged)
    failed = _entries(asked)[org]
    assert failed.status not in PROVED
    assert failed.total is None
    assert {entry.organization for entry in merged.completeness.missing} == {org}
    assert (merged.total, merged.total_at_least) == (None, 2 * VISIBLE_PER_NODE)


@pytest.mark.parametrize("seed", range(60))
def test_promise_1_any_mixture_of_faults_is_accounted_for(seed: int) -> None:
    draw = Random(seed)
    chosen = {org: draw.choice([*HARMLESS, *FATAL]) for org in ROSTER}

    def prepare(consortium: Consortium) -> None:
        for org, name in chosen.items():
            consortium.fault(org, *(HARMLESS | FATAL)[name]())

    asked = _ask(prepare, seed=seed)
    _accounted_for(asked.judged.merged)
    answered = {org for org, name in chosen.items() if name in HARMLESS}
    entries = _entries(asked)
    assert {org for org in ROSTER if entries[org].status == "OK"} == answered
    assert {entries[org].total for org in answered} <= {VISIBLE_PER_NODE}


@pytest.mark.parametrize("name", COORDINATOR)
def test_promise_1_a_failed_coordinator_costs_others_and_hides_nobody(name: str) -> None:
    def prepare(consortium: Consortium) -> None:
        consortium.from_home.faults[consortium.endpoint(RELAY)] = list(COORDINATOR[name]())

    asked = _ask(prepare)
    _accounted_for(asked.judged.merged)
    assert asked.findings
    if asked.coordinator is None:
        assert {org: entry.status for org, entry in _entries(asked).items()} == {
            HOME: "OK",
            NORTH: "UNREACHABLE",
            VITALIS: "UNREACHABLE",
        }


def _instead(consortium: Consortium, org: OrgId, **options: object) -> None:
    """Put another node in an organization's place, with the same records and keys."""
    node = make_node(consortium.network, org, default_records(org), clock=consortium.clock, **options)  # type: ignore[arg-type]  # options are make_node's own
    consortium.to_nodes.parties[consortium.endpoint(org)] = node.handle


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"node_policy": NodePolicy(("HMB",))}, "purpose_not_admitted"),
        ({"engine": TableEngine(is_dead=True)}, "policy_unavailable"),
    ],
)
def test_promise_1_a_denial_is_proved_and_is_neither_empty_nor_an_answer(options: JsonObject, code: str) -> None:
    asked = _ask(lambda consortium: _instead(consortium, NORTH, **options))
    merged = asked.judged.merged
    _accounted_for(merged)
    north = _entries(asked)[NORTH]
    assert (north.status, north.code, north.proved, north.total) == ("DENIED", code, True, None)
    assert [entry.organization for entry in merged.completeness.missing] == [NORTH]
    assert asked.findings == ()
    bundle = make_consortium().network.bundle
    stated = verify_attestation(str(asked.judged.raw[NORTH].attestation), bundle=bundle)
    assert (stated.organization, stated.status, stated.code) == (NORTH, "DENIED", code)
    assert (stated.token_id, stated.question_hash) == (asked.round.token_id, asked.round.question.hash())


def test_promise_1_a_node_that_holds_nothing_is_a_proved_zero() -> None:
    def prepare(consortium: Consortium) -> None:
        empty = make_node(consortium.network, NORTH, (), clock=consortium.clock)
        consortium.to_nodes.parties[consortium.endpoint(NORTH)] = empty.handle

    asked = _ask(prepare)
    north = _entries(asked)[NORTH]
    assert (north.status, north.proved, north.total) == ("OK", True, 0)
    assert asked.judged.merged.completeness.complete
    assert asked.judged.merged.total == 2 * VISIBLE_PER_NODE


def _said_of_north(entries: Entries, status: str, *, with_hash: bool) -> Entries:
    def said(entry: RelayedEntry) -> RelayedEntry:
        kept = entry.answer if with_hash else None
        return replace(entry, status=status, code="purpose_not_admitted", answer=kept)  # type: ignore[arg-type]  # a lie

    return [said(entry) if entry.organization == NORTH else entry for entry in entries]


def _without_norths_answer(sent: JsonObject) -> JsonObject:
    answers = [dict(answer) for answer in sent["answers"] if isinstance(answer, dict)]  # type: ignore[union-attr]  # a list
    for answer in answers:
        if answer["organization"] == NORTH:
            answer |= {"attestation": None, "results": []}
    return {**sent, "answers": list[Json](answers)}


@pytest.mark.parametrize("with_hash", [True, False])
@pytest.mark.parametrize("status", ["OK", "DENIED", "SUPPRESSED", "UNSUPPORTED"])
def test_promise_1_nobody_is_denied_on_the_coordinators_word(status: str, with_hash: bool) -> None:
    """It says so and signs for it, with the hash of an attestation that it holds back, or with none."""
    asked = _ask(
        lambda _: None,
        before=lambda entries: _said_of_north(entries, status, with_hash=with_hash),
        after=_without_norths_answer,
    )
    _accounted_for(asked.judged.merged)
    north = _entries(asked)[NORTH]
    assert north.status not in PROVED
    assert (north.proved, north.total) == (False, None)
    assert asked.findings


@pytest.mark.parametrize("left_out", [(NORTH,), (HOME,), (NORTH, VITALIS), ROSTER])
def test_promise_1_the_roster_is_the_bundles_whoever_is_left_out(left_out: tuple[OrgId, ...]) -> None:
    def before(entries: Entries) -> Entries:
        return [entry for entry in entries if entry.organization not in left_out]

    asked = _ask(lambda _: None, before=before)
    _accounted_for(asked.judged.merged)
    assert {finding.organization for finding in asked.findings} == {RELAY}
    assert {org for org, entry in _entries(asked).items() if entry.proved} == {HOME}
