"""Class decisions are remembered exactly as long as they hold."""

from __future__ import annotations

from dataclasses import replace

from concordat_node.access.decisions import ClassDecisions
from concordat_trust.question import Purpose
from concordat_trust.vocabulary import Clearance
from tests.factories.network import NOW
from tests.factories.node import (
    TableEngine,
    TestNode,
    attributes_of,
    make_asset,
    run_directly,
)
from tests.node.releasing import AGREEMENT, node_with, requested


def remembering(engine: TableEngine, node: TestNode, *, remembered_s: int = 30) -> ClassDecisions:
    return ClassDecisions(engine=engine, registry=node.registry, run_blocking=run_directly, remembered_s=remembered_s)


async def test_class_decisions_are_remembered_for_the_same_person_and_purpose() -> None:
    engine, node = TableEngine(), node_with(make_asset("a"))
    decisions = remembering(engine, node)
    for request in (requested(), replace(requested(), now=NOW + 29)):
        await decisions.of(request, fresh=False)
    assert len(engine.class_calls) == 1
    await decisions.of(requested(Clearance.RESTRICTED), fresh=False)
    await decisions.of(replace(requested(), purpose=Purpose("HMB")), fresh=False)
    await decisions.of(replace(requested(), now=NOW + 30), fresh=False)
    assert len(engine.class_calls) == 4


async def test_remembered_decisions_end_with_policy_registry_and_validity() -> None:
    engine, node = TableEngine(), node_with(AGREEMENT, make_asset("a", attributes_of(agreements=("dua-1",))))
    decisions = remembering(engine, node, remembered_s=300)
    await decisions.of(requested(), fresh=False)
    engine.revision = "ab" * 32
    await decisions.of(requested(), fresh=False)
    node.write([make_asset("b")])
    await decisions.of(requested(), fresh=False)
    assert len(engine.class_calls) == 3
    # The agreement ends at NOW + 50: the decision is not used from then on.
    await decisions.of(replace(requested(), now=NOW + 49), fresh=False)
    assert len(engine.class_calls) == 3
    decided = await decisions.of(replace(requested(), now=NOW + 50), fresh=False)
    assert len(engine.class_calls) == 4
    assert decided.request.now == NOW + 50


async def test_remembered_decisions_end_with_the_day() -> None:
    midnight = NOW - NOW % 86_400 + 86_400
    engine, node = TableEngine(), node_with(make_asset("a"))
    decisions = remembering(engine, node)
    await decisions.of(replace(requested(), now=midnight - 1), fresh=False)
    await decisions.of(replace(requested(), now=midnight), fresh=False)
    assert len(engine.class_calls) == 2


async def test_scope_is_asked_without_the_owners_agreements() -> None:
    engine, node = TableEngine(), node_with(AGREEMENT, make_asset("a"))
    await remembering(engine, node).scope(replace(requested(), agreements={"dua-1": AGREEMENT}))
    assert engine.scope_calls[0].agreements == {}
    assert engine.class_calls == []
