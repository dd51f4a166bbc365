"""Sealed answers: everything works as in the open, and whoever carries them sees nothing that follows from records.

`everything_seen` is all that a coordinator ever holds of a round: what it sends to nodes, what they answer, what it
hands over, its merge and its log.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from concordat_node.home.arrivals import OrganizationAnswered
from concordat_node.home.ask import Asked, Finished
from concordat_node.home.paging import has_next, next_cursors
from concordat_node.home.saving import saved_answer
from concordat_node.registry.records import PolicyAttributes
from concordat_node.registry.rules import Imported
from concordat_trust.answer import verify_saved_answer
from concordat_trust.canonical import JsonObject
from concordat_trust.encoding import unb64u
from concordat_trust.errors import ConcordatError
from concordat_trust.ids import OrgId, tie_key
from concordat_trust.jose import unverified_claims
from concordat_trust.question import Question, Sort
from concordat_trust.saved_answer import SavedAnswer
from concordat_trust.wire.transport import WireRequest, WireResponse
from tests.factories.network import NOW, make_network
from tests.factories.node import (
    Clock,
    Entropy,
    TestNode,
    asset_id,
    attributes_of,
    make_asset,
    make_assets_question,
    make_node,
    make_question,
)
from tests.federation.consortium import HOME, NORTH, RELAY, VITALIS, Consortium, make_consortium
from tests.federation.hostile_relay import Entries, HostileRelay, entry_of, payload_of, with_payload
from tests.federation.memory_transport import Handler, hang
from tests.federation.virtual_clock import simulate

ORGS = (HOME, NORTH, VITALIS)
CLOSED = attributes_of(sensitivity=1, relay_may_read=False)
NETWORK = make_network()
WORDS = ("kidney", "ward", "tumour", "sepsis", "heart", "lung", "stroke", "trial", "image")


def records_of(org: str, count: int, held: PolicyAttributes = CLOSED) -> list[Imported]:
    """Return `count` records of one organization, which no relay may read; titles, tasks and dates differ."""
    owner = OrgId.parse(org)
    return [
        make_asset(
            f"{org}-{number}",
            held,
            org=owner,
            task=f"secret-task-{number % 3}",
            created=f"2026-0{1 + number % 9}-11",
            summary=" ".join(WORDS[: 1 + number % 9]) + " clinical",
        )
        for number in range(count)
    ]


def nodes_with(counts: dict[OrgId, int]) -> dict[OrgId, TestNode]:
    """Return nodes of sealed records; an organization with none has one open record, so that it answers in the open."""
    clock = Clock()
    return {
        org: make_node(
            NETWORK, org, records_of(org, count) or [make_asset("open", org=org)], clock=clock, entropy=Entropy(org)
        )
        for org, count in counts.items()
    }


SEVEN = nodes_with(dict.fromkeys(ORGS, 7))


class Seen:
    """Stands between the relay and everybody else, and keeps every byte."""

    def __init__(self, consortium: Consortium) -> None:
        self.bodies: list[bytes] = []
        for endpoint, party in consortium.to_nodes.parties.items():
            consortium.to_nodes.parties[endpoint] = partial(self._kept, party)
        self._consortium = consortium

    async def _kept(self, party: Handler, request: WireRequest) -> WireResponse:
        response = await party(request)
        self.bodies += [request.body, json.dumps(dict(request.headers)).encode(), response.body]
        return response

    def handed(self, relay: HostileRelay) -> bytes:
        """Return everything: what it sent and got, and what it handed over."""
        handed = [json.dumps(relayed.to_json()).encode() for relayed in relay.handed]
        return b"\n".join(
            [*self.bodies, *handed, *(request.body for _, request in self._consortium.from_home.requests)]
        )


def rounds(
    nodes: dict[OrgId, TestNode], questions: Sequence[Question], ids: Any = None
) -> tuple[list[Asked], bytes, list[Any]]:
    """Ask, page by page; return what home believes, all that the relay saw, and its merges."""

    async def main() -> tuple[list[Asked], bytes, list[Any]]:
        relays: list[HostileRelay] = []

        def relay_class(**parts: Any) -> HostileRelay:
            relays.append(HostileRelay(**parts))
            return relays[0]

        consortium = make_consortium(nodes=nodes, relay_class=relay_class)
        seen = Seen(consortium)
        asked: list[Asked] = []
        for question in questions:
            asked.append(await consortium.ask(question, ids=ids))
            while more(asked[-1]) and len(asked) < 6:
                saved = SavedAnswer.parse(saved_answer(asked[-1], NETWORK.bundle, now=NOW))
                asked.append(await consortium.ask(question, cursors=next_cursors(saved)))
        return asked, seen.handed(relays[0]), [json.loads(relayed.merged) for relayed in relays[0].handed]

    return simulate(0, main())


def more(asked: Asked) -> bool:
    return has_next(asked.round.question, asked.round.parts, asked.judged.verified, asked.judged.merged)


def question(**changes: Any) -> Question:
    return make_question(NETWORK, **{"text": "clinical", "facets": ("kind", "task"), **changes})


def traces_of(asked: Sequence[Asked]) -> set[bytes]:
    """Return what a relay must not hold: titles, ids, tie keys, facet values, and what home was told inside."""
    traces: set[bytes] = set()
    for one in asked:
        for hit in one.judged.merged.hits:
            ident = str(hit.record["id"])
            traces |= {ident.encode(), tie_key(ident).encode(), str(hit.record["title"]).encode()}
            traces |= {str(hit.record["task"]).encode(), str(hit.record["summary"]).encode()}
        for answer in one.judged.verified.values():
            assert answer.sealed_text is not None
            traces |= {candidate.commitment.encode() for candidate in answer.attestation.candidates}
            traces.add(answer.sealed_text)
    return traces


def decoded(seen: bytes) -> bytes:
    """Return what was seen, with the claims of every JWS in it read."""
    texts = [part for part in seen.replace(b'\\"', b'"').split(b'"') if part.count(b".") == 2 and part[:3] == b"eyJ"]
    return seen + b"\n".join(unb64u(text.split(b".")[1].decode()) for text in texts)


@pytest.mark.parametrize(
    "asked",
    [
        [question()],
        [question(sort=Sort("created", None, "asc"), page_size=5)],
        [question(text="", facets=()), question(text="words that nobody has")],
    ],
    ids=["facets", "paging", "none"],
)
def test_a_coordinator_sees_nothing_that_follows_from_sealed_records(
    asked: list[Question], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        believed, seen, merges = rounds(SEVEN, asked)
    assert all(one.findings == () and one.judged.merged.completeness.complete for one in believed)
    everything = decoded(seen) + caplog.text.encode()
    found = {trace for trace in traces_of(believed) if trace in everything}
    assert found == set()
    for merged in merges:
        assert (merged["hits"], merged["total"], merged["total_at_least"]) == ([], None, 0)
        assert not any(merged["facets"].values())
        assert merged["partial"]


def test_what_home_comes_to_is_what_it_comes_to_in_the_open() -> None:
    opened = {
        org: make_node(NETWORK, org, records_of(org, 7, attributes_of()), clock=Clock(), entropy=Entropy(org))
        for org in ORGS
    }
    pages = [question(), question(page_size=4, sort=Sort("created", None, "asc"))]
    sealed, plain = rounds(SEVEN, pages)[0], rounds(opened, pages)[0]
    assert [one.judged.merged.to_json() for one in sealed] == [one.judged.merged.to_json() for one in plain]
    assert len(sealed) > 5
    assert sealed[0].judged.merged.total == 21


def visible_shape(seen: bytes) -> list[int]:
    return [len(line) for line in seen.splitlines()]


def test_how_many_records_match_does_not_show_in_any_length() -> None:
    """None, one or twenty: the coordinator's bytes are as long, in answers and in the question for a next page."""
    lengths = set()
    for count in (1, 2, 7, 20):
        _, seen, _ = rounds(nodes_with({HOME: count, NORTH: 1, VITALIS: 20}), [question(page_size=50)])
        lengths.add(tuple(visible_shape(seen)))
    _, seen, _ = rounds(nodes_with({HOME: 3, NORTH: 1, VITALIS: 20}), [question(page_size=50, text="unheard!")])
    lengths.add(tuple(visible_shape(seen)))
    assert len(lengths) == 1


