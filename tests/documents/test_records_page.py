"""The page of import fields names what the parsers ask for, and says rightly which fields must be there."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import record_fields

from concordat_node.registry import rules
from concordat_node.registry.rules import Owner, read_line
from concordat_trust.errors import RefusedDocument
from concordat_trust.ids import OrgId

_ASKED = re.compile(r'(?<!_asset\()shape(?:\.\w+\(|, )"([a-z_]+)"')


def test_the_records_page_names_every_field_that_the_parsers_ask_for() -> None:
    # Every file of rules, those that come later too.
    sources = [path.read_text("utf-8") for path in Path(str(rules.__file__)).parent.glob("*rules.py")]
    assert len(sources) >= 5
    asked = {name for source in sources for name in _ASKED.findall(source)}
    told = {item.name for part in record_fields.PARTS for item in part.fields}
    assert told == asked


WHOLE: dict[str, dict[str, Any]] = {
    "model": {
        **dict.fromkeys(("title", "summary", "description", "task", "framework", "modality"), "words"),
        **dict.fromkeys(("license", "origin", "contact"), "words"),
        "type": "model",
        "local_name": "m",
        "created": "2026-01-01",
        "keywords": ["a"],
        "cohort_size": 5,
        "trained_on": ["d"],
        "lineage": [{"relation": "fine_tuned_from", "local_name": "base", "asserted_on": "2026-01-01"}],
        "version": "1.0",
        "versions": [
            {"label": "1.0", "released": "2026-01-01", "digest": "ab" * 32, "changes": "c", "status": "active"}
        ],
        "evaluations": [
            {
                "metric": "accuracy",
                "value": "0.5",
                "split": "test",
                "unit": "u",
                "dataset": "d",
                "dataset_id": "d",
                "interval_low": "0.4",
                "interval_high": "0.6",
                "version": "1.0",
            }
        ],
        "policy": {
            "sensitivity": 1,
            "permission": "DUO:0000007",
            "disease": "MONDO:0007254",
            "agreements": ["a"],
            "approvals": ["b"],
            "discoverable": "summary",
            "summary_metrics": True,
            "relay_may_read": True,
            "lineage": "complete",
            "embargo_until": None,
            "status": "active",
            "modifiers": [{"code": "DUO:0000022", "parameters": [{"name": "country", "value": "FR"}]}],
        },
    },
    "agreement": {
        "type": "agreement",
        "id": "a",
        "title": "t",
        "parties": ["vitalis"],
        "purposes": ["HMB"],
        "members": [{"organization": "vitalis", "pseudonym": None}],
        "valid_from": 1,
        "valid_until": 2,
        "status": "active",
        "document_digest": "ab" * 32,
        "contact": "c",
    },
    "approval": {
        "type": "approval",
        "id": "b",
        "board": "b",
        "protocol": "p",
        "purposes": ["HMB"],
        "holders": [{"organization": "vitalis", "pseudonym": "p"}],
        "approved_at": 1,
        "expires_at": 2,
        "status": "active",
        "document_digest": "ab" * 32,
    },
}

OWNER = Owner(OrgId.parse("vitalis"), b"x" * 32)
PLACES: dict[record_fields.RecordPart, tuple[str, Sequence[str | int]]] = {
    record_fields.ASSET: ("model", ()),
    record_fields.EVALUATION: ("model", ("evaluations", 0)),
    record_fields.VERSION: ("model", ("versions", 0)),
    record_fields.LINEAGE: ("model", ("lineage", 0)),
    record_fields.POLICY: ("model", ("policy",)),
    record_fields.MODIFIER: ("model", ("policy", "modifiers", 0)),
    record_fields.PARAMETER: ("model", ("policy", "modifiers", 0, "parameters", 0)),
    record_fields.AGREEMENT: ("agreement", ()),
    record_fields.APPROVAL: ("approval", ()),
    record_fields.SUBJECT: ("approval", ("holders", 0)),
}
IN_PAIRS = {"id", "local_name", "disease", "interval_low", "interval_high", "versions"}
"""Fields whose being there depends on another one; the page says so in words."""


def read(line: object) -> None:
    read_line(json.dumps(line).encode(), OWNER)


@pytest.mark.parametrize("line", WHOLE.values(), ids=WHOLE)
def test_a_line_with_every_field_is_read(line: dict[str, Any]) -> None:
    read(line)


def test_every_object_of_the_page_is_tried() -> None:
    assert set(PLACES) == set(record_fields.PARTS)


@pytest.mark.parametrize("part", PLACES, ids=lambda part: part.title)
def test_exactly_the_fields_that_must_be_there_are_missed(part: record_fields.RecordPart) -> None:
    kind, path = PLACES[part]
    for item in part.fields:
        line = copy.deepcopy(WHOLE[kind])
        place: Any = line
        for step in path:
            place = place[step]
        if item.name in IN_PAIRS and not (item.name == "id" and item.must):
            continue
        del place[item.name]
        if item.must:
            with pytest.raises(RefusedDocument):
                read(line)
        else:
            read(line)
