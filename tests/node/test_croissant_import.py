"""A Croissant description becomes a data set: what is mapped, what never is, and hostile documents."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from concordat_node.registry.croissant_reader import (
    CROISSANT_BYTES_MAX,
    DEPTH_MAX,
    FIELDS_MAX,
    FILES_MAX,
    RECORD_SETS_MAX,
    line_of_croissant,
    read_croissant,
)
from concordat_node.registry.records import AssetRecord
from concordat_node.registry.rules import ImportedAsset, read_line
from concordat_trust.canonical import JsonObject, canonical_bytes
from concordat_trust.croissant import croissant_of
from concordat_trust.encoding import sha256_hex
from concordat_trust.errors import RefusedDocument
from tests.factories.registry import OWNER, policy_fields
from tests.node.test_node_cli import init, run


def document(**changes: Any) -> JsonObject:
    good: JsonObject = {
        "@context": {"@vocab": "https://schema.org/"},
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.1",
        "name": "Sepsis onset",
        "abstract": "Hourly vital signs.",
        "description": "Vital signs of two wards.",
        "keywords": ["sepsis", "ward"],
        "license": "CC-BY-4.0",
        "datePublished": "2026-03-01",
        "version": "1.2.0",
        "citeAs": "North Hospital, 2026.",
        "distribution": [{"@type": "cr:FileObject", "sha256": "ab" * 32, "contentUrl": "https://evil.example/x"}],
        "recordSet": [{"name": "vitals", "field": [{"name": "heart_rate"}, {"@id": "vitals/lactate"}]}],
    }
    return {name: value for name, value in (good | changes).items() if value != "absent"}


def line(**changes: Any) -> JsonObject:
    return {"type": "croissant", "local_name": "sepsis", "policy": policy_fields(), "croissant": document(), **changes}


def imported(**changes: Any) -> AssetRecord:
    item = read_line(canonical_bytes(line(croissant=document(**changes))), OWNER)
    assert isinstance(item, ImportedAsset)
    return item.record


def refusal(**changes: Any) -> tuple[str, object]:
    with pytest.raises(RefusedDocument) as caught:
        imported(**changes)
    return caught.value.code, caught.value.fields.get("field")


def test_a_description_becomes_a_data_set_with_its_version() -> None:
    record = imported()
    assert (record.title, record.summary, record.created) == ("Sepsis onset", "Hourly vital signs.", "2026-03-01")
    assert (record.keywords, record.license) == (("sepsis", "ward"), "CC-BY-4.0")
    assert [(one.label, one.released, one.digest) for one in record.versions] == [("1.2.0", "2026-03-01", "ab" * 32)]
    assert record.version == "1.2.0"
    assert record.description.split("\n") == [
        "Vital signs of two wards.",
        "Citation: North Hospital, 2026.",
        "Record set vitals: heart_rate, vitals/lactate",
    ]


@pytest.mark.parametrize("prefix", ["sc:", "schema:", "https://schema.org/", "http://schema.org/"])
def test_terms_are_read_under_each_of_their_names(prefix: str) -> None:
    record = imported(**{"name": "absent", f"{prefix}name": {"@value": "Named", "@language": "en"}})
    assert record.title == "Named"


@pytest.mark.parametrize(
    ("value", "title"),
    [({"de": "Beginn", "en": "Onset"}, "Onset"), (["First", "Second"], "First"), ({"fr": "Début"}, "Début")],
)
def test_a_text_per_language_is_read_in_english_first(value: Any, title: str) -> None:
    assert imported(name=value).title == title


@pytest.mark.parametrize(
    ("value", "license_"),
    [
        ({"@type": "CreativeWork", "name": "Own terms"}, "Own terms"),
        ({"url": "https://example.org/terms"}, "https://example.org/terms"),
        (["CC0-1.0", "MIT"], "CC0-1.0"),
        ("absent", ""),
    ],
)
def test_a_license_is_its_name_or_address(value: Any, license_: str) -> None:
    assert imported(license=value).license == license_


@pytest.mark.parametrize(
    ("value", "label"), [("2.0", "2.0"), (3, "3"), ("v 4/b", "v-4-b"), ("absent", "1"), ("--", "1")]
)
def test_a_version_is_a_label(value: Any, label: str) -> None:
    assert imported(version=value).version == label


def test_the_digest_of_several_files_stands_for_all_of_them_in_any_order() -> None:
    files = [{"sha256": "ab" * 32}, {"sha256": "12" * 32}]
    assert imported(distribution=files).versions[0].digest == imported(distribution=files[::-1]).versions[0].digest
    assert imported(distribution=files).versions[0].digest == sha256_hex(f"{'12' * 32}\n{'ab' * 32}".encode())
    assert imported(distribution="absent").versions[0].digest == ""


def test_what_a_description_says_of_use_sets_no_policy() -> None:
    open_to_all = {"@type": "sc:DefinedTerm", "termCode": "DUO:0000004"}
    item = read_line(
        canonical_bytes(line(croissant=document(usageInfo=[open_to_all], policy={"sensitivity": 0}))), OWNER
    )
    plain = read_line(canonical_bytes(line()), OWNER)
    assert isinstance(item, ImportedAsset)
    assert isinstance(plain, ImportedAsset)
    assert item.policy == plain.policy


def test_without_a_policy_of_its_own_a_line_is_refused() -> None:
    without = {name: value for name, value in line().items() if name != "policy"}
    with pytest.raises(RefusedDocument) as caught:
        read_line(canonical_bytes(without), OWNER)
    assert caught.value.fields["field"] == "policy"


def test_a_summary_is_never_made_of_the_description() -> None:
    assert imported(abstract="absent").summary == ""


def test_what_the_line_says_stands_over_the_document() -> None:
    item = read_line(canonical_bytes(line(summary="Ours.", cohort_size=7)), OWNER)
    assert isinstance(item, ImportedAsset)
    assert (item.record.summary, item.record.cohort_size, item.record.title) == ("Ours.", 7, "Sepsis onset")


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"@type": "sc:Person"}, "croissant.@type"),
        ({"@graph": []}, "croissant.@graph"),
        ({"conformsTo": "http://mlcommons.org/croissant/0.8"}, "croissant.conformsTo"),
        ({"conformsTo": "absent"}, "croissant.conformsTo"),
        ({"name": "absent"}, "croissant.name"),
        ({"datePublished": "soon"}, "croissant.datePublished"),
        ({"distribution": [{"sha256": "short"}]}, "croissant.distribution.sha256"),
        ({"distribution": [{}] * (FILES_MAX + 1)}, "croissant.distribution"),
        ({"recordSet": [{}] * (RECORD_SETS_MAX + 1)}, "croissant.recordSet"),
        ({"recordSet": {"field": [{}] * (FIELDS_MAX + 1)}}, "croissant.recordSet.field"),
    ],
)
def test_a_description_that_cannot_be_used_is_refused_with_its_field(changes: dict[str, Any], field: str) -> None:
    assert refusal(**changes) == ("croissant_malformed", field)


def test_as_many_files_record_sets_and_fields_as_allowed_are_read() -> None:
    many = {"name": "a", "field": [{"name": "b"}] * FIELDS_MAX}
    record = imported(distribution=[{}] * FILES_MAX, recordSet=[{"name": "r"}] * (RECORD_SETS_MAX - 1) + [many])
    assert record.description.count("Record set") == RECORD_SETS_MAX


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": "x" * 301}, "title"),
        ({"description": "x" * 20_001}, "description"),
        ({"keywords": [str(n) for n in range(51)]}, "keywords"),
        ({"license": "x" * 121}, "license"),
        ({"name": "red \x1b[31m"}, "title"),
        ({"datePublished": "2026-02-30"}, "created"),
    ],
)
def test_the_limits_of_a_line_hold_for_what_a_description_says(changes: dict[str, Any], field: str) -> None:
    assert refusal(**changes) == ("document_malformed", field)


def test_a_fraction_elsewhere_in_a_foreign_document_is_no_hindrance() -> None:
    text = json.dumps({**document(), "cr:samplingRate": 0.5, "rai:large": 10**30})
    assert read_croissant(text.encode())["cr:samplingRate"] == "0.5"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"[]", "json_malformed"),
        (b'{"name": "a", "name": "b"}', "json_duplicate_key"),
        (b'{"a": NaN}', "number_not_canonical"),
        (b" " * (CROISSANT_BYTES_MAX + 1), "json_too_large"),
        (b'{"a":' + b"[" * DEPTH_MAX + b"]" * DEPTH_MAX + b"}", "json_too_deep"),
        (b'{"a":' * 100_000, "json_too_large"),
        (b'{"a": "\\ud800"}', "json_malformed"),
    ],
)
def test_a_file_that_is_no_such_document_is_refused(data: bytes, code: str) -> None:
    with pytest.raises(RefusedDocument) as caught:
        read_croissant(data)
    assert caught.value.code == code


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
NAMES = sorted({*document(), "creditText", "alternateName", "@graph", "dateCreated", "sc:name", "cr:recordSet"})


@given(st.dictionaries(st.sampled_from(NAMES), JSON, max_size=6))
def test_any_value_anywhere_is_read_or_refused_with_a_code(noise: dict[str, Any]) -> None:
    try:
        made = line_of_croissant(line(croissant=document(**noise)))
        read_line(canonical_bytes({**made, "type": "dataset"}), OWNER)
    except RefusedDocument:
        return
    assert made["title"]


@given(st.binary(max_size=200))
def test_no_bytes_crash_the_reader(data: bytes) -> None:
    try:
        read_croissant(data)
    except RefusedDocument:
        return
    assert isinstance(json.loads(data), dict)


def disclosed(record: AssetRecord, **changes: Any) -> JsonObject:
    """Return the record as an owner discloses it whole; `changes` are what a policy masks."""
    shown: JsonObject = {
        "id": str(record.id),
        "kind": "dataset",
        "organization": record.id.org,
        "level": "FULL",
        "title": record.title,
        "summary": record.summary,
        "description": record.description,
        "keywords": list(record.keywords),
        "license": record.license,
        "origin": record.origin,
        "created": record.created,
        "version": record.version,
        "versions": [{"label": one.label, "digest": one.digest} for one in record.versions],
        "masked_fields": [],
    }
    return shown | changes


@given(
    name=st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=40),
    keywords=st.lists(st.text(st.characters(categories=["L"]), min_size=1, max_size=8), unique=True, max_size=5),
    version=st.from_regex(r"[a-z0-9]([a-z0-9.-]{0,6}[a-z0-9])?", fullmatch=True),
    day=st.dates(),
)
def test_what_is_exported_and_imported_again_says_the_same(
    name: str, keywords: list[str], version: str, day: Any
) -> None:
    first = imported(
        name=name, keywords=keywords, version=version, datePublished=day.isoformat(), creditText="a clinic"
    )
    exported = croissant_of(disclosed(first))
    item = read_line(canonical_bytes(line(croissant=exported)), OWNER)
    assert isinstance(item, ImportedAsset)
    assert item.record == first


def test_the_command_imports_a_description_only_under_a_policy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    init(tmp_path)
    path = tmp_path / "sepsis.json"
    path.write_text(json.dumps(document()))
    capsys.readouterr()
    assert run("import", "--settings", tmp_path / "node.json", "--format", "croissant", path, "--json") == 1
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "croissant_policy_missing"


def test_only_the_two_formats_are_known(tmp_path: Path) -> None:
    with pytest.raises((SystemExit, argparse.ArgumentError)):
        run("import", "--settings", tmp_path / "node.json", "--format", "csv", tmp_path / "a")
