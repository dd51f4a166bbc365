"""What travels when a node refuses: a closed list, and finer codes fall back to it."""

from __future__ import annotations

from itertools import pairwise

import pytest

from concordat_trust import attestation, delivery, keys, query_token, refusals, request_signature, sealing, token_errors
from concordat_trust.directory import MemberUnknown, OrganizationSuspended
from concordat_trust.errors import ConcordatError, all_error_classes
from concordat_trust.refusals import NODE_REFUSALS, refusal_code
from concordat_trust.token_errors import TokenRefused

ROOM = (attestation, delivery, keys, query_token, request_signature, sealing, token_errors)


def leaves_of_this_room() -> list[type[ConcordatError]]:
    names = {module.__name__ for module in ROOM} | {"concordat_trust.jwk", "concordat_trust.directory"}
    return [leaf for leaf in all_error_classes() if leaf.__module__ in names]


def test_every_refused_token_travels_under_a_listed_code() -> None:
    tokens = [leaf for leaf in leaves_of_this_room() if issubclass(leaf, TokenRefused)]
    assert len(tokens) >= 19
    assert all(refusal_code(leaf()) in NODE_REFUSALS for leaf in tokens)


@pytest.mark.parametrize(
    ("leaf", "code"),
    [
        (token_errors.TokenHeaderInvalid, "token_malformed"),
        (token_errors.TokenAlgorithm, "token_malformed"),
        (token_errors.TokenTooLarge, "token_malformed"),
        (token_errors.TokenClaimMissing, "token_malformed"),
        (token_errors.TokenClaimInvalid, "token_malformed"),
        (token_errors.TokenNetwork, "token_network"),
        (request_signature.RequestSignatureComponents, "request_signature_invalid"),
        (request_signature.RequestSignatureParameters, "request_signature_invalid"),
        (request_signature.RequestSignatureMalformed, "request_signature_invalid"),
        (request_signature.RequestSignatureTime, "request_signature_invalid"),
        (request_signature.ContentDigestMismatch, "content_digest_mismatch"),
        (OrganizationSuspended, "organization_suspended"),
        (MemberUnknown, None),
        (sealing.SealBroken, None),
    ],
)
def test_a_finer_code_travels_as_the_one_it_belongs_to(leaf: type[ConcordatError], code: str | None) -> None:
    assert refusal_code(leaf()) == code


def test_the_list_has_the_order_of_the_checks_and_no_code_twice() -> None:
    assert len(set(NODE_REFUSALS)) == len(NODE_REFUSALS)
    order = ["body_too_large", "content_digest_mismatch", "request_signature_invalid", "presenter_unknown"]
    order += ["token_malformed", "token_signature_invalid", "token_audience", "token_presenter", "token_replayed"]
    assert all(NODE_REFUSALS.index(one) < NODE_REFUSALS.index(two) for one, two in pairwise(order))
    assert refusals.NODE_REFUSALS[-1] == "log_unavailable"


@pytest.mark.parametrize("leaf", leaves_of_this_room(), ids=lambda leaf: leaf.code)
def test_every_error_of_this_room_has_a_sentence_and_says_what_to_do(leaf: type[ConcordatError]) -> None:
    shown = leaf().to_json()
    assert shown["code"] == leaf.code
    assert shown["message"].endswith(".")
    assert shown["hint"].endswith(".")
    assert "{{" not in shown["message"] + shown["hint"]
