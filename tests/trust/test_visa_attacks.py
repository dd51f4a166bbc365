"""What a hostile issuer of visas cannot do: collect other owners' visas, hold a node up, make one fail."""

from __future__ import annotations

import time
from typing import Any

import pytest

from concordat_trust import visas as verifying
from concordat_trust.sealed_visas import LENT_TO_NOBODY, visas_for
from concordat_trust.visa_conditions import PATTERN_MAX, matches_pattern, size_of
from concordat_trust.visa_issuer import issuer_metadata
from concordat_trust.visas import COMPARED_MAX, TEXT_MAX, VerifiedPassport, verify_visas
from tests.factories.answers import NORTH, VITALIS
from tests.factories.network import NOW, make_network
from tests.factories.visas import (
    IDP,
    PERSON,
    VITALIS_ISSUER,
    issuers,
    make_visa,
    metadata,
    rsa_jwk,
    visa_object,
)

STATUS = "ResearcherStatus"


def verified(*visas: str) -> VerifiedPassport:
    return verify_visas(visas, issuers=issuers(), person=PERSON, now=NOW)


@pytest.mark.parametrize("kind", LENT_TO_NOBODY)
def test_conditions_collect_no_visa_that_opens_data_of_another_organization(kind: str) -> None:
    theirs = issuer_metadata(VITALIS_ISSUER, [rsa_jwk("vitalis-1")], subject_issuers=(IDP,))
    bundle = make_network(visa_issuers={NORTH: metadata()[NORTH], VITALIS: theirs}).bundle
    bait = visa_object(type=STATUS, conditions=[[{"type": kind, "by": "pattern:*"}]])
    evil = make_visa(key="vitalis-1", iss=VITALIS_ISSUER, ga4gh_visa_v1=bait)
    wanted = make_visa(ga4gh_visa_v1=visa_object(type=kind, value=f"{PERSON[1]},{PERSON[0]}"))
    passport = verify_visas([evil, wanted], issuers=bundle.visa_issuers, person=PERSON, now=NOW)
    assert passport.refused == ()
    assert visas_for(VITALIS, passport) == (evil,)
    assert wanted in visas_for(NORTH, passport)


def with_conditions(count: int, pattern: str) -> str:
    conditions = [[{"type": STATUS, "value": f"pattern:{pattern}"}]] * count
    return make_visa(ga4gh_visa_v1=visa_object(type=STATUS, conditions=conditions))


def test_comparing_conditions_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    good, fact = with_conditions(2, "urn:*"), make_visa(ga4gh_visa_v1=visa_object(type=STATUS))
    (one,) = (visa for visa in verified(good, fact).visas if visa.conditions is not None)
    each = sum(len(text) for text in (one.fact.kind, one.fact.value, one.fact.source, one.fact.by))
    work = each * size_of(one.conditions or ())
    monkeypatch.setattr(verifying, "COMPARED_MAX", work)
    assert verified(good, fact).refused == ()
    monkeypatch.setattr(verifying, "COMPARED_MAX", work - 1)
    assert [error.code for error in verified(good, fact).refused] == ["visa_condition_unmet"]
    monkeypatch.setattr(verifying, "COMPARED_MAX", work * 2 - 1)
    other = with_conditions(2, "urn*:")
    assert [error.code for error in verified(good, other, fact).refused] == ["visa_condition_unmet"]


@pytest.mark.parametrize("pattern", ["*" + "a" * (PATTERN_MAX - 10) + "b*", "*" + "a?" * 240 + "b", "*a" * 240 + "b"])
def test_the_worst_that_may_be_compared_takes_a_moment(pattern: str) -> None:
    text = "a" * TEXT_MAX
    before = time.process_time()
    for _ in range(COMPARED_MAX // (len(pattern) * len(text))):
        assert not matches_pattern(pattern, text)
    assert time.process_time() - before < 1.0


@pytest.mark.parametrize("field", ["value", "source", "by"])
def test_half_a_character_in_a_visa_refuses_that_visa_alone(field: str) -> None:
    changes: dict[str, Any] = {field: "\ud800"}
    passport = verified(make_visa(ga4gh_visa_v1=visa_object(**changes)), make_visa())
    assert ([error.code for error in passport.refused], len(passport.facts)) == (["visa_malformed"], 1)
