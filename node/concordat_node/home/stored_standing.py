"""What of a stored search may still be shown: nothing that an organization said which may no longer speak. Pure.

Rules of this file:

* Asked at every reading, of the bundle in force; nothing is deleted, so that a lifted suspension leaves no hole.
* A finished search with such an answer has ended as a whole: a result without it would be another result. Whoever
  asked is told so (`answer_suspended`), at every door and as the last event of a stream.
* Of a search under way, and of one that refused the answer at its end, the event that told of it early stays in its
  place and says UNTRUSTED.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from concordat_node.home.errors import AnswerSuspended, HomeBundleUnusable
from concordat_node.home.jobs import JobEvent
from concordat_node.home.result import RESULT_BYTES_MAX
from concordat_trust.bundle.trusted import TrustedBundle
from concordat_trust.canonical import Json, JsonObject, canonical_bytes, parse_object
from concordat_trust.directory import OrganizationSuspended
from concordat_trust.ids import OrgId
from concordat_trust.merge import Reported, entry_of


def speakers(result: bytes) -> set[str]:
    """Return the organizations whose own word a result shows."""
    told = parse_object(result, bytes_max=RESULT_BYTES_MAX)
    rounds = told.get("rounds")
    # Of a walked lineage everybody speaks who was heard in any of its rounds.
    each = [item["completeness"] for item in rounds if isinstance(item, dict)] if isinstance(rounds, list) else []
    return {org for completeness in (told["completeness"], *each) for org in _proved(completeness)}


def require_speakers(result: bytes, in_force: TrustedBundle) -> None:
    """Refuse a result that shows the word of somebody who may no longer speak. Raises: AnswerSuspended."""
    for organization in sorted(speakers(result) - set(in_force.organizations)):
        raise AnswerSuspended(organization=organization)


def _proved(completeness: Json) -> set[str]:
    entries = completeness["entries"] if isinstance(completeness, dict) else None
    shown = [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []
    return {str(entry["organization"]) for entry in shown if entry["proved"] is True}


def still_shown(events: Sequence[JobEvent], in_force: TrustedBundle | None) -> tuple[JobEvent, ...]:
    """Return events as they may be shown now. Raises: HomeBundleUnusable."""
    if in_force is None:
        raise HomeBundleUnusable
    return tuple(_still(event, in_force) for event in events)


def _still(event: JobEvent, in_force: TrustedBundle) -> JobEvent:
    if event.name == "done":
        return _still_done(event, in_force)
    if event.name != "organization":
        return event
    entry = parse_object(event.data, bytes_max=RESULT_BYTES_MAX)["entry"]
    speaker = _speaker(entry)
    if speaker is None or speaker in in_force.organizations:
        return event
    untrusted = entry_of(speaker, Reported.at_home("UNTRUSTED", OrganizationSuspended.code))
    silenced: JsonObject = {"entry": untrusted.to_json(), "records": []}
    return replace(event, data=canonical_bytes(silenced))


def _still_done(event: JobEvent, in_force: TrustedBundle) -> JobEvent:
    try:
        require_speakers(event.data, in_force)
    except AnswerSuspended as error:
        return replace(event, name="failed", data=canonical_bytes({**error.to_json()}))
    return event


def _speaker(entry: Json) -> OrgId | None:
    """Return who says an entry itself; None when somebody else says it."""
    if not isinstance(entry, dict) or entry["proved"] is not True:
        return None
    return OrgId.parse(str(entry["organization"]))
