"""The gate: nothing leaves undecided, the second decision takes away, and what is hidden leaves no trace."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, cast

import pytest
from concordat_node.access.decisions import Registry
from concordat_node.access.gate import Asked, DisclosedRecord, Release, Released
from concordat_node.access.view import narrows, visible_view
from concordat_node.answering.given import GivenAnswer
from concordat_node.api.wire_schema import answer_data
from concordat_node.policy.engine import (
    Decision,
    DecisionRequest,
    Mask,
    NodePolicy,
    PolicyUnavailable,
    Requester,
    denied,
)
from concordat_node.registry.records import Agreement, AssetRecord, EvaluationRecord, PolicyAttributes
from concordat_node.registry.rules import Imported
from concordat_trust.attestation import record_commitment
from concordat_trust.ids import AssetId, tie_key
from concordat_trust.question import Purpose, Question
from concordat_trust.sealing import SealContext, open_record
from concordat_trust.vocabulary import Clearance, Level

from tests.factories.network import NOW, make_network
from tests.factories.node import (
    HOME,
    NORTH,
    SEALING_KEY,
    Entropy,
    TableEngine,
    TestNode,
    asset_id,
    attributes_of,
    by_clearance,
    make_asset,
    make_assets_question,
    make_node,
    make_question,
    permit,
    review,
)

NETWORK = make_network()
SECRET = attributes_of(sensitivity=3)
SEALED = attributes_of(relay_may_read=False)
SUMMARY = attributes_of(sensitivity=2, discoverable="summary")
AGREEMENT = Agreement("dua-1", "Use", (NORTH,), (), ("GRU",), NOW - 5, NOW + 50, "active", "ef" * 32)


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
        token_id="t" * 22,
        question_hash="q" * 43,
        seal_to=SEALING_KEY.public,
    )


def node_with(*records: Imported, **options: Any) -> TestNode:
    return make_node(NETWORK, "north-hospital", records, **options)


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


async def test_only_what_is_decided_visible_is_released_and_counted() -> None:
    node = node_with(make_asset("a"), make_asset("b", SECRET), make_asset("c", SUMMARY), make_asset("d"))
    release = await released(node, make_question(NETWORK, facets=("task",)))
    assert ids_of(release) == in_tie_order("a", "c", "d")
    assert release.total == 3
    assert release.facets == {"task": {"classification": 3}}
    assert [item.tie for item in release.items] == sorted(item.tie for item in release.items)


async def test_a_summary_is_released_with_its_masks() -> None:
    release = await released(node_with(make_asset("c", SUMMARY)))
    (item,) = release.items
    assert item.record.fields["level"] == "SUMMARY"
    assert item.record.fields["description"] is None


async def test_an_unconfirmed_bundle_closes_controlled_classes_whatever_policy_says() -> None:
    records = [make_asset(f"s{level}", attributes_of(sensitivity=level)) for level in range(4)]
    node = node_with(*records, engine=TableEngine(permit_all))
    assert (await released(node)).total == 4
    release = await node.gate.release(replace(asked(), sensitivity_max=Clearance.REGISTERED))
    assert (ids_of(release), release.total) == (in_tie_order("s0", "s1"), 2)


async def test_an_empty_mapping_of_decisions_releases_nothing() -> None:
    class Silent(TableEngine):
        async def decide_classes(
            self, request: DecisionRequest, classes: Mapping[str, PolicyAttributes]
        ) -> Mapping[str, Decision]:
            return {}

    release = await released(node_with(make_asset("a"), engine=Silent()), make_question(NETWORK, facets=("kind",)))
    assert (release.items, release.total) == ((), 0)
    assert not any(release.facets.values())


@pytest.mark.parametrize("level", [Level.NONE, Level.EXISTS])
async def test_below_summary_nothing_is_listed_matched_or_counted(level: Level) -> None:
    def table(_: DecisionRequest, attributes: PolicyAttributes) -> Decision:
        return permit(attributes, verdict="review", level=level)

    release = await released(node_with(make_asset("a"), engine=TableEngine(table)))
    assert (release.items, release.total) == ((), 0)


async def test_a_dead_policy_releases_nothing() -> None:
    with pytest.raises(PolicyUnavailable):
        await released(node_with(make_asset("a"), engine=TableEngine(is_dead=True)))


async def test_a_policy_that_dies_before_the_page_releases_nothing() -> None:
    class DiesAtPage(TableEngine):
        async def decide_page(self, request: DecisionRequest, page: Any) -> tuple[Decision, ...]:
            raise PolicyUnavailable(cause="timeout")

    with pytest.raises(PolicyUnavailable):
        await released(node_with(make_asset("a"), engine=DiesAtPage()))


async def test_a_page_answer_of_another_length_releases_nothing() -> None:
    class Short(TableEngine):
        async def decide_page(self, request: DecisionRequest, page: Any) -> tuple[Decision, ...]:
            return ()

    with pytest.raises(PolicyUnavailable):
        await released(node_with(make_asset("a"), engine=Short()))


WITHDRAWN = make_asset("w", attributes_of(sensitivity=1))


@pytest.mark.parametrize(
    "narrower",
    [
        lambda attributes: denied("changed"),
        review,
        lambda attributes: permit(attributes, masks={"contact": Mask()}),
        lambda attributes: permit(attributes, relay_may_read=False),
    ],
)
async def test_the_page_decision_takes_away_and_nothing_counts_what_it_took(narrower: Any) -> None:
    def page(_: DecisionRequest, attributes: PolicyAttributes) -> Decision:
        return narrower(attributes) if attributes.sensitivity == 1 else permit(attributes)

    node = node_with(make_asset("a"), WITHDRAWN, engine=TableEngine(permit_all, page))
    release = await released(node, make_question(NETWORK, facets=("task",)))
    assert ids_of(release) == in_tie_order("a")
    assert release.total == 1
    assert release.facets == {"task": {"classification": 1}}
    assert node.gate.withdrawals > 0


async def test_the_page_decision_never_adds() -> None:
    release = await released(node_with(make_asset("a"), engine=TableEngine(review_all, permit_all)))
    assert release.items[0].record.fields["level"] == "SUMMARY"
    assert release.items[0].record.fields["description"] is None


async def test_an_asset_made_stricter_between_index_and_page_does_not_leave() -> None:
    """A registry change after the index was asked: the page is decided from current attributes."""
    strict = make_asset("a", SECRET)

    class Racing:
        def __init__(self, registry: Registry) -> None:
            self._registry = registry
            self._is_changed = False

        def __getattr__(self, name: str) -> Any:
            return getattr(self._registry, name)

        def class_attributes(self, ids: Iterable[AssetId]) -> Mapping[AssetId, PolicyAttributes]:
            if not self._is_changed:
                self._is_changed = True
                node.write([strict])
            return self._registry.class_attributes(ids)

    node = node_with(make_asset("a"), make_asset("b"), registry=lambda store: cast(Registry, Racing(store)))
    release = await released(node)
    assert ids_of(release) == in_tie_order("b")
    assert release.total == 1


async def test_a_policy_that_keeps_contradicting_itself_releases_nothing() -> None:
    """The first candidate of every page is withdrawn: in the end there is no answer, instead of a shorter one."""

    class Moody(TableEngine):
        async def decide_page(self, request: DecisionRequest, page: Any) -> tuple[Decision, ...]:
            return (denied("moody"), *(permit(attributes) for attributes in page[1:]))

    records = [make_asset(f"m{level}", attributes_of(sensitivity=level)) for level in range(4)]
    with pytest.raises(PolicyUnavailable):
        await released(node_with(*records, engine=Moody(permit_all)))


async def test_a_hidden_and_an_unknown_id_are_equally_absent() -> None:
    node = node_with(make_asset("a"), make_asset("b", SECRET))
    question = make_assets_question(NETWORK)
    hidden = await released(node, question, asset_id("a"), asset_id("b"))
    unknown = await released(node, question, asset_id("a"), asset_id("never existed"))
    foreign = await released(node, question, asset_id("a"), asset_id("a", org=HOME))
    assert ids_of(hidden) == ids_of(unknown) == ids_of(foreign) == in_tie_order("a")
    assert hidden.total == unknown.total == foreign.total == 1


async def test_an_asset_question_gives_assets_in_tie_order() -> None:
    node = node_with(make_asset("a"), make_asset("b"), make_asset("c"))
    release = await released(node, make_assets_question(NETWORK), asset_id("c"), asset_id("a"), asset_id("b"))
    assert ids_of(release) == in_tie_order("a", "b", "c")
    assert all(item.asset is not None and item.card is None for item in release.items)
    assert {item.sort_key for item in release.items} == {0}


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
    """`trained_on` is masked: neither the data set's end nor its sealing may show through."""
    until = NOW + 77

    def table(_: DecisionRequest, attributes: PolicyAttributes) -> Decision:
        if attributes.kind == "dataset":
            return permit(attributes, valid_until=until, relay_may_read=False)
        return permit(attributes, masks={"trained_on": Mask(), "evaluations": Mask()})

    node = node_with(MODEL, trial(attributes_of("dataset")), engine=TableEngine(table))
    release = await released(node, make_assets_question(NETWORK), asset_id("m"))
    assert release.valid_until is None
    assert release.items[0].sealed is None


