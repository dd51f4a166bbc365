"""One import line: what a good one becomes, and the code and field with which every bad one is refused."""

from __future__ import annotations

from typing import Any

import pytest

from concordat_node.registry.policy_rules import (
    AGREEMENTS_MAX,
    APPROVALS_MAX,
    CLASS_PARAMETERS_MAX,
    MODIFIERS_MAX,
    PARAMETER_LENGTH_MAX,
    PARAMETERS_MAX,
)
from concordat_node.registry.records import Agreement, Approval, Modifier
from concordat_node.registry.rules import (
    COHORT_MAX,
    DESCRIPTION_LENGTH_MAX,
    EVALUATIONS_MAX,
    KEYWORDS_MAX,
    LINE_BYTES_MAX,
    SUMMARY_LENGTH_MAX,
    TITLE_LENGTH_MAX,
    TRAINED_ON_MAX,
    WORD_LENGTH_MAX,
    ImportedAsset,
    Owner,
    read_line,
)
from concordat_trust.errors import RefusedDocument
from concordat_trust.ids import AssetId, OrgId
from concordat_trust.shape import DocumentMalformed
from concordat_trust.vocabulary import RATIO_METRICS
from tests.factories.registry import (
    NOW,
    OWNER,
    agreement_fields,
    approval_fields,
    asset_fields,
    asset_id,
    make_agreement,
    make_approval,
    make_policy,
    ndjson_line,
    policy_fields,
)

GOOD_EVALUATION = {"metric": "accuracy", "value": "0.94", "split": "test"}
FOREIGN = "urn:concordat:vitalis:dataset:abcdefghijklmnopqrstuvwxyz"


def read(fields: dict[str, Any]) -> ImportedAsset:
    item = read_line(ndjson_line(fields), OWNER)
    assert isinstance(item, ImportedAsset)
    return item


def refusal(data: bytes) -> tuple[str, str | None]:
    """Return the code and field with which a line is refused."""
    with pytest.raises(RefusedDocument) as caught:
        read_line(data, OWNER)
    fields = caught.value.fields
    where = str(fields.get("where", "line")).removeprefix("line").lstrip(".")
    name = fields.get("field")
    return caught.value.code, None if name is None else ".".join(part for part in (where, str(name)) if part)


def with_evaluation(**changes: Any) -> dict[str, Any]:
    return asset_fields("model", evaluations=[GOOD_EVALUATION | changes])


def with_policy(**changes: Any) -> dict[str, Any]:
    policy = policy_fields(**changes)
    return asset_fields(policy={name: value for name, value in policy.items() if value is not ...})


def test_a_data_set_line_becomes_a_record_in_its_policy_class() -> None:
    item = read(asset_fields(cohort_size=240, contact="office@north-hospital.example"))
    assert item.record.id == asset_id("arm-a")
    assert (item.record.title, item.record.created, item.record.cohort_size) == (
        "Clinical trial arm-a",
        "2026-05-04",
        240,
    )
    assert item.policy == make_policy("dataset")
    assert item.record.class_id == item.policy.class_id


def test_a_model_names_its_data_sets_by_local_name_or_id() -> None:
    item = read(asset_fields("model", trained_on=["arm-a", FOREIGN]))
    assert item.record.trained_on == (asset_id("arm-a"), AssetId.parse(FOREIGN))


def test_an_evaluation_keeps_its_decimals_and_its_data_set() -> None:
    found = read(
        with_evaluation(dataset="Arm A", dataset_id="arm-a", interval_low="0.90", interval_high="0.97", unit=None)
    )
    (evaluation,) = found.record.evaluations
    assert (evaluation.value, evaluation.interval_low, evaluation.dataset_id) == ("0.94", "0.90", asset_id("arm-a"))


def test_agreements_and_approvals_are_read_whole() -> None:
    assert read_line(ndjson_line(agreement_fields()), OWNER) == make_agreement()
    assert read_line(ndjson_line(approval_fields()), OWNER) == make_approval()


def test_a_local_name_has_one_id_per_owner_and_kind() -> None:
    other = Owner(OWNER.organization, b"another secret of 32 bytes long!")
    ids = {OWNER.asset_id("dataset", "arm-a"), OWNER.asset_id("model", "arm-a"), other.asset_id("dataset", "arm-a")}
    assert len(ids) == 3
    assert OWNER.asset_id("dataset", "arm-a") == OWNER.asset_id("dataset", "arm-a")


