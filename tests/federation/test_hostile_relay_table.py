"""Twelve lies of a hostile coordinator, in one table: each is found, with the party and the code that name it.

The party None is the coordinator's own part. What a node refuses because home did not sign it comes as that node's
refusal. The lies themselves are those of `test_hostile_relay`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from concordat_coordinator.admission import Ask
from concordat_coordinator.plan import NodeRequest, node_body
from concordat_trust.ids import OrgId
from tests.federation import test_hostile_relay as lies
from tests.federation.consortium import HOME, NORTH, RELAY, VITALIS, make_consortium
from tests.federation.hostile_relay import Entries
from tests.federation.test_hostile_relay import Found

Named = tuple[OrgId | None, str]
ALL = (HOME, NORTH, VITALIS)


def _redirected(ask: Ask, request: NodeRequest) -> NodeRequest:
    """Ask Vitalis what North was to be asked."""
    at = make_consortium().endpoint(VITALIS)
    return replace(request, endpoint=at) if request.organization == NORTH else request


def _without_predicate(ask: Ask, request: NodeRequest) -> NodeRequest:
    question = replace(ask.question, text="")
    return replace(request, body=node_body(question, question.canonical(), request.part))


def _without_north(entries: Entries) -> Entries:
    return [entry for entry in entries if entry.organization != NORTH]


TWELVE: dict[str, tuple[Callable[[], Found], Named]] = {
    "alters a record": (lambda: lies._ask(before=lies._altered), (NORTH, "record_not_attested")),
    "invents a record": (lambda: lies._ask(before=lies._invented), (NORTH, "record_not_attested")),
    "withholds a record": (lambda: lies._ask(before=lies._withheld), (NORTH, "record_missing")),
    "replays a delivery": (
        lambda: lies._ask_twice(lambda relay, _: relay.handed[0].to_json()),
        (RELAY, "delivery_wrong_token"),
    ),
    "re-purposes a question": (lambda: lies._ask(asks=lies._other_purpose), (NORTH, "token_question_mismatch")),
    "redirects a question": (lambda: lies._ask(asks=_redirected), (NORTH, "attestation_wrong_organization")),
    "serves stale answers": (
        lambda: lies._ask_twice(lambda relay, sent: lies._resigned(relay, sent, relay.handed[0].to_json())),
        (NORTH, "attestation_wrong_token"),
    ),
    "swaps two nodes": (lambda: lies._ask(before=lies._swapped), (NORTH, "attestation_wrong_organization")),
    "reorders records": (lambda: lies._ask(before=lies._reordered), (NORTH, "order_mismatch")),
    "changes facet sums": (
        lambda: lies._ask(after=lambda sent: lies._merged(sent, lies._other_sums)),
        (None, "merge_mismatch"),
    ),
    "drops a predicate": (lambda: lies._ask(asks=_without_predicate), (NORTH, "token_question_mismatch")),
    "shortens the roster": (lambda: lies._ask(before=_without_north), (RELAY, "delivery_organizations")),
}


def _named(found: Found) -> set[Named]:
    """Return everybody who is named to the requester, with the code."""
    refused = {(org, entry.code or "") for org, entry in found.entries.items() if not entry.proved}
    return {(finding.organization, finding.code) for finding in found.asked.findings} | refused


@pytest.mark.parametrize(("lie", "named"), TWELVE.values(), ids=TWELVE)
def test_every_one_of_twelve_lies_is_found_and_named(lie: Callable[[], Found], named: Named) -> None:
    found = lie()
    assert named in _named(found)
    assert set(found.entries) == set(ALL)
    merged = found.asked.judged.merged
    if named[0] is None:
        assert (merged.total, merged.completeness.complete) == (9, True)  # home's own result stands
    else:
        assert not merged.completeness.complete


def test_there_are_twelve() -> None:
    assert len(TWELVE) == 12
