"""Asking the gate directly: what several tests of the gate start from."""

from __future__ import annotations

from typing import Any

from concordat_node.access.gate import Asked, Release
from concordat_node.policy.engine import (
    Decision,
    DecisionRequest,
    NodePolicy,
    Requester,
)
from concordat_node.registry.records import Agreement, PolicyAttributes
from concordat_node.registry.rules import Imported
from concordat_trust.ids import AssetId, tie_key
from concordat_trust.question import Purpose, Question
from concordat_trust.vocabulary import Clearance
from tests.factories.network import NOW, make_network
from tests.factories.node import (
    HOME,
    NORTH,
    PrescribedEngine,
    TestNode,
    asset_id,
    make_node,
    make_question,
    permit,
    review,
)

NETWORK = make_network()
AGREEMENT = Agreement("dua-1", "Use", (HOME,), ((HOME, None),), ("GRU",), NOW - 5, NOW + 50, "active", "ef" * 32)


def requested(clearance: Clearance = Clearance.PUBLIC) -> DecisionRequest:
    return DecisionRequest(
        requester=Requester(HOME, "p-1", "faculty", "analyst", clearance, "FR", "nonprofit"),
        purpose=Purpose("GRU"),
        now=NOW,
        organization=NORTH,
        node_policy=NodePolicy(purposes_admitted=("GRU",)),
        agreements={},
        approvals={},
    )


def asked(question: Question | None = None, *ids: AssetId) -> Asked:
    return Asked(
        question=question or make_question(NETWORK),
        ids=ids,
        request=requested(),
        statistics=NETWORK.bundle.statistics,
    )


def node_with(*records: Imported, **options: Any) -> TestNode:
    return make_node(NETWORK, "north-hospital", records, **{"engine": PrescribedEngine(), **options})


async def released(node: TestNode, question: Question | None = None, *ids: AssetId) -> Release:
    return await node.gate.release(asked(question, *ids))


def permit_all(_: DecisionRequest, attributes: PolicyAttributes) -> Decision:
    return permit(attributes)


def review_all(_: DecisionRequest, attributes: PolicyAttributes) -> Decision:
    return review(attributes)


def ids_of(release: Release) -> list[str]:
    return [str(item.record.fields["id"]) for item in release.items]


def in_tie_order(*names: str) -> list[str]:
    return sorted((str(asset_id(name)) for name in names), key=tie_key)
