"""The door for those who want to join: what it answers, what it refuses, and the self-test that uses it."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Callable
from dataclasses import replace

import httpx
import pytest

from concordat_client.join_test import CLOCK_DIFFERENCE_MAX_S, run_self_test
from concordat_node.access.refusals import refusal
from concordat_node.api.http import node_app
from concordat_node.peer.ping import MINUTE_S, REMEMBERED_S, PingDoor
from concordat_trust import jose
from concordat_trust.bundle import TrustedBundle
from concordat_trust.bundle.life.self_test import CHECK_NAMES, Check
from concordat_trust.errors import ConcordatError
from concordat_trust.ids import OrgId
from concordat_trust.join_ping import PING_BYTES_MAX, make_ping, verify_pong
from concordat_trust.jwk import SigningKey
from concordat_trust.request_signature import CREATED_WINDOW_S, SignedMessage, authority_of, sign_request
from concordat_trust.wire.transport import WireRequest, WireResponse
from tests.factories.life import found
from tests.factories.network import NETWORK_ID, NOW, TestNetwork, make_key, make_network
from tests.factories.node import make_node
from tests.factories.repository import Repository

NETWORK = make_network()
NORTH, NEW = OrgId("north-hospital"), OrgId("new-institute")
ENDPOINT = NETWORK.bundle.member(NORTH).endpoint
KEY = make_key("new-institute/request")
NONCE = "n" * 22


class Clock:
    def __init__(self, at: int = NOW) -> None:
        self.at = at

    def __call__(self) -> int:
        return self.at


def door(
    clock: Callable[[], int] = lambda: NOW,
    *,
    network: TestNetwork = NETWORK,
    per_minute_max: int = 60,
    checked_per_minute_max: int = 600,
) -> PingDoor:
    return PingDoor(
        organization=NORTH,
        bundle=lambda: network.bundle,
        key=NETWORK.keys[NORTH]["request"],
        clock=clock,
        per_minute_max=per_minute_max,
        checked_per_minute_max=checked_per_minute_max,
    )


def ping(*, key: SigningKey = KEY, nonce: str = NONCE, at: int = NOW, endpoint: str = ENDPOINT) -> WireRequest:
    return make_ping(key, endpoint=endpoint, network=NETWORK_ID, nonce=nonce, at=at)


def answered(opened: PingDoor, request: WireRequest) -> WireResponse:
    return asyncio.run(opened.handle(request))


def code(response: WireResponse) -> str:
    return "" if response.status == 200 else str(json.loads(response.body)["errors"][0]["extensions"]["code"])


def pong(response: WireResponse) -> str:
    return str(json.loads(response.body)["data"]["pong"])


def test_a_stranger_is_answered_with_the_nodes_signature_for_its_key_and_nonce() -> None:
    token = pong(answered(door(), ping()))
    read = verify_pong(token, organization=NORTH, key_id=KEY.key_id, nonce=NONCE, directory=NETWORK.bundle)
    assert (read.organization, read.answered_at, read.is_member) == (NORTH, NOW, False)


def test_a_member_is_known() -> None:
    key = NETWORK.keys[OrgId("vitalis")]["request"]
    token = pong(answered(door(), ping(key=key)))
    read = verify_pong(token, organization=NORTH, key_id=key.key_id, nonce=NONCE, directory=NETWORK.bundle)
    assert read.is_member


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"organization": OrgId("vitalis")}, "pong_refused"),
        ({"key_id": make_key("another").key_id}, "pong_refused"),
        ({"nonce": "m" * 22}, "pong_refused"),
        ({"directory": make_network(("north-hospital", "vitalis")).bundle}, ""),
    ],
)
def test_a_pong_is_for_one_key_and_one_nonce_from_one_organization(changes: dict[str, object], expected: str) -> None:
    token = pong(answered(door(), ping()))
    facts: dict[str, object] = {
        "organization": NORTH,
        "key_id": KEY.key_id,
        "nonce": NONCE,
        "directory": NETWORK.bundle,
    }
    try:
        verify_pong(token, **{**facts, **changes})  # type: ignore[arg-type]  # a test's own facts
        found = ""
    except ConcordatError as error:
        found = error.code
    assert found == expected


def test_a_pong_that_another_key_signed_is_refused() -> None:
    claims = jose.unverified_claims(pong(answered(door(), ping())))
    forged = jose.sign(claims, key=KEY, typ="concordat-pong+jwt")
    with pytest.raises(ConcordatError) as error:
        verify_pong(forged, organization=NORTH, key_id=KEY.key_id, nonce=NONCE, directory=NETWORK.bundle)
    assert error.value.code == "pong_refused"


def with_body(request: WireRequest, body: bytes) -> WireRequest:
    return replace(request, body=body)


def test_what_is_wrong_with_a_ping_is_named() -> None:
    good = ping()
    other_network = make_ping(KEY, endpoint=ENDPOINT, network="another-net", nonce=NONCE, at=NOW)
    cases = (
        (with_body(good, good.body + b" "), "content_digest_mismatch"),
        (ping(endpoint="https://another.example"), "request_signature_invalid"),
        (ping(at=NOW - CREATED_WINDOW_S - 1), "request_signature_invalid"),
        (ping(at=NOW + CREATED_WINDOW_S + 1), "request_signature_invalid"),
        (other_network, "ping_malformed"),
        (replace(good, path="/v1/peer"), "ping_malformed"),
        (replace(good, method="GET"), "ping_malformed"),
        (with_body(good, b"x" * (PING_BYTES_MAX + 1)), "ping_malformed"),
        (replace(good, headers={**good.headers, "authorization": "Bearer " + NONCE}), "request_signature_invalid"),
        (replace(good, headers={}), "ping_malformed"),
    )
    for request, expected in cases:
        assert code(answered(door(), request)) == expected


def test_a_ping_signed_by_another_key_than_its_body_names_is_nobodys() -> None:
    good = ping()
    message = SignedMessage("POST", authority_of(ENDPOINT), "/v1/ping", "application/json", f"Ping {NONCE}", good.body)
    headers = sign_request(message, key=make_key("thief"), created=NOW, nonce=NONCE)
    assert code(answered(door(), replace(good, headers=headers))) == "presenter_unknown"


def test_a_ping_is_answered_once_for_as_long_as_it_could_be_sent_again() -> None:
    clock = Clock()
    opened = door(clock)
    assert code(answered(opened, ping())) == ""
    assert code(answered(opened, ping())) == "ping_replayed"
    clock.at += CREATED_WINDOW_S
    assert code(answered(opened, ping())) == "ping_replayed"
    clock.at += REMEMBERED_S
    assert code(answered(opened, ping())) == "request_signature_invalid"
    assert code(answered(opened, ping(at=clock.at))) == ""
    assert len(opened._seen) == 1


def test_so_many_pings_in_a_minute_and_not_one_more() -> None:
    clock = Clock()
    opened = door(clock, per_minute_max=3)
    codes = [code(answered(opened, ping(nonce=f"{n:022d}"))) for n in range(4)]
    assert codes == ["", "", "", "node_overloaded"]
    clock.at += MINUTE_S - 1
    assert code(answered(opened, ping(nonce="a" * 22, at=clock.at))) == "node_overloaded"
    clock.at += 1
    assert code(answered(opened, ping(nonce="b" * 22, at=clock.at))) == ""


def test_neither_garbage_nor_a_ping_sent_again_keeps_anybody_out() -> None:
    opened = door(per_minute_max=2)
    forged = replace(ping(), headers={**ping().headers, "signature": ping(at=NOW - 1).headers["signature"]})
    for garbage in (with_body(ping(), b"x"), replace(ping(), headers={}), forged):
        for _ in range(5):
            assert code(answered(opened, garbage)) not in ("", "node_overloaded")
    assert [code(answered(opened, ping())) for _ in range(4)] == ["", *["ping_replayed"] * 3]
    assert code(answered(opened, ping(nonce="m" * 22))) == ""
    assert code(answered(opened, ping(nonce="o" * 22))) == "node_overloaded"


def test_so_many_are_looked_at_in_a_minute_and_not_one_more() -> None:
    clock = Clock()
    opened = door(clock, checked_per_minute_max=3)
    garbage = with_body(ping(), b"x")
    assert [code(answered(opened, garbage)) for _ in range(4)] == ["content_digest_mismatch"] * 3 + ["node_overloaded"]
    assert code(answered(opened, ping())) == "node_overloaded"
    clock.at += MINUTE_S
    assert code(answered(opened, ping(at=clock.at))) == ""


def test_a_suspended_node_and_one_without_a_bundle_answer_no_ping() -> None:
    repo = Repository()
    repo.publish_suspended({"north-hospital": 2}, 2)
    repo.renew(NOW + 1)
    suspended = repo.verify(at=NOW + 1)
    for bundle, expected in ((suspended, "organization_suspended"), (None, "bundle_stale")):
        key = NETWORK.keys[NORTH]["request"]
        opened = PingDoor(organization=NORTH, bundle=iter([bundle]).__next__, key=key, clock=lambda: NOW + 1)
        assert code(answered(opened, ping(at=NOW + 1))) == expected


async def test_the_door_is_a_post_to_one_path_and_nothing_else() -> None:
    app = node_app(
        make_node(NETWORK, "north-hospital").door,
        is_ready=lambda: True,
        request_bytes_max=100_000,
        pings=door().handle,
    )
    request = ping()
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=app), base_url=ENDPOINT) as client:
        answer = await client.post("/v1/ping", content=request.body, headers=dict(request.headers))
        assert answer.status_code == 200
        token = answer.json()["data"]["pong"]
        read = verify_pong(token, organization=NORTH, key_id=KEY.key_id, nonce=NONCE, directory=NETWORK.bundle)
        assert read.answered_at == NOW
        assert (await client.get("/v1/ping")).status_code == 405
        asked = await client.post("/v1/ping?x=1", content=request.body, headers=dict(request.headers))
        assert asked.json()["errors"][0]["message"] == "request_malformed"


# The self-test.


def self_test(
    handle: Callable[[WireRequest], WireResponse], *, bundle: TrustedBundle = NETWORK.bundle, at: int = NOW
) -> tuple[Check, ...]:
    counter = itertools.count()

    def post(endpoint: str, request: WireRequest) -> tuple[int, bytes]:
        if endpoint != ENDPOINT:
            raise httpx.ConnectError("nobody there")
        answer = handle(request)
        return answer.status, answer.body

    return run_self_test(bundle, NEW, KEY, post=post, clock=lambda: at, nonce=lambda: f"{next(counter):022d}")


def node(clock: Callable[[], int] = lambda: NOW) -> Callable[[WireRequest], WireResponse]:
    opened = door(clock)

    def handle(request: WireRequest) -> WireResponse:
        return refusal("presenter_unknown") if request.path == "/graphql" else answered(opened, request)

    return handle


def failed(checks: tuple[Check, ...]) -> list[str]:
    return [check.name for check in checks if not check.ok]


def test_the_self_test_passes_with_a_member_that_does_what_it_should() -> None:
    checks = self_test(node())
    assert [check.name for check in checks] == [*CHECK_NAMES]
    assert failed(checks) == []
    assert {check.party for check in checks} == {NORTH}


@pytest.mark.parametrize(
    ("difference_s", "expected"),
    [(CLOCK_DIFFERENCE_MAX_S, []), (-CLOCK_DIFFERENCE_MAX_S, []), (11, ["clock"]), (-11, ["clock"]), (31, ["ping"])],
)
def test_a_clock_that_is_off_is_found(difference_s: int, expected: list[str]) -> None:
    assert failed(self_test(node(), at=NOW + difference_s)) == expected


def test_something_that_changes_repeats_or_admits_is_found() -> None:
    def altering(request: WireRequest) -> WireResponse:
        return honest(replace(request, body=request.body.replace(b'"ping_version":1', b'"ping_version":3')))

    def forgetful(request: WireRequest) -> WireResponse:
        return refusal("presenter_unknown") if request.path == "/graphql" else answered(door(), request)

    def admitting(request: WireRequest) -> WireResponse:
        return WireResponse(200, {}, b"{}") if request.path == "/graphql" else honest(request)

    def lenient(request: WireRequest) -> WireResponse:
        return refusal("token_malformed") if request.path == "/graphql" else honest(request)

    honest = node()
    assert failed(self_test(altering)) == ["ping"]
    assert failed(self_test(forgetful)) == ["replay"]
    assert failed(self_test(admitting)) == ["deny"]
    honest = node()
    assert failed(self_test(lenient)) == ["deny"]


def test_something_else_in_front_of_the_node_is_found() -> None:
    def portal(_: WireRequest) -> WireResponse:
        return WireResponse(200, {}, b"<html>Sign in</html>")

    def own_key(request: WireRequest) -> WireResponse:
        other = PingDoor(organization=NORTH, bundle=lambda: NETWORK.bundle, key=make_key("proxy"), clock=lambda: NOW)
        return answered(other, request)

    for handle in (portal, own_key, lambda _: WireResponse(502, {}, b"")):
        checks = self_test(handle)
        assert [(check.name, check.ok) for check in checks] == [("ping", False)]


def test_nobody_within_reach_is_said_and_nobody_to_reach_is_no_test() -> None:
    def away(_: WireRequest) -> WireResponse:
        raise httpx.ConnectError("nobody there")

    with pytest.raises(ConcordatError) as error:
        self_test(away)
    assert error.value.code == "self_test_failed"
    assert "north-hospital" in error.value.message
    assert self_test(away, bundle=found().bundle()) == ()
