"""The attack table of tokens and attestations, every row with the stable code that its victim gives.

Rows 1 to 14 come to a node's door, 15 to 19 to the home node, through a coordinator that does what the row says. What
the note calls by older names stands here under the code of our own rule.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from concordat_trust import jose
from concordat_trust.canonical import JsonObject, canonical_bytes
from concordat_trust.encoding import b64u
from concordat_trust.ids import OrgId
from concordat_trust.query_token import TYP
from concordat_trust.question import Purpose
from concordat_trust.wire.transport import WireRequest
from tests.factories.network import NOW, make_key, make_network
from tests.factories.node import (
    HOME,
    NORTH,
    RELAY,
    Asking,
    Clock,
    TestNode,
    answer_of,
    asking,
    make_asset,
    make_node,
    make_question,
    refused_code,
)
from tests.factories.suspension import after_suspending

VITALIS = OrgId.parse("vitalis")
NETWORK = make_network()
TEN_MINUTES, DAY = 600, 86_400


def good() -> Asking:
    return asking(NETWORK, make_question(NETWORK))


def a_node(org: OrgId = NORTH) -> TestNode:
    return make_node(NETWORK, org, [make_asset("a", org=org)], clock=Clock())


Attack = Callable[[TestNode], WireRequest]


def _claims(change: JsonObject) -> str:
    claims = jose.unverified_claims(good().token())
    return jose.sign({**claims, **change}, key=NETWORK.keys[HOME]["query_token"], typ=TYP)


def forwarded(_: TestNode) -> WireRequest:
    """A node that was asked passes the captured request on to another."""
    return replace(good(), to=VITALIS).signed(good().token(), good().body())


def presented_by_another(_: TestNode) -> WireRequest:
    return replace(good(), presenter=VITALIS).signed(good().token(), good().body())


def other_question(_: TestNode) -> WireRequest:
    other = replace(good(), question=make_question(NETWORK, text="stroke").canonical())
    return good().signed(good().token(), other.body())


def other_purpose(_: TestNode) -> WireRequest:
    other = replace(good(), question=make_question(NETWORK, purpose=Purpose("HMB")).canonical())
    return good().signed(good().token(), other.body())


def other_part(_: TestNode) -> WireRequest:
    other = replace(good(), part=b'{"cursor":null,"ids":["urn:x"],"part_version":1}')
    return good().signed(good().token(), other.body())


def forged(_: TestNode) -> WireRequest:
    """The coordinator signs a token with its own key, under the name of the real one."""
    claims = jose.unverified_claims(good().token())
    named = NETWORK.keys[HOME]["query_token"].key_id

    forger = SimpleNamespace(key_id=named, sign=make_key("forger").sign)
    return good().request(token=jose.sign(claims, key=cast(Any, forger), typ=TYP))


def under_an_own_key(_: TestNode) -> WireRequest:
    claims = jose.unverified_claims(good().token())
    return good().request(token=jose.sign(claims, key=NETWORK.keys[RELAY]["request"], typ=TYP))


def outside_the_audience(_: TestNode) -> WireRequest:
    return replace(good(), to=VITALIS).request()  # a token for Vitalis, signed for its authority


def to_one_that_is_not_named(_: TestNode) -> WireRequest:
    elsewhere = replace(good(), to=VITALIS).token()
    return good().request(token=elsewhere)


def stolen_without_the_key(_: TestNode) -> WireRequest:
    request = good().request()
    return replace(request, headers={**request.headers, "signature": f"concordat=:{'A' * 86}==:"})


def stolen_and_late(node: TestNode) -> WireRequest:
    node.clock.now += TEN_MINUTES
    return replace(good(), now=node.clock.now).signed(good().token(), good().body())


def for_a_day(_: TestNode) -> WireRequest:
    return good().request(token=_claims({"exp": NOW + DAY}))


def _with_header(header: JsonObject, signature: str = "AAAA") -> str:
    _, body, _ = good().token().split(".")
    return f"{b64u(canonical_bytes(header))}.{body}.{signature}"


def symmetric(_: TestNode) -> WireRequest:
    """HS256, with the public key as its secret."""
    key_id = NETWORK.keys[HOME]["query_token"].key_id
    return good().request(token=_with_header({"alg": "HS256", "kid": key_id, "typ": TYP}))


def without_algorithm(_: TestNode) -> WireRequest:
    key_id = NETWORK.keys[HOME]["query_token"].key_id
    return good().request(token=_with_header({"alg": "none", "kid": key_id, "typ": TYP}))


def with_a_key_of_its_own(_: TestNode) -> WireRequest:
    key_id = NETWORK.keys[HOME]["query_token"].key_id
    header: JsonObject = {"alg": "EdDSA", "jku": "https://evil.example/keys", "kid": key_id, "typ": TYP}
    return good().request(token=_with_header(header))


def an_id_token(_: TestNode) -> WireRequest:
    claims = jose.unverified_claims(good().token())
    return good().request(token=jose.sign(claims, key=NETWORK.keys[HOME]["query_token"], typ="JWT"))


def changed_on_the_way(_: TestNode) -> WireRequest:
    request = good().request()
    return replace(request, body=request.body.replace(b"GRU", b"HMB"))


def of_a_suspended_home(node: TestNode) -> WireRequest:
    node.bundle = after_suspending(NETWORK, HOME)
    return good().request()


def through_a_suspended_coordinator(node: TestNode) -> WireRequest:
    node.bundle = after_suspending(NETWORK, RELAY)
    return good().request()


ATTACKS: dict[str, tuple[Attack, str]] = {
    "a node forwards the captured request": (forwarded, "request_signature_invalid"),
    "a node presents the captured token as its own": (presented_by_another, "token_presenter"),
    "the coordinator asks another question": (other_question, "token_question_mismatch"),
    "the coordinator asks for another purpose": (other_purpose, "token_question_mismatch"),
    "the coordinator asks for other records": (other_part, "token_part_mismatch"),
    "the coordinator forges a token": (forged, "token_signature_invalid"),
    "the coordinator signs one with its own key": (under_an_own_key, "token_key_unknown"),
    "it asks a node with another's request": (outside_the_audience, "request_signature_invalid"),
    "it asks a node that is not in the audience": (to_one_that_is_not_named, "token_audience"),
    "a stolen token without the coordinator's key": (stolen_without_the_key, "request_signature_invalid"),
    "a stolen token ten minutes later": (stolen_and_late, "token_expired"),
    "home mints a token for a day": (for_a_day, "token_lifetime"),
    "HS256 with the public key": (symmetric, "token_malformed"),
    "alg none": (without_algorithm, "token_malformed"),
    "a header that brings its own key": (with_a_key_of_its_own, "token_malformed"),
    "an ID token in place of a query token": (an_id_token, "token_wrong_type"),
    "the body changed in transit": (changed_on_the_way, "content_digest_mismatch"),
    "home is suspended": (of_a_suspended_home, "organization_suspended"),
    "the coordinator is suspended": (through_a_suspended_coordinator, "organization_suspended"),
}


@pytest.mark.parametrize(("attack", "code"), ATTACKS.values(), ids=ATTACKS)
async def test_an_attack_on_a_node_is_refused_and_leaves_no_entry(attack: Attack, code: str) -> None:
    node = a_node()
    request = attack(node)
    assert refused_code(await node.handle(request)) == code
    assert node.ledger.count() == 0


async def test_the_honest_question_that_all_of_them_start_from_is_answered() -> None:
    node = a_node()
    assert answer_of(await node.handle(good().request()))["attestation"]
    assert node.ledger.count() == 1


async def test_a_question_presented_a_second_time_is_refused_by_the_same_node() -> None:
    node = a_node()
    await node.handle(good().request())
    again = replace(good(), now=NOW + 5).signed(good().token(), good().body())
    assert refused_code(await node.handle(again)) == "token_replayed"
    assert node.ledger.count() == 1


async def test_a_token_spelled_in_another_way_is_no_second_token() -> None:
    node = a_node()
    await node.handle(good().request())
    head, body, signature = good().token().split(".")
    padded = f"{head}.{body}.{signature}="
    assert refused_code(await node.handle(good().request(token=padded))) == "token_malformed"
    spaced = base64.urlsafe_b64encode(json.dumps(jose.unverified_claims(good().token())).encode()).decode().rstrip("=")
    assert refused_code(await node.handle(good().request(token=f"{head}.{spaced}.{signature}"))) in (
        "token_signature_invalid",
        "token_malformed",
    )
    assert node.ledger.count() == 1
