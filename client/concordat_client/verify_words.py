"""A verified answer or walk in words: who asked, who signed what under which policy, who is missing, what stays open.

Every line follows from what was verified (`explanation`); texts of other parties pass `plain`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from concordat_client.lineage import picture_lines
from concordat_client.plain_text import as_json, plain
from concordat_client.render import completeness_lines
from concordat_trust.answer import VerifiedSavedAnswer
from concordat_trust.attestation import Attestation
from concordat_trust.explanation import Explanation
from concordat_trust.ids import OrgId
from concordat_trust.question import Question
from concordat_trust.reservations import Reservation
from concordat_trust.saved_walk import VerifiedSavedWalk
from concordat_trust.times import time_words
from concordat_trust.words import purpose_words, records_words

RECORDS_SHOWN_MAX = 200


def answer_lines(verified: VerifiedSavedAnswer, *, at: str | None) -> Iterator[str]:
    """Yield the account of a saved answer; `at` is the time that the reader chose, or None."""
    told = verified.explanation
    yield "This answer holds."
    yield from _network_lines(told)
    yield from _asked_lines(told)
    yield from _checked_lines(verified, at)
    result = verified.merged.to_json()
    yield from completeness_lines({**result, "coordinator": told.coordinator or "none", "findings": []})
    yield from _signed_lines(told)
    yield from _record_lines(told)
    yield from _reservation_lines(told.reservations)


def walk_lines(verified: VerifiedSavedWalk) -> Iterator[str]:
    """Yield the account of a saved walk: that of its rounds, and the picture that came out again."""
    rounds = [answered.explanation for answered in verified.rounds]
    records = sum(len(told.records) for told in rounds)
    yield "This walk holds."
    yield from _network_lines(rounds[0])
    yield from _asked_lines(rounds[0])
    yield f"  rounds    {len(rounds)}: each verified by itself, each asks what follows from those before it"
    yield f"  records   {records}: each is byte for byte what its organization signed"
    yield from picture_lines(verified.picture.to_json())
    for number, told in enumerate(rounds, start=1):
        yield f"Round {number}:"
        yield from _signed_lines(told)
    yield from _reservation_lines(_all(told.reservations for told in rounds))


def _network_lines(told: Explanation) -> Iterator[str]:
    yield f"  network   {plain(told.bundle.name)} ({plain(told.bundle.network)})"
    yield f"            root fingerprint {told.bundle.root_sha256}: nothing else was believed without a signature"


def _asked_lines(told: Explanation) -> Iterator[str]:
    token, claims = told.token, told.token.claims
    yield f"  asked     by {token.issuer} for its person {plain(token.subject)}, {time_words(token.issued_at)},"
    said = ", ".join(plain(word) for word in (claims.affiliation, claims.role) if word) or "nothing"
    yield f"            of whom it says: {said}, clearance {int(claims.clearance)} ({claims.clearance.name.lower()})"
    yield f"  purpose   {purpose_words(told.question.purpose.to_json())}"
    yield f"  question  {_question_words(told.question)}; it and every part are those that were signed"


def _question_words(question: Question) -> str:
    words = str(question.operation)
    if question.text:
        words += f" “{plain(question.text)}”"
    condition = question.to_json()["filter"]
    return words if condition is None else f"{words}, where {plain(as_json(condition))}"


def _checked_lines(verified: VerifiedSavedAnswer, at: str | None) -> Iterator[str]:
    told = verified.explanation
    way = "by its own node alone" if told.coordinator is None else f"through {told.coordinator}, whose delivery matches"
    yield f"  carried   {way}"
    count = len(told.records)
    yield f"  records   {count}: each is byte for byte what its organization signed, none was added or left out"
    yield "  result    order, sums and completeness were computed again from these records and the network's roster"
    yield f"  logged    {len(told.receipts)} answers: each is in the disclosure log that its organization signed"
    when = "the time of each signature" if at is None else plain(at)
    seen = told.bundle
    yield f"  bundle    verified offline at {when}: {_revision(seen.root, seen.targets, seen.snapshot)}"


def _signed_lines(told: Explanation) -> Iterator[str]:
    yield "What each organization signed:"
    for org in sorted(told.attested):
        yield from _attested_lines(told, org, told.attested[org])


def _attested_lines(told: Explanation, org: OrgId, attested: Attestation) -> Iterator[str]:
    view, receipt = attested.bundle, told.receipts[org]
    count = sum(record.organization == org for record in told.records)
    yield f"  {org:<20} {attested.status}, {records_words(count)}, {time_words(attested.issued_at)} by its own clock"
    yield f"  {'':<20} knew the network as {_revision(view.root, view.targets, view.snapshot)}"
    overlay = "no overlay" if attested.policy.overlay is None else f"overlay {plain(attested.policy.overlay)}"
    baseline = f"baseline {plain(attested.policy.baseline)}"
    yield f"  {'':<20} decision {plain(attested.decision_id)} under {baseline}, {overlay}"
    for agreement in attested.agreements:
        yield f"  {'':<20} under agreement {plain(agreement.id)}, document {plain(agreement.digest)}"
    yield f"  {'':<20} entry {receipt.index + 1} of {receipt.checkpoint.size} in its disclosure log"


def _record_lines(told: Explanation) -> Iterator[str]:
    if told.records:
        yield "Records proven:"
    for record in told.records[:RECORDS_SHOWN_MAX]:
        until = "" if record.valid_until is None else f", shown until {time_words(record.valid_until)}"
        yield f"  {plain(record.id)}   {record.organization}, {record.level.lower()}{until}"
    more = len(told.records) - RECORDS_SHOWN_MAX
    if more > 0:
        yield f"  and {more} more; --json lists them all"


def _reservation_lines(reservations: Iterable[Reservation]) -> Iterator[str]:
    yield "What this cannot exclude:"
    for reservation in reservations:
        about = ", ".join(reservation.organizations)
        yield f"  - {reservation.words}{f' ({about})' if about else ''}"


def _all(rounds: Iterable[Sequence[Reservation]]) -> tuple[Reservation, ...]:
    """Return the reservations of all rounds, each once, with the organizations of all of them."""
    about: dict[tuple[str, str], set[OrgId]] = {}
    for reservation in (item for each in rounds for item in each):
        about.setdefault((reservation.code, reservation.words), set()).update(reservation.organizations)
    return tuple(Reservation(code, words, tuple(sorted(orgs))) for (code, words), orgs in about.items())


def _revision(root: int, targets: int, snapshot: int) -> str:
    return f"root {root}, targets {targets}, snapshot {snapshot}"
