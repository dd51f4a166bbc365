"""For twelve people: a walk shows what the policy lets them see, as far as visible edges go, and nothing else.

The measure is a plain graph search over what OPA itself decides for the person; the walk goes through the home door,
the relay and the three nodes. Every model was trained on its organization's first data set, every other data set comes
from it, and models come from the next organization's first model; every second class tells edges to others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import pytest

from concordat_node.policy.engine import Decision
from concordat_node.policy.opa_engine import OpaPolicyEngine
from concordat_node.registry.rules import Imported, ImportedAsset
from concordat_trust.ids import AssetId, AssetKind, OrgId
from concordat_trust.lineage import AssertedEdge, LineageEdge
from concordat_trust.question import Direction
from tests.factories.doors import Institution, make_institution
from tests.factories.node import asset_id
from tests.factories.opa import running_opa
from tests.federation.test_twelve_personas import (
    CLASSES,
    EACH,
    HELD,
    NETWORK,
    NODE_POLICY,
    ORGANIZATIONS,
    PERSONAS,
    Asked,
    Persona,
    decisions_for,
)

DEPTH = 8


def one(org: OrgId, number: int, kind: AssetKind = "model") -> AssetId:
    return asset_id(f"{org}-{kind}-{number}", kind, org)


def _next(org: OrgId) -> OrgId:
    return ORGANIZATIONS[(ORGANIZATIONS.index(org) + 1) % len(ORGANIZATIONS)]


NUMBER = {one(org, n, kind): n for org in ORGANIZATIONS for n in range(len(CLASSES)) for kind in ("model", "dataset")}


def _linked(item: Imported) -> Imported:
    if not isinstance(item, ImportedAsset):
        return item
    own = item.record.id
    policy = replace(item.policy, lineage="open" if NUMBER[own] % 2 == 0 else "closed")
    first = one(own.org, 0, "dataset")
    edges = []
    if own.kind == "model":
        edges.append(LineageEdge("fine_tuned_from", own, one(_next(own.org), 0)))
    elif own != first:
        edges.append(LineageEdge("derived_from", own, first))
    told = tuple(AssertedEdge(edge, "2026-04-01") for edge in edges)
    trained_on = (first,) if own.kind == "model" else ()
    return ImportedAsset(replace(item.record, class_id=policy.class_id, lineage=told, trained_on=trained_on), policy)


LINKED: Mapping[str, list[Imported]] = {org: [_linked(item) for item in held] for org, held in HELD.items()}
EDGES = tuple(
    told.edge
    for held in LINKED.values()
    for item in held
    if isinstance(item, ImportedAsset)
    for told in item.record.edges
)
DOWN: tuple[tuple[AssetId, Direction], ...] = tuple((one(org, 0, "dataset"), "down") for org in ORGANIZATIONS)
UP: tuple[tuple[AssetId, Direction], ...] = tuple((one(ORGANIZATIONS[-1], number), "up") for number in (1, 2, 6, 8, 11))


def reachable(visible: Mapping[AssetId, Decision], start: AssetId, direction: Direction) -> frozenset[str]:
    """Return what a walk must find: over edges whose asserter is visible and lets them be told, to what is visible."""

    def hidden(asset: AssetId) -> frozenset[str]:
        return visible[asset].hidden if asset in visible else frozenset()

    found: set[AssetId] = set()
    near = {start} & set(visible)
    while near:
        found |= near
        told = [edge for edge in EDGES if edge.source in visible and not edge.is_hidden(visible[edge.source].hidden)]
        # Down from what does not let its lineage be told, nobody but its owner is asked.
        told = [e for e in told if direction == "up" or not e.is_foreign or "lineage" not in hidden(e.target)]
        steps = [(e.source, e.target) if direction == "up" else (e.target, e.source) for e in told]
        near = {there for here, there in steps if here in near and there in visible} - found
    return frozenset(map(str, found))


@pytest.fixture(scope="module")
def opa() -> Iterator[OpaPolicyEngine]:
    with running_opa() as running:
        yield OpaPolicyEngine(running)


@pytest.fixture(scope="module")
def institution(tmp_path_factory: pytest.TempPathFactory, opa: OpaPolicyEngine) -> Iterator[Institution]:
    folder = tmp_path_factory.mktemp("home")
    made = make_institution(folder, LINKED, engine=opa, node_policy=NODE_POLICY, network=NETWORK)
    yield made
    made.home.home.close()


@pytest.mark.parametrize("persona", EACH)
async def test_a_walk_shows_a_person_what_the_policy_says_as_far_as_edges_go(
    persona: Persona, institution: Institution, opa: OpaPolicyEngine
) -> None:
    visible = await decisions_for(persona, opa, LINKED)
    asked = Asked(institution, persona)
    for start, direction in (*DOWN, *UP):
        body = {"id": str(start), "direction": direction, "depth": DEPTH}
        picture = (await asked.rest("/v1/lineage", body))["picture"]
        shown = frozenset(vertex["id"] for vertex in picture["vertices"] if vertex["state"] == "shown")
        assert shown == reachable(visible, start, direction), (str(start), direction)


async def test_the_walks_meet_much_of_what_is_visible_and_stop_at_what_is_not(opa: OpaPolicyEngine) -> None:
    seen = {}
    for persona in PERSONAS:
        visible = await decisions_for(persona, opa, LINKED)
        seen[persona.name] = frozenset().union(*(reachable(visible, *walk) for walk in (*DOWN, *UP)))
    assert seen["for-care"] == frozenset()
    assert seen["guest"] < seen["analyst"] < seen["member"] < seen["approved"]
    assert {AssetId.parse(each).org for each in seen["guest"]} == set(ORGANIZATIONS)
