"""Cursors: a next page follows the one before, for the same person, question and view, and for nothing else."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from concordat_node.access.cursor import (
    Anchor,
    CursorBinding,
    CursorInvalid,
    CursorSeal,
    CursorStale,
    Place,
)
from concordat_node.registry.rules import ImportedAsset
from concordat_trust.attestation import Attestation, verify_attestation
from concordat_trust.canonical import JsonObject
from concordat_trust.encoding import b64u, sha256_b64u, unb64u
from concordat_trust.ids import AssetId, OrgId
from concordat_trust.question import CURSOR_LENGTH_MAX, PAGE_SIZE_MAX, Part, PartCursor, Question, Sort
from tests.factories.network import make_network
from tests.factories.node import (
    HOME,
    NORTH,
    PrescribedEngine,
    TestNode,
    answer_of,
    asking,
    asset_id,
    attributes_of,
    make_asset,
    make_assets_question,
    make_node,
    make_question,
)

NETWORK = make_network()
BINDING = CursorBinding(NORTH, HOME, "p-4711", sha256_b64u(b"question"))
SEAL = CursorSeal(b"s" * 32)
MANY = 47
_TOKENS = itertools.count()


def place(*names: str) -> Place:
    return Place("policy", "view", tuple(Anchor(7, asset_id(name)) for name in names))


def opened(text: str, after: int = 1, binding: CursorBinding = BINDING, seal: CursorSeal = SEAL) -> Anchor:
    return seal.open(PartCursor(text, after), binding)[1]


@given(st.lists(st.tuples(st.none() | st.integers(0, 10**9), st.binary(min_size=16, max_size=16)), max_size=50))
def test_a_cursor_returns_what_was_sealed(anchors: list[tuple[int | None, bytes]]) -> None:
    sealed = Place("p" * 64, "v", tuple(Anchor(key, AssetId.new(NORTH, "model", raw)) for key, raw in anchors))
    text = SEAL.seal(sealed, BINDING)
    assert len(text) <= CURSOR_LENGTH_MAX
    assert text == SEAL.seal(sealed, BINDING)
    for after in range(1, len(anchors) + 1):
        assert SEAL.open(PartCursor(text, after), BINDING) == (sealed, sealed.anchors[after - 1])
    with pytest.raises(CursorInvalid):
        SEAL.open(PartCursor(text, len(anchors) + 1), BINDING)


def test_the_largest_cursor_fits() -> None:
    longest = AssetId.new(OrgId.parse("o" * 40), "dataset", b"\xff" * 16)
    full = Place("p" * 64, "v" * 43, (Anchor(2**53 - 1, longest),) * PAGE_SIZE_MAX)
    assert len(SEAL.seal(full, BINDING)) <= CURSOR_LENGTH_MAX


@pytest.mark.parametrize(
    "other",
    [
        replace(BINDING, organization=OrgId.parse("vitalis")),
        replace(BINDING, home=OrgId.parse("vitalis")),
        replace(BINDING, pseudonym="p-4712"),
        replace(BINDING, question_hash=sha256_b64u(b"other")),
    ],
)
def test_a_cursor_opens_for_nothing_else(other: CursorBinding) -> None:
    text = SEAL.seal(place("a"), BINDING)
    assert opened(text).id == asset_id("a")
    with pytest.raises(CursorInvalid):
        opened(text, binding=other)


def test_a_cursor_of_another_node_secret_does_not_open() -> None:
    with pytest.raises(CursorInvalid):
        opened(CursorSeal(b"t" * 32).seal(place("a"), BINDING))


@given(st.data())
def test_a_cursor_with_any_bit_changed_does_not_open(data: st.DataObject) -> None:
    sealed = bytearray(unb64u(SEAL.seal(place("a", "b"), BINDING)))
    sealed[data.draw(st.integers(0, len(sealed) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(CursorInvalid):
        opened(b64u(bytes(sealed)))


@given(st.text("abcXYZ019_-", min_size=16, max_size=400))
def test_whatever_is_sent_as_a_cursor_is_refused_by_code(text: str) -> None:
    with pytest.raises(CursorInvalid):
        opened(text)


def many(count: int = MANY, **policy: Any) -> list[ImportedAsset]:
    return [
        make_asset(f"{number}", attributes_of(**policy), created=f"2026-01-{number % 9 + 1:02d}")
        for number in range(count)
    ]


class Pages:
    """One person's walk over the pages of one node."""

    def __init__(self, node: TestNode, question: Question, **changes: Any) -> None:
        self.node, self.question, self.changes = node, question, changes

    async def ask(self, part: Part) -> tuple[JsonObject, Attestation]:
        token_id = f"token-{next(_TOKENS):018d}"
        changes = {"part": part.canonical(), "token_id": token_id, **self.changes}
        answer = answer_of(await self.node.handle(asking(NETWORK, self.question, **changes).request()))
        return answer, verify_attestation(str(answer["attestation"]), bundle=NETWORK.bundle)

    async def all_ids(self, taken: int) -> list[str]:
        """Return the ids of all pages when `taken` candidates of each are used."""
        part, seen = Part(), list[str]()
        while True:
            answer, attestation = await self.ask(part)
            ids = [str(result["card"]["id"]) for result in answer["results"]]  # type: ignore[index,union-attr,call-overload]
            assert attestation.total == MANY
            if answer["cursor"] is None:
                assert not ids
                return seen
            assert attestation.cursor == sha256_b64u(str(answer["cursor"]).encode())
            used = min(taken, len(ids))
            seen += ids[:used]
            part = Part(cursor=PartCursor(str(answer["cursor"]), used))


