"""What a node holds, as frozen values: assets, their policy attributes, agreements and approvals.

Rules of this file:

* `PolicyAttributes` is the tuple a policy decides on. Equal tuples are one *policy class*; its id is a hash of the
  canonical form, so that two nodes, or one node before and after a restart, give a class the same id.
* Lists inside it have one order (`in_order` makes it), or one class would have several ids.
* Nothing here names a person except agreements and approvals, which never enter a class (DESIGN section 5).
* Times are Unix seconds, days are "YYYY-MM-DD", numbers that are not integers are decimal strings.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal, get_args

from concordat_trust.canonical import Json, JsonObject, canonical_bytes
from concordat_trust.encoding import sha256_hex
from concordat_trust.ids import AssetId, AssetKind, OrgId, tie_key
from concordat_trust.lineage import AssertedEdge, LineageEdge

AssetStatus = Literal["draft", "active", "withdrawn"]
ASSET_STATUSES: tuple[AssetStatus, ...] = get_args(AssetStatus)
Discoverable = Literal["none", "summary"]
DISCOVERABLE: tuple[Discoverable, ...] = get_args(Discoverable)
VersionStatus = Literal["active", "withdrawn"]
VERSION_STATUSES: tuple[VersionStatus, ...] = get_args(VersionStatus)
GrantStatus = Literal["active", "revoked"]
GRANT_STATUSES: tuple[GrantStatus, ...] = get_args(GrantStatus)
LineageShown = Literal["closed", "open", "complete"]
LINEAGE_SHOWN: tuple[LineageShown, ...] = get_args(LineageShown)

NO_EMBARGO = "0001-01-01"
CLASS_ID_LENGTH = 32

_NUMBER_OR_TEXT = re.compile(r"([0-9]+)|([^0-9]+)")

Subject = tuple[OrgId, str | None]
"""An organization, or one person of it by its pseudonym; None means everybody the organization vouches for.

