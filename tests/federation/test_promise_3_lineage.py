"""Promise 3 at the door of lineage: hidden assets and edges, put in, taken out or hung elsewhere, change no byte.

On the real index and the real OPA. Of a pair of worlds the visible assets and what they tell are the same; drawn for
each separately are hidden assets and what they assert, edges of visible assets to hidden ones, edges to assets of
others where the class does not let them be told, and what stood there before. The second half plants leaks.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from random import Random

import pytest

from concordat_node.policy.engine import Decision, DecisionRequest, PolicyEngine, Scope
from concordat_node.policy.opa_engine import OpaPolicyEngine
from concordat_node.registry.records import PolicyAttributes
from concordat_node.registry.rules import ImportedAsset
from concordat_node.registry.writing import delete_assets
from concordat_node.search.index import ClassView, IndexQuery, IndexResult, SearchIndex, View
from concordat_node.search.index_writer import PostingWriter
from concordat_node.search.posting_index import SqlPostingIndex
from concordat_trust.canonical import canonical_bytes, parse_object
from concordat_trust.ids import AssetId, OrgId
from concordat_trust.lineage import AssertedEdge, LineageEdge
from concordat_trust.text import TermStatistics
from concordat_trust.vocabulary import Level
from tests.factories.network import make_network
from tests.factories.node import (
    ANALYST,
    Asking,
    Entropy,
    TestNode,
    asking,
    asset_id,
    attributes_of,
    comparable_given,
    make_asset,
    make_lineage_question,
    make_node,
)
from tests.factories.opa import running_opa

SEEDS = range(5)
LONG_SEEDS = range(100, 140)
LEAK_SEEDS = range(20)
NETWORK = make_network()
ALMA = OrgId.parse("alma-university")
THEIRS = tuple(asset_id(f"theirs-{number}", org=ALMA) for number in range(4))
SHOWN = tuple(f"shown-{number}" for number in range(6))
SECRET = tuple(f"secret-{number}" for number in range(6))
VISIBLE: tuple[dict[str, object], ...] = (
    {"sensitivity": 0, "lineage": "open"},
    {"sensitivity": 1, "lineage": "complete", "relay_may_read": False},
    {"sensitivity": 0, "lineage": "closed"},
    {"sensitivity": 1, "agreements": ("dua-x",), "discoverable": "summary", "lineage": "complete"},
    {
        "sensitivity": 1,
        "agreements": ("dua-x",),
        "discoverable": "summary",
        "summary_metrics": True,
        "lineage": "complete",
    },
)
HIDDEN: tuple[dict[str, object], ...] = (
    {"sensitivity": 3, "lineage": "complete"},
    {"sensitivity": 0, "status": "draft", "lineage": "open"},
    {"sensitivity": 1, "agreements": ("dua-x",), "lineage": "open"},
)


@pytest.fixture(scope="module")
def opa() -> Iterator[OpaPolicyEngine]:
    with running_opa() as running:
        yield OpaPolicyEngine(running)


@dataclass(frozen=True)
class Pair:
    """Two histories of one node: what was there before, what was deleted, and what is there."""

    before: tuple[tuple[ImportedAsset, ...], ...]
    after: tuple[tuple[ImportedAsset, ...], ...]


def tells_others(held: PolicyAttributes) -> bool:
    """Whether the requester learns of edges to assets of others: the class lets it, and no summary hides it."""
    return held.lineage != "closed" and (held.discoverable == "none" or held.summary_metrics)


def an_asset(name: str, held: PolicyAttributes, ends: Sequence[AssetId]) -> ImportedAsset:
    own = asset_id(name)
    edges = (LineageEdge("fine_tuned_from", own, end) for end in dict.fromkeys(ends) if end != own)
    return make_asset(name, held, lineage=tuple(AssertedEdge(edge, "2026-02-03") for edge in edges))


def make_pair(seed: int) -> Pair:
    random = Random(seed)
    held = {name: attributes_of(**random.choice(VISIBLE)) for name in SHOWN}  # type: ignore[arg-type]  # fields of it
    told = {name: _told(random, name, item) for name, item in held.items()}
    sides = [_side(random, held, told) for _ in range(2)]
    return Pair(tuple(side[0] for side in sides), tuple(side[1] for side in sides))


def _told(random: Random, name: str, held: PolicyAttributes) -> list[AssetId]:
    """Return the ends that the requester learns of, and that both worlds have."""
    later = [asset_id(other) for other in SHOWN if other > name]
    if not tells_others(held):
        # Its own edges of this relation go with `lineage` as well.
        return []
    return [*random.sample(later, k=min(len(later), 2)), *random.sample(THEIRS, k=random.randint(0, 2))]


def _side(
    random: Random, held: Mapping[str, PolicyAttributes], told: Mapping[str, Sequence[AssetId]]
) -> tuple[tuple[ImportedAsset, ...], tuple[ImportedAsset, ...]]:
    secrets = random.sample(SECRET, k=random.randint(0, len(SECRET)))
    everything = [asset_id(name) for name in (*SHOWN, *SECRET)]
    after = [
        an_asset(name, attributes_of(**random.choice(HIDDEN)), random.sample([*everything, *THEIRS], k=4))  # type: ignore[arg-type]
        for name in secrets
    ]
    for name, item in held.items():
        hanging = random.sample([asset_id(other) for other in SECRET], k=random.randint(0, 3))
        untold = [] if tells_others(item) else random.sample(everything + list(THEIRS), k=random.randint(0, 4))
        after.append(an_asset(name, item, [*hanging, *told[name], *untold]))
    random.shuffle(after)
    before = [
        an_asset(name, attributes_of(**random.choice(VISIBLE + HIDDEN)), random.sample(THEIRS, k=2))  # type: ignore[arg-type]
        for name in random.sample([*SHOWN, *SECRET], k=5)
    ]
    return tuple(before), tuple(after)


Wrap = Callable[[SqlPostingIndex], SearchIndex]


def nodes_of(pair: Pair, engine: PolicyEngine, wrap: Wrap = lambda index: index) -> tuple[TestNode, TestNode]:
    made = []
    for before, after in zip(pair.before, pair.after, strict=True):
        node = make_node(NETWORK, "north-hospital", before, engine=engine, index=wrap, entropy=Entropy())
        with node.database.writing() as connection:
            gone = [item.record.id for item in before]
            delete_assets(connection, gone[:2], PostingWriter(NETWORK.bundle.statistics))
        kept = {item.record.id for item in after}
        with node.database.writing() as connection:
            left = [asset for asset in gone[2:] if asset not in kept]
            delete_assets(connection, left, PostingWriter(NETWORK.bundle.statistics))
        node.write(after)
        made.append(node)
    return made[0], made[1]


def doors() -> Iterator[tuple[str, Asking]]:
    shown, secret = [asset_id(name) for name in SHOWN], [asset_id(name) for name in SECRET]
    groups = {
        "shown": shown,
        "secret": secret,
        "theirs": THEIRS,
        "nowhere": [asset_id("nowhere")],
        "all": [*shown[:3], *secret[:3], *THEIRS],
        "none": [],
        **{f"one {name}": [asset_id(name)] for name in (*SHOWN[:2], *SECRET[:2])},
    }
    for number, (name, ids) in enumerate(groups.items()):
        for direction in ("up", "down"):
            question = make_lineage_question(NETWORK, direction=direction)
            token = f"{direction}-{number:017d}".rjust(22, "t")
            texts = [str(item) for item in ids]
            yield f"{direction} {name}", asking(NETWORK, question, ids=texts, claims=ANALYST, token_id=token)


async def seen(node: TestNode, request: Asking) -> bytes:
    response = await node.handle(request.request())
    body = parse_object(response.body, bytes_max=4_000_000)
    data = body.get("data")
    if not isinstance(data, dict):
        return canonical_bytes({"status": response.status, "body": body})
    answer = data["lineage"]
    assert isinstance(answer, dict)
    return comparable_given(answer, proof=False)


async def difference(pair: Pair, engine: PolicyEngine, wrap: Wrap = lambda index: index) -> str | None:
    """Return the first question by which the two states can be told apart, or None."""
    one, other = nodes_of(pair, engine, wrap)
    for name, request in doors():
        if await seen(one, request) != await seen(other, request):
            return name
    return None


@pytest.mark.parametrize("seed", SEEDS)
async def test_promise_3_hidden_lineage_changes_no_byte(seed: int, opa: OpaPolicyEngine) -> None:
    assert await difference(make_pair(seed), opa) is None


@pytest.mark.long
@pytest.mark.parametrize("seed", LONG_SEEDS)
async def test_promise_3_holds_for_the_lineage_of_many_worlds(seed: int, opa: OpaPolicyEngine) -> None:
    assert await difference(make_pair(seed), opa) is None


async def test_the_worlds_tell_edges_and_really_differ(opa: OpaPolicyEngine) -> None:
    told = b""
    for seed in SEEDS:
        pair = make_pair(seed)
        assert pair.after[0] != pair.after[1]
        one, _ = nodes_of(pair, opa)
        for _, request in doors():
            told += await seen(one, request)
    for word in (b'"relation":"fine_tuned_from"', b"urn:concordat:alma", b'"complete":true', b'"complete":null'):
        assert word in told


# ------------------------------------------------------------------------------------------------- planted leaks


class _Leaky:
    """An index with one planted leak; the rest is the real one."""

    def __init__(self, index: SqlPostingIndex) -> None:
        self.index = index

    def search(self, query: IndexQuery, view: View, statistics: TermStatistics) -> IndexResult:
        return self.index.search(query, view, statistics)

    def visible_assets(self, ids: Sequence[AssetId], view: View) -> tuple[AssetId, ...]:
        return self.index.visible_assets(ids, view)

    def holds_any(self, class_ids: Collection[str]) -> bool:
        return self.index.holds_any(class_ids)

    def came_from(self, ends: Sequence[AssetId], view: View, *, is_foreign: bool) -> tuple[AssetId, ...]:
        return self.index.came_from(ends, view, is_foreign=is_foreign)


class ForeignIdsAlthoughMasked(_Leaky):
    """Down from an asset of others, also those are found that do not let it be told."""

    def came_from(self, ends: Sequence[AssetId], view: View, *, is_foreign: bool) -> tuple[AssetId, ...]:
        unmasked = {key: ClassView(key, Level.FULL) for key in view}
        return self.index.came_from(ends, unmasked, is_foreign=is_foreign)


class _Unmasked:
    """A policy that loses a mask."""

    def __init__(self, engine: PolicyEngine) -> None:
        self._engine = engine
        self.revision = engine.revision

    async def scope(self, request: DecisionRequest) -> Scope:
        return await self._engine.scope(request)

    async def decide_classes(
        self, request: DecisionRequest, classes: Mapping[str, PolicyAttributes]
    ) -> Mapping[str, Decision]:
        decisions = await self._engine.decide_classes(request, classes)
        return {key: self._lose(decision) for key, decision in decisions.items()}

    async def decide_page(self, request: DecisionRequest, page: Sequence[PolicyAttributes]) -> tuple[Decision, ...]:
        return tuple(self._lose(decision) for decision in await self._engine.decide_page(request, page))

    def _lose(self, decision: Decision) -> Decision:
        return replace(decision, masks={name: mask for name, mask in decision.masks.items() if name != "lineage"})


async def test_a_planted_leak_of_the_index_is_found(opa: OpaPolicyEngine) -> None:
    for seed in LEAK_SEEDS:
        if await difference(make_pair(seed), opa, ForeignIdsAlthoughMasked) is not None:
            return
    pytest.fail("no world found the leak")


async def test_a_lost_mask_is_found(opa: OpaPolicyEngine) -> None:
    for seed in LEAK_SEEDS:
        if await difference(make_pair(seed), _Unmasked(opa)) is not None:
            return
    pytest.fail("no world found the leak")
