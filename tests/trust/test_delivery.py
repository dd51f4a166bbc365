"""The delivery: one coordinator's word on every organization that was asked."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from concordat_trust import jose
from concordat_trust.canonical import Json, JsonObject
from concordat_trust.delivery import (
    AGE_MAX_S,
    DELIVERY_BYTES_MAX,
    TOOK,
    TYP,
    DeliveredAnswer,
    Delivery,
    sign_delivery,
    took_bucket,
    verify_delivery,
)
from concordat_trust.encoding import b64u, sha256_b64u
from concordat_trust.errors import ConcordatError, RefusedDocument
from concordat_trust.ids import OrgId
from concordat_trust.jose import LEEWAY_S
from concordat_trust.jwk import SigningKey
from concordat_trust.query_token import ORGANIZATIONS_MAX
from concordat_trust.vocabulary import PROVED, REPORTED
from tests.factories.tokens import (
    HOME,
    NORTH,
    NOW,
    PROPERTY,
    QUESTION,
    RELAY,
    VITALIS,
    changed,
    flipped,
    fresh_id,
    make_delivery,
    make_directory,
    signed,
    signing_key,
    without,
)

KEY = signing_key(RELAY, "delivery")


def jws_of(delivery: Delivery | None = None) -> str:
    return sign_delivery(delivery or make_delivery(), key=KEY)


def claims() -> JsonObject:
    return make_delivery().claims()


def resigned(members: JsonObject, *, typ: str = TYP, key: SigningKey = KEY) -> str:
    return signed(members, typ=typ, key=key)


def verify(jws: str, **changes: object) -> Delivery:
    facts: dict[str, object] = {
        "bundle": make_directory(),
        "coordinator": RELAY,
        "home": HOME,
        "token_id": fresh_id("token"),
        "question_hash": sha256_b64u(QUESTION),
        "organizations": (NORTH, VITALIS),
        "at": NOW,
        **changes,
    }
    return verify_delivery(jws, **facts)  # type: ignore[arg-type]  # the tests' own names


def code_of(jws: str, **changes: object) -> str:
    with pytest.raises(RefusedDocument) as caught:
        verify(jws, **changes)
    return caught.value.code


def test_a_good_delivery_accounts_for_everybody() -> None:
    assert verify(jws_of()) == make_delivery()


codes = st.none() | st.from_regex(r"[a-z][a-z0-9_]{2,20}", fullmatch=True)
digests = st.binary(min_size=32, max_size=32).map(b64u)
proved = st.builds(DeliveredAnswer, st.just(NORTH), st.sampled_from(PROVED), codes, digests, st.sampled_from(TOOK))
reported = st.builds(
    DeliveredAnswer, st.just(VITALIS), st.sampled_from(REPORTED), codes, st.none(), st.sampled_from(TOOK)
)


@PROPERTY
@given(answers=st.tuples(proved, reported), delivery_id=st.binary(min_size=16, max_size=64).map(b64u))
def test_what_is_signed_is_what_is_verified(answers: tuple[DeliveredAnswer, DeliveredAnswer], delivery_id: str) -> None:
    delivery = replace(make_delivery(), answers=answers, delivery_id=delivery_id, extra={"x_note": "kept"})
    assert verify(jws_of(delivery)) == delivery


@PROPERTY
@given(position=st.integers(0, 10_000), mask=st.integers(1, 127))
def test_a_delivery_with_any_byte_changed_is_refused_by_our_own_errors(position: int, mask: int) -> None:
    assert code_of(flipped(jws_of(), position, mask)).startswith("delivery_")


junk: st.SearchStrategy[Json] = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@PROPERTY
@given(name=st.sampled_from(sorted(claims())), value=junk)
def test_a_member_with_any_other_value_is_refused_by_our_own_errors(name: str, value: Json) -> None:
    assert code_of(resigned(changed(claims(), **{name: value}))).startswith("delivery_")


# Belief.


def test_another_kind_of_token_is_no_delivery() -> None:
    assert code_of(resigned(claims(), typ="concordat-attestation+jwt")) == "delivery_wrong_type"


def test_a_delivery_from_outside_the_network_is_refused() -> None:
    assert code_of(resigned(changed(claims(), iss="relay-two"))) == "delivery_issuer_unknown"


def test_a_delivery_signed_with_the_request_key_is_refused() -> None:
    assert code_of(resigned(claims(), key=signing_key(RELAY, "request"))) == "delivery_key_unknown"


def test_an_organization_cannot_deliver() -> None:
    forged = resigned(changed(claims(), iss=NORTH), key=signing_key(NORTH, "attestation"))
    assert code_of(forged) == "delivery_key_unknown"


def test_a_delivery_whose_signature_is_another_one_is_refused() -> None:
    other = jws_of(replace(make_delivery(), issued_at=NOW + 1))
    assert code_of(".".join([*jws_of().split(".")[:2], other.split(".")[2]])) == "delivery_signature_invalid"


def test_a_suspended_coordinator_delivers_nothing() -> None:
    assert code_of(jws_of(), bundle=make_directory().with_member(RELAY, suspended=True)) == "organization_suspended"


# Place.


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"coordinator": OrgId.parse("relay-two")}, "delivery_wrong_coordinator"),
        ({"home": NORTH}, "delivery_wrong_audience"),
        ({"token_id": fresh_id("other")}, "delivery_wrong_token"),
        ({"question_hash": sha256_b64u(b"other")}, "delivery_wrong_question"),
        ({"organizations": (NORTH,)}, "delivery_organizations"),
        ({"organizations": (NORTH, VITALIS, HOME)}, "delivery_organizations"),
    ],
)
def test_a_delivery_for_something_else_is_refused(changes: dict[str, object], code: str) -> None:
    assert code_of(jws_of(), **changes) == code


@pytest.mark.parametrize(
    ("at", "believed"),
    [
        (NOW - LEEWAY_S - 1, False),
        (NOW - LEEWAY_S, True),
        (NOW + AGE_MAX_S, True),
        (NOW + AGE_MAX_S + 1, False),
        (None, True),
    ],
)
def test_who_receives_a_delivery_now_refuses_an_old_or_a_future_one(at: int | None, believed: bool) -> None:
    if believed:
        assert verify(jws_of(), at=at) == make_delivery()
    else:
        assert code_of(jws_of(), at=at) == "delivery_time"


# Form.


@pytest.mark.parametrize("name", sorted(without(claims(), "iss")))
def test_every_member_is_required(name: str) -> None:
    assert code_of(resigned(without(claims(), name))) == "delivery_malformed"


GOOD: JsonObject = {
    "attestation_sha256": "a" * 43,
    "code": None,
    "org": NORTH,
    "status": "OK",
    "took": "<1s",
}
LATE: JsonObject = {"attestation_sha256": None, "code": None, "org": VITALIS, "status": "TIMEOUT", "took": ">=5s"}


@pytest.mark.parametrize(
    "answers",
    [
        [GOOD, GOOD, LATE],
        [changed(GOOD, status="FINE"), LATE],
        [changed(GOOD, status="UNTRUSTED"), LATE],
        [changed(GOOD, attestation_sha256=None), LATE],
        [GOOD, changed(LATE, attestation_sha256="a" * 43)],
        [changed(GOOD, attestation_sha256="short"), LATE],
        [changed(GOOD, took="12ms"), LATE],
        [changed(GOOD, code="Bad Code"), LATE],
        [changed(GOOD, org="Not An Id"), LATE],
        [without(GOOD, "took"), LATE],
        [without(GOOD, "code"), LATE],
        [without(GOOD, "attestation_sha256"), LATE],
        ["north-hospital", LATE],
    ],
)
def test_an_answer_that_breaks_its_form_is_malformed(answers: list[Json]) -> None:
    assert code_of(resigned(changed(claims(), answers=answers))) == "delivery_malformed"


def test_the_answers_of_these_tests_are_believed_when_nothing_is_broken() -> None:
    assert len(verify(resigned(changed(claims(), answers=[GOOD, LATE]))).answers) == 2


@pytest.mark.parametrize("change", [{"aud": [HOME]}, {"tid": "short"}, {"qh": "short"}, {"jti": "short"}, {"exp": NOW}])
def test_a_member_that_breaks_its_form_is_malformed(change: dict[str, Json]) -> None:
    assert code_of(resigned(changed(claims(), **change))) == "delivery_malformed"


def many(count: int) -> Delivery:
    orgs = [OrgId.parse(f"org-{number:036d}") for number in range(count)]
    answers = tuple(DeliveredAnswer(org, "UNSUPPORTED", "c" * 64, "a" * 43, "<100ms") for org in orgs)
    return replace(make_delivery(), answers=answers)


def test_as_many_organizations_as_can_be_asked_fit_into_a_delivery_and_one_more_is_refused() -> None:
    largest = many(ORGANIZATIONS_MAX)
    assert len(jws_of(largest)) <= DELIVERY_BYTES_MAX
    assert verify(jws_of(largest), organizations=[a.organization for a in largest.answers]) == largest
    with pytest.raises(ConcordatError) as caught:
        jws_of(many(ORGANIZATIONS_MAX + 1))
    assert caught.value.code == "delivery_malformed"


@pytest.mark.parametrize(
    ("duration_ms", "bucket"),
    [
        (0, "<100ms"),
        (99, "<100ms"),
        (100, "<250ms"),
        (249, "<250ms"),
        (250, "<1s"),
        (999, "<1s"),
        (1_000, "<5s"),
        (4_999, "<5s"),
        (5_000, ">=5s"),
        (10**9, ">=5s"),
    ],
)
def test_times_are_buckets(duration_ms: int, bucket: str) -> None:
    assert took_bucket(duration_ms) == bucket


def test_a_delivery_of_the_first_second_is_read_and_every_bucket_has_its_name() -> None:
    first = replace(make_delivery(), issued_at=0)
    assert jose.claimed_issue_time(sign_delivery(first, key=signing_key(RELAY, "delivery"))) == 0
    assert [took_bucket(value) for value in (99, 100, 249, 250, 999, 1_000, 4_999, 5_000)] == [
        *("<100ms", "<250ms", "<250ms", "<1s", "<1s", "<5s", "<5s", ">=5s")
    ]
