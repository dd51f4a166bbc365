"""Promise 3 at the cursors: pages of two states that differ only in the hidden are byte-identical, cursors included."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from concordat_node.policy.opa_engine import OpaPolicyEngine
from concordat_node.registry.rules import Imported
from concordat_node.search.index import IndexQuery, IndexResult, SearchIndex, View
from concordat_trust.canonical import JsonObject, parse_object
from concordat_trust.ids import AssetId
from concordat_trust.question import Part, PartCursor, Sort
from concordat_trust.sealed_part import CURSOR_SEPARATOR
from concordat_trust.text import TermStatistics
from tests.factories.network import make_network
from tests.factories.node import ANALYST, Entropy, TestNode, asking, comparable_given, make_node, make_question, told_of
from tests.factories.opa import running_opa
from tests.federation.worlds import make_pair

SEEDS = range(5)
PAGES = 5
TAKEN = 3
NETWORK = make_network()
SORTS = (Sort(), Sort("created", None, "asc"))
QUESTIONS = tuple(make_question(NETWORK, text=text, sort=sort) for text in ("", "clinical trial") for sort in SORTS)


@pytest.fixture(scope="module")
def opa() -> Iterator[OpaPolicyEngine]:
    with running_opa() as point:
        yield OpaPolicyEngine(point)


def node_of(side: Sequence[Imported], engine: OpaPolicyEngine, **options: Any) -> TestNode:
    return make_node(NETWORK, "north-hospital", side, engine=engine, entropy=Entropy(), **options)


async def pages_of(node: TestNode) -> list[tuple[str | None, bytes]]:
    """Return (cursor, comparable answer) of the first pages of every question."""
    seen: list[tuple[str | None, bytes]] = []
    for number, question in enumerate(QUESTIONS):
        part = Part()
        for page in range(PAGES):
            asked = asking(
                NETWORK, question, part=part.canonical(), claims=ANALYST, token_id=f"page-{number:010d}-{page:010d}"
            )
            answer = _answer((await node.handle(asked.request())).body)
            told = told_of(answer)
            cursor, results = told["cursor"] if answer["sealed"] else answer["cursor"], told["results"]
            seen.append((cursor, comparable_given(answer)))
            if cursor is None:
                break
            taken = min(TAKEN, len(results))
            each = cursor.split(CURSOR_SEPARATOR)
            part = Part(cursor=PartCursor(each[taken - 1], 1) if answer["sealed"] else PartCursor(cursor, taken))
    return seen


def _answer(body: bytes) -> Any:
    data = parse_object(body, bytes_max=4_000_000)["data"]
    assert isinstance(data, dict)
    answer: JsonObject | Any = data["search"]
    return answer


@pytest.mark.parametrize("seed", SEEDS)
async def test_promise_3_pages_and_cursors_are_the_same_of_two_states(seed: int, opa: OpaPolicyEngine) -> None:
    pair = make_pair(seed)
    one, other = await pages_of(node_of(pair.one, opa)), await pages_of(node_of(pair.other, opa))
    assert any(cursor is not None for cursor, _ in one)
    assert one == other


class AnchoredOnTheHidden:
    """An index that places its hits after all records, hidden ones among them: what a row number would do."""

    def __init__(self, index: SearchIndex, hidden: int) -> None:
        self._index, self._hidden = index, hidden

    def search(self, query: IndexQuery, view: View, statistics: TermStatistics) -> IndexResult:
        found = self._index.search(query, view, statistics)
        hits = tuple(replace(hit, sort_key=(hit.sort_key or 0) + self._hidden) for hit in found.hits)
        return replace(found, hits=hits)

    def visible_assets(self, ids: Sequence[AssetId], view: View) -> tuple[AssetId, ...]:
        return self._index.visible_assets(ids, view)


async def test_a_cursor_that_stands_on_hidden_records_is_found(opa: OpaPolicyEngine) -> None:
    pair = make_pair(1)
    seen = []
    for side, hidden in ((pair.one, 1), (pair.other, 2)):
        node = node_of(side, opa, index=lambda index, hidden=hidden: AnchoredOnTheHidden(index, hidden))
        seen.append([cursor for cursor, _ in await pages_of(node)])
    assert seen[0] != seen[1]