A grant without any subject is for nobody.
"""


@dataclass(frozen=True, slots=True, order=True)
class Modifier:
    """A DUO modifier with its (name, value) parameters, such as ("country", "DE")."""

    code: str
    parameters: tuple[tuple[str, str], ...] = ()

    def to_json(self) -> JsonObject:
        return {"code": self.code, "parameters": [{"name": name, "value": value} for name, value in self.parameters]}


@dataclass(frozen=True, slots=True)
class PolicyAttributes:
    """Everything a policy may decide on, with every list `in_order`.

    `approvals` are the ethics approvals of which a requester needs one; an approval that a class does not name opens
    nothing of it. Empty: none is needed, unless a modifier asks for one. `lineage` says whether edges to assets of
    others may be told (`open`), and further that the owner vouches for what is told being all there is (`complete`).
    """

    kind: AssetKind
    sensitivity: int
    permission: str
    disease: str | None
    modifiers: tuple[Modifier, ...]
    agreements: tuple[str, ...]
    approvals: tuple[str, ...]
    discoverable: Discoverable
    summary_metrics: bool
    relay_may_read: bool
    embargo_until: str
    status: AssetStatus
    lineage: LineageShown = "closed"

    def in_order(self) -> PolicyAttributes:
        """Return the same attributes with every list in its one order and without repetitions."""
        modifiers = {Modifier(m.code, tuple(sorted(set(m.parameters)))) for m in self.modifiers}
        return replace(
            self,
            modifiers=tuple(sorted(modifiers)),
            agreements=tuple(sorted(set(self.agreements))),
            approvals=tuple(sorted(set(self.approvals))),
        )

    def to_json(self) -> JsonObject:
        """Return the form that OPA reads and that the class id hashes."""
        return {
            "agreements": list(self.agreements),
            "approvals": list(self.approvals),
            "discoverable": self.discoverable,
            "disease": self.disease,
            "embargo_until": self.embargo_until,
            "kind": self.kind,
            "lineage": self.lineage,
            "modifiers": [modifier.to_json() for modifier in self.modifiers],
            "permission": self.permission,
            "relay_may_read": self.relay_may_read,
            "sensitivity": self.sensitivity,
            "status": self.status,
            "summary_metrics": self.summary_metrics,
        }

    @property
    def class_id(self) -> str:
        """The first 32 hex characters of SHA-256 over the canonical form."""
        stated = self.in_order().to_json()
        if self.lineage == "closed":
            # Classes from before this attribute say nothing of lineage, are closed, and keep their ids.
            del stated["lineage"]
        return sha256_hex(canonical_bytes(stated))[:CLASS_ID_LENGTH]


@dataclass(frozen=True, slots=True)
class VersionRecord:
    """One version of an asset: its label, the day it was released, and the SHA-256 (hex) of its artefact, or ""."""

    label: str
    released: str
    digest: str = ""
    changes: str = ""
    status: VersionStatus = "active"


def newest_first(versions: Iterable[VersionRecord]) -> tuple[VersionRecord, ...]:
    """Return versions by day of release, newest first; on one day 1.10 is newer than 1.9. Labels are unique."""
    return tuple(sorted(versions, key=_age_key, reverse=True))


def _age_key(version: VersionRecord) -> tuple[str, list[tuple[bool, int, str]], str]:
    parts = _NUMBER_OR_TEXT.findall(version.label)
    return version.released, [(bool(digits), int(digits or 0), text) for digits, text in parts], version.label


@dataclass(frozen=True, slots=True)
class EvaluationRecord:
    """One measured value. `value` and the interval are decimal strings; ratio metrics are fractions ("0.94").

    `version` is the label of the version that was measured, "" for the asset as such.
    """

    metric: str
    value: str
    split: str
    unit: str | None = None
    dataset: str = ""
    dataset_id: AssetId | None = None
    interval_low: str | None = None
    interval_high: str | None = None
    version: str = ""


@dataclass(frozen=True, slots=True)
class AssetRecord:
    """A model or data set as the registry holds it: whole, before any mask. Only the gate may let it out.

    `version` is the label of the current version where the owner names one, "" where it is the newest.
    """

    id: AssetId
    title: str
    class_id: str
    created: str
    summary: str = ""
    description: str = ""
    keywords: tuple[str, ...] = ()
    task: str = ""
    framework: str = ""
    modality: str = ""
    license: str = ""
    origin: str = ""
    version: str = ""
    cohort_size: int | None = None
    contact: str = ""
    evaluations: tuple[EvaluationRecord, ...] = ()
    trained_on: tuple[AssetId, ...] = ()
    versions: tuple[VersionRecord, ...] = ()
    lineage: tuple[AssertedEdge, ...] = ()
    """What this asset asserts beside `trained_on` and the data sets of `evaluations`; `edges` has all of it."""

    @property
    def current_version(self) -> str:
        """The label of the current version: the one named, else the newest active one, else ""."""
        active = [item.label for item in newest_first(self.versions) if item.status == "active"]
        return self.version or next(iter(active), "")

    def published(self) -> AssetRecord:
        """Return the record without its withdrawn versions and what was measured on them, versions newest first.

        This is the record that index, policy and gate know: a withdrawn version leaves nothing anywhere.
        """
        withdrawn = {item.label for item in self.versions if item.status == "withdrawn"}
        return replace(
            self,
            versions=newest_first(item for item in self.versions if item.label not in withdrawn),
            evaluations=tuple(item for item in self.evaluations if item.version not in withdrawn),
        )

    @property
    def kind(self) -> AssetKind:
        return self.id.kind

    @property
    def edges(self) -> tuple[AssertedEdge, ...]:
        """Everything this asset asserts of its lineage, in the order of its record."""
        measured = dict.fromkeys(item.dataset_id for item in self.evaluations if item.dataset_id is not None)
        stated = (
            *(LineageEdge("trained_on", self.id, dataset) for dataset in self.trained_on),
            *(LineageEdge("evaluated_on", self.id, dataset) for dataset in measured),
        )
        return (*(AssertedEdge(edge, self.created) for edge in stated), *self.lineage)

    @property
    def tie(self) -> str:
        return tie_key(str(self.id))


@dataclass(frozen=True, slots=True)
class Agreement:
    """A data use agreement: who may use what it covers, for which purposes, and how long (seconds, end exclusive)."""

    id: str
    title: str
    parties: tuple[OrgId, ...]
    members: tuple[Subject, ...]
    purposes: tuple[str, ...]
    valid_from: int
    valid_until: int
    status: GrantStatus
    document_digest: str
    contact: str = ""

    def to_json(self) -> JsonObject:
        return {
            "contact": self.contact,
            "document_digest": self.document_digest,
            "id": self.id,
            "members": _subjects(self.members),
            "parties": [str(party) for party in self.parties],
            "purposes": list(self.purposes),
            "status": self.status,
            "title": self.title,
            "valid_from": self.valid_from,
            "valid_until": self.valid_until,
        }


@dataclass(frozen=True, slots=True)
class Approval:
    """An ethics board's approval: whose work it covers, for which purposes, and how long (seconds, end exclusive)."""

    id: str
    board: str
    protocol: str
    holders: tuple[Subject, ...]
    purposes: tuple[str, ...]
    approved_at: int
    expires_at: int
    status: GrantStatus
    document_digest: str

    def to_json(self) -> JsonObject:
        return {
            "approved_at": self.approved_at,
            "board": self.board,
            "document_digest": self.document_digest,
            "expires_at": self.expires_at,
            "holders": _subjects(self.holders),
            "id": self.id,
            "protocol": self.protocol,
            "purposes": list(self.purposes),
            "status": self.status,
        }


def _subjects(subjects: Iterable[Subject]) -> list[Json]:
    return [{"organization": str(organization), "pseudonym": pseudonym} for organization, pseudonym in subjects]
