"""The gate: nothing leaves undecided, the second decision takes away, and what is hidden leaves no trace."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from concordat_node.access.decisions import Registry
from concordat_node.access.gate import DisclosedRecord, Released
from concordat_node.access.view import narrows, visible_view
from concordat_node.answering.given import GivenAnswer
from concordat_node.api.wire_schema import answer_data
from concordat_node.policy.engine import (
    Decision,
    DecisionRequest,
    Mask,
    PolicyUnavailable,
    denied,
)
from concordat_node.registry.records import AssetRecord, PolicyAttributes
from concordat_trust.attestation import record_commitment
from concordat_trust.ids import AssetId
from concordat_trust.vocabulary import Clearance, Level
from tests.factories.network import NOW
from tests.factories.node import (
    HOME,
    Entropy,
    PrescribedEngine,
    asset_id,
    attributes_of,
    by_clearance,
    make_asset,
    make_assets_question,
    make_question,
    permit,
    review,
)
from tests.node.releasing import (
    AGREEMENT,
    NETWORK,
    asked,
    ids_of,
    in_tie_order,
    node_with,
    permit_all,
    released,
    requested,
    review_all,
)

SECRET = attributes_of(sensitivity=3)
SEALED = attributes_of(relay_may_read=False)
SUMMARY = attributes_of(sensitivity=2, discoverable="summary")


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
    node = node_with(*records, engine=PrescribedEngine(permit_all))
    assert (await released(node)).total == 4
    release = await node.gate.release(replace(asked(), sensitivity_max=Clearance.REGISTERED))
    assert (ids_of(release), release.total) == (in_tie_order("s0", "s1"), 2)


async def test_an_empty_mapping_of_decisions_releases_nothing() -> None:
    class Silent(PrescribedEngine):
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

    release = await released(node_with(make_asset("a"), engine=PrescribedEngine(table)))
    assert (release.items, release.total) == ((), 0)


async def test_a_dead_policy_releases_nothing() -> None:
    with pytest.raises(PolicyUnavailable):
        await released(node_with(make_asset("a"), engine=PrescribedEngine(is_dead=True)))


async def test_a_policy_that_dies_before_the_page_releases_nothing() -> None:
    class DiesAtPage(PrescribedEngine):
        async def decide_page(self, request: DecisionRequest, page: Any) -> tuple[Decision, ...]:
            raise PolicyUnavailable(cause="timeout")

    with pytest.raises(PolicyUnavailable):
        await released(node_with(make_asset("a"), engine=DiesAtPage()))


async def test_a_page_answer_of_another_length_releases_nothing() -> None:
    class Short(PrescribedEngine):
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

    node = node_with(make_asset("a"), WITHDRAWN, engine=PrescribedEngine(permit_all, page))
    release = await released(node, make_question(NETWORK, facets=("task",)))
    assert ids_of(release) == in_tie_order("a")
    assert release.total == 1
    assert release.facets == {"task": {"classification": 1}}
    assert node.gate.withdrawals > 0


async def test_the_page_decision_never_adds() -> None:
    release = await released(node_with(make_asset("a"), engine=PrescribedEngine(review_all, permit_all)))
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

    class Moody(PrescribedEngine):
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


async def test_an_id_of_another_organization_is_not_answered_even_if_it_were_here() -> None:
    node = node_with(make_asset("a", org=HOME))
    assert ids_of(await released(node, make_assets_question(NETWORK), asset_id("a", org=HOME))) == []


async def test_an_asset_question_gives_assets_in_tie_order() -> None:
    node = node_with(make_asset("a"), make_asset("b"), make_asset("c"))
    release = await released(node, make_assets_question(NETWORK), asset_id("c"), asset_id("a"), asset_id("b"))
    assert ids_of(release) == in_tie_order("a", "b", "c")
    assert all(item.asset is not None and item.card is None for item in release.items)
    assert {item.sort_key for item in release.items} == {0}


async def test_one_visible_record_that_no_relay_may_read_seals_every_answer_to_that_requester() -> None:
    node = node_with(make_asset("a"), make_asset("b", SEALED, summary="About kidneys."))
    assert (await released(node)).is_sealed
    assert (await released(node, make_question(NETWORK, text="words that nobody has"))).is_sealed
    assert (await released(node, make_assets_question(NETWORK), asset_id("a"))).is_sealed


async def test_an_answer_is_open_when_a_relay_may_read_everything_that_its_requester_may_see() -> None:
    hidden = attributes_of(sensitivity=3, relay_may_read=False)
    assert not (await released(node_with(make_asset("a")))).is_sealed
    assert not (await released(node_with(make_asset("a"), make_asset("b", hidden)))).is_sealed
    assert not (await released(node_with())).is_sealed


async def test_a_class_without_records_seals_nothing() -> None:
    """A record moved on, and its old class is still known: nothing of it may show."""
    node = node_with(make_asset("a"), make_asset("b", SEALED))
    node.write([make_asset("b")])
    assert not (await released(node)).is_sealed


async def test_a_record_matches_its_commitment_and_has_a_salt_of_its_own() -> None:
    release = await released(node_with(make_asset("a"), make_asset("b")))
    for item in release.items:
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
        await released(node_with(make_asset("a"), engine=PrescribedEngine(table)))


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
        Released(cast(Any, None), record=cast(Any, None), projection="card", salt="", sort_key=None)


def test_a_raw_record_cannot_be_serialized() -> None:
    record: AssetRecord = make_asset("a").record
    with pytest.raises(RuntimeError):
        answer_data("search", GivenAnswer("jws", cast(Any, (record,)), "{}"))


@pytest.mark.long
@pytest.mark.timeout(300)
def test_mypy_refuses_a_raw_record_where_a_released_one_belongs(tmp_path: Path) -> None:
    snippet = tmp_path / "forgets_the_gate.py"
    snippet.write_text(
        "from concordat_node.answering.given import GivenAnswer\n"
        "from concordat_node.registry.records import AssetRecord\n"
        "def give(record: AssetRecord) -> GivenAnswer:\n"
        "    return GivenAnswer('jws', (record,), '{}')\n"
    )
    root = Path(__file__).parents[2]
    command = [sys.executable, "-m", "mypy", "--config-file", str(root / "pyproject.toml"), str(snippet)]
    checked = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert checked.returncode == 1
    assert "Released" in checked.stdout


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
