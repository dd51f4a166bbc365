"""Each refusal of the request check is caused by exactly one broken thing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from concordat_node.access.refusals import HTTP_STATUS, refusal, wire_code
from concordat_node.access.request_check import VARIABLE_CHARS_MAX, Admitted, check_request, sensitivity_max
from concordat_trust import jose
from concordat_trust.bundle import MayAssert, TrustedBundle, verify_bundle
from concordat_trust.bundle.renewal import OnlineLifetimes, renew
from concordat_trust.bundle.repository import sign_suspended
from concordat_trust.canonical import JsonObject, canonical_bytes
from concordat_trust.errors import ConcordatError
from concordat_trust.ids import OrgId
from concordat_trust.query_token import TYP
from concordat_trust.question import Part
from concordat_trust.refusals import NODE_REFUSALS
from concordat_trust.vocabulary import Clearance
from concordat_trust.wire.documents import DOCUMENT_IDS
from concordat_trust.wire.transport import WireRequest
from tests.factories.network import NOW, make_key, make_network
from tests.factories.node import ANALYST, HOME, NORTH, RELAY, Asking, asking, make_question, refused_code

NETWORK = make_network()
VITALIS = OrgId.parse("vitalis")


def good() -> Asking:
    return asking(NETWORK, make_question(NETWORK))


def check(
    request: WireRequest, *, bundle: TrustedBundle | None = NETWORK.bundle, now: int = NOW, bytes_max: int = 131_072
) -> Admitted:
    return check_request(request, me=NORTH, bundle=bundle, now=now, bytes_max=bytes_max)


def code_of(request: WireRequest, *, bundle: TrustedBundle | None = NETWORK.bundle, now: int = NOW) -> str:
    with pytest.raises(ConcordatError) as caught:
        check(request, bundle=bundle, now=now)
    return wire_code(caught.value)


def signed_token(change: Callable[[JsonObject], JsonObject], *, typ: str = TYP, key: jose.Signer | None = None) -> str:
    claims = change(jose.unverified_claims(good().token()))
    return jose.sign(claims, key=key or NETWORK.keys[HOME]["query_token"], typ=typ)


def same(claims: JsonObject) -> JsonObject:
    return claims


def flipped(text: str) -> str:
    return text[:-2] + ("A" if text[-2] != "A" else "B") + text[-1]


def body_with(**changes: object) -> bytes:
    asked = good()
    variables = {"part": asked.part.decode(), "question": asked.question.decode()}
    return canonical_bytes({"documentId": DOCUMENT_IDS["search"], "variables": variables, **changes})  # type: ignore[dict-item]  # broken on purpose


def signed_again(*, suspended: OrgId | None = None, lifetime_s: int = 3_600) -> TrustedBundle:
    """Return the bundle after the online signer, and perhaps one keyholder, signed again."""
    files = dict(NETWORK.files)
    if suspended is not None:
        files |= sign_suspended({suspended: 2}, signer=NETWORK.signing.keyholders[0], version=2, at=NOW)
    files |= renew(files, online=NETWORK.signing.online, at=NOW, lifetimes=OnlineLifetimes(timestamp_s=lifetime_s))
    return verify_bundle(files, root_sha256=NETWORK.root_sha256, at=NOW)


def test_a_good_request_is_admitted_with_the_bytes_as_received() -> None:
    asked = replace(good(), timeout_ms="2500")
    admitted = check(asked.request())
    assert admitted.operation == "search"
    assert admitted.question == asked.question
    assert admitted.part == asked.part
    assert admitted.token.issuer == HOME
    assert admitted.presenter == NETWORK.keys[RELAY]["request"].key_id
    assert admitted.timeout_ms == 2_500


def test_a_home_node_may_ask_directly() -> None:
    assert check(replace(good(), presenter=HOME).request()).presenter == NETWORK.keys[HOME]["request"].key_id


def test_a_body_at_the_limit_is_admitted_and_one_byte_more_is_not() -> None:
    request = good().request()
    check(request, bytes_max=len(request.body))
    with pytest.raises(ConcordatError) as caught:
        check(request, bytes_max=len(request.body) - 1)
    assert wire_code(caught.value) == "body_too_large"


def test_a_body_changed_on_its_way_is_content_digest_mismatch() -> None:
    request = good().request()
    assert code_of(replace(request, body=request.body + b" ")) == "content_digest_mismatch"


@pytest.mark.parametrize("header", ["signature", "authorization", "content-type"])
def test_a_changed_covered_header_is_request_signature_invalid(header: str) -> None:
    request = good().request()
    value = request.headers[header]
    changed = value.replace("=:", "=:AAAA")[: len(value)] if header == "signature" else value + "x"
    assert code_of(replace(request, headers={**request.headers, header: changed})) == "request_signature_invalid"


def test_a_request_signed_for_another_host_is_request_signature_invalid() -> None:
    # The same bytes with the same token, but signed over the authority of Vitalis.
    elsewhere = replace(good(), to=VITALIS).signed(good().token(), good().body())
    assert code_of(elsewhere) == "request_signature_invalid"


@pytest.mark.parametrize("late_s", [-31, 31])
def test_a_request_signed_too_long_ago_or_ahead_is_request_signature_invalid(late_s: int) -> None:
    assert code_of(replace(good(), now=NOW + late_s).request()) == "request_signature_invalid"


def test_a_key_of_nobody_is_presenter_unknown() -> None:
    keys = {**NETWORK.keys, RELAY: {**NETWORK.keys[RELAY], "request": make_key("nobody")}}
    asked = replace(good(), network=replace(NETWORK, keys=keys))
    assert code_of(asked.request()) == "presenter_unknown"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"<html></html>",
        b'{"documentId":NaN}',
        body_with(extra=1),
        body_with(documentId=1),
        body_with(variables={}),
        body_with(variables={"question": "{}", "part": "{}", "more": "x"}),
        body_with(variables={"question": "x" * (VARIABLE_CHARS_MAX + 1), "part": "{}"}),
        body_with(query="{ search }"),
    ],
)
def test_a_body_of_another_form_is_request_malformed(body: bytes) -> None:
    assert code_of(good().request(body=body)) == "request_malformed"


@pytest.mark.parametrize("timeout", ["0", "-1", "1.5", "ten", "1000000", ""])
def test_a_timeout_that_is_no_positive_number_is_request_malformed(timeout: str) -> None:
    assert code_of(replace(good(), timeout_ms=timeout).request()) == "request_malformed"


def test_a_query_text_or_unknown_id_is_document_unknown() -> None:
    assert code_of(good().request(body=body_with(documentId="{ search }"))) == "document_unknown"
    assert code_of(good().request(body=body_with(documentId=DOCUMENT_IDS["ask"]))) == "document_unknown"


@pytest.mark.parametrize(
    ("code", "token"),
    [
        ("token_malformed", "x.y"),
        ("token_malformed", signed_token(lambda claims: {**claims, "extra": 1})),
        ("token_malformed", signed_token(lambda claims: {k: v for k, v in claims.items() if k != "exp"})),
        ("token_wrong_type", signed_token(same, typ="concordat-delivery+jwt")),
        ("token_issuer_unknown", signed_token(lambda claims: {**claims, "iss": "nobody-here"})),
        ("token_key_unknown", signed_token(same, key=make_key("a key nobody listed"))),
        ("token_key_unknown", signed_token(same, key=NETWORK.keys[HOME]["request"])),
        ("token_signature_invalid", flipped(signed_token(same))),
        ("token_audience", replace(good(), to=VITALIS).token()),
        ("token_expired", signed_token(lambda claims: {**claims, "iat": NOW - 160, "exp": NOW - 40})),
        ("token_not_yet_valid", signed_token(lambda claims: {**claims, "iat": NOW + 40, "exp": NOW + 60})),
        ("token_lifetime", signed_token(lambda claims: {**claims, "exp": NOW + 121})),
        ("token_network", signed_token(lambda claims: {**claims, "net": "another-network"})),
        ("token_presenter", replace(good(), presenter=HOME).token()),
        ("token_question_mismatch", replace(good(), question=b"{}").token()),
        ("token_part_mismatch", replace(good(), part=b"{}").token()),
    ],
)
def test_a_token_with_one_wrong_thing_has_its_own_code(code: str, token: str) -> None:
    assert code_of(good().request(token=token)) == code


def test_a_part_for_another_node_is_token_part_mismatch() -> None:
    other = Part(("urn:concordat:north-hospital:model:" + "a" * 26,)).canonical()
    token = good().token()
    assert code_of(replace(good(), part=other).request(token=token)) == "token_part_mismatch"


def test_a_claim_beyond_what_keyholders_allow_is_token_claim_not_allowed() -> None:
    caps = MayAssert(frozenset({"faculty"}), frozenset({"analyst"}), Clearance.REGISTERED)
    network = make_network(may_assert={HOME: caps})
    asked = asking(network, make_question(network), claims=ANALYST)
    assert code_of(asked.request(), bundle=network.bundle) == "token_claim_not_allowed"


@pytest.mark.parametrize("org", [HOME, RELAY, NORTH])
def test_a_suspended_issuer_presenter_or_node_is_organization_suspended(org: OrgId) -> None:
    assert code_of(good().request(), bundle=signed_again(suspended=org)) == "organization_suspended"


def test_without_a_bundle_in_force_everything_is_bundle_stale() -> None:
    assert code_of(good().request(), bundle=None) == "bundle_stale"


def test_a_bundle_not_confirmed_for_too_long_closes_controlled_classes() -> None:
    last = NOW + NETWORK.bundle.network.bundle_age_max_s
    assert sensitivity_max(NETWORK.bundle, last) == Clearance.RESTRICTED
    assert sensitivity_max(NETWORK.bundle, last + 1) == Clearance.REGISTERED


def test_an_expired_bundle_is_bundle_stale() -> None:
    bundle = signed_again(lifetime_s=100)
    last = bundle.expires_at - 1
    check(replace(good(), now=last).request(), bundle=bundle, now=last)
    assert code_of(replace(good(), now=last + 1).request(), bundle=bundle, now=last + 1) == "bundle_stale"


def test_a_node_that_is_no_member_answers_nobody() -> None:
    with pytest.raises(ConcordatError) as caught:
        check_request(
            good().request(), me=OrgId.parse("not-a-member"), bundle=NETWORK.bundle, now=NOW, bytes_max=131_072
        )
    assert wire_code(caught.value) == "bundle_stale"


def test_every_refusal_of_the_protocol_has_an_http_status() -> None:
    assert set(NODE_REFUSALS) <= set(HTTP_STATUS)
    for code, status in HTTP_STATUS.items():
        assert refused_code(refusal(code)) == code
        # 503 and 429 mean load to a transport; nothing else may look like it.
        assert (status == 503) == (code == "node_overloaded")


def test_a_failure_outside_the_list_travels_as_node_failed() -> None:
    assert wire_code(ValueError("with a secret")) == "node_failed"
