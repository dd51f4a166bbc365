"""Promise 3: node states that differ only in what the requester may not see give byte-identical answers.

On the real index and the real OPA, through the node's door. Compared are whole responses, but for what the one constant
names. The second half plants leaks that other systems have had, and shows that this test finds each.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace

import pytest
from sqlalchemy import select, text

from concordat_node.policy.engine import Decision, DecisionRequest, PolicyEngine, PolicyUnavailable, Scope
from concordat_node.policy.opa_engine import CLASSES_RULE, DecisionPoint, OpaPolicyEngine
from concordat_node.registry.records import PolicyAttributes
from concordat_node.registry.tables import ASSET, POLICY_CLASS
from concordat_node.search.index import ClassView, IndexHit, IndexQuery, IndexResult, SearchIndex, View
from concordat_node.search.posting_index import SqlPostingIndex
from concordat_trust.canonical import Json, JsonObject, canonical_bytes, parse_object
from concordat_trust.ids import AssetId
from concordat_trust.text import TermStatistics
from concordat_trust.vocabulary import Level
from concordat_trust.wire.transport import WireResponse
from tests.factories.network import NOW, TestNetwork, make_network
from tests.factories.node import (
    ANALYST,
    HOME,
    Asking,
    Entropy,
    TestNode,
    asking,
    attributes_of,
    comparable_given,
    make_asset,
    make_node,
    make_question,
    told_of,
)
from tests.factories.opa import RunningOpa, running_opa
from tests.factories.registry import make_agreement
from tests.federation.worlds import Pair, doors, make_pair, with_crowd

SEEDS = range(6)
LONG_SEEDS = range(100, 150)
LEAK_SEEDS = range(20)
SHORT_BYTES_MAX = 160_000
NETWORK = make_network()


@pytest.fixture(scope="module")
def point() -> Iterator[RunningOpa]:
    with running_opa() as running:
        yield running


@pytest.fixture(scope="module")
def opa(point: RunningOpa) -> OpaPolicyEngine:
    return OpaPolicyEngine(point)


Wrap = Callable[[SqlPostingIndex], SearchIndex]


def _nodes(pair: Pair, engine: PolicyEngine, wrap: Wrap = lambda index: index) -> tuple[TestNode, TestNode]:
    sides = (pair.one, pair.other)
    nodes = [make_node(NETWORK, "north-hospital", engine=engine, index=wrap, entropy=Entropy()) for _ in sides]
    for node, side in zip(nodes, sides, strict=True):
        # In two transactions, because a later line for the same id replaces what an earlier one left.
        node.write(side[: len(side) // 2])
        node.write(side[len(side) // 2 :])
    return nodes[0], nodes[1]


async def _difference(
    pair: Pair, engine: PolicyEngine, wrap: Wrap = lambda index: index, network: TestNetwork = NETWORK
) -> str | None:
    """Return the first door at which the two states can be told apart, or None."""
    one, other = _nodes(pair, engine, wrap)
    for name, request in doors(network, pair):
        asked = replace(request, claims=ANALYST)
        if await _seen(one, asked) != await _seen(other, asked):
            return name
    return None


async def _seen(node: TestNode, request: Asking) -> bytes:
    response = await node.handle(request.request())
    return canonical_bytes(_comparable(response))


def _comparable(response: WireResponse) -> JsonObject:
    body = parse_object(response.body, bytes_max=4_000_000)
    data = body.get("data")
    if not isinstance(data, dict):
        return {"status": response.status, "headers": dict[str, Json](response.headers), "body": body}
    (answer,) = data.values()
    assert isinstance(answer, dict)
    shown = comparable_given(answer)
    headers = dict[str, Json]({name: value for name, value in response.headers.items() if name != "content-length"})
    return {"status": response.status, "headers": headers, "answer": shown.decode()}


@pytest.mark.parametrize("seed", SEEDS)
async def test_promise_3_hidden_differences_change_no_byte_of_any_answer(seed: int, opa: OpaPolicyEngine) -> None:
    assert await _difference(make_pair(seed), opa) is None


@pytest.mark.long
@pytest.mark.parametrize("seed", LONG_SEEDS)
async def test_promise_3_holds_for_many_worlds(seed: int, opa: OpaPolicyEngine) -> None:
    assert await _difference(make_pair(seed), opa) is None


class ShortOfTime:
    """OPA with a short time for each request, told by bytes so that a busy machine tests the same."""

    def __init__(self, point: DecisionPoint) -> None:
        self._point = point
        self.revision = point.revision

    async def evaluate(self, rule: str, document: JsonObject) -> object:
        if len(canonical_bytes(document)) > SHORT_BYTES_MAX:
            raise PolicyUnavailable(cause="timeout")
        return await self._point.evaluate(rule, document)


@pytest.mark.parametrize("seed", SEEDS[:2])
async def test_promise_3_a_crowd_of_strangers_and_drafts_changes_no_byte(seed: int, point: RunningOpa) -> None:
    assert await _difference(with_crowd(make_pair(seed)), OpaPolicyEngine(ShortOfTime(point))) is None


@pytest.mark.parametrize("pseudonym", ["p-4711", None])
async def test_promise_3_a_beginning_is_seen_whatever_was_imported_meanwhile(
    pseudonym: str | None, opa: OpaPolicyEngine
) -> None:
    """An import empties the memory of decisions; without one, they must end by themselves."""
    begins = make_agreement(id="dua-1", members=((HOME, pseudonym),), valid_from=NOW + 5)
    shown = make_asset("shown", attributes_of(agreements=("dua-1",)))
    secret = make_asset("secret", attributes_of(sensitivity=3))
    seen = []
    for is_imported in (False, True):
        node = make_node(NETWORK, "north-hospital", [begins, shown], engine=opa, entropy=Entropy())
        before = await _seen(node, asking(NETWORK, make_question(NETWORK), token_id="A" * 22))
        if is_imported:
            node.write([secret])
        node.clock.now = NOW + 6
        after = await _seen(node, asking(NETWORK, make_question(NETWORK), token_id="B" * 22, now=NOW + 6))
        seen.append((before, after))
    assert seen[0] == seen[1]
    assert seen[0][0] != seen[0][1]


async def test_the_worlds_are_not_empty_and_really_differ(opa: OpaPolicyEngine) -> None:
    shown, levels = 0, set()
    for seed in SEEDS:
        pair = make_pair(seed)
        assert pair.one != pair.other
        node, _ = _nodes(pair, opa)
        everything = replace(asking(NETWORK, make_question(NETWORK)), claims=ANALYST)
        response = parse_object((await node.handle(everything.request())).body, bytes_max=4_000_000)
        results = told_of(response["data"]["search"])["results"]  # type: ignore[arg-type,call-overload,index]
        shown += len(results)
        levels |= {(result.get("card") or result["record"])["level"] for result in results}
    assert shown > len(SEEDS)
    assert levels == {"SUMMARY", "FULL"}


# ------------------------------------------------------------------------------------------------- planted leaks


class _Leaky:
    """An index with one planted leak; the rest is the real one."""

    def __init__(self, index: SqlPostingIndex) -> None:
        self.index = index
        self.database = index._database

    def search(self, query: IndexQuery, view: View, statistics: TermStatistics) -> IndexResult:
        return self.index.search(query, view, statistics)

    def visible_assets(self, ids: Sequence[AssetId], view: View) -> tuple[AssetId, ...]:
        return self.index.visible_assets(ids, view)

    def came_from(self, ends: Sequence[AssetId], view: View, *, is_foreign: bool) -> tuple[AssetId, ...]:
        return self.index.came_from(ends, view, is_foreign=is_foreign)

    def holds_any(self, class_ids: Collection[str]) -> bool:
        return self.index.holds_any(class_ids)

    def all_classes(self) -> dict[str, ClassView]:
        with self.database.reading() as connection:
            ids = connection.execute(select(POLICY_CLASS.c.class_id)).scalars().all()
            return {class_id: ClassView(class_id, Level.FULL) for class_id in ids}

    def everything(self, query: IndexQuery, statistics: TermStatistics) -> IndexResult:
        return self.index.search(replace(query, limit=1000), self.all_classes(), statistics)


class TotalBeforeFilter(_Leaky):
    def search(self, query: IndexQuery, view: View, statistics: TermStatistics) -> IndexResult:
        return replace(super().search(query, view, statistics), total=self.everything(query, statistics).total)


class FacetKeysOfEverything(_Leaky):
    def search(self, query: IndexQuery, view: View, statistics: TermStatistics) -> IndexResult:
        honest, everything = super().search(query, view, statistics), self.everything(query, statistics)
        facets = {
            field: {**dict.fromkeys(cells, 0), **honest.facets.get(field, {})}
            for field, cells in everything.facets.items()
        }
        return replace(honest, facets=facets)


class IndexStatisticsInTheScore(_Leaky):
    def search(self, query: IndexQuery, view: View, statistics: TermStatistics) -> IndexResult:
        honest = super().search(query, view, statistics)
        matching = self.everything(query, statistics).total
        return replace(
            honest, hits=tuple(IndexHit(h.id, h.sort_key and h.sort_key * 1000 // (matching + 1)) for h in honest.hits)
        )


class RowNumbers(_Leaky):
    """What an auto-increment id shows: how many records were written before this one."""

    def search(self, query: IndexQuery, view: View, statistics: TermStatistics) -> IndexResult:
        honest = super().search(query, view, statistics)
        rows = {hit.id: number for number, hit in enumerate(sorted_by_row(self, query, statistics))}
        return replace(honest, hits=tuple(IndexHit(h.id, rows.get(h.id, 0)) for h in honest.hits))


class TiesByLayout(_Leaky):
    def search(self, query: IndexQuery, view: View, statistics: TermStatistics) -> IndexResult:
        honest = super().search(query, view, statistics)
        rows = {hit.id: number for number, hit in enumerate(sorted_by_row(self, query, statistics))}
        hits = sorted(honest.hits, key=lambda h: (-(h.sort_key or 0), rows.get(h.id, 0)))
        return replace(honest, hits=tuple(hits))


class ForbiddenIsNotMissing(_Leaky):
    """An asset that exists but is hidden takes another path than one that does not exist."""

    def visible_assets(self, ids: Sequence[AssetId], view: View) -> tuple[AssetId, ...]:
        there = set(self.index.visible_assets(ids, self.all_classes()))
        honest = self.index.visible_assets(ids, view)
        if there - set(honest) and view and len(ids) > 1:
            raise RuntimeError("forbidden")
        return honest


def sorted_by_row(leaky: _Leaky, query: IndexQuery, statistics: TermStatistics) -> list[IndexHit]:
    """Return all matches in the order in which they were written."""
    everything = leaky.everything(query, statistics)
    with leaky.database.reading() as connection:
        written = connection.execute(select(ASSET.c.asset_id).order_by(text("rowid"))).scalars().all()
    place = {str(value): number for number, value in enumerate(written)}
    return sorted(everything.hits, key=lambda hit: place.get(str(hit.id), 0))


class _LeakyEngine:
    """A policy whose answer depends on classes that the requester may not see."""

    def __init__(self, engine: PolicyEngine) -> None:
        self._engine = engine
        self.revision = engine.revision
        self._held = 0

    async def scope(self, request: DecisionRequest) -> Scope:
        return await self._engine.scope(request)

    async def decide_classes(
        self, request: DecisionRequest, classes: Mapping[str, PolicyAttributes]
    ) -> Mapping[str, Decision]:
        decisions = await self._engine.decide_classes(request, classes)
        self._held = sum(decision.level == Level.NONE for decision in decisions.values())
        return {key: self._leak(decision) for key, decision in decisions.items()}

    async def decide_page(self, request: DecisionRequest, page: Sequence[PolicyAttributes]) -> tuple[Decision, ...]:
        return tuple(self._leak(decision) for decision in await self._engine.decide_page(request, page))

    def _leak(self, decision: Decision) -> Decision:
        raise NotImplementedError


class ValidUntilOfHiddenClasses(_LeakyEngine):
    def _leak(self, decision: Decision) -> Decision:
        return replace(decision, valid_until=2_000_000_000 + self._held) if decision.level == Level.FULL else decision


class HiddenClassesAreSent(OpaPolicyEngine):
    """What the requester may not see takes part of the time that OPA has."""

    async def decide_classes(
        self, request: DecisionRequest, classes: Mapping[str, PolicyAttributes]
    ) -> Mapping[str, Decision]:
        asked: JsonObject = {key: attributes.to_json() for key, attributes in classes.items()}
        await self._point.evaluate(CLASSES_RULE, {**request.to_json(), "classes": asked})
        return await super().decide_classes(request, classes)


class StatusOfHiddenClasses(_LeakyEngine):
    async def scope(self, request: DecisionRequest) -> Scope:
        scope = await self._engine.scope(request)
        return replace(scope, admitted=False, code="holds_hidden_records") if self._held > 2 else scope

    def _leak(self, decision: Decision) -> Decision:
        return decision


INDEX_LEAKS = (
    TotalBeforeFilter,
    FacetKeysOfEverything,
    IndexStatisticsInTheScore,
    RowNumbers,
    TiesByLayout,
    ForbiddenIsNotMissing,
)


@pytest.mark.parametrize("leak", INDEX_LEAKS)
async def test_a_planted_leak_of_the_index_is_found(leak: type[_Leaky], opa: OpaPolicyEngine) -> None:
    for seed in LEAK_SEEDS:
        if await _difference(make_pair(seed), opa, leak) is not None:
            return
    pytest.fail("no world found the leak")


@pytest.mark.parametrize("leak", [ValidUntilOfHiddenClasses, StatusOfHiddenClasses])
async def test_a_planted_leak_of_the_policy_is_found(leak: type[_LeakyEngine], opa: OpaPolicyEngine) -> None:
    for seed in LEAK_SEEDS:
        if await _difference(make_pair(seed), leak(opa)) is not None:
            return
    pytest.fail("no world found the leak")


async def test_a_planted_cost_of_hidden_classes_is_found(point: RunningOpa) -> None:
    pair = with_crowd(make_pair(0))
    assert await _difference(pair, HiddenClassesAreSent(ShortOfTime(point))) is not None