def test_the_id_secret_is_never_shown_and_never_short() -> None:
    assert "0123456789" not in repr(OWNER)
    with pytest.raises(RuntimeError):
        Owner(OrgId.parse("north-hospital"), b"short")


def test_an_asset_may_give_its_own_id() -> None:
    own = str(asset_id("arm-b"))
    assert str(read(asset_fields(local_name=..., id=own)).record.id) == own


def test_two_spellings_of_one_policy_are_one_class() -> None:
    modifiers = [{"code": "DUO:0000022", "parameters": [{"name": "country", "value": c} for c in ("FR", "DE")]}]
    modifiers.append({"code": "DUO:0000021"})
    one = read(with_policy(modifiers=modifiers, agreements=["b", "a"]))
    other = read(with_policy(modifiers=modifiers[::-1], agreements=["a", "b", "a"]))
    assert one.policy == other.policy
    assert one.record.class_id == other.record.class_id
    assert one.policy.modifiers[1] == Modifier("DUO:0000022", (("country", "DE"), ("country", "FR")))


def test_what_could_widen_access_is_closed_when_it_is_left_out() -> None:
    policy = read(asset_fields()).policy
    assert (policy.discoverable, policy.summary_metrics, policy.relay_may_read) == ("none", False, False)


@pytest.mark.parametrize(
    "name", ["sensitivity", "permission", "modifiers", "agreements", "approvals", "embargo_until", "status"]
)
def test_what_tightens_access_must_be_written(name: str) -> None:
    assert refusal(ndjson_line(with_policy(**{name: ...}))) == ("document_malformed", f"policy.{name}")


def test_a_duo_code_outside_the_tables_is_kept_for_the_policy_to_review() -> None:
    policy = read(with_policy(permission="DUO:0000099", modifiers=[{"code": "DUO:0000098", "parameters": []}])).policy
    assert (policy.permission, policy.modifiers[0].code) == ("DUO:0000099", "DUO:0000098")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"{", "json_malformed"),
        (b"[]", "json_malformed"),
        (b"\xff", "json_malformed"),
        (b'\xef\xbb\xbf{"type":"dataset"}', "json_malformed"),
        (b'{"type":"dataset"} trailing', "json_malformed"),
        (b'{"type":"dataset","type":"model"}', "json_duplicate_key"),
        (b'{"type":"dataset","cohort_size":1.5}', "number_not_canonical"),
        (b'{"type":"dataset","cohort_size":NaN}', "number_not_canonical"),
        (b'{"type":"dataset","cohort_size":9007199254740992}', "number_not_canonical"),
        (b'{"a":' * 40 + b"1" + b"}" * 40, "json_too_deep"),
        (b" " * (LINE_BYTES_MAX + 1), "json_too_large"),
    ],
)
def test_a_line_that_is_not_one_json_object_is_refused(data: bytes, code: str) -> None:
    assert refusal(data) == (code, None)


