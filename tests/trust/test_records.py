"""What another organization sends as a record is checked field by field."""

from typing import Any

import pytest

from concordat_trust.canonical import JsonObject
from concordat_trust.errors import ConcordatError
from concordat_trust.ids import AssetIdInvalid
from concordat_trust.records import ASSET_FIELDS, CARD_FIELDS, RecordMalformed, fields_of, validate_record

ID = "urn:concordat:north-hospital:model:" + "a" * 26


EVALUATION: JsonObject = {
    "metric": "accuracy",
    "value": "0.94",
    "unit": None,
    "dataset": "x",
    "dataset_id": None,
    "split": "test",
    "interval_low": None,
    "interval_high": None,
    "version": "2.1",
}
VERSION: JsonObject = {"label": "2.1", "released": "2026-05-04", "digest": "", "changes": ""}


def card(**changes: Any) -> JsonObject:
    record: JsonObject = dict.fromkeys(CARD_FIELDS)
    record.update(id=ID, kind="model", organization="north-hospital", level="FULL", title="A model", keywords=[])
    record["evaluations"] = [EVALUATION]
    record.update(conditions={"permission": "DUO:0000042", "disease": None, "modifiers": []})
    record.update(changes)
    return record


def test_a_good_card_is_taken_and_may_say_more() -> None:
    validate_record(card(), "card")
    validate_record(card(new_field="from a newer node"), "card")


@pytest.mark.parametrize("field", CARD_FIELDS)
def test_a_card_without_one_of_its_fields_is_refused(field: str) -> None:
    record = card()
    del record[field]
    with pytest.raises(RecordMalformed):
        validate_record(record, "card")


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"title": 5}, RecordMalformed),
        ({"title": "x" * 20_001}, RecordMalformed),
        ({"level": "EXISTS"}, RecordMalformed),
        ({"level": None}, RecordMalformed),
        ({"kind": "dataset"}, RecordMalformed),
        ({"organization": "vitalis"}, RecordMalformed),
        ({"id": "x"}, AssetIdInvalid),
        ({"keywords": "x"}, RecordMalformed),
        ({"keywords": ["x"] * 201}, RecordMalformed),
        ({"evaluations": [{"metric": "accuracy"}]}, RecordMalformed),
        ({"evaluations": [{**EVALUATION, "value": "NaN"}]}, RecordMalformed),
        ({"conditions": {"permission": 5, "disease": None, "modifiers": []}}, RecordMalformed),
        ({"conditions": {"permission": "DUO:0000042", "modifiers": []}}, RecordMalformed),
        ({"valid_until": -1}, RecordMalformed),
        ({"valid_until": True}, RecordMalformed),
    ],
)
def test_a_card_with_one_wrong_field_is_refused(change: JsonObject, error: type[ConcordatError]) -> None:
    with pytest.raises(error):
        validate_record(card(**change), "card")


def asset(**changes: Any) -> JsonObject:
    return {**dict.fromkeys(ASSET_FIELDS), **card(), "versions": [VERSION], **changes}


def test_a_good_asset_is_taken() -> None:
    validate_record(asset(), "asset")
    validate_record(asset(versions=None), "asset")


@pytest.mark.parametrize(
    "versions", ["2.1", [{**VERSION, "label": ["2.1"]}], [{"label": "2.1"}], [VERSION] * 201, ["2.1"]]
)
def test_an_asset_with_malformed_versions_is_refused(versions: Any) -> None:
    with pytest.raises(RecordMalformed):
        validate_record(asset(versions=versions), "asset")


def test_an_evaluation_says_which_version_was_measured() -> None:
    with pytest.raises(RecordMalformed):
        validate_record(card(evaluations=[{**EVALUATION, "version": ["2.1"]}]), "card")
    without = {name: value for name, value in EVALUATION.items() if name != "version"}
    with pytest.raises(RecordMalformed):
        validate_record(card(evaluations=[without]), "card")


def test_every_asset_is_also_a_card() -> None:
    assert set(fields_of("card")) <= set(fields_of("asset")) == set(ASSET_FIELDS)
