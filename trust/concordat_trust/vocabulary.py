"""The closed lists that every party of a network reads the same way.

DUO codes are identified by number; their labels have changed over time (`DUO:0000018` was "not for profit use only" in
2019), so a label is for display only. Source: the Data Use Ontology, release of 2022-09.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Literal, get_args


class Clearance(IntEnum):
    """Sensitivity of an asset, clearance of a person (DESIGN section 1)."""

    PUBLIC = 0
    REGISTERED = 1
    CONTROLLED = 2
    RESTRICTED = 3


class Level(IntEnum):
    """The disclosure ladder: how much of an asset a requester may see."""

    NONE = 0
    EXISTS = 1
    SUMMARY = 2
    FULL = 3


PurposeCode = Literal["GRU", "HMB", "DS", "POA", "MDS", "CC"]
PURPOSES: tuple[PurposeCode, ...] = get_args(PurposeCode)
PURPOSE_WORDS: dict[PurposeCode, str] = {
    "GRU": "general research",
    "HMB": "health, medical or biomedical research",
    "DS": "research on one disease",
    "POA": "population origins or ancestry research",
    "MDS": "development of methods",
    "CC": "clinical care",
}

DUO_PERMISSIONS: dict[str, tuple[str, str]] = {
    "DUO:0000004": ("NRES", "no restriction"),
    "DUO:0000042": ("GRU", "general research use"),
    "DUO:0000006": ("HMB", "health or medical or biomedical research"),
    "DUO:0000007": ("DS", "disease specific research"),
    "DUO:0000011": ("POA", "population origins or ancestry research only"),
}
DUO_MODIFIERS: dict[str, tuple[str, str]] = {
    "DUO:0000012": ("RS", "research specific restrictions"),
    "DUO:0000015": ("NMDS", "no general methods research"),
    "DUO:0000016": ("GSO", "genetic studies only"),
    "DUO:0000018": ("NPUNCU", "not for profit, non commercial use only"),
    "DUO:0000019": ("PUB", "publication required"),
    "DUO:0000020": ("COL", "collaboration required"),
    "DUO:0000021": ("IRB", "ethics approval required"),
    "DUO:0000022": ("GS", "geographical restriction"),
    "DUO:0000024": ("MOR", "publication moratorium"),
    "DUO:0000025": ("TS", "time limit on use"),
    "DUO:0000026": ("US", "user specific restriction"),
    "DUO:0000027": ("PS", "project specific restriction"),
    "DUO:0000028": ("IS", "institution specific restriction"),
    "DUO:0000029": ("RTN", "return to database or resource"),
    "DUO:0000043": ("CC", "clinical care use"),
    "DUO:0000044": ("NPOA", "population origins or ancestry research prohibited"),
    "DUO:0000045": ("NPU", "not for profit organisation use only"),
    "DUO:0000046": ("NCU", "non-commercial use only"),
}

ProvedStatus = Literal["OK", "SUPPRESSED", "DENIED", "UNSUPPORTED"]
ReportedStatus = Literal["TIMEOUT", "UNREACHABLE", "OVERLOADED", "SKIPPED", "INVALID", "REFUSED"]
FoundStatus = Literal["INVALID", "UNTRUSTED", "STALE"]
PROVED: tuple[ProvedStatus, ...] = get_args(ProvedStatus)
Speaker = Literal["organization", "coordinator", "home"]
"""Who says what became of an organization: itself, with its signature; or a relay or the home node, without a proof."""
REPORTED: tuple[ReportedStatus, ...] = get_args(ReportedStatus)
FOUND_AT_HOME: tuple[FoundStatus, ...] = get_args(FoundStatus)

OrganizationType = Literal["nonprofit", "public", "commercial"]
ORGANIZATION_TYPES: tuple[OrganizationType, ...] = get_args(OrganizationType)

FACET_FIELDS = ("kind", "task", "framework", "modality", "license", "origin")
EXACT_FIELDS = (*FACET_FIELDS, "keyword")
ORDERED_FIELDS = ("created", "cohort_size")
TEXT_FIELDS = ("title", "summary", "keywords", "description")
RATIO_METRICS = frozenset(
    {
        *("accuracy", "balanced_accuracy", "auc", "auroc", "roc_auc", "auprc", "average_precision"),
        *("f1", "f1_score", "precision", "recall", "sensitivity", "specificity", "npv", "ppv", "dice", "iou"),
    }
)
"""Metrics that are fractions of one: 90 % is written 0.9, in a record as in a question."""
SPLITS = ("train", "validation", "test", "external")
MASKABLE_FIELDS = (
    "title",
    "summary",
    "keywords",
    "description",
    "task",
    "framework",
    "modality",
    "license",
    "origin",
    "created",
    "evaluations",
    "conditions",
    "version",
    "versions",
    "cohort_size",
    "contact",
    "sensitivity",
    "trained_on",
    "agreements",
    "lineage",
    "complete",
)
NoticeMode = Literal["none", "standing"]
NOTICE_MODES: tuple[NoticeMode, ...] = get_args(NoticeMode)
