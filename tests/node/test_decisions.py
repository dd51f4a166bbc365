"""Class decisions are remembered exactly as long as they hold."""

from __future__ import annotations

from dataclasses import replace

import pytest

from concordat_node.access.decisions import ClassDecisions
from concordat_node.policy.engine import Decision, DecisionRequest
from concordat_node.registry.records import Agreement, Approval, PolicyAttributes, Subject
from concordat_trust.question import Purpose
from concordat_trust.vocabulary import Clearance
from tests.factories.network import NOW
from tests.factories.node import (
    HOME,
    NORTH,
    PrescribedEngine,
    TestNode,
    attributes_of,
    make_asset,
    permit,
    run_directly,
)
from tests.factories.registry import make_agreement, make_approval
from tests.node.releasing import AGREEMENT, node_with, requested


def remembering(engine: PrescribedEngine, node: TestNode, *, remembered_s: int = 30) -> ClassDecisions:
    return ClassDecisions(engine=engine, registry=node.registry, run_blocking=run_directly, remembered_s=remembered_s)


async def test_class_decisions_are_remembered_for_the_same_person_and_purpose() -> None:
    engine, node = PrescribedEngine(), node_with(make_asset("a"))
    decisions = remembering(engine, node)
    for request in (requested(), replace(requested(), now=NOW + 29)):
        await decisions.of(request, fresh=False)
    assert len(engine.class_calls) == 1
    await decisions.of(requested(Clearance.RESTRICTED), fresh=False)
    await decisions.of(replace(requested(), purpose=Purpose("HMB")), fresh=False)
    await decisions.of(replace(requested(), now=NOW + 30), fresh=False)
    assert len(engine.class_calls) == 4


async def test_remembered_decisions_end_with_policy_registry_and_validity() -> None:
    engine, node = PrescribedEngine(), node_with(AGREEMENT, make_asset("a", attributes_of(agreements=("dua-1",))))
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


def grants_of(subjects: tuple[Subject, ...], **times: int) -> tuple[Agreement, Approval]:
    """Return an agreement and an approval of `subjects` that turn at the given seconds, and else hold."""
    agreement = make_agreement(members=subjects, **{k: v for k, v in times.items() if k.startswith("valid")})
    approval = make_approval(holders=subjects, **{k: v for k, v in times.items() if not k.startswith("valid")})
    return agreement, approval


@pytest.mark.parametrize("name", ["valid_from", "valid_until", "approved_at", "expires_at"])
@pytest.mark.parametrize("pseudonym", ["p-1", None])
async def test_remembered_decisions_end_where_a_grant_of_the_requester_begins_or_ends(
    name: str, pseudonym: str | None
) -> None:
    engine, node = PrescribedEngine(), node_with(make_asset("a"), *grants_of(((HOME, pseudonym),), **{name: NOW + 5}))
    decisions = remembering(engine, node)
    for now, calls in ((NOW, 1), (NOW + 4, 1), (NOW + 5, 2), (NOW + 6, 2)):
        await decisions.of(replace(requested(), now=now), fresh=False)
        assert len(engine.class_calls) == calls


async def test_grants_of_strangers_end_nothing_and_are_not_given_to_the_engine() -> None:
    seen: list[DecisionRequest] = []

    def table(request: DecisionRequest, attributes: PolicyAttributes) -> Decision:
        seen.append(request)
        return permit(attributes)

    strangers: tuple[Subject, ...] = ((HOME, "p-2"), (NORTH, "p-1"), (NORTH, None))
    node = node_with(make_asset("a"), *grants_of(strangers, valid_from=NOW + 5, expires_at=NOW + 6))
    decisions = remembering(PrescribedEngine(table), node)
    for now in (NOW, NOW + 5, NOW + 29):
        await decisions.of(replace(requested(), now=now), fresh=False)
    assert [(request.agreements, request.approvals) for request in seen] == [({}, {})]


async def test_remembered_decisions_end_with_the_day() -> None:
    midnight = NOW - NOW % 86_400 + 86_400
    engine, node = PrescribedEngine(), node_with(make_asset("a"))
    decisions = remembering(engine, node)
    await decisions.of(replace(requested(), now=midnight - 1), fresh=False)
    await decisions.of(replace(requested(), now=midnight), fresh=False)
    assert len(engine.class_calls) == 2


async def test_scope_is_asked_without_the_owners_agreements() -> None:
    engine, node = PrescribedEngine(), node_with(AGREEMENT, make_asset("a"))
    await remembering(engine, node).scope(replace(requested(), agreements={"dua-1": AGREEMENT}))
    assert engine.scope_calls[0].agreements == {}
    assert engine.class_calls == []
