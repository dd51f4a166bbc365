"""What a verified answer proves, as `concordat verify` shows it: who asked, who answered under what, who is missing.

Every statement here was verified, or is marked as reported. It is data; a client makes sentences of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from concordat_trust.attestation import Attestation
from concordat_trust.canonical import JsonObject
from concordat_trust.encoding import b64u
from concordat_trust.ids import OrgId
from concordat_trust.merge import ANSWERED, Entry, MergedResult
from concordat_trust.node_answer import VerifiedAnswer
from concordat_trust.query_token import VerifiedToken
from concordat_trust.question import Question
from concordat_trust.receipt import VerifiedReceipt
from concordat_trust.reservations import Reservation, reservations_of


@dataclass(frozen=True, slots=True)
class BundleSeen:
    """The state of the network that the answer was verified against."""

    network: str
    name: str
    root_sha256: str
    root: int
    targets: int
    snapshot: int

    def to_json(self) -> JsonObject:
        return {
            "name": self.name,
            "network": self.network,
            "root": self.root,
            "root_sha256": self.root_sha256,
            "snapshot": self.snapshot,
            "targets": self.targets,
        }


@dataclass(frozen=True, slots=True)
class ProvenRecord:
    """One record that its organization signed for; `valid_until` as its owner stated it."""

    id: str
    organization: OrgId
    level: str
    valid_until: int | None

    def to_json(self) -> JsonObject:
        return {
            "id": self.id,
            "level": self.level,
            "organization": self.organization,
            "valid_until": self.valid_until,
        }


@dataclass(frozen=True, slots=True)
class Explanation:
    """The whole account. `coordinator` is None when the home node asked directly."""

    token: VerifiedToken
    asked: tuple[OrgId, ...]
    question: Question
    coordinator: OrgId | None
    bundle: BundleSeen
    entries: tuple[Entry, ...]
    attested: Mapping[OrgId, Attestation]
    receipts: Mapping[OrgId, VerifiedReceipt]
    records: tuple[ProvenRecord, ...]
    complete: bool

    @property
    def reservations(self) -> tuple[Reservation, ...]:
        """Return what the verification cannot exclude."""
        return reservations_of(self.entries, home=self.token.issuer, coordinator=self.coordinator)

    def to_json(self) -> JsonObject:
        """Return {asked, bundle, organizations, records, missing, complete, cannot_exclude}."""
        return {
            "asked": self._asked(),
            "bundle": self.bundle.to_json(),
            "cannot_exclude": [reservation.to_json() for reservation in self.reservations],
            "complete": self.complete,
            "missing": [
                {
                    "code": e.code,
                    "organization": e.organization,
                    "proved": e.proved,
                    "said_by": e.said_by,
                    "status": e.status,
                }
                for e in self.entries
                if e.status not in ANSWERED
            ],
            "organizations": [self._organization(entry) for entry in self.entries],
            "records": [record.to_json() for record in self.records],
        }

    def _asked(self) -> JsonObject:
        token = self.token
        return {
            "affiliation": token.claims.affiliation,
            "asked_at": token.issued_at,
            "clearance": int(token.claims.clearance),
            "coordinator": self.coordinator,
            "organization": token.issuer,
            "organizations": list(self.asked),
            "pseudonym": token.subject,
            "purpose": self.question.purpose.to_json(),
            "question": self.question.to_json(),
            "role": token.claims.role,
        }

    def _organization(self, entry: Entry) -> JsonObject:
        return {**entry.to_json(), "attested": self._attested(self.attested.get(entry.organization))}

    def _attested(self, attestation: Attestation | None) -> JsonObject | None:
        if attestation is None:
            return None
        own = [record for record in self.records if record.organization == attestation.organization]
        view = attestation.bundle
        receipt = self.receipts[attestation.organization]
        return {
            "agreements": [{"digest": item.digest, "id": item.id} for item in attestation.agreements],
            "bundle": {"root": view.root, "snapshot": view.snapshot, "targets": view.targets},
            "decision_id": attestation.decision_id,
            "issued_at": attestation.issued_at,
            "log": {
                "index": receipt.index,
                "leaf": attestation.log_leaf,
                "root": b64u(receipt.checkpoint.root),
                "size": receipt.checkpoint.size,
            },
            "policy": {"baseline": attestation.policy.baseline, "overlay": attestation.policy.overlay},
            "records": len(own),
            "unknown_fields": list(attestation.unknown_fields),
            "valid_until": attestation.valid_until,
        }


def explain(
    *,
    token: VerifiedToken,
    asked: tuple[OrgId, ...],
    question: Question,
    coordinator: OrgId | None,
    bundle: BundleSeen,
    answers: Sequence[VerifiedAnswer],
    merged: MergedResult,
) -> Explanation:
    """Return the account of a verified answer. All arguments have been verified together."""
    return Explanation(
        token=token,
        asked=asked,
        question=question,
        coordinator=coordinator,
        bundle=bundle,
        entries=merged.completeness.entries,
        attested={answer.org: answer.attestation for answer in answers},
        receipts={answer.org: answer.receipt for answer in answers if answer.receipt is not None},
        records=tuple(_proven(answer.org, item.record) for answer in answers for item in answer.records),
        complete=merged.completeness.complete,
    )


def _proven(org: OrgId, record: JsonObject) -> ProvenRecord:
    valid_until = record["valid_until"]
    return ProvenRecord(
        id=str(record["id"]),
        organization=org,
        level=str(record["level"]),
        valid_until=valid_until if isinstance(valid_until, int) else None,
    )
