"""Data sets that a record names are decided like the record itself, and hidden ones leave no trace."""

from __future__ import annotations

from concordat_node.policy.engine import (
    Decision,
    DecisionRequest,
    Mask,
)
from concordat_node.registry.records import EvaluationRecord, PolicyAttributes
from concordat_node.registry.rules import Imported
from tests.factories.network import NOW
from tests.factories.node import (
    PrescribedEngine,
    asset_id,
    attributes_of,
    make_asset,
    make_assets_question,
    permit,
)
from tests.node.releasing import (
    NETWORK,
    node_with,
    released,
)

TRIAL = asset_id("trial", "dataset")
MODEL = make_asset(
    "m", evaluations=(EvaluationRecord("accuracy", "0.94", "test", dataset_id=TRIAL),), trained_on=(TRIAL,)
)


def trial(policy: PolicyAttributes) -> Imported:
    return make_asset("trial", policy, kind="dataset")


async def test_a_model_names_the_visible_data_set_it_was_trained_on() -> None:
    node = node_with(MODEL, trial(attributes_of("dataset")))
    release = await released(node, make_assets_question(NETWORK), asset_id("m"))
    assert release.items[0].record.fields["trained_on"] == [{"id": str(TRIAL), "title": "trial title"}]


async def test_a_hidden_data_set_is_not_named_and_leaves_no_trace() -> None:
    question = make_assets_question(NETWORK)
    hidden = await released(node_with(MODEL, trial(attributes_of("dataset", sensitivity=3))), question, asset_id("m"))
    absent = await released(node_with(MODEL), question, asset_id("m"))
    assert hidden.items[0].record.fields == absent.items[0].record.fields
    assert hidden.valid_until == absent.valid_until
    assert str(TRIAL) not in str(hidden.items[0].record.fields)


async def test_a_hidden_link_is_not_followed() -> None:
    """`trained_on` is masked: the data set's end may not show through."""
    until = NOW + 77

    def table(_: DecisionRequest, attributes: PolicyAttributes) -> Decision:
        if attributes.kind == "dataset":
            return permit(attributes, valid_until=until, relay_may_read=False)
        return permit(attributes, masks={"trained_on": Mask(), "evaluations": Mask()})

    node = node_with(MODEL, trial(attributes_of("dataset")), engine=PrescribedEngine(table))
    release = await released(node, make_assets_question(NETWORK), asset_id("m"))
    assert release.valid_until is None


async def test_a_record_that_names_a_sealed_data_set_is_sealed_too() -> None:
    node = node_with(MODEL, trial(attributes_of("dataset", relay_may_read=False)))
    assert (await released(node, make_assets_question(NETWORK), asset_id("m"))).is_sealed