BAD_ASSETS: list[tuple[dict[str, Any], str, str]] = [
    ({"type": "notebook"}, "document_malformed", "type"),
    ({"type": ...}, "document_malformed", "type"),
    ({"colour": "blue"}, "document_malformed", "colour"),
    ({"title": 7}, "document_malformed", "title"),
    ({"title": ""}, "document_malformed", "title"),
    ({"title": None}, "document_malformed", "title"),
    ({"title": "a\x1b[31mred"}, "document_malformed", "title"),
    ({"title": "x" * (TITLE_LENGTH_MAX + 1)}, "document_malformed", "title"),
    ({"summary": "x" * (SUMMARY_LENGTH_MAX + 1)}, "document_malformed", "summary"),
    ({"description": "x" * (DESCRIPTION_LENGTH_MAX + 1)}, "document_malformed", "description"),
    ({"task": "x" * (WORD_LENGTH_MAX + 1)}, "document_malformed", "task"),
    ({"keywords": "trial"}, "document_malformed", "keywords"),
    ({"keywords": ["trial", 3]}, "document_malformed", "keywords"),
    ({"keywords": ["trial", "trial"]}, "document_malformed", "keywords"),
    ({"keywords": [""]}, "document_malformed", "keywords"),
    ({"keywords": [str(n) for n in range(KEYWORDS_MAX + 1)]}, "document_malformed", "keywords"),
    ({"created": "2026-02-30"}, "document_malformed", "created"),
    ({"created": "04.05.2026"}, "document_malformed", "created"),
    ({"created": "20260504"}, "document_malformed", "created"),
    ({"created": ...}, "document_malformed", "created"),
    ({"cohort_size": -1}, "document_malformed", "cohort_size"),
    ({"cohort_size": COHORT_MAX + 1}, "document_malformed", "cohort_size"),
    ({"cohort_size": "12"}, "document_malformed", "cohort_size"),
    ({"cohort_size": True}, "document_malformed", "cohort_size"),
    ({"local_name": ...}, "document_malformed", "id"),
    ({"id": str(asset_id("arm-a"))}, "document_malformed", "id"),
    ({"local_name": "a:b"}, "document_malformed", "local_name"),
    ({"local_name": ..., "id": "arm-a"}, "asset_id_invalid", "id"),
    ({"local_name": ..., "id": FOREIGN}, "asset_foreign", "id"),
    ({"local_name": ..., "id": str(asset_id("arm-a", "model"))}, "document_malformed", "id"),
    ({"trained_on": ["arm-b"]}, "document_malformed", "trained_on"),
    ({"policy": "open"}, "document_malformed", "policy."),
    ({"policy": ...}, "document_malformed", "policy"),
]


@pytest.mark.parametrize(("changes", "code", "field"), BAD_ASSETS)
def test_a_bad_asset_field_is_refused_by_name(changes: dict[str, Any], code: str, field: str) -> None:
    assert refusal(ndjson_line(asset_fields(**changes))) == (code, field.rstrip("."))


BAD_MODELS: list[tuple[dict[str, Any], str, str]] = [
    ({"trained_on": ["arm-a", "arm-a"]}, "document_malformed", "trained_on"),
    ({"trained_on": [str(asset_id("arm-a", "model"))]}, "document_malformed", "trained_on"),
    ({"trained_on": ["urn:concordat:x"]}, "asset_id_invalid", "trained_on"),
    ({"trained_on": [f"d{n}" for n in range(TRAINED_ON_MAX + 1)]}, "document_malformed", "trained_on"),
    ({"evaluations": {}}, "document_malformed", "evaluations"),
    ({"evaluations": [GOOD_EVALUATION] * (EVALUATIONS_MAX + 1)}, "document_malformed", "evaluations"),
]


