"""Properties over the real OPA: taking something from the requester, or adding a modifier, never shows more."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from concordat_node.policy.engine import Decision, DecisionRequest
from concordat_node.policy.opa_engine import OpaPolicyEngine
from concordat_node.registry.records import Agreement, Approval, Modifier, PolicyAttributes
from concordat_trust.ids import OrgId
from concordat_trust.question import Purpose
from concordat_trust.vocabulary import DUO_MODIFIERS, DUO_PERMISSIONS, PURPOSES, Clearance, Level
from tests.factories.policy import decision_table

TABLE = decision_table()
NOW = TABLE.now
DISEASES = (None, "MONDO:0007254", "MONDO:0004992")
DAYS = ("0001-01-01", "2027-01-14", "2027-01-15", "2027-01-16", "9999-12-31")
PARAMETERS = ((), (("country", "FR"),), (("country", "DE"),), (("until", "2027-01-16"),), (("until", "2027-01-15"),))
AGREEMENT_IDS = ("dua-1", "dua-2", "dua-3")
APPROVAL_IDS = ("irb-1", "irb-2", "irb-3")
ALMA = OrgId.parse("alma-university")
SUBJECTS = ((), ((ALMA, None),), ((ALMA, "p-analyst"),), ((ALMA, "p-other"),))

T = TypeVar("T")


def mostly(good: T, *others: T) -> st.SearchStrategy[T]:
    """Give what does not stand in the way most of the time, so that the other conditions are reached."""
    return st.sampled_from((*[good] * 4 * len(others), *others))


modifiers = st.builds(Modifier, st.sampled_from([*DUO_MODIFIERS, "DUO:9999999"]), st.sampled_from(PARAMETERS))
classes = st.builds(
    PolicyAttributes,
    kind=st.sampled_from(("model", "dataset")),
    sensitivity=st.integers(0, 3),
    permission=mostly("DUO:0000006", *DUO_PERMISSIONS, "DUO:0000005"),
    disease=st.sampled_from(DISEASES),
    modifiers=st.one_of(st.just(()), st.lists(modifiers, max_size=2).map(tuple)),
    agreements=st.sets(st.sampled_from(AGREEMENT_IDS), max_size=2).map(lambda ids: tuple(sorted(ids))),
    approvals=st.sets(st.sampled_from(APPROVAL_IDS), max_size=2).map(lambda ids: tuple(sorted(ids))),
    discoverable=st.sampled_from(("none", "summary")),
    summary_metrics=st.booleans(),
    relay_may_read=st.booleans(),
    embargo_until=mostly(*DAYS),
    status=mostly("active", "draft", "withdrawn"),
)
purposes_recorded = mostly(("DS", "HMB", "MDS"), ("DS",), ("GRU",))
ends = mostly(NOW + 1000, NOW - 1, NOW, NOW + 1)
statuses = mostly("active", "revoked")
agreements = st.builds(
    Agreement,
    id=st.just(""),
    title=st.just("Agreement"),
    parties=st.sampled_from(((), (ALMA,))),
    members=mostly(SUBJECTS[2], *SUBJECTS),
    purposes=purposes_recorded,
    valid_from=mostly(0, NOW, NOW + 1),
    valid_until=ends,
    status=statuses,
    document_digest=st.just("00"),
)
approvals = st.builds(
    Approval,
    id=st.just(""),
    board=st.just("Board"),
    protocol=st.just("P"),
    holders=mostly(SUBJECTS[2], *SUBJECTS),
    purposes=purposes_recorded,
    approved_at=mostly(0, NOW, NOW + 1),
    expires_at=ends,
    status=statuses,
    document_digest=st.just("00"),
)
requests = st.builds(
    DecisionRequest,
    requester=mostly(*[replace(TABLE.requesters[name], clearance=Clearance(3)) for name in ("analyst", "company")]),
    purpose=st.builds(Purpose, mostly("HMB", *PURPOSES), st.sampled_from(DISEASES), mostly(False, True)),
    now=st.just(NOW),
    organization=st.just(TABLE.organization),
    node_policy=st.just(TABLE.request().node_policy),
    agreements=st.dictionaries(st.sampled_from(AGREEMENT_IDS), agreements, min_size=1, max_size=3).map(
        lambda items: {key: replace(value, id=key) for key, value in items.items()}
    ),
    approvals=st.dictionaries(st.sampled_from(APPROVAL_IDS), approvals, min_size=1, max_size=3).map(
        lambda items: {key: replace(value, id=key) for key, value in items.items()}
    ),
)
many_classes = st.lists(classes, min_size=12, max_size=12).map(
    lambda items: dict(zip("abcdefghijkl", items, strict=True))
)
few = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])


def widened(before: Mapping[str, Decision], after: Mapping[str, Decision]) -> list[str]:
    """Return the classes of which `after` shows anything that `before` does not."""
    return [key for key in before if shows(after[key]) - shows(before[key])]


def shows(decision: Decision) -> set[str]:
    fields = {
        "title",
        "description",
        "cohort_size",
        "contact",
        "versions",
        "trained_on",
        "evaluations",
    } - decision.hidden
    ladder = {f"level {level}" for level in range(1, decision.level + 1)}
    return (ladder | fields if decision.level >= 2 else ladder) | ({"relay"} if decision.relay_may_read else set())


def weaker(request: DecisionRequest) -> Iterable[DecisionRequest]:
    """Yield the request with one thing taken away."""
    for key in request.agreements:
        yield replace(request, agreements={k: v for k, v in request.agreements.items() if k != key})
    for key in request.approvals:
        yield replace(request, approvals={k: v for k, v in request.approvals.items() if k != key})
    for change in (
        {"clearance": Clearance(max(0, int(request.requester.clearance) - 1))},
        {"country": ""},
        {"organization_type": "commercial"},
        {"pseudonym": "p-nobody"},
        {"affiliation": "", "role": ""},
    ):
        yield replace(request, requester=replace(request.requester, **change))
    yield replace(request, purpose=replace(request.purpose, disease=None))
    yield replace(request, purpose=replace(request.purpose, commercial=True))
    yield replace(request, node_policy=replace(request.node_policy, purposes_admitted=()))


@few
@given(request=requests, held=many_classes)
async def test_taking_a_claim_an_agreement_or_an_approval_away_never_widens(
    opa_engine: OpaPolicyEngine, request: DecisionRequest, held: Mapping[str, PolicyAttributes]
) -> None:
    before = await opa_engine.decide_classes(request, held)
    for less in weaker(request):
        assert widened(before, await opa_engine.decide_classes(less, held)) == []


@few
@given(request=requests, held=many_classes, added=modifiers)
async def test_adding_a_modifier_never_widens(
    opa_engine: OpaPolicyEngine, request: DecisionRequest, held: Mapping[str, PolicyAttributes], added: Modifier
) -> None:
    stricter = {key: replace(value, modifiers=(*value.modifiers, added)) for key, value in held.items()}
    before = await opa_engine.decide_classes(request, held)
    assert widened(before, await opa_engine.decide_classes(request, stricter)) == []


@few
@given(request=requests, held=many_classes)
async def test_a_stricter_class_never_widens(
    opa_engine: OpaPolicyEngine, request: DecisionRequest, held: Mapping[str, PolicyAttributes]
) -> None:
    before = await opa_engine.decide_classes(request, held)
    for change in (
        {"approvals": ("irb-unknown",)},
        {"discoverable": "none"},
        {"summary_metrics": False},
        {"status": "withdrawn"},
        {"embargo_until": "9999-12-31"},
        {"sensitivity": 3},
    ):
        stricter = {key: replace(value, **change) for key, value in held.items()}
        after = await opa_engine.decide_classes(request, stricter)
        assert widened(before, after) == [], change


@few
@given(request=requests, held=many_classes)
async def test_the_page_is_decided_as_its_classes(
    opa_engine: OpaPolicyEngine, request: DecisionRequest, held: Mapping[str, PolicyAttributes]
) -> None:
    by_class = await opa_engine.decide_classes(request, held)
    assert await opa_engine.decide_page(request, list(held.values())) == tuple(by_class.values())


@pytest.mark.parametrize("person", sorted(TABLE.requesters))
async def test_nothing_of_the_table_is_widened_either(opa_engine: OpaPolicyEngine, person: str) -> None:
    request = TABLE.request(person, "health")
    before = await opa_engine.decide_classes(request, TABLE.classes)
    for less in weaker(request):
        assert widened(before, await opa_engine.decide_classes(less, TABLE.classes)) == []


@pytest.mark.parametrize(
    ("changes", "level"),
    [
        ({}, Level.FULL),
        ({"approvals": {}}, Level.SUMMARY),
        ({"agreements": {}}, Level.SUMMARY),
        ({"approvals": {}, "agreements": {}}, Level.SUMMARY),
    ],
)
async def test_what_is_taken_away_is_missed(opa_engine: OpaPolicyEngine, changes: dict[str, Any], level: Level) -> None:
    decided = await opa_engine.decide_classes(TABLE.request(**changes), {"trial": TABLE.classes["trial"]})
    assert decided["trial"].level == level
    assert len(decided["trial"].missing) == len(changes)