async def test_a_record_that_names_a_sealed_data_set_is_sealed_too() -> None:
    node = node_with(MODEL, trial(attributes_of("dataset", relay_may_read=False)))
    release = await released(node, make_assets_question(NETWORK), asset_id("m"))
    assert release.items[0].sealed is not None


async def test_what_no_relay_may_read_opens_only_at_home_and_matches_its_commitment() -> None:
    release = await released(node_with(make_asset("a", SEALED)))
    (item,) = release.items
    assert (item.salt, item.card, item.asset) == (None, None, None)
    assert item.sealed is not None
    opened = open_record(item.sealed, key=SEALING_KEY, context=SealContext(NORTH, "t" * 22, "q" * 43, 0))
    assert opened.record == item.record.fields
    assert record_commitment(opened.record, opened.salt) == item.commitment


async def test_an_open_record_matches_its_commitment_and_has_a_salt_of_its_own() -> None:
    release = await released(node_with(make_asset("a"), make_asset("b")))
    for item in release.items:
        assert item.salt is not None
        assert record_commitment(dict(item.record.fields), item.salt) == item.commitment
    assert len({item.salt for item in release.items}) == 2


async def test_agreements_and_end_come_from_released_records_only() -> None:
    other = replace(AGREEMENT, id="dua-2", valid_until=NOW + 5)
    node = node_with(
        AGREEMENT,
        other,
        make_asset("a", attributes_of(agreements=("dua-1",))),
        make_asset("b", attributes_of(agreements=("dua-2",), sensitivity=3)),
    )
    release = await released(node)
    assert release.agreements == (("dua-1", "ef" * 32),)
    assert release.valid_until == NOW + 50


