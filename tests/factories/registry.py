"""Good registry documents, records and databases; a test starts from one and breaks one thing."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import delete

from concordat_node.registry.engine import Database, open_database
from concordat_node.registry.migrate import upgrade
from concordat_node.registry.ndjson_import import ImportReport, import_ndjson
from concordat_node.registry.records import NO_EMBARGO, Agreement, Approval, AssetRecord, PolicyAttributes
from concordat_node.registry.rules import ImportedAsset, Owner
from concordat_node.registry.tables import METADATA
from concordat_node.search.index_writer import PostingWriter, ensure_index, rebuild_index
from concordat_trust.canonical import JsonObject, canonical_bytes
from concordat_trust.ids import AssetId, AssetKind, OrgId
from concordat_trust.text import ANALYSER, TermStatistics

NOW = 1_800_000_000
DAY_S = 86_400
OWNER = Owner(OrgId.parse("north-hospital"), b"0123456789abcdef0123456789abcdef")
DIGEST = "ab" * 32


def make_statistics(**changes: Any) -> TermStatistics:
    """Return small term statistics: two common words, everything else unseen."""
    document: JsonObject = {
        "analyser": ANALYSER,
        "documents": 400,
        "fields": {
            "title": {"weight": 2, "b_thousandths": 500, "average_length_thousandths": 6_000},
            "text": {"weight": 1, "b_thousandths": 750, "average_length_thousandths": 40_000},
        },
        "k1_thousandths": 1_200,
        "statistics_version": 1,
        "stop_words": ["a", "and", "of", "on", "the"],
        "terms": {"clinic": 60, "trial": 45},
        "unseen_weight": 180,
    }
    return TermStatistics.parse(canonical_bytes(document | changes))


STATISTICS = make_statistics()


def policy_fields(**changes: Any) -> dict[str, Any]:
    """Return the `policy` object of an import line: open to everybody, for everything."""
    return {
        "sensitivity": 0,
        "permission": "DUO:0000004",
        "modifiers": [],
        "agreements": [],
        "approvals": [],
        "embargo_until": None,
        "status": "active",
    } | changes


def asset_fields(kind: str = "dataset", local_name: Any = "arm-a", **changes: Any) -> dict[str, Any]:
    """Return the fields of a good asset line; `...` (Ellipsis) removes a field."""
    fields = {
        "type": kind,
        "local_name": local_name,
        "title": f"Clinical trial {local_name}",
        "summary": "Blood pressure of adults",
        "description": "Measured on three sites over two years.",
        "keywords": ["trial", "blood pressure"],
        "task": "classification",
        "modality": "tabular",
        "license": "CC-BY-4.0",
        "origin": "measured",
        "created": "2026-05-04",
        "version": "1",
        "versions": [{"label": "1", "released": "2026-05-04"}],
        "policy": policy_fields(),
    } | changes
    return {name: value for name, value in fields.items() if value is not ...}


def agreement_fields(**changes: Any) -> dict[str, Any]:
    fields = {
        "type": "agreement",
        "id": "dua-trial-2026",
        "title": "Use of the trial's data",
        "parties": ["alma-university", "north-hospital"],
        "members": [{"organization": "alma-university", "pseudonym": None}],
        "purposes": ["GRU", "HMB"],
        "valid_from": NOW - 100 * DAY_S,
        "valid_until": NOW + 100 * DAY_S,
        "status": "active",
        "document_digest": DIGEST,
        "contact": "data-office@north-hospital.example",
    } | changes
    return {name: value for name, value in fields.items() if value is not ...}


def approval_fields(**changes: Any) -> dict[str, Any]:
    fields = {
        "type": "approval",
        "id": "irb-2026-17",
        "board": "Ethics board of Alma University",
        "protocol": "2026-17",
        "holders": [{"organization": "alma-university", "pseudonym": "p-analyst"}],
        "purposes": ["GRU"],
        "approved_at": NOW - 100 * DAY_S,
        "expires_at": NOW + 100 * DAY_S,
        "status": "active",
        "document_digest": DIGEST,
    } | changes
    return {name: value for name, value in fields.items() if value is not ...}


def ndjson_line(fields: Mapping[str, Any]) -> bytes:
    """Return one import line."""
    return json.dumps(fields, ensure_ascii=False).encode("utf-8")


def make_policy(kind: AssetKind = "dataset", **changes: Any) -> PolicyAttributes:
    fields: dict[str, Any] = {
        "sensitivity": 0,
        "permission": "DUO:0000004",
        "disease": None,
        "modifiers": (),
        "agreements": (),
        "approvals": (),
        "discoverable": "none",
        "summary_metrics": False,
        "relay_may_read": False,
        "embargo_until": NO_EMBARGO,
        "status": "active",
    }
    return PolicyAttributes(kind=kind, **(fields | changes)).in_order()


def make_asset(
    name: str = "arm-a",
    *,
    kind: AssetKind = "dataset",
    policy: PolicyAttributes | None = None,
    owner: Owner = OWNER,
    **changes: Any,
) -> ImportedAsset:
    """Return an asset as an import line would make it; `name` is its local name."""
    held = policy if policy is not None else make_policy(kind)
    fields: dict[str, Any] = {"title": f"Clinical trial {name}", "created": "2026-05-04"}
    record = AssetRecord(id=owner.asset_id(kind, name), class_id=held.class_id, **(fields | changes))
    return ImportedAsset(record, held)


def asset_id(name: str, kind: AssetKind = "dataset") -> AssetId:
    return OWNER.asset_id(kind, name)


def make_agreement(**changes: Any) -> Agreement:
    alma, north = OrgId.parse("alma-university"), OrgId.parse("north-hospital")
    fields: dict[str, Any] = {
        "id": "dua-trial-2026",
        "title": "Use of the trial's data",
        "parties": (alma, north),
        "members": ((alma, None),),
        "purposes": ("GRU", "HMB"),
        "valid_from": NOW - 100 * DAY_S,
        "valid_until": NOW + 100 * DAY_S,
        "status": "active",
        "document_digest": DIGEST,
        "contact": "data-office@north-hospital.example",
    }
    return Agreement(**(fields | changes))


def make_approval(**changes: Any) -> Approval:
    fields: dict[str, Any] = {
        "id": "irb-2026-17",
        "board": "Ethics board of Alma University",
        "protocol": "2026-17",
        "holders": ((OrgId.parse("alma-university"), "p-analyst"),),
        "purposes": ("GRU",),
        "approved_at": NOW - 100 * DAY_S,
        "expires_at": NOW + 100 * DAY_S,
        "status": "active",
        "document_digest": DIGEST,
    }
    return Approval(**(fields | changes))


class Databases:
    """Empty registry databases without the price of a migration, and of compiling every statement, for each test."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._template = folder / "template.db"
        self._opened: list[Database] = []
        self._reused: dict[str, Database] = {}
        database = open_database(self._template)
        upgrade(database)
        ensure_index(database, STATISTICS)
        database.close()

    def new(self) -> Database:
        """Return an empty database of its own."""
        path = self._folder / f"{len(self._opened)}.db"
        shutil.copyfile(self._template, path)
        database = open_database(path, readers=1)
        self._opened.append(database)
        return database

    def emptied(self, name: str) -> Database:
        """Return the database of this name, emptied: the same file for every example of a property."""
        if name not in self._reused:
            self._reused[name] = self.new()
        database = self._reused[name]
        with database.writing() as connection:
            for table in reversed(METADATA.sorted_tables):
                connection.execute(delete(table))
        rebuild_index(database, STATISTICS)
        return database

    def close(self) -> None:
        for database in self._opened:
            database.close()


def import_fields(database: Database, lines: Iterable[Mapping[str, Any]], **limits: int) -> ImportReport:
    """Import lines given as fields."""
    data = [ndjson_line(fields) for fields in lines]
    return import_ndjson(data, database, owner=OWNER, index=PostingWriter(STATISTICS), now=NOW, **limits)
