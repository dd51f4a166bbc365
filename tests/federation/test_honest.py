"""An honest network: what comes back, who reads what, and what a relay keeps of it, which is nothing."""

from __future__ import annotations

import gc

import pytest

from concordat_coordinator.check import CheckedAnswer
from concordat_node.home.ask import Asked
from concordat_trust.ids import OrgId
from concordat_trust.question import Sort
from tests.factories.node import asset_id, make_question
from tests.federation.consortium import HOME, NORTH, RELAY, VITALIS, Consortium, make_consortium
from tests.federation.virtual_clock import simulate

ALL = {HOME, NORTH, VITALIS}


def _titles(asked: Asked) -> set[str]:
    return {str(hit.record["title"]) for hit in asked.judged.merged.hits}


def _run(seed: int = 0, **changes: object) -> tuple[Consortium, Asked]:
    async def main() -> tuple[Consortium, Asked]:
        consortium = make_consortium(seed)
        return consortium, await consortium.ask(consortium.question(**changes))

    return simulate(seed, main())


def test_everybody_answers_and_home_finds_nothing_wrong() -> None:
    _, asked = _run()
    merged = asked.judged.merged
    assert (asked.coordinator, asked.findings) == (RELAY, ())
    assert merged.completeness.complete
    assert {entry.organization for entry in merged.completeness.entries if entry.proved} == ALL
    assert (merged.total, len(merged.hits)) == (9, 9)
    assert merged.facets == {"kind": {"model": 9}, "task": {"classification": 6, "regression": 3}}


@pytest.mark.parametrize("sealed", [False, True])
def test_home_reads_open_and_sealed_answers_and_nobody_sees_the_hidden_record(sealed: bool) -> None:
    async def main() -> Asked:
        return await make_consortium(sealed=sealed).ask()

    asked = simulate(0, main())
    assert _titles(asked) == {f"{org}-{name} title" for org in ALL for name in ("sepsis", "stroke", "third")}
    assert asked.findings == ()


@pytest.mark.parametrize("sealed", [False, True])
def test_the_relay_reads_only_what_its_owners_let_it_read(sealed: bool) -> None:
    async def main() -> bytes:
        consortium = make_consortium(sealed=sealed)
        request = consortium.sign(consortium.question()).request
        handler = consortium.from_home.parties[consortium.endpoint(RELAY)]
        return (await handler(request)).body

    body = simulate(0, main())
    assert (b"sepsis title" in body) == (not sealed)
    assert b"secret title" not in body


def test_a_relay_keeps_nothing_of_a_question() -> None:
    consortium, _ = _run()
    gc.collect()
    assert consortium.relay.asks_running == 0
    assert not [item for item in gc.get_objects() if isinstance(item, CheckedAnswer)]


def test_one_round_asks_every_node_once() -> None:
    consortium, _ = _run()
    assert sorted(endpoint for endpoint, _ in consortium.to_nodes.requests) == sorted(map(consortium.endpoint, ALL))


def test_two_rounds_have_two_tokens_and_both_are_answered() -> None:
    async def main() -> tuple[Asked, Asked]:
        consortium = make_consortium()
        return await consortium.ask(), await consortium.ask()

    first, second = simulate(0, main())
    assert first.round.token_id != second.round.token_id
    assert first.judged.merged.canonical() == second.judged.merged.canonical()


def test_records_by_id_come_from_their_owner_alone() -> None:
    wanted = str(asset_id("vitalis-third", org=VITALIS))
    hidden = str(asset_id("north-hospital-secret", org=NORTH))

    async def main() -> Asked:
        consortium = make_consortium()
        question = make_question(consortium.network, operation="assets", projection="asset")
        return await consortium.ask(question, ids={VITALIS: (wanted,), NORTH: (hidden,)})

    asked = simulate(0, main())
    assert [hit.record["id"] for hit in asked.judged.merged.hits] == [wanted]
    assert asked.judged.merged.completeness.complete
    assert asked.findings == ()


@pytest.mark.parametrize("seed", range(5))
def test_the_order_is_the_same_whoever_is_faster(seed: int) -> None:
    ids = [hit.record["id"] for hit in _run(seed, sort=Sort("created", None, "asc"))[1].judged.merged.hits]
    assert ids == [hit.record["id"] for hit in _run(99, sort=Sort("created", None, "asc"))[1].judged.merged.hits]


def test_a_twentieth_organization_is_no_different_from_the_first() -> None:
    names = ("alma-university", *(f"org-{n:02}" for n in range(1, 20)))

    async def main() -> Asked:
        consortium = make_consortium(organizations=names)
        return await consortium.ask()

    asked = simulate(0, main())
    assert asked.findings == ()
    assert {entry.organization for entry in asked.judged.merged.completeness.entries} == set(map(OrgId.parse, names))
    assert asked.judged.merged.total == 60
