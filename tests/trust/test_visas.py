"""Visas: what each says of whom and until when, and a code for everything that makes one count for nothing."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from concordat_trust.bundle.trusted import TrustedBundle
from concordat_trust.canonical import JsonObject
from concordat_trust.encoding import b64u, unb64u
from concordat_trust.ids import OrgId
from concordat_trust.shape import DocumentMalformed, Shape
from concordat_trust.visa_conditions import ALTERNATIVES_MAX, CLAUSES_MAX, PATTERN_MAX, matches_pattern
from concordat_trust.visa_errors import PassportTooLarge, VisaRefused
from concordat_trust.visa_issuer import KEYS_MAX, issuer_metadata, own_first, read_visa_issuer
from concordat_trust.visas import KINDS, LEEWAY_S, VISA_CHARS_MAX, VISAS_MAX, VerifiedPassport, VisaFact, verify_visas
from tests.factories.answers import NORTH, VITALIS
from tests.factories.network import NOW, make_network
from tests.factories.suspension import after_suspending
from tests.factories.visas import (
    DUA,
    IDP,
    NORTH_ISSUER,
    PERSON,
    VITALIS_ISSUER,
    ec_jwk,
    issuers,
    make_visa,
    metadata,
    rsa_jwk,
    visa_object,
)


def verified(*visas: str, now: int = NOW, person: tuple[str, str] = PERSON) -> VerifiedPassport:
    return verify_visas(visas, issuers=issuers(), person=person, now=now)


def codes(passport: VerifiedPassport) -> list[str]:
    assert passport.facts == ()
    return [error.code for error in passport.refused]


@pytest.mark.parametrize("key", ["north-1", "north-2"])
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "LinkedIdentities"])
def test_a_visa_of_an_issuer_of_the_bundle_is_a_fact(key: str, kind: str) -> None:
    passport = verified(make_visa(key=key, ga4gh_visa_v1=visa_object(type=kind)))
    assert passport.refused == ()
    assert passport.facts == (
        VisaFact(kind, DUA, "https://north.example/dac", "dac", NOW - 1_000, NOW + 5_000, NORTH_ISSUER, NORTH),
    )


def _changed(visa: str, position: int, change: Callable[[bytes], bytes]) -> str:
    parts = visa.split(".")
    parts[position] = b64u(change(unb64u(parts[position])))
    return ".".join(parts)


def _resigned(other: str) -> str:
    """Return a visa that names one key and is signed with another one of the same kind."""
    return make_visa(key="vitalis-1", header={"kid": "north-2"})


@pytest.mark.parametrize(
    ("visa", "code"),
    [
        (_changed(make_visa(), 1, lambda data: data.replace(b"dua-1", b"dua-2")), "visa_signature_invalid"),
        (_changed(make_visa(), 2, lambda data: data[:-1] + bytes([data[-1] ^ 1])), "visa_signature_invalid"),
        (_changed(make_visa(), 2, lambda data: data[:-1]), "visa_signature_invalid"),
        (_resigned("north-2"), "visa_signature_invalid"),
        (make_visa(exp=NOW), "visa_expired"),
        (make_visa(iat=NOW + LEEWAY_S + 1), "visa_not_yet_valid"),
        (make_visa(sub="person-2"), "visa_other_subject"),
        (make_visa(header={"alg": "RS256"}), "visa_algorithm"),
        (make_visa(header={"alg": "HS256"}), "visa_algorithm"),
        (make_visa(header={"alg": "PS256"}), "visa_algorithm"),
        (make_visa(header={"alg": "none"}), "visa_algorithm"),
        (make_visa(header={"alg": None}), "visa_algorithm"),
        (make_visa().rpartition(".")[0] + ".", "visa_algorithm"),
        (make_visa(iss="https://visas.evil.example"), "visa_issuer_unknown"),
        (make_visa(iss="https://visas.evil.example", header={"jku": "https://e.example/k"}), "visa_issuer_unknown"),
        (make_visa(header={"kid": "north-9"}), "visa_key_unknown"),
        (make_visa(header={"kid": None}), "visa_key_unknown"),
        (make_visa(header={"kid": "vitalis-1", "alg": "RS256"}), "visa_key_unknown"),
        (make_visa(header={"crit": ["b64"]}), "visa_malformed"),
        (make_visa(header={"jwk": {}}), "visa_malformed"),
        (make_visa(header={"x5u": "https://e.example"}), "visa_malformed"),
        (make_visa(header={"x5c": []}), "visa_malformed"),
        (make_visa() + "=", "visa_malformed"),
        ("no visa", "visa_malformed"),
        (_changed(make_visa(), 1, lambda _: b"[]"), "visa_malformed"),
        (_changed(make_visa(), 1, lambda _: b"{"), "visa_malformed"),
        (_changed(make_visa(), 1, lambda _: b"[" * 6_000), "visa_malformed"),
        (_changed(make_visa(), 0, lambda _: b'{"alg":"ES256","alg":"ES256"}'), "visa_malformed"),
        (make_visa(sub=...), "visa_malformed"),
        (make_visa(sub=""), "visa_malformed"),
        (make_visa(iss=7), "visa_malformed"),
        (make_visa(exp=...), "visa_malformed"),
        (make_visa(exp=True), "visa_malformed"),
        (make_visa(exp=float(NOW + 5_000)), "visa_malformed"),
        (make_visa(iat=-1), "visa_malformed"),
        (make_visa(ga4gh_visa_v1=...), "visa_malformed"),
        (make_visa(ga4gh_visa_v1=visa_object(type="Custom")), "visa_malformed"),
        (make_visa(ga4gh_visa_v1=visa_object(by=...)), "visa_malformed"),
        (make_visa(ga4gh_visa_v1=visa_object(value=...)), "visa_malformed"),
        (make_visa(ga4gh_visa_v1=visa_object(source="")), "visa_malformed"),
        (make_visa(ga4gh_visa_v1=visa_object(asserted="now")), "visa_malformed"),
        (make_visa(ga4gh_visa_v1=visa_object(conditions={})), "visa_malformed"),
        (make_visa(ga4gh_visa_v1=visa_object(conditions=False)), "visa_malformed"),
    ],
)
def test_a_visa_that_is_not_right_counts_for_nothing(visa: str, code: str) -> None:
    assert codes(verified(visa)) == [code]


def test_the_last_second_of_a_visa_and_the_clocks_that_differ() -> None:
    assert verified(make_visa(exp=NOW + 1)).refused == ()
    assert verified(make_visa(iat=NOW + LEEWAY_S)).refused == ()


def test_an_address_for_keys_is_not_looked_at() -> None:
    assert verified(make_visa(header={"jku": "https://visas.evil.example/jwks"})).refused == ()


def test_one_bad_visa_takes_nothing_away_from_the_others() -> None:
    passport = verified("no visa", make_visa(), make_visa(exp=NOW), make_visa())
    assert [error.code for error in passport.refused] == ["visa_malformed", "visa_expired"]
    assert len(passport.facts) == 1


def test_a_passport_has_a_largest_size() -> None:
    assert len(verified(*[make_visa(jti=str(n)) for n in range(VISAS_MAX)]).visas) == VISAS_MAX
    with pytest.raises(PassportTooLarge):
        verified(*["a.b.c"] * (VISAS_MAX + 1))
    assert codes(verified("a" * VISA_CHARS_MAX)) == ["visa_malformed"]
    with pytest.raises(PassportTooLarge):
        verified("a" * (VISA_CHARS_MAX + 1))


# Identities.


def link(*identities: tuple[str, str], **changes: Any) -> str:
    value = ";".join(f"{sub},{iss.replace('/', '%2F').replace(':', '%3A')}" for iss, sub in identities)
    by_vitalis = {"iss": VITALIS_ISSUER, "sub": "v-7", "key": "vitalis-1"}
    return make_visa(**{**by_vitalis, "ga4gh_visa_v1": visa_object(type="LinkedIdentities", value=value), **changes})


def vitalis_visa(sub: str = "v-7", **changes: Any) -> str:
    return make_visa(iss=VITALIS_ISSUER, sub=sub, key="vitalis-1", **changes)


def test_the_same_name_at_another_provider_is_somebody_else() -> None:
    assert codes(verified(make_visa(), person=("https://other.example", "person-1"))) == ["visa_other_subject"]
    # Vitalis does not say that its visas speak of the provider's subjects.
    assert codes(verified(vitalis_visa("person-1"))) == ["visa_other_subject"]


def test_a_link_of_the_same_organization_joins_two_identities_for_as_long_as_it_holds() -> None:
    assert codes(verified(vitalis_visa())) == ["visa_other_subject"]
    passport = verified(vitalis_visa(), link(PERSON, exp=NOW + 60))
    assert passport.refused == ()
    assert {fact.expires_at for fact in passport.facts} == {NOW + 60}
    assert codes(verified(vitalis_visa(), link(PERSON, exp=NOW))) == ["visa_expired", "visa_other_subject"]


def test_links_are_followed_and_do_not_close_a_gap() -> None:
    chain = [link((VITALIS_ISSUER, "v-8")), link(PERSON, sub="v-8")]
    assert verified(vitalis_visa(), *chain).refused == ()
    assert verified(*reversed(chain), vitalis_visa()).refused == ()
    assert codes(verified(vitalis_visa(), chain[0])) == ["visa_other_subject"] * 2


def test_no_organization_gives_away_what_another_ones_visas_say() -> None:
    north_visa = make_visa(sub="somebody")
    hostile = link(PERSON, (NORTH_ISSUER, "somebody"))
    passport = verified(north_visa, hostile)
    assert [error.code for error in passport.refused] == ["visa_other_subject"]
    assert {fact.kind for fact in passport.facts} == {"LinkedIdentities"}


def test_a_link_with_conditions_links_nobody() -> None:
    conditions = [[{"type": "ControlledAccessGrants", "by": "const:dac"}]]
    conditional = visa_object(type="LinkedIdentities", value=f"person-1,{IDP}", conditions=conditions)
    passport = verified(vitalis_visa(), link(ga4gh_visa_v1=conditional), make_visa())
    assert [error.code for error in passport.refused] == ["visa_other_subject"] * 2


# Conditions.

FACULTY = visa_object(type="AffiliationAndRole", value="faculty@alma.example", source="https://alma.example", by="so")
BONA_FIDE = visa_object(type="ResearcherStatus", value="https://doi.org/10.1038/s41431-018-0219-y", by=...)


def with_conditions(*alternatives: list[dict[str, Any]], others: tuple[dict[str, Any], ...] = ()) -> list[str]:
    """Return the codes of a visa with these conditions, beside other visas; [] when they are met."""
    asking = make_visa(ga4gh_visa_v1=visa_object(conditions=list(alternatives)))
    passport = verified(asking, *[make_visa(jti=str(n), ga4gh_visa_v1=told) for n, told in enumerate(others)])
    assert ("ControlledAccessGrants" in {fact.kind for fact in passport.facts}) == (passport.refused == ())
    return [error.code for error in passport.refused]


@pytest.mark.parametrize(
    ("clause", "is_met"),
    [
        ({"type": "AffiliationAndRole", "value": "const:faculty@alma.example"}, True),
        ({"type": "AffiliationAndRole", "value": "const:Faculty@alma.example"}, False),
        ({"type": "AffiliationAndRole", "value": "pattern:faculty@*.example", "by": "const:so"}, True),
        ({"type": "AffiliationAndRole", "value": "pattern:faculty@*.example", "by": "const:dac"}, False),
        ({"type": "AffiliationAndRole", "value": "pattern:f?culty@*"}, True),
        ({"type": "AffiliationAndRole", "value": "pattern:culty@*"}, False),
        ({"type": "AffiliationAndRole", "source": "split_pattern:https://alma.*"}, True),
        ({"type": "ResearcherStatus", "source": "const:https://alma.example"}, False),
        ({"type": "AffiliationAndRole", "value": "regex:.*"}, False),
        ({"type": "AffiliationAndRole", "value": "faculty@alma.example"}, False),
        ({"type": "AffiliationAndRole", "asserted": "pattern:*"}, False),
        ({"type": "AffiliationAndRole", "conditions": "pattern:*"}, False),
    ],
)
def test_a_clause_is_met_by_one_whole_visa(clause: dict[str, Any], is_met: bool) -> None:
    assert with_conditions([clause], others=(FACULTY,)) == ([] if is_met else ["visa_condition_unmet"])


def test_clauses_are_joined_by_and_alternatives_by_or() -> None:
    faculty, status = (
        {"type": "AffiliationAndRole", "by": "const:so"},
        {"type": "ResearcherStatus", "value": "pattern:*"},
    )
    assert with_conditions([faculty, status], others=(FACULTY, BONA_FIDE)) == []
    assert with_conditions([faculty, status], others=(FACULTY,)) == ["visa_condition_unmet"]
    assert with_conditions([faculty, status], [faculty], others=(FACULTY,)) == []


def test_a_clause_is_not_met_by_two_halves() -> None:
    clause = {"type": "AffiliationAndRole", "value": "const:faculty@alma.example", "by": "const:self"}
    other_half = {**FACULTY, "value": "student@alma.example", "by": "self"}
    assert with_conditions([clause], others=(FACULTY, other_half)) == ["visa_condition_unmet"]


def test_a_visa_with_conditions_meets_none() -> None:
    clause = {"type": "AffiliationAndRole", "by": "const:so"}
    own = {**FACULTY, "conditions": [[{"type": "ResearcherStatus", "value": "pattern:*"}]]}
    assert with_conditions([clause], others=(own, BONA_FIDE)) == ["visa_condition_unmet"]


@pytest.mark.parametrize(
    "conditions",
    [
        [[]],
        [[{"type": "AffiliationAndRole"}]],
        [[{"value": "const:x"}]],
        [[{"type": 1, "value": "const:x"}]],
        [[{"type": "AffiliationAndRole", "value": 1}]],
        [["AffiliationAndRole"]],
        ["AffiliationAndRole"],
        [[{"type": "AffiliationAndRole", "value": "const:" + "x" * (PATTERN_MAX - 5)}]],
        [[{"type": "AffiliationAndRole", "value": "const:x"}]] * (ALTERNATIVES_MAX + 1),
        [[{"type": "AffiliationAndRole", "value": "const:x"}] * (CLAUSES_MAX + 1)],
    ],
)
def test_conditions_that_cannot_be_read_refuse_the_visa(conditions: list[Any]) -> None:
    visa = make_visa(ga4gh_visa_v1=visa_object(conditions=conditions))
    assert codes(verified(visa, make_visa(exp=NOW, ga4gh_visa_v1=FACULTY)))[0] == "visa_malformed"


def test_conditions_at_their_limits_are_read() -> None:
    longest = {"type": "AffiliationAndRole", "value": "const:" + "x" * (PATTERN_MAX - 6)}
    other = {"type": "AffiliationAndRole", "value": "const:x"}
    good = {"type": "AffiliationAndRole", "by": "const:so"}
    alternatives = [[longest], *[[other]] * (ALTERNATIVES_MAX - 2), [good] * CLAUSES_MAX]
    assert with_conditions(*alternatives, others=(FACULTY,)) == []


def test_a_fact_ends_with_what_meets_its_conditions() -> None:
    asking = make_visa(ga4gh_visa_v1=visa_object(conditions=[[{"type": "AffiliationAndRole", "by": "const:so"}]]))
    short, long = (make_visa(exp=NOW + s, ga4gh_visa_v1=FACULTY) for s in (60, 600))
    ends = [fact.expires_at for fact in verified(asking, short, long).facts if fact.kind == "ControlledAccessGrants"]
    assert ends == [NOW + 600]


@given(st.text("ab*?", max_size=12), st.text("ab", max_size=12))
def test_a_pattern_is_read_as_the_obvious_recursion_reads_it(pattern: str, text: str) -> None:
    def obvious(pattern: str, text: str) -> bool:
        if not pattern:
            return not text
        if pattern[0] == "*":
            return any(obvious(pattern[1:], text[skipped:]) for skipped in range(len(text) + 1))
        return bool(text) and pattern[0] in ("?", text[0]) and obvious(pattern[1:], text[1:])

    assert matches_pattern(pattern, text) == obvious(pattern, text)


# Issuers in the bundle.


def test_the_bundle_says_who_issues_visas() -> None:
    bundle = make_network(visa_issuers=metadata()).bundle
    assert {url: issuer.organization for url, (issuer,) in bundle.visa_issuers.items()} == {
        NORTH_ISSUER: NORTH,
        VITALIS_ISSUER: VITALIS,
    }
    assert verify_visas([make_visa()], issuers=bundle.visa_issuers, person=PERSON, now=NOW).facts


ALMA = OrgId("alma-university")


def claimed_twice(*theirs: JsonObject) -> TrustedBundle:
    """Return a bundle in which alma-university, admitted first, claims the address of North Hospital."""
    mine: dict[str, JsonObject] = {NORTH: metadata()[NORTH], ALMA: issuer_metadata(NORTH_ISSUER, [*theirs])}
    return make_network((ALMA, NORTH), visa_issuers=mine).bundle


def test_who_claims_the_address_of_another_earlier_takes_no_visa_from_it() -> None:
    bundle = claimed_twice(rsa_jwk("vitalis-1"))
    assert [claim.organization for claim in bundle.visa_issuers[NORTH_ISSUER]] == [ALMA, NORTH]
    (fact,) = verify_visas([make_visa()], issuers=bundle.visa_issuers, person=PERSON, now=NOW).facts
    assert fact.organization == NORTH


def test_another_key_under_the_same_kid_takes_no_visa_either() -> None:
    bundle = claimed_twice({**ec_jwk("another"), "kid": "north-1"})
    (fact,) = verify_visas([make_visa()], issuers=bundle.visa_issuers, person=PERSON, now=NOW).facts
    assert fact.organization == NORTH


def test_a_visa_at_a_claimed_address_is_the_word_of_whose_key_signed_it() -> None:
    theirs = issuer_metadata(NORTH_ISSUER, [rsa_jwk("vitalis-1")], subject_issuers=(IDP,))
    bundle = make_network((ALMA, NORTH), visa_issuers={NORTH: metadata()[NORTH], ALMA: theirs}).bundle
    forged = make_visa(key="vitalis-1")
    (fact,) = verify_visas([forged], issuers=bundle.visa_issuers, person=PERSON, now=NOW).facts
    assert fact.organization == ALMA


def test_of_a_copied_key_a_node_believes_its_own_organization_first() -> None:
    mine: dict[str, JsonObject] = {NORTH: metadata()[NORTH], ALMA: metadata()[NORTH]}
    issuers_there = own_first(make_network((ALMA, NORTH), visa_issuers=mine).bundle.visa_issuers, NORTH)
    (fact,) = verify_visas([make_visa()], issuers=issuers_there, person=PERSON, now=NOW).facts
    assert fact.organization == NORTH


def test_an_address_that_two_claim_is_told_in_the_findings() -> None:
    (finding,) = claimed_twice(rsa_jwk("vitalis-1")).findings
    assert (finding.code, finding.fields["member"], finding.fields["owner"]) == (
        "statement_visa_issuer_shared",
        NORTH,
        ALMA,
    )
    assert make_network(visa_issuers=metadata()).bundle.findings == ()


def test_a_suspended_organization_issues_no_visas() -> None:
    bundle = after_suspending(make_network(visa_issuers=metadata()), NORTH)
    assert set(bundle.visa_issuers) == {VITALIS_ISSUER}


@pytest.mark.parametrize(
    "change",
    [
        {"issuer": "http://visas.north.example"},
        {"issuer": "https://visas.north.example/" + "x" * 255},
        {"issuer": "https://user@visas.north.example"},
        {"subject_issuers": ["ftp://idp.example"]},
        {"subject_issuers": [IDP] * 9},
        {"jwks": {"keys": []}},
        {"jwks": {"keys": [ec_jwk("a"), {**rsa_jwk("b"), "kid": "a"}]}},
        {"jwks": {"keys": [{**ec_jwk("a"), "kid": f"k{n}"} for n in range(KEYS_MAX + 1)]}},
        {"jwks": {"keys": [{**ec_jwk("a"), "d": "AAAA"}]}},
        {"jwks": {"keys": [{**ec_jwk("a"), "use": "enc"}]}},
        {"jwks": {"keys": [{**ec_jwk("a"), "alg": "RS256"}]}},
        {"jwks": {"keys": [{**ec_jwk("a"), "crv": "P-384"}]}},
        {"jwks": {"keys": [{**ec_jwk("a"), "x": b64u(bytes(32))}]}},
        {"jwks": {"keys": [{**ec_jwk("a"), "x": "AA"}]}},
        {"jwks": {"keys": [{**rsa_jwk("b"), "e": b64u(b"\x03")}]}},
        {"jwks": {"keys": [rsa_jwk("small", 1024)]}},
        {"jwks": {"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "a"}]}},
    ],
)
def test_keys_that_are_not_for_visas_are_not_published(change: dict[str, Any]) -> None:
    with pytest.raises(DocumentMalformed):
        read_visa_issuer(Shape({**metadata()[NORTH], **change}, "ga4gh_visa_issuer"))


def test_every_refusal_of_a_visa_has_its_own_code() -> None:
    leaves = [leaf.code for leaf in VisaRefused.__subclasses__()]
    assert len(set(leaves)) == len(leaves) == 10


def test_foreign_members_of_a_visa_do_no_harm() -> None:
    told = {**visa_object(), "custom": 0.5}
    assert verified(make_visa(ga4gh_visa_v1=told, scope="openid", note=json.dumps([1.5]))).refused == ()
