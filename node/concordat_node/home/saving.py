"""The saved answer of a question: what a person can keep, and verify offline years later (`trust.saved_answer`)."""

from __future__ import annotations

from concordat_node.home.ask import Asked
from concordat_node.home.mint import Round
from concordat_node.home.relay_client import RelayedAnswer
from concordat_trust.answer import OpenResult, SavedAnswer, SavedNodeAnswer, SealedResult, result_from_wire
from concordat_trust.bundle.trusted import TrustedBundle
from concordat_trust.sealing import SealContext


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
        answers={org: _node_answer(round_, raw) for org, raw in judged.raw.items()},
        reported=judged.reported,
        result=judged.merged.to_json(),
        saved_at=now,
    )
    return saved.to_bytes()


def _node_answer(round_: Round, raw: RelayedAnswer) -> SavedNodeAnswer:
    results = [result_from_wire(result, round_.question.projection) for result in raw.results]
    opened: list[OpenResult] = []
    for index, result in enumerate(results):
        if isinstance(result, SealedResult):
            # It opened when it was verified, so it opens now.
            place = SealContext(raw.organization, round_.token_id_of(raw.organization), round_.question.hash(), index)
            inside = round_.open_sealed(result.sealed, place)
            opened.append(OpenResult(inside.salt, inside.record))
        else:
            opened.append(result)
    return SavedNodeAnswer(raw.attestation or "", tuple(opened), raw.receipt, raw.cursor)