async def test_a_citation_of_an_agreement_that_is_not_there_releases_nothing() -> None:
    def table(_: DecisionRequest, attributes: PolicyAttributes) -> Decision:
        return permit(attributes, agreement_ids=("dua-unknown",))

    with pytest.raises(PolicyUnavailable):
        await released(node_with(make_asset("a"), engine=TableEngine(table)))


async def test_no_more_than_the_candidates_are_released() -> None:
    node = node_with(*(make_asset(f"n{number}") for number in range(30)))
    release = await released(node)
    assert len(release.items) == 20
    assert release.total == 30
    assert len((await released(node, make_question(NETWORK, page_size=25))).items) == 25


def test_only_the_gate_makes_what_can_be_serialized() -> None:
    with pytest.raises(RuntimeError):
        DisclosedRecord(cast(Any, object()), {"id": "x"})
    with pytest.raises(RuntimeError):
        Released(cast(Any, None), record=cast(Any, None), is_card=True, salt="", sealed=None, sort_key=None)


def test_a_raw_record_cannot_be_serialized() -> None:
    record: AssetRecord = make_asset("a").record
    with pytest.raises(RuntimeError):
        answer_data("search", GivenAnswer("jws", cast(Any, (record,))))


def test_an_undecided_class_is_not_in_the_view() -> None:
    decisions = {"a": permit(SEALED), "b": denied("x"), "c": review(SUMMARY)}
    assert list(visible_view(decisions, frozenset())) == ["a", "c"]
    assert list(visible_view(decisions, frozenset({"a"}))) == ["c"]


def test_a_decision_narrows_by_level_mask_or_sealing() -> None:
    full = permit(attributes_of())
    assert not narrows(full, full)
    assert not narrows(full, review(attributes_of()))
    assert narrows(review(attributes_of()), full)
    assert narrows(replace(full, masks={"title": Mask()}), full)
    assert narrows(replace(full, relay_may_read=False), full)


async def test_two_runs_with_the_same_randomness_are_equal() -> None:
    first = await released(node_with(make_asset("a"), entropy=Entropy("x")))
    second = await released(node_with(make_asset("a"), entropy=Entropy("x")))
    assert [item.commitment for item in first.items] == [item.commitment for item in second.items]


def test_the_table_of_the_tests_is_closed_by_default() -> None:
    assert by_clearance(requested(), SECRET).level == Level.NONE
