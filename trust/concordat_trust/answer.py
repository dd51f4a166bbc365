"""Verifying answers at home: one node's now (`node_answer`), a whole saved one at any later time (here).

Rules of this file:

* A saved answer is verified against the network as it was when it was given: the bundle at each signature's own issue
  time, never at the reader's. Who holds the right root fingerprint needs nothing else.
* The saved result is not believed but merged again from the verified answers; so is the roster.
* What the coordinator signed is compared with what is in the file, so that an answer that was removed, exchanged or
  added afterwards is found, and with whose name on it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from concordat_trust import jose
from concordat_trust.answer_errors import (
    AnswerNotInRoster,
    DeliveryMismatch,
    DeliveryMissing,
    SavedAnswerMalformed,
    SavedAnswerWrongNetwork,
)
from concordat_trust.attestation import ATTESTATION_BYTES_MAX, AttestationMalformed, AttestationTime
from concordat_trust.bundle.trusted import TrustedBundle
from concordat_trust.delivery import (
    DELIVERY_BYTES_MAX,
    DeliveredAnswer,
    DeliveryMalformed,
    DeliveryTime,
    verify_delivery,
)
from concordat_trust.encoding import sha256_b64u
from concordat_trust.explanation import BundleSeen, Explanation, explain
from concordat_trust.ids import OrgId
from concordat_trust.merge import MergedResult, Reported, merge, require_same_result
from concordat_trust.node_answer import (
    AnswerDirectory,
    NodeAnswer,
    OpenResult,
    OpenSealed,
    VerifiedAnswer,
    VerifiedRecord,
    issued_while_asked,
    result_from_wire,
    verify_node_answer,
)
from concordat_trust.query_token import QUERY_TOKEN_BYTES_MAX, VerifiedToken
from concordat_trust.question import Question
from concordat_trust.round_tokens import RoundTokens, verify_archived_round
from concordat_trust.saved_answer import SavedAnswer, SavedNodeAnswer
from concordat_trust.token_errors import TokenRefused
from concordat_trust.vocabulary import PROVED

__all__ = [
    "AnswerDirectory",
    "Explanation",
    "NodeAnswer",
    "OpenResult",
    "OpenSealed",
    "SavedAnswer",
    "SavedNodeAnswer",
    "VerifiedAnswer",
    "VerifiedRecord",
    "VerifiedSavedAnswer",
    "merge_at_home",
    "reported_untrusted",
    "result_from_wire",
    "verify_node_answer",
    "verify_saved_answer",
]

BundleAt = Callable[[int], TrustedBundle]


@dataclass(frozen=True, slots=True)
class VerifiedSavedAnswer:
    """A saved answer in which every signature, record, sum and the roster was verified."""

    saved: SavedAnswer
    token: VerifiedToken
    answers: tuple[VerifiedAnswer, ...]
    merged: MergedResult
    explanation: Explanation


def reported_untrusted(bundle: TrustedBundle) -> Mapping[OrgId, Reported]:
    """Return what home says of the organizations that nobody can ask, because their statement cannot be used.

    It follows from the bundle alone; whatever else is said about them does not count.
    """
    return {org: Reported.at_home("UNTRUSTED", error.code) for org, error in bundle.untrusted.items()}


def merge_at_home(
    question: Question, answers: Sequence[VerifiedAnswer], reported: Mapping[OrgId, Reported], bundle: TrustedBundle
) -> MergedResult:
    """Return the merged result that accounts for the whole roster, also for those who could not be asked.

    Raises: the refusals of `merge`.
    """
    return merge(question, answers, {**reported, **reported_untrusted(bundle)}, bundle.roster, bundle.statistics)


def verify_saved_answer(data: bytes, *, bundle_at: BundleAt) -> VerifiedSavedAnswer:
    """Return the saved answer if everything in it holds together and is signed by members of the network.

    1 form · 2 network and root · 3 the home's query token or tokens: question, parts, caps of their claims · 4 each
    organization's answer (`verify_node_answer`) · 5 the coordinator's delivery, compared with what is here · 6 the
    merged result over the bundle's roster, computed again. `bundle_at` returns the verified state at a time, or raises.

    Raises: SavedAnswerMalformed, SavedAnswerWrongNetwork, DeliveryMissing, DeliveryMismatch, AnswerNotInRoster,
    MergeMismatch; what the token, the answers, the delivery and `bundle_at` are refused with.
    """
    saved = SavedAnswer.parse(data)
    bundle = _bundle(saved, bundle_at, jose.claimed_issue_time(saved.token, bytes_max=QUERY_TOKEN_BYTES_MAX))
    tokens = _tokens(saved, bundle)
    answers = tuple(_answer(saved, org, tokens, bundle_at) for org in sorted(saved.answers))
    coordinator = _check_delivery(saved, tokens, bundle, bundle_at)
    _refuse_strangers(saved, bundle)
    merged = merge_at_home(saved.question, answers, saved.reported, bundle)
    require_same_result(saved.result, merged)
    view = bundle.view
    return VerifiedSavedAnswer(
        saved=saved,
        token=tokens.presented,
        answers=answers,
        merged=merged,
        explanation=explain(
            token=tokens.presented,
            asked=tokens.audience,
            question=saved.question,
            coordinator=coordinator,
            bundle=BundleSeen(
                bundle.network.id, bundle.network.name, bundle.root_sha256, view.root, view.targets, view.snapshot
            ),
            answers=answers,
            merged=merged,
        ),
    )


def _bundle(saved: SavedAnswer, bundle_at: BundleAt, at: int) -> TrustedBundle:
    bundle = bundle_at(at)
    if saved.network != bundle.network.id or saved.root_sha256 != bundle.root_sha256:
        raise SavedAnswerWrongNetwork
    return bundle


def _tokens(saved: SavedAnswer, bundle: TrustedBundle) -> RoundTokens:
    tokens = verify_archived_round(
        saved.token,
        saved.tokens,
        bundle=bundle,
        question=saved.question.canonical(),
        parts={org: part.canonical() for org, part in saved.parts.items()},
    )
    if saved.question.network != saved.network:
        raise SavedAnswerWrongNetwork
    if saved.saved_at < tokens.presented.issued_at - jose.LEEWAY_S:
        raise SavedAnswerMalformed(where="saved_at", problem="it was saved before it was asked")
    return tokens


def _refuse_strangers(saved: SavedAnswer, bundle: TrustedBundle) -> None:
    # The merge looks at the roster only, and knows of the untrusted by itself: any other report would stand unread.
    untrusted = reported_untrusted(bundle)
    for org, report in saved.reported.items():
        if org not in bundle.organizations and report != untrusted.get(org):
            raise SavedAnswerMalformed(where=f"reported.{org}", problem="it is not in the roster")


def _answer(saved: SavedAnswer, org: OrgId, tokens: RoundTokens, bundle_at: BundleAt) -> VerifiedAnswer:
    part, kept = saved.parts.get(org), saved.answers[org]
    if part is None or org in saved.reported:
        raise AnswerNotInRoster(organization=org)
    token = tokens.by_organization[org]
    issued_at = _attested_time(kept, org, asked_at=token.issued_at)
    return verify_node_answer(
        NodeAnswer(org, kept.attestation, kept.results, kept.receipt, kept.cursor, opened=kept.sealed),
        org=org,
        question=saved.question,
        part=part,
        token_id=token.token_id,
        home=token.issuer,
        bundle=_bundle(saved, bundle_at, issued_at),
        open_sealed=None,
        asked_at=token.issued_at,
    )


def _attested_time(kept: SavedNodeAnswer, org: OrgId, *, asked_at: int) -> int:
    """Return when the answer says it was issued; nobody's bundle of another time is looked up for it."""
    try:
        issued_at = jose.claimed_issue_time(kept.attestation, bytes_max=ATTESTATION_BYTES_MAX)
    except TokenRefused as error:
        raise AttestationMalformed(problem=error.code, organization=org) from error
    if not issued_while_asked(issued_at, asked_at):
        raise AttestationTime(issued_at=issued_at, at=asked_at, organization=org)
    return issued_at