@pytest.mark.parametrize("sort", [Sort(), Sort("created", None, "asc"), Sort("metric", "accuracy", "desc")])
@pytest.mark.parametrize("taken", [3, 20])
async def test_the_pages_of_a_node_hold_every_match_once_and_in_order(sort: Sort, taken: int) -> None:
    node = make_node(NETWORK, NORTH, many(), engine=PrescribedEngine())
    ids = await Pages(node, make_question(NETWORK, sort=sort)).all_ids(taken)
    assert len(ids) == len(set(ids)) == MANY
    first, _ = await Pages(node, make_question(NETWORK, sort=sort, page_size=50)).ask(Part())
    assert ids == [result["card"]["id"] for result in first["results"]]  # type: ignore[index,union-attr,call-overload]


async def refused(pages: Pages, cursor: str) -> str | None:
    answer, attestation = await pages.ask(Part(cursor=PartCursor(cursor, 1)))
    assert (attestation.status, attestation.total, answer["cursor"], answer["results"]) == (
        "UNSUPPORTED",
        None,
        None,
        [],
    )
    return attestation.code


async def test_a_cursor_of_somebody_else_is_refused() -> None:
    node = make_node(NETWORK, NORTH, many(), engine=PrescribedEngine())
    mine = Pages(node, make_question(NETWORK))
    answer, _ = await mine.ask(Part())
    theirs = Pages(node, make_question(NETWORK), subject="p-4712")
    assert await refused(theirs, str(answer["cursor"])) == CursorInvalid.code


async def test_a_cursor_of_another_question_is_refused() -> None:
    node = make_node(NETWORK, NORTH, many(), engine=PrescribedEngine())
    first = Pages(node, make_question(NETWORK))
    answer, _ = await first.ask(Part())
    other = Pages(node, make_question(NETWORK, sort=Sort("created", None, "desc")))
    assert await refused(other, str(answer["cursor"])) == CursorInvalid.code


async def test_a_policy_change_between_two_pages_makes_the_cursor_stale() -> None:
    engine = PrescribedEngine()
    pages = Pages(make_node(NETWORK, NORTH, many(), engine=engine), make_question(NETWORK))
    answer, _ = await pages.ask(Part())
    engine.revision = "f" * 64
    assert await refused(pages, str(answer["cursor"])) == CursorStale.code


async def test_another_decision_about_a_match_between_two_pages_makes_the_cursor_stale() -> None:
    node = make_node(NETWORK, NORTH, many(), engine=PrescribedEngine())
    pages = Pages(node, make_question(NETWORK))
    answer, _ = await pages.ask(Part())
    node.write([make_asset("late", attributes_of(sensitivity=2, discoverable="summary"))])
    assert await refused(pages, str(answer["cursor"])) == CursorStale.code


async def test_a_new_match_of_a_known_decision_leaves_the_cursor_as_it_is() -> None:
    node = make_node(NETWORK, NORTH, many(), engine=PrescribedEngine())
    pages = Pages(node, make_question(NETWORK))
    answer, _ = await pages.ask(Part())
    node.write([make_asset("late")])
    again, attestation = await pages.ask(Part(cursor=PartCursor(str(answer["cursor"]), 20)))
    assert (attestation.status, attestation.total) == ("OK", MANY + 1)
    assert again["cursor"] is not None


async def test_assets_asked_for_by_id_have_no_cursor() -> None:
    node = make_node(NETWORK, NORTH, many(3), engine=PrescribedEngine())
    asked = asking(NETWORK, make_assets_question(NETWORK), ids=[str(asset_id("0"))]).request()
    assert answer_of(await node.handle(asked), "assets")["cursor"] is None
