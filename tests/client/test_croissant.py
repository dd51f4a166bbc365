"""Exported Croissant documents, judged by mlcroissant, and what may not stand in one."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import pytest

from concordat_client.demo.catalogue import catalogue_of, croissant_description
from concordat_trust.canonical import JsonObject
from concordat_trust.croissant import CROISSANT_CONTEXT, NotADataset, croissant_of
from tests.factories.answers import asset_id, make_asset, make_card

# In a process of its own: the library's imports warn, and a warning fails a test here.
JUDGE = """
import json, logging, sys
import mlcroissant
from mlcroissant._src.core.context import Context
found = []
for document in json.load(sys.stdin):
    try:
        issues = mlcroissant.Dataset(jsonld=document).metadata.ctx.issues
        found.append({"errors": sorted(issues.errors), "warnings": sorted(issues.warnings)})
    except mlcroissant.ValidationError as error:
        found.append({"errors": [str(error)], "warnings": []})
json.dump(found, sys.stdout)
"""
HELD: dict[str, list[str]] = {"errors": [], "warnings": []}


def judged(documents: Sequence[JsonObject]) -> list[Any]:
    done = subprocess.run(
        [sys.executable, "-c", JUDGE],
        input=json.dumps(documents),
        capture_output=True,
        text=True,
        check=True,
        timeout=50,
    )
    found: list[Any] = json.loads(done.stdout)
    return found


def record(**changes: Any) -> JsonObject:
    """Return a released data set with everything shown."""
    whole: JsonObject = {
        "kind": "dataset",
        "id": asset_id("north-hospital", "arm", "dataset"),
        "title": "Arm A",
        "version": "1.2.0",
        "versions": [
            {"label": "1.2.0", "released": "2026-01-01", "digest": "ab" * 32, "changes": None, "status": "active"}
        ],
        "conditions": {
            "permission": "DUO:0000007",
            "disease": "MONDO:0005148",
            "modifiers": [{"code": "DUO:0000022", "parameters": [{"name": "region", "value": "DE"}]}],
        },
        "missing": [{"code": "agreement_missing", "who_can_grant": "contracts office"}],
        "obligations": [{"code": "cite", "text": "Cite the trial."}],
        "agreement_ids": ["dua-1"],
        "valid_until": 1_900_000_000,
    }
    return make_asset("north-hospital", "arm", **(whole | changes))


def demo_descriptions() -> list[JsonObject]:
    members = {"trial-analyst": "p-1", "lapsed-investigator": "p-2"}
    return [
        croissant_description(plan, "2026-11-01")
        for organization in ("north-hospital", "alma-university", "vitalis")
        for plan in catalogue_of(organization, members, "alma-university", 1_800_000_000).datasets
    ]


def missing(name: str) -> dict[str, list[str]]:
    warning = f'[Metadata(Arm A)] Property "https://schema.org/{name}" is recommended, but does not exist.'
    return {"errors": [], "warnings": [warning]}


def test_mlcroissant_finds_no_error_and_no_warning_but_for_what_is_not_disclosed() -> None:
    demo = demo_descriptions()
    expected: list[tuple[JsonObject, dict[str, list[str]]]] = [
        (croissant_of(record()), HELD),
        (croissant_of(record(description=None, keywords=[], origin=None, conditions=None)), HELD),
        (croissant_of(record(version="sim-2")), missing("version")),
        (croissant_of(record(version=None, versions=None, masked_fields=["version"])), missing("version")),
        (croissant_of(record(license=None)), missing("license")),
        *((document, HELD) for document in demo),
    ]
    wrong = {name: value for name, value in croissant_of(record()).items() if name != "@type"}
    *found, refused = judged([*(document for document, _ in expected), wrong])
    assert found == [findings for _, findings in expected]
    assert refused["errors"]
    assert len(demo) >= 3


def test_conditions_of_use_and_of_access_are_told() -> None:
    document = croissant_of(record(masked_fields=["contact"], contact=None))
    usage: Any = document["usageInfo"]
    assert [term["termCode"] for term in usage] == ["DUO:0000007", "MONDO:0005148", "DUO:0000022"]
    assert usage[2]["description"] == "region=DE"
    access = str(document["conditionsOfAccess"])
    for told in (
        "disclosed in full by north-hospital",
        "not shown: contact",
        "agreement_missing, from contracts office",
        "Cite the trial.",
        "dua-1",
    ):
        assert told in access
    assert document["prov:wasAttributedTo"] == {"@type": "prov:Organization", "name": "north-hospital"}


@pytest.mark.parametrize("field", ["description", "summary", "keywords", "license", "origin", "versions", "conditions"])
def test_what_is_masked_stands_nowhere(field: str) -> None:
    canary = "CANARY-7f"
    values: dict[str, Any] = {
        "keywords": [canary],
        "versions": [{"label": "1.2.0", "digest": canary}],
        "conditions": {"permission": canary, "disease": None, "modifiers": []},
    }
    shown = croissant_of(record(**{field: values.get(field, canary)}))
    assert canary in json.dumps(shown)
    masked = croissant_of(record(**{field: None}, masked_fields=[field]))
    assert canary not in json.dumps(masked)
    assert None not in masked.values()


def test_a_model_is_no_data_set() -> None:
    with pytest.raises(NotADataset):
        croissant_of(make_card())


def test_the_context_is_inside_and_names_no_document_to_fetch() -> None:
    assert croissant_of(record())["@context"] == CROISSANT_CONTEXT
    assert all(isinstance(term, str | dict) for term in CROISSANT_CONTEXT.values())