@pytest.mark.parametrize(("changes", "code", "field"), BAD_MODELS)
def test_a_bad_model_field_is_refused_by_name(changes: dict[str, Any], code: str, field: str) -> None:
    assert refusal(ndjson_line(asset_fields("model", **changes))) == (code, field)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"metric": "Accuracy"}, "metric"),
        ({"value": "94"}, "value"),
        ({"value": "-0.1"}, "value"),
        ({"value": 1}, "value"),
        ({"value": "1e-1"}, "value"),
        ({"value": "0.9 "}, "value"),
        ({"metric": "volume", "value": "1000000001"}, "value"),
        ({"split": "holdout"}, "split"),
        ({"interval_low": "0.9"}, "interval_high"),
        ({"interval_high": "0.9"}, "interval_low"),
        ({"interval_low": "0.95", "interval_high": "0.97"}, "interval_low"),
        ({"dataset_id": str(asset_id("x", "model"))}, "dataset_id"),
        ({"note": "fine"}, "note"),
    ],
)
def test_a_bad_evaluation_is_refused_at_its_place(changes: dict[str, Any], field: str) -> None:
    assert refusal(ndjson_line(with_evaluation(**changes))) == ("document_malformed", f"evaluations[0].{field}")


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        ({"sensitivity": 4}, "document_malformed", "policy.sensitivity"),
        ({"sensitivity": "0"}, "document_malformed", "policy.sensitivity"),
        ({"permission": ["DUO:0000004", "DUO:0000042"]}, "duo_permission_count", "policy.permission"),
        ({"permission": "DUO:0000045"}, "duo_permission_count", "policy.permission"),
        ({"permission": "GRU"}, "duo_code_unknown", "policy.permission"),
        ({"permission": "DUO:42"}, "duo_code_unknown", "policy.permission"),
        ({"modifiers": [{"code": "DUO:0000042"}]}, "duo_permission_count", "policy.modifiers"),
        ({"modifiers": [{"code": "NPU"}]}, "duo_code_unknown", "policy.modifiers"),
        ({"modifiers": [{"code": "DUO:0000045"}] * 2}, "duo_modifier_repeated", "policy.modifiers"),
        (
            {"modifiers": [{"code": "DUO:0000022", "countries": []}]},
            "document_malformed",
            "policy.modifiers[0].countries",
        ),
        ({"permission": "DUO:0000007"}, "duo_disease_mismatch", "policy.disease"),
        ({"disease": "MONDO:0007254"}, "duo_disease_mismatch", "policy.disease"),
        ({"permission": "DUO:0000007", "disease": "breast cancer"}, "document_malformed", "policy.disease"),
        ({"agreements": ["a b"]}, "document_malformed", "policy.agreements"),
        ({"agreements": "dua"}, "document_malformed", "policy.agreements"),
        ({"approvals": ["a b"]}, "document_malformed", "policy.approvals"),
        ({"approvals": True}, "document_malformed", "policy.approvals"),
        ({"approvals": ...}, "document_malformed", "policy.approvals"),
        ({"discoverable": "full"}, "document_malformed", "policy.discoverable"),
        ({"relay_may_read": 1}, "document_malformed", "policy.relay_may_read"),
        ({"embargo_until": "soon"}, "document_malformed", "policy.embargo_until"),
        ({"status": "public"}, "document_malformed", "policy.status"),
        ({"owner": "somebody"}, "document_malformed", "policy.owner"),
    ],
)
def test_a_bad_policy_is_refused_and_never_filled_in(changes: dict[str, Any], code: str, field: str) -> None:
    assert refusal(ndjson_line(with_policy(**changes))) == (code, field)


def parameters(count: int, length: int = 1) -> list[dict[str, str]]:
    return [{"name": "x" * length, "value": f"{number:02}".ljust(length, "x")} for number in range(count)]


def modifiers(count: int, held: list[dict[str, str]]) -> list[dict[str, Any]]:
    return [{"code": f"DUO:00001{number:02}", "parameters": held} for number in range(count)]


def ids(count: int) -> list[str]:
    return [f"id-{number}" for number in range(count)]


def test_every_list_of_a_policy_admits_its_limit() -> None:
    largest = modifiers(2, parameters(PARAMETERS_MAX, PARAMETER_LENGTH_MAX))
    assert 2 * PARAMETERS_MAX == CLASS_PARAMETERS_MAX
    largest += modifiers(MODIFIERS_MAX, [])[2:]
    policy = read(with_policy(modifiers=largest, agreements=ids(AGREEMENTS_MAX), approvals=ids(APPROVALS_MAX))).policy
    assert (len(policy.agreements), len(policy.approvals)) == (AGREEMENTS_MAX, APPROVALS_MAX)
    assert [len(modifier.parameters) for modifier in policy.modifiers] == [PARAMETERS_MAX] * 2 + [0] * 8
    assert len(policy.modifiers) == MODIFIERS_MAX


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"modifiers": modifiers(MODIFIERS_MAX + 1, [])}, "policy.modifiers"),
        ({"modifiers": modifiers(1, parameters(PARAMETERS_MAX + 1))}, "policy.modifiers[0].parameters"),
        (
            {"modifiers": modifiers(3, parameters(PARAMETERS_MAX))[:2] + modifiers(3, parameters(1))[2:]},
            "policy.modifiers",
        ),
        (
            {"modifiers": modifiers(1, parameters(1, PARAMETER_LENGTH_MAX + 1))},
            "policy.modifiers[0].parameters[0].name",
        ),
        ({"agreements": ids(AGREEMENTS_MAX + 1)}, "policy.agreements"),
        ({"approvals": ids(APPROVALS_MAX + 1)}, "policy.approvals"),
    ],
)
def test_one_more_than_the_limit_of_a_policy_is_refused(changes: dict[str, Any], field: str) -> None:
    assert refusal(ndjson_line(with_policy(**changes))) == ("document_malformed", field)