def test_the_question_for_a_next_page_shows_neither_count_nor_position() -> None:
    pages, _, _ = rounds(nodes_with(dict.fromkeys(ORGS, 7)), [question(page_size=2)])
    cursors = [part.cursor for page in pages[1:] for part in page.round.parts.values() if part.cursor is not None]
    assert len(cursors) > 5
    assert {(len(cursor.sealed), cursor.after) for cursor in cursors} == {(len(cursors[0].sealed), 1)}


def test_pages_of_sealed_answers_together_are_the_whole_answer() -> None:
    asked = question(page_size=5, sort=Sort("created", None, "asc"))
    pages, _, _ = rounds(SEVEN, [asked])
    ids = [str(hit.record["id"]) for page in pages for hit in page.judged.merged.hits]
    whole, _, _ = rounds(SEVEN, [question(page_size=50, sort=Sort("created", None, "asc"))])
    assert ids == [str(hit.record["id"]) for hit in whole[0].judged.merged.hits]
    assert len(ids) == len(set(ids)) == 21


def test_records_by_id_are_sealed_too() -> None:
    wanted = str(asset_id(f"{VITALIS}-3", org=VITALIS))
    believed, seen, _ = rounds(SEVEN, [make_assets_question(NETWORK)], {VITALIS: (wanted,)})
    assert [hit.record["id"] for hit in believed[0].judged.merged.hits] == [wanted]
    assert b"vitalis-3 title" not in decoded(seen)


