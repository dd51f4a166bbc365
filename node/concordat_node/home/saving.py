"""The saved answer of a question: what a person can keep, and verify offline years later (`trust.saved_answer`)."""

from __future__ import annotations

from concordat_node.home.ask import Asked
from concordat_node.home.relay_client import RelayedAnswer
from concordat_trust.answer import SavedAnswer, SavedNodeAnswer, VerifiedAnswer, result_from_wire
from concordat_trust.bundle.trusted import TrustedBundle
from concordat_trust.question import Projection


def saved_answer(asked: Asked, bundle: TrustedBundle, *, now: int) -> bytes:
    """Return the file: every verified answer with its records in the clear, and what was reported of the others."""
    round_, judged = asked.round, asked.judged
    saved = SavedAnswer(
        network=bundle.network.id,
        root_sha256=bundle.root_sha256,
        question=round_.question,
        parts=round_.parts,
        token=round_.token,
        tokens=round_.tokens(),
        delivery=judged.delivery,
        answers={
            org: _node_answer(raw, judged.verified[org], round_.question.projection) for org, raw in judged.raw.items()
        },
        reported=judged.reported,
        result=judged.merged.to_json(),
        saved_at=now,
    )
    return saved.to_bytes()


def _node_answer(raw: RelayedAnswer, verified: VerifiedAnswer, projection: Projection) -> SavedNodeAnswer:
    results = tuple(result_from_wire(result, projection) for result in raw.results)
    return SavedNodeAnswer(raw.attestation or "", results, raw.receipt, raw.cursor, verified.sealed_text)