def test_approvals_have_one_order_and_no_repetitions() -> None:
    assert read(with_policy(approvals=["irb-b", "irb-a", "irb-b"])).policy.approvals == ("irb-a", "irb-b")


def test_disease_specific_research_names_its_disease() -> None:
    policy = read(with_policy(permission="DUO:0000007", disease="MONDO:0007254")).policy
    assert policy.disease == "MONDO:0007254"


BAD_GRANTS: list[tuple[dict[str, Any], str, str]] = [
    ({"id": "two words"}, "document_malformed", "id"),
    ({"purposes": []}, "document_malformed", "purposes"),
    ({"purposes": ["ANYTHING"]}, "document_malformed", "purposes"),
    ({"status": "draft"}, "document_malformed", "status"),
    ({"document_digest": "AB" * 32}, "document_malformed", "document_digest"),
    ({"surprise": 1}, "document_malformed", "surprise"),
]


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        *BAD_GRANTS,
        ({"parties": []}, "document_malformed", "parties"),
        ({"parties": ["Alma"]}, "organization_id_invalid", "parties"),
        ({"members": []}, "document_malformed", "members"),
        ({"members": [{"organization": "alma-university"}]}, "document_malformed", "members[0].pseudonym"),
        ({"members": [{"organization": "vitalis", "pseudonym": None}]}, "document_malformed", "members"),
        ({"members": [{"organization": "V", "pseudonym": None}]}, "organization_id_invalid", "members.organization"),
        ({"valid_until": NOW - 100 * 86_400}, "document_malformed", "valid_until"),
        ({"valid_from": -1}, "document_malformed", "valid_from"),
        ({"valid_from": "2026-01-01"}, "document_malformed", "valid_from"),
    ],
)
def test_a_bad_agreement_grants_nothing(changes: dict[str, Any], code: str, field: str) -> None:
    assert refusal(ndjson_line(agreement_fields(**changes))) == (code, field)


@pytest.mark.parametrize(
    ("changes", "code", "field"),
    [
        *BAD_GRANTS,
        ({"holders": []}, "document_malformed", "holders"),
        ({"expires_at": 0}, "document_malformed", "expires_at"),
        ({"board": ""}, "document_malformed", "board"),
    ],
)
def test_a_bad_approval_grants_nothing(changes: dict[str, Any], code: str, field: str) -> None:
    assert refusal(ndjson_line(approval_fields(**changes))) == (code, field)


def test_every_limit_admits_its_own_value() -> None:
    item = read(
        asset_fields(
            "model",
            title="x" * TITLE_LENGTH_MAX,
            summary="x" * SUMMARY_LENGTH_MAX,
            description="é" * DESCRIPTION_LENGTH_MAX,
            task="x" * WORD_LENGTH_MAX,
            keywords=[str(number) for number in range(KEYWORDS_MAX)],
            cohort_size=COHORT_MAX,
            trained_on=[f"d{number}" for number in range(TRAINED_ON_MAX)],
            evaluations=[GOOD_EVALUATION] * EVALUATIONS_MAX,
        )
    )
    assert len(item.record.description) == DESCRIPTION_LENGTH_MAX


def test_grants_come_out_in_one_order() -> None:
    agreement = read_line(ndjson_line(agreement_fields(parties=["north-hospital", "alma-university"])), OWNER)
    approval = read_line(ndjson_line(approval_fields(purposes=["HMB", "GRU", "HMB"])), OWNER)
    assert isinstance(agreement, Agreement)
    assert isinstance(approval, Approval)
    assert agreement.parties == ("alma-university", "north-hospital")
    assert approval.purposes == ("GRU", "HMB")


@pytest.mark.parametrize("metric", sorted(RATIO_METRICS))
def test_every_ratio_that_a_question_can_name_is_a_fraction(metric: str) -> None:
    evaluation = {"metric": metric, "value": "94", "split": "test"}
    with pytest.raises(DocumentMalformed) as refused:
        read_line(ndjson_line(asset_fields("model", evaluations=[evaluation])), OWNER)
    assert refused.value.fields["field"] == "value"