def _check_delivery(
    saved: SavedAnswer, tokens: RoundTokens, bundle: TrustedBundle, bundle_at: BundleAt
) -> OrgId | None:
    """Return the coordinator that delivered exactly what is saved, or None when the home node asked by itself."""
    token = tokens.presented
    presenter = bundle.request_key_owner(token.presenter)
    if saved.delivery is None:
        if presenter.id != token.issuer or any(r.said_by == "coordinator" for r in saved.reported.values()):
            raise DeliveryMissing
        return None
    try:
        issued_at = jose.claimed_issue_time(saved.delivery, bytes_max=DELIVERY_BYTES_MAX)
    except TokenRefused as error:
        raise DeliveryMalformed(problem=error.code) from error
    if not issued_while_asked(issued_at, token.issued_at):
        raise DeliveryTime(issued_at=issued_at, at=token.issued_at)
    delivery = verify_delivery(
        saved.delivery,
        bundle=_bundle(saved, bundle_at, issued_at),
        coordinator=presenter.id,
        home=token.issuer,
        token_id=token.token_id,
        question_hash=token.question_hash,
        organizations=tokens.audience,
        at=None,
    )
    for delivered in delivery.answers:
        _check_delivered(saved, delivered)
    return delivery.coordinator


def _check_delivered(saved: SavedAnswer, delivered: DeliveredAnswer) -> None:
    org, kept = delivered.organization, saved.answers.get(delivered.organization)
    if kept is not None:
        is_same = delivered.attestation_sha256 == sha256_b64u(kept.attestation.encode())
    else:
        report = saved.reported.get(org)
        if report is not None and report.is_finding:
            # Home can have found something only in an answer that came.
            is_same = delivered.status in PROVED
        else:
            is_same = report == Reported.of(delivered.status, delivered.code)
    if not is_same:
        raise DeliveryMismatch(organization=org)
