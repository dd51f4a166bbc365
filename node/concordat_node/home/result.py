"""What a person's program is shown: the merged result, what was understood, and what is wrong or withheld.

Everything here is derived from what was verified at home. `understood` is None when the question came already typed.
"""

from __future__ import annotations

from dataclasses import dataclass

from concordat_node.home.ask import Asked
from concordat_node.home.sentence import Understood
from concordat_trust.answer_errors import MergeMismatch
from concordat_trust.bundle.trusted import TrustedBundle
from concordat_trust.canonical import Json, JsonObject

RESULT_VERSION = 1


@dataclass(frozen=True, slots=True)
class ShownJob:
    """The stored search a result belongs to."""

    job_id: str
    valid_until: int


def result_json(asked: Asked, understood: Understood | None, job: ShownJob, bundle: TrustedBundle) -> JsonObject:
    """Return the body of POST /v1/questions and /v1/assets."""
    merged = asked.judged.merged
    findings: list[Json] = [finding.to_json() for finding in asked.findings]
    is_different = any(f.organization is None and f.code == MergeMismatch.code for f in asked.findings)
    return {
        **merged.to_json(),
        "coordinator": asked.coordinator,
        "findings": findings,
        "job": {"id": job.job_id, "valid_until": job.valid_until},
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
            "country": member.country,
            "legal_name": member.legal_name,
            "policy": None
            if answer is None
            else {"baseline": answer.attestation.policy.baseline, "overlay": answer.attestation.policy.overlay},
            "valid_until": None if answer is None else answer.attestation.valid_until,
        }
    return shown
