"""What a person's program is shown: the merged result, what was understood, and what is wrong or withheld.

Everything here is derived from what was verified at home. `understood` is None when the question came already typed.
"""

from __future__ import annotations

from dataclasses import dataclass

from concordat_node.home.ask import Asked
from concordat_node.home.jobs import Job
from concordat_node.home.paging import has_next
from concordat_node.home.sentence import Understood
from concordat_trust.answer_errors import MergeMismatch
from concordat_trust.attestation import ATTESTATION_BYTES_MAX
from concordat_trust.bundle.trusted import TrustedBundle
from concordat_trust.canonical import Json, JsonObject, parse_object
from concordat_trust.ids import OrgId
from concordat_trust.jose import unverified_key_id

RESULT_VERSION = 1
RESULT_BYTES_MAX = 64_000_000


@dataclass(frozen=True, slots=True)
class ShownJob:
    """The stored search a result belongs to."""

    job_id: str
    valid_until: int

    def to_json(self) -> JsonObject:
        return {"id": self.job_id, "valid_until": self.valid_until}


def result_json(asked: Asked, understood: Understood | None, job: ShownJob, bundle: TrustedBundle) -> JsonObject:
    """Return the body of POST /v1/questions and /v1/assets."""
    merged = asked.judged.merged
    findings: list[Json] = [finding.to_json() for finding in asked.findings]
    is_different = any(f.organization is None and f.code == MergeMismatch.code for f in asked.findings)
    return {
        **merged.to_json(),
        "asked_at": asked.round.minted_at,
        "bundle": {
            "root": bundle.view.root,
            "signed_at": bundle.signed_at,
            "snapshot": bundle.view.snapshot,
            "targets": bundle.view.targets,
        },
        "coordinator": asked.coordinator,
        "findings": findings,
        "has_next": has_next(asked.round.question, asked.round.parts, asked.judged.verified, merged),
        "job": job.to_json(),
        "merge": _merge_word(asked, is_different),
        "network": bundle.network.id,
        "organizations": _organizations(asked, bundle),
        "purpose": asked.round.question.purpose.to_json(),
        "question": asked.round.question.to_json(),
        "question_hash": asked.round.question.hash(),
        "result_version": RESULT_VERSION,
        "understood": None if understood is None else understood.to_json(),
    }


def _merge_word(asked: Asked, is_different: bool) -> str:
    if asked.coordinator is None:
        return "not_compared"
    return "merge_mismatch" if is_different else "match"


def _organizations(asked: Asked, bundle: TrustedBundle) -> JsonObject:
    shown: JsonObject = {}
    for org in bundle.roster:
        member, answer = bundle.member(org), asked.judged.verified.get(org)
        shown[org] = {
            "agreements": []
            if answer is None
            else [{"digest": a.digest, "id": a.id} for a in answer.attestation.agreements],
            "attestation": None if answer is None else _attestation(asked, org),
            "country": member.country,
            "legal_name": member.legal_name,
            "policy": None
            if answer is None
            else {"baseline": answer.attestation.policy.baseline, "overlay": answer.attestation.policy.overlay},
            "valid_until": None if answer is None else answer.attestation.valid_until,
        }
    return shown


def _attestation(asked: Asked, org: OrgId) -> JsonObject:
    """Return who signed an answer that was verified, when, and what it refers to."""
    verified, raw = asked.judged.verified[org], asked.judged.raw[org]
    stated, receipt = verified.attestation, verified.receipt
    return {
        "decision_id": stated.decision_id,
        "id": stated.attestation_id,
        "issued_at": stated.issued_at,
        "key_id": unverified_key_id(raw.attestation or "", bytes_max=ATTESTATION_BYTES_MAX),
        "log_index": None if receipt is None else receipt.index,
        "log_leaf": stated.log_leaf,
        "log_size": None if receipt is None else receipt.checkpoint.size,
        "snapshot": stated.bundle.snapshot,
    }


def job_json(job: Job) -> JsonObject:
    """Return the body of GET /v1/questions/{id}: the state of a stored search, and its result or failure."""
    return {
        "failure": _parsed(job.failure),
        "id": job.job_id,
        "result": _parsed(job.result),
        "state": job.state,
        "valid_until": job.ends_at,
    }


def _parsed(data: bytes | None) -> JsonObject | None:
    return None if data is None else parse_object(data, bytes_max=RESULT_BYTES_MAX)
