"""The attestation: signed by its organization, complete in its commitments, comparable but for a named list."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from concordat_trust import jose
from concordat_trust.attestation import (
    AGE_MAX_S,
    ATTESTATION_BYTES_MAX,
    CANDIDATES_MAX,
    FACET_VALUES_MAX,
    NON_INTERFERENCE_EXCLUDED,
    SALT_BYTES,
    TYP,
    Attestation,
    AttestedNotice,
    AttestedView,
    Candidate,
    CitedAgreement,
    PolicyRevisions,
    comparable_answer,
    record_commitment,
    sign_attestation,
    verify_attestation,
)
from concordat_trust.attestation_form import AGREEMENTS_MAX, UNKNOWN_FIELDS_MAX
from concordat_trust.canonical import Json, JsonObject, canonical_bytes
from concordat_trust.encoding import b64u, unb64u
from concordat_trust.errors import ConcordatError, RefusedDocument
from concordat_trust.jwk import SigningKey
from concordat_trust.question import CANDIDATES_MIN, PAGE_SIZE_MAX
from concordat_trust.vocabulary import FACET_FIELDS, PROVED
from tests.factories.tokens import (
    HOME,
    NORTH,
    NOW,
    PROPERTY,
    RECORD,
    SALT,
    FakeDirectory,
    changed,
    flipped,
    fresh_id,
    make_attestation,
    make_directory,
    signed,
    signing_key,
    without,
)

KEY = signing_key(NORTH, "attestation")


def jws_of(attestation: Attestation | None = None) -> str:
    return sign_attestation(attestation or make_attestation(), key=KEY)


def claims() -> JsonObject:
    return make_attestation().claims()


def resigned(members: JsonObject, *, typ: str = TYP, key: SigningKey = KEY) -> str:
    return signed(members, typ=typ, key=key)


def code_of(jws: str, *, bundle: FakeDirectory | None = None, at: int | None = None) -> str:
    with pytest.raises(RefusedDocument) as caught:
        verify_attestation(jws, bundle=bundle or make_directory(), at=at)
    return caught.value.code


digests = st.binary(min_size=32, max_size=32).map(b64u)
hex_digests = st.binary(min_size=32, max_size=32).map(bytes.hex)
fresh_ids = st.binary(min_size=16, max_size=64).map(b64u)
codes = st.from_regex(r"[a-z][a-z0-9_]{2,20}", fullmatch=True)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
counts = st.integers(0, 2**53 - 1)
candidates = st.builds(
    Candidate,
    digests,
    st.none() | st.integers(-(2**53) + 1, 2**53 - 1),
    st.binary(min_size=8, max_size=8).map(bytes.hex),
)
attestations = st.builds(
    Attestation,
    organization=st.just(NORTH),
    home=st.just(HOME),
    issued_at=counts,
    attestation_id=fresh_ids,
    token_id=fresh_ids,
    question_hash=digests,
    part_hash=digests,
    status=st.sampled_from(PROVED),
    code=st.none() | codes,
    decision_id=fresh_ids,
    policy=st.builds(PolicyRevisions, hex_digests, st.none() | hex_digests),
    bundle=st.builds(AttestedView, st.integers(1, 99), st.integers(1, 99), st.integers(1, 99), hex_digests),
    agreements=st.lists(st.builds(CitedAgreement, codes, hex_digests), max_size=3).map(tuple),
    stats_revision=hex_digests,
    total=st.none() | counts,
    facets=st.dictionaries(st.sampled_from(FACET_FIELDS), st.dictionaries(texts, counts, max_size=3)),
    candidates=st.lists(candidates, max_size=4).map(tuple),
    notice=st.builds(AttestedNotice, st.sampled_from(("none", "standing")), st.none() | codes, st.none() | texts),
    unknown_fields=st.lists(texts, max_size=3).map(tuple),
    valid_until=st.none() | counts,
    log_leaf=digests,
    extra=st.dictionaries(st.from_regex(r"x_[a-z]{1,8}", fullmatch=True), texts, max_size=2),
)


@PROPERTY
@given(attestations)
def test_what_is_signed_is_what_is_verified(attestation: Attestation) -> None:
    assert verify_attestation(jws_of(attestation), bundle=make_directory()) == attestation


@PROPERTY
@given(position=st.integers(0, 10_000), mask=st.integers(1, 127))
def test_an_attestation_with_any_byte_changed_is_refused_by_our_own_errors(position: int, mask: int) -> None:
    assert code_of(flipped(jws_of(), position, mask)).startswith("attestation_")


junk: st.SearchStrategy[Json] = st.recursive(
    st.booleans() | st.integers(-9, -1) | st.sampled_from(["", "?", "UPPER case"]),
    lambda inner: st.lists(inner, min_size=1, max_size=3) | st.dictionaries(texts, inner, min_size=1, max_size=3),
    max_leaves=4,
)


@PROPERTY
@given(name=st.sampled_from(sorted(without(claims(), "unknown_fields"))), value=junk)
def test_a_member_of_another_form_is_refused_by_our_own_errors(name: str, value: Json) -> None:
    assert code_of(resigned(changed(claims(), **{name: value}))).startswith("attestation_")


# Belief.


def test_another_kind_of_token_is_no_attestation() -> None:
    assert code_of(resigned(claims(), typ="concordat-delivery+jwt")) == "attestation_wrong_type"


@pytest.mark.parametrize("issuer", ["unknown-clinic", "Not An Id"])
def test_an_attestation_from_outside_the_network_is_refused(issuer: str) -> None:
    assert code_of(resigned(changed(claims(), iss=issuer))) == "attestation_issuer_unknown"


@pytest.mark.parametrize("use", ["query_token", "request"])
def test_an_attestation_signed_with_a_key_for_another_use_is_refused(use: str) -> None:
    assert code_of(resigned(claims(), key=signing_key(NORTH, use))) == "attestation_key_unknown"


def test_one_organization_cannot_attest_for_another() -> None:
    assert code_of(resigned(claims(), key=signing_key(HOME, "attestation"))) == "attestation_key_unknown"


def test_an_attestation_whose_signature_is_another_one_is_refused() -> None:
    other = jws_of(replace(make_attestation(), total=2))
    spliced = ".".join([*jws_of().split(".")[:2], other.split(".")[2]])
    assert code_of(spliced) == "attestation_signature_invalid"


def test_a_suspended_organization_attests_nothing() -> None:
    assert code_of(jws_of(), bundle=make_directory().with_member(NORTH, suspended=True)) == "organization_suspended"


@pytest.mark.parametrize("jws", ["", "not a token", "a.b.c", "é.é.é"])
def test_what_is_no_token_is_malformed(jws: str) -> None:
    assert code_of(jws) == "attestation_malformed"


@pytest.mark.parametrize("change", [{"exp": NOW + 60}, {"jti": "short"}])
def test_a_member_that_no_token_of_this_kind_has_is_malformed(change: dict[str, Json]) -> None:
    assert code_of(resigned(changed(claims(), **change))) == "attestation_malformed"


@pytest.mark.parametrize(
    ("at", "believed"),
    [
        (NOW - jose.LEEWAY_S - 1, False),
        (NOW - jose.LEEWAY_S, True),
        (NOW + AGE_MAX_S, True),
        (NOW + AGE_MAX_S + 1, False),
        (None, True),
    ],
)
def test_who_receives_an_attestation_now_refuses_an_old_or_a_future_one(at: int | None, believed: bool) -> None:
    if believed:
        assert verify_attestation(jws_of(), bundle=make_directory(), at=at) == make_attestation()
    else:
        assert code_of(jws_of(), at=at) == "attestation_time"


# Form.


@pytest.mark.parametrize("name", sorted(without(claims(), "iss")))
def test_every_member_is_required(name: str) -> None:
    assert code_of(resigned(without(claims(), name))) == "attestation_malformed"


COMMITMENT, TIE = "c" * 43, "0" * 16


@pytest.mark.parametrize(
    "change",
    [
        {"aud": [HOME]},
        {"aud": "Not An Id"},
        {"tid": "short"},
        {"qh": "short"},
        {"ph": "c" * 44},
        {"status": "TIMEOUT"},
        {"status": "ok"},
        {"code": "Has Spaces"},
        {"code": ""},
        {"decision_id": ""},
        {"policy": {"baseline": "", "overlay": None}},
        {"policy": {"baseline": "x" * 129, "overlay": None}},
        {"policy": {"baseline": "x", "overlay": 5}},
        {"bundle": {"root": 0, "snapshot": 1, "snapshot_sha256": "ab" * 32, "targets": 1}},
        {"bundle": {"root": 1, "snapshot": 0, "snapshot_sha256": "ab" * 32, "targets": 1}},
        {"bundle": {"root": 1, "snapshot": 1, "snapshot_sha256": "ab" * 32, "targets": 0}},
        {"bundle": {"root": 1, "snapshot": 1, "snapshot_sha256": "AB" * 32, "targets": 1}},
        {"agreements": [{"digest": "x", "id": ""}]},
        {"agreements": [{"digest": "", "id": "x"}]},
        {"agreements": [{"id": "x"}]},
        {"stats_revision": "12"},
        {"total": -1},
        {"total": "1"},
        {"facets": {"title": {"a": 1}}},
        {"facets": {"task": {"a": -1}}},
        {"facets": {"task": {"a": "<10"}}},
        {"facets": {"task": None}},
        {"candidates": [[COMMITMENT, 1]]},
        {"candidates": [[COMMITMENT, 1, TIE, 0]]},
        {"candidates": [["short", 1, TIE]]},
        {"candidates": [[None, 1, TIE]]},
        {"candidates": [[COMMITMENT, "1", TIE]]},
        {"candidates": [[COMMITMENT, True, TIE]]},
        {"candidates": [[COMMITMENT, 1, "0" * 15]]},
        {"candidates": [[COMMITMENT, 1, "A" * 16]]},
        {"candidates": [[COMMITMENT, 1, 0]]},
        {"candidates": [{"commitment": COMMITMENT}]},
        {"candidates": None},
        {"candidates": [5]},
        {"candidates": ["abc"]},
        {"candidates": [{"a": 1, "b": 2, "c": 3}]},
        {"notice": {"code": None, "contact": None, "mode": "named"}},
        {"notice": {"code": "Bad Code", "contact": None, "mode": "none"}},
        {"notice": {"code": None, "contact": "x" * 301, "mode": "none"}},
        {"unknown_fields": ["x" * 101]},
        {"valid_until": -1},
        {"log": {}},
        {"log": {"leaf": "short"}},
        {"log": "leaf"},
    ],
)
def test_a_member_that_breaks_its_form_is_malformed(change: dict[str, Json]) -> None:
    assert code_of(resigned(changed(claims(), **change))) == "attestation_malformed"


def at_limit(name: str, count: int) -> Attestation:
    good = make_attestation()
    match name:
        case "candidates":
            return replace(good, candidates=good.candidates * count)
        case "agreements":
            return replace(good, agreements=good.agreements * count)
        case "unknown_fields":
            return replace(good, unknown_fields=("x",) * count)
        case _:
            return replace(good, facets={"task": {str(number): 1 for number in range(count)}})


@pytest.mark.parametrize(
    ("name", "count_max"),
    [
        ("candidates", CANDIDATES_MAX),
        ("agreements", AGREEMENTS_MAX),
        ("unknown_fields", UNKNOWN_FIELDS_MAX),
        ("facets", FACET_VALUES_MAX),
    ],
)
def test_a_list_of_the_largest_size_is_signed_and_one_longer_is_not(name: str, count_max: int) -> None:
    largest = at_limit(name, count_max)
    assert verify_attestation(jws_of(largest), bundle=make_directory()) == largest
    with pytest.raises(ConcordatError) as caught:
        jws_of(at_limit(name, count_max + 1))
    assert caught.value.code == "attestation_malformed"


def test_every_candidate_that_a_question_can_ask_for_can_be_attested() -> None:
    assert max(CANDIDATES_MIN, PAGE_SIZE_MAX) == CANDIDATES_MAX


def test_an_attestation_that_no_reader_would_read_is_not_signed() -> None:
    cells = {f"{number:0400d}": 1 for number in range(FACET_VALUES_MAX)}
    with pytest.raises(ConcordatError) as caught:
        jws_of(replace(make_attestation(), facets={"task": cells}))
    assert caught.value.code == "attestation_malformed"
    assert code_of("A" * (ATTESTATION_BYTES_MAX + 1)) == "attestation_malformed"


def test_members_of_a_newer_node_are_kept_but_cannot_hide_known_ones() -> None:
    newer = replace(make_attestation(), extra={"weather": "rain"})
    assert verify_attestation(jws_of(newer), bundle=make_directory()).extra == {"weather": "rain"}
    hiding = replace(make_attestation(), extra={"total": 99})
    assert verify_attestation(jws_of(hiding), bundle=make_directory()).total == 1


# Commitments.


def test_a_commitment_is_the_hash_of_salt_and_canonical_record() -> None:
    expected = hashlib.sha256(unb64u(SALT) + canonical_bytes(RECORD)).digest()
    assert record_commitment(RECORD, SALT) == b64u(expected)


def test_a_commitment_is_frozen() -> None:
    # base64url(SHA-256(16 zero bytes ‖ {"a":"ä","b":1})): another implementation must get the same.
    assert record_commitment({"b": 1, "a": "ä"}, "A" * 22) == "XIWtmTcsyjB3kuXdAcZdhKTrvwE4USC409lse3Rq9wM"


@PROPERTY
@given(
    record=st.dictionaries(texts, texts, max_size=3),
    other=st.dictionaries(texts, texts, max_size=3),
    salts=st.tuples(st.binary(min_size=16, max_size=16), st.binary(min_size=16, max_size=16)),
)
def test_two_commitments_are_equal_only_for_the_same_record_and_salt(
    record: JsonObject, other: JsonObject, salts: tuple[bytes, bytes]
) -> None:
    one, two = (b64u(salt) for salt in salts)
    same = record == other and one == two
    assert (record_commitment(record, one) == record_commitment(other, two)) == same


@pytest.mark.parametrize("salt", ["", b64u(bytes(15)), b64u(bytes(17)), "=" * 22, "A" * 21 + "B"])
def test_a_salt_of_another_length_or_spelling_is_refused(salt: str) -> None:
    with pytest.raises(ConcordatError) as caught:
        record_commitment(RECORD, salt)
    assert caught.value.code == "salt_invalid"


# Non-interference: what may differ, and nothing else.

RESULTS: list[JsonObject] = [{"asset": None, "card": RECORD, "salt": SALT}]


def compared(attestation: Attestation, results: list[JsonObject] | None = None) -> bytes:
    return comparable_answer(jws_of(attestation), RESULTS if results is None else results)


def test_the_excluded_members_are_these_and_no_others() -> None:
    assert NON_INTERFERENCE_EXCLUDED == (
        "signature",
        "iat",
        "jti",
        "tid",
        "decision_id",
        "commitment",
        "salt",
        "fresh",
        "log",
        "sealed",
        "request_id",
        "leaf",
        "index",
        "size",
        "path",
        "checkpoint",
    )


@pytest.mark.parametrize(
    "change",
    [
        {"issued_at": NOW + 1},
        {"attestation_id": fresh_id("other")},
        {"token_id": fresh_id("other")},
        {"decision_id": "other"},
        {"log_leaf": "o" * 43},
        {"candidates": (replace(make_attestation().candidates[0], commitment="o" * 43),)},
    ],
)
def test_what_is_excluded_may_differ(change: dict[str, object]) -> None:
    other = replace(make_attestation(), **change)  # type: ignore[arg-type]  # the tests' own names
    assert compared(other) == compared(make_attestation())


def test_salts_and_ciphertexts_may_differ() -> None:
    other: list[JsonObject] = [{"asset": None, "card": RECORD, "salt": fresh_id("other")}]
    assert compared(make_attestation(), other) == compared(make_attestation())
    one, two = (jws_of(replace(make_attestation(), sealed=letter * 43)) for letter in "ab")
    assert comparable_answer(one, [], sealed="c1") == comparable_answer(two, [], sealed="c2")


def test_whether_something_is_sealed_how_long_it_is_and_what_it_says_must_be_equal() -> None:
    sealed = jws_of(replace(make_attestation(), sealed="a" * 43))
    part: JsonObject = {"candidates": [], "results": [], "total": 1}
    plain = jws_of(make_attestation())
    seen = [
        comparable_answer(plain, []),
        comparable_answer(sealed, []),
        comparable_answer(sealed, [], sealed="c"),
        comparable_answer(sealed, [], sealed="cc"),
        comparable_answer(sealed, [], sealed="c", opened=part),
        comparable_answer(sealed, [], sealed="c", opened={**part, "total": 2}),
    ]
    assert len(set(seen)) == len(seen)
    again = comparable_answer(sealed, [], sealed="c", opened={**part, "fresh": "other"})
    assert again == seen[4]


def test_what_was_opened_is_compared_as_if_it_had_never_been_sealed() -> None:
    sealed = jws_of(replace(make_attestation(), sealed="a" * 43))

    def seen(candidate: list[Json], result: JsonObject) -> bytes:
        part: JsonObject = {"candidates": [candidate], "results": [result], "total": 1}
        return comparable_answer(sealed, [], sealed="c", opened=part)

    good = seen(["c" * 43, 1, "0" * 16], RESULTS[0])
    assert seen(["o" * 43, 1, "0" * 16], {**RESULTS[0], "salt": fresh_id("other")}) == good
    assert seen(["c" * 43, 2, "0" * 16], RESULTS[0]) != good
    assert seen(["c" * 43, 1, "1" * 16], RESULTS[0]) != good
    assert seen(["c" * 43, 1, "0" * 16], {**RESULTS[0], "card": {}}) != good


def test_two_keys_of_one_node_may_sign() -> None:
    other = sign_attestation(make_attestation(), key=SigningKey.from_seed(bytes(32)))
    assert comparable_answer(other, RESULTS) == compared(make_attestation())


@pytest.mark.parametrize(
    "change",
    [
        {"home": NORTH},
        {"organization": HOME},
        {"question_hash": "o" * 43},
        {"part_hash": "o" * 43},
        {"status": "SUPPRESSED"},
        {"code": "no_agreement"},
        {"policy": PolicyRevisions("other", None)},
        {"policy": PolicyRevisions("cd" * 32, "other")},
        {"bundle": AttestedView(2, 4, 7, "ab" * 32)},
        {"bundle": AttestedView(1, 5, 7, "ab" * 32)},
        {"bundle": AttestedView(1, 4, 8, "ab" * 32)},
        {"bundle": AttestedView(1, 4, 7, "ac" * 32)},
        {"agreements": ()},
        {"stats_revision": "13" * 32},
        {"total": 2},
        {"total": None},
        {"facets": {}},
        {"facets": {"task": {"classification": 2}}},
        {"facets": {"task": {"classification": 1, "salt": 1}}},
        {"facets": {"task": {"classification": 1}, "kind": {}}},
        {"candidates": ()},
        {"candidates": (replace(make_attestation().candidates[0], sort_key=1),)},
        {"candidates": (replace(make_attestation().candidates[0], sort_key=None),)},
        {"candidates": (replace(make_attestation().candidates[0], tie="0" * 16),)},
        {"notice": AttestedNotice("standing")},
        {"unknown_fields": ("x",)},
        {"valid_until": None},
        {"extra": {"revision": "1"}},
    ],
)
def test_what_is_not_excluded_must_be_equal(change: dict[str, object]) -> None:
    other = replace(make_attestation(), **change)  # type: ignore[arg-type]  # the tests' own names
    assert compared(other) != compared(make_attestation())


@pytest.mark.parametrize(
    "results",
    [
        [],
        [{"asset": None, "card": {**RECORD, "salt": "hidden"}, "salt": SALT}],
        [{"asset": None, "card": {**RECORD, "title": ""}, "salt": SALT}],
        RESULTS * 2,
    ],
)
def test_results_must_be_equal_also_where_a_record_uses_an_excluded_name(results: list[JsonObject]) -> None:
    assert compared(make_attestation(), results) != compared(make_attestation())


# What a mutant of `attestation` and `attestation_form` would change and no test above would notice.


def test_the_limits_are_frozen() -> None:
    assert (TYP, AGE_MAX_S, ATTESTATION_BYTES_MAX, SALT_BYTES) == ("concordat-attestation+jwt", 300, 131_072, 16)
    assert (CANDIDATES_MAX, AGREEMENTS_MAX, FACET_VALUES_MAX, UNKNOWN_FIELDS_MAX) == (50, 200, 500, 50)


@pytest.mark.parametrize(
    ("name", "good", "bad"),
    [
        ("policy", {"baseline": "x", "overlay": "x" * 128}, {"baseline": "x", "overlay": "x" * 129}),
        ("policy", {"baseline": "x" * 128, "overlay": None}, {"baseline": "x" * 129, "overlay": None}),
        ("agreements", [{"digest": "x", "id": "x" * 200}], [{"digest": "x", "id": "x" * 201}]),
        ("agreements", [{"digest": "x" * 128, "id": "x"}], [{"digest": "x" * 129, "id": "x"}]),
        (
            "notice",
            {"code": None, "contact": "x" * 300, "mode": "none"},
            {"code": None, "contact": "x" * 301, "mode": "none"},
        ),
        ("unknown_fields", ["x" * 100], ["x" * 101]),
        ("total", 0, -1),
        ("facets", {"task": {"a": 0}}, {"task": {"a": -1}}),
        ("valid_until", 0, -1),
        ("iat", 0, -1),
        ("candidates", [[COMMITMENT, -1, TIE]], [[COMMITMENT, -1, TIE + "0"]]),
        ("candidates", [[COMMITMENT, None, TIE]], [[COMMITMENT + "c", None, TIE]]),
        (
            "bundle",
            {"root": 1, "snapshot": 1, "snapshot_sha256": "ab" * 32, "targets": 1},
            {"root": 1, "snapshot": 1, "snapshot_sha256": "ab" * 33, "targets": 1},
        ),
    ],
)
def test_a_member_is_read_up_to_its_limit_and_not_beyond(name: str, good: Json, bad: Json) -> None:
    believed = verify_attestation(resigned(changed(claims(), **{name: good})), bundle=make_directory())
    assert believed.claims()[name] == good
    assert code_of(resigned(changed(claims(), **{name: bad}))) == "attestation_malformed"


def test_an_attestation_of_the_largest_size_is_signed_and_one_step_more_is_not() -> None:
    def padded(count: int) -> Attestation:
        return replace(make_attestation(), extra={"x_padding": "x" * count})

    count = (ATTESTATION_BYTES_MAX - len(jws_of(padded(0)))) * 3 // 4 + 4
    with pytest.raises(ConcordatError):
        jws_of(padded(count))
    while True:
        count -= 1
        with suppress(ConcordatError):
            # Base64url of one header and one signature: no attestation has exactly the largest number.
            assert len(jws_of(padded(count))) == ATTESTATION_BYTES_MAX - 1
            break
    assert verify_attestation(jws_of(padded(count)), bundle=make_directory()).extra


def test_the_largest_answer_can_be_compared_and_its_receipt_is_part_of_it() -> None:
    large = jws_of(replace(make_attestation(), extra={"x_padding": "x" * 90_000}))
    receipt = '{"index":3,"kept":"same","size":4}'
    assert comparable_answer(large, [], receipt) == comparable_answer(large, [], receipt.replace("3", "2"))
    assert comparable_answer(large, [], receipt) != comparable_answer(large, [], receipt.replace("same", "other"))
    assert comparable_answer(large, [], receipt) != comparable_answer(large, [], None)
