"""Masks turn a record and a decision into what may leave, and nothing more."""

from __future__ import annotations

from dataclasses import replace

import pytest

from concordat_node.access.masks import Surroundings, disclosed_fields, masked_record
from concordat_node.policy.engine import Decision, Mask, Missing, Obligation, Reason
from concordat_node.registry.records import Agreement, EvaluationRecord, Modifier, VersionRecord
from concordat_node.registry.rules import ImportedAsset
from concordat_trust.canonical import JsonObject, canonical_bytes
from concordat_trust.ids import OrgId
from concordat_trust.question import Projection
from concordat_trust.records import ASSET_FIELDS, CARD_FIELDS, validate_record
from concordat_trust.text import text_level, text_level_of_card
from concordat_trust.vocabulary import MASKABLE_FIELDS, TEXT_FIELDS
from tests.factories.network import NOW
from tests.factories.node import NORTH, asset_id, attributes_of, make_asset, permit, review

TRIAL = asset_id("trial", "dataset")
DUA = Agreement(
    id="dua-1",
    title="Trial use",
    parties=(NORTH, OrgId.parse("vitalis")),
    members=(),
    purposes=("GRU",),
    valid_from=NOW - 10,
    valid_until=NOW + 10,
    status="active",
    document_digest="ef" * 32,
)
OTHER = replace(DUA, id="dua-2", title="Another partner's")
ATTRIBUTES = attributes_of(agreements=("dua-1", "dua-2"), modifiers=(Modifier("DUO:0000022", (("country", "DE"),)),))
ASSET = make_asset(
    "sepsis",
    ATTRIBUTES,
    evaluations=(EvaluationRecord("accuracy", "0.94", "test", dataset="held out", dataset_id=TRIAL, version="2.0"),),
    trained_on=(TRIAL,),
    version="",
    versions=(VersionRecord("2.0", "2026-02-01", "ab" * 32, "Newer scanner."), VersionRecord("1.0", "2026-01-01")),
)
ALL = Surroundings(assets={TRIAL: "Trial arm"}, agreements={"dua-1": DUA, "dua-2": OTHER})
NOTHING = Surroundings(assets={}, agreements={})


def masked(
    decision: Decision, *, asset: ImportedAsset = ASSET, projection: Projection = "asset", around: Surroundings = ALL
) -> JsonObject:
    record = masked_record(asset.record, asset.policy, decision, projection=projection, around=around)
    validate_record(record, projection)
    return record


def hiding(*names: str) -> Decision:
    return permit(ATTRIBUTES, masks={name: Mask() for name in names})


def test_every_field_of_a_projection_is_there() -> None:
    assert tuple(masked(permit(ATTRIBUTES), projection="card")) == CARD_FIELDS
    assert tuple(masked(permit(ATTRIBUTES))) == ASSET_FIELDS


@pytest.mark.parametrize("field", [name for name in MASKABLE_FIELDS if name in ASSET_FIELDS])
def test_a_hidden_field_is_null_and_named(field: str) -> None:
    record = masked(hiding(field))
    assert record[field] is None
    assert record["masked_fields"] == [field]
    assert masked(permit(ATTRIBUTES))[field] is not None


def test_versions_leave_with_their_current_one_and_name_what_was_measured() -> None:
    record = masked(permit(ATTRIBUTES))
    assert record["version"] == "2.0"
    assert record["versions"] == [
        {"label": "2.0", "released": "2026-02-01", "digest": "ab" * 32, "changes": "Newer scanner."},
        {"label": "1.0", "released": "2026-01-01", "digest": "", "changes": ""},
    ]
    assert '"version":"2.0"' in canonical_bytes(record["evaluations"]).decode()


def test_hidden_versions_are_not_named_by_evaluations() -> None:
    record = masked(hiding("versions", "version"))
    assert '"version":null' in canonical_bytes(record["evaluations"]).decode()
    assert "2.0" not in str(record)


def test_masked_fields_do_not_depend_on_whether_there_was_a_value() -> None:
    empty = replace(ASSET, record=replace(ASSET.record, cohort_size=None, trained_on=(), description=""))
    hidden = hiding("cohort_size", "trained_on", "description")
    assert masked(hidden) == masked(hidden, asset=empty)


def test_only_fields_of_the_projection_are_named_as_masked() -> None:
    assert masked(hiding("contact", "title"), projection="card")["masked_fields"] == ["title"]


@pytest.mark.parametrize("hidden", [(), ("title",), ("summary",), ("keywords",), ("description",), TEXT_FIELDS])
def test_the_text_level_can_be_read_off_the_card(hidden: tuple[str, ...]) -> None:
    card = masked(hiding(*hidden), projection="card")
    assert text_level_of_card(card) == text_level(frozenset(hidden))


def test_a_field_that_exists_and_is_empty_is_not_null() -> None:
    bare = replace(ASSET, record=replace(ASSET.record, summary="", keywords=(), description="", contact=""))
    record = masked(permit(ATTRIBUTES), asset=bare)
    assert (record["summary"], record["keywords"], record["description"], record["contact"]) == ("", [], "", "")


def test_a_data_set_that_is_not_visible_is_not_named() -> None:
    record = masked(permit(ATTRIBUTES), around=replace(ALL, assets={}))
    assert record["trained_on"] == []
    assert '"accuracy"' in canonical_bytes(record["evaluations"]).decode()
    assert str(TRIAL) not in str(record)


def test_a_data_set_with_a_hidden_title_is_named_without_it() -> None:
    record = masked(permit(ATTRIBUTES), around=replace(ALL, assets={TRIAL: None}))
    assert record["trained_on"] == [{"id": str(TRIAL), "title": None}]


def test_only_cited_agreements_are_named() -> None:
    record = masked(permit(ATTRIBUTES, agreement_ids=("dua-1",), valid_until=NOW + 10))
    assert record["agreement_ids"] == ["dua-1"]
    assert record["agreements"] == [{"id": "dua-1", "title": "Trial use", "digest": "ef" * 32, "valid_until": NOW + 10}]
    assert "dua-2" not in str(record)


def test_reasons_stay_inside_and_missing_and_obligations_leave() -> None:
    decision = review(
        ATTRIBUTES,
        reasons=(Reason("embargo_running", public=False),),
        missing=(Missing("approval_missing", "ethics_board"),),
        obligations=(Obligation("cite", "Cite the data set."),),
    )
    record = masked(decision)
    assert record["level"] == "SUMMARY"
    assert record["missing"] == [{"code": "approval_missing", "who_can_grant": "ethics_board"}]
    assert record["obligations"] == [{"code": "cite", "text": "Cite the data set."}]
    assert "embargo" not in str(record)


def test_the_log_names_the_fields_that_left_with_content() -> None:
    fields = disclosed_fields(masked(hiding("contact", "evaluations"), projection="asset"))
    assert "title" in fields
    assert not {"contact", "evaluations", "id", "masked_fields"} & set(fields)