def test_a_sealed_answer_is_shown_as_soon_as_it_arrives() -> None:
    async def main() -> tuple[list[OrganizationAnswered], Asked]:
        consortium = make_consortium(nodes=SEVEN)
        consortium.fault(VITALIS, hang())
        told: list[OrganizationAnswered] = []
        async with aclosing(consortium.ask_events()) as events:
            async for event in events:
                if isinstance(event, Finished):
                    return told, event.asked
                told.append(event)
        raise AssertionError("no result")

    told, asked = simulate(0, main())
    shown = {event.entry.organization: event for event in told}
    assert {org: len(shown[org].records) for org in (HOME, NORTH)} == {HOME: 7, NORTH: 7}
    assert {shown[org].entry.total for org in (HOME, NORTH)} == {7}
    assert asked.judged.merged.facets["task"] == {"secret-task-0": 6, "secret-task-1": 4, "secret-task-2": 4}


def test_a_saved_sealed_answer_is_verified_offline_and_any_change_of_it_is_found() -> None:
    (asked,), _, _ = rounds(SEVEN, [question(page_size=50)])
    data = saved_answer(asked, NETWORK.bundle, now=NOW)
    verified = verify_saved_answer(data, bundle_at=lambda _: NETWORK.bundle)
    assert verified.merged.total == 21
    saved = SavedAnswer.parse(data)
    kept = saved.answers[NORTH]
    assert kept.sealed is not None
    changed = replace(kept, sealed=kept.sealed.replace(b"sepsis", b"sepsys", 1))
    for other in (changed, replace(kept, sealed=None), replace(kept, sealed=saved.answers[VITALIS].sealed)):
        with pytest.raises(ConcordatError) as caught:
            verify_saved_answer(
                replace(saved, answers={**saved.answers, NORTH: other}).to_bytes(), bundle_at=lambda _: NETWORK.bundle
            )
        assert caught.value.code in ("sealed_part_mismatch", "sealed_part_missing")


def test_open_and_sealed_answers_are_merged_at_home_and_the_relay_says_that_its_merge_is_partial() -> None:
    believed, _, merges = rounds(nodes_with({HOME: 0, NORTH: 7, VITALIS: 0}), [question(text="")])
    assert believed[0].findings == ()
    assert (believed[0].judged.merged.total, believed[0].judged.merged.is_partial) == (9, False)
    assert (len(merges[0]["hits"]), merges[0]["total"], merges[0]["partial"]) == (2, None, True)
    _, _, plain = rounds(nodes_with(dict.fromkeys(ORGS, 0)), [question(text="")])
    assert not plain[0]["partial"]


# A coordinator that touches what it cannot read.


def _lied(before: Any) -> Asked:
    async def main() -> Asked:
        relay_class = partial(HostileRelay, before=before)
        return await make_consortium(nodes=SEVEN, relay_class=relay_class).ask(question())

    return simulate(0, main())


def _withheld(entries: Entries) -> Entries:
    return with_payload(entries, NORTH, sealed=None)


def _exchanged(entries: Entries) -> Entries:
    return with_payload(entries, NORTH, sealed=payload_of(entry_of(entries, VITALIS)).sealed)


def _flipped(entries: Entries) -> Entries:
    sealed = str(payload_of(entry_of(entries, NORTH)).sealed)
    return with_payload(entries, NORTH, sealed=sealed[:-5] + ("A" if sealed[-5] != "A" else "B") + sealed[-4:])


def _added(entries: Entries) -> Entries:
    record: JsonObject = {"salt": "s" * 22, "card": {}, "asset": None, "lineageVertex": None}
    return with_payload(entries, NORTH, results=(record,))


@pytest.mark.parametrize(
    ("lie", "code"),
    [
        (_withheld, "sealed_part_missing"),
        (_exchanged, "seal_broken"),
        (_flipped, "seal_broken"),
        (_added, "sealed_part_unexpected"),
    ],
)
def test_a_touched_sealed_answer_is_found(lie: Any, code: str) -> None:
    asked = _lied(lie)
    assert (NORTH, code) in {(finding.organization, finding.code) for finding in asked.findings}
    assert {hit.organization for hit in asked.judged.merged.hits} == {HOME, VITALIS}


def test_what_stands_outside_is_the_same_whatever_matches() -> None:
    """Claims of two attestations, of a question with matches and one without, differ only in what is always fresh."""
    first, _, _ = rounds(SEVEN, [question()])
    second, _, _ = rounds(SEVEN, [question(text="zebra")])
    fresh = {"jti", "tid", "decision_id", "log", "qh", "sealed", "iat"}
    claims = []
    for asked in (*first, *second):
        jws = str(asked.judged.raw[NORTH].attestation)
        claims.append(
            {name: value for name, value in unverified_claims(jws, bytes_max=10**6).items() if name not in fresh}
        )
    assert claims[0] == claims[-1]
    assert RELAY not in ORGS
