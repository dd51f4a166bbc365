"""The channel between organizations: one message, one receiver, one body, one key; everything else has its code."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from concordat_trust import jose
from concordat_trust.canonical import JsonObject
from concordat_trust.directory import OrganizationSuspended
from concordat_trust.errors import ConcordatError
from concordat_trust.ids import KeyId, OrgId
from concordat_trust.jwk import SigningKey
from concordat_trust.peer_message import (
    LIFETIME_MAX_S,
    MESSAGE_BYTES_MAX,
    TYP,
    PeerMessage,
    mint_peer_message,
    verify_peer_message,
)
from tests.factories.tokens import (
    HOME,
    NETWORK,
    NORTH,
    NOW,
    RELAY,
    VITALIS,
    FakeDirectory,
    changed,
    fresh_id,
    make_directory,
    make_query_token,
    signing_key,
    without,
)

BODY = b'{"uses":[]}'


def make_message(*, sender: OrgId = NORTH, key: SigningKey | None = None, body: bytes = BODY, now: int = NOW) -> str:
    return mint_peer_message(
        key=key or signing_key(sender, "request"),
        sender=sender,
        to=HOME,
        network=NETWORK,
        kind="token_uses",
        body=body,
        message_id=fresh_id("message"),
        now=now,
    )


def verify(
    message: str,
    *,
    me: OrgId = HOME,
    bundle: FakeDirectory | None = None,
    body: bytes = BODY,
    presenter: KeyId | None = None,
    now: int = NOW,
) -> PeerMessage:
    return verify_peer_message(
        message,
        me=me,
        bundle=bundle or make_directory(),
        body=body,
        presenter=presenter or signing_key(NORTH, "request").key_id,
        now=now,
    )


def resigned(change: Callable[[JsonObject], JsonObject], *, typ: str = TYP) -> str:
    return jose.sign(change(jose.unverified_claims(make_message())), key=signing_key(NORTH, "request"), typ=typ)


def refused(code: str, message: str, **context: object) -> None:
    with pytest.raises(ConcordatError) as caught:
        verify(message, **context)  # type: ignore[arg-type]  # names are those of verify
    assert caught.value.code == code


def test_a_good_message_says_who_sent_what() -> None:
    expected = PeerMessage(NORTH, fresh_id("message"), "token_uses", NOW, NOW + LIFETIME_MAX_S)
    assert verify(make_message()) == expected
    assert verify(make_message(now=0), now=0).issued_at == 0


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("token_audience", lambda claims: changed(claims, aud=[VITALIS])),
        ("token_claim_invalid", lambda claims: changed(claims, aud=[HOME, VITALIS])),
        ("token_network", lambda claims: changed(claims, net="another-network")),
        ("token_network", lambda claims: changed(claims, net="n" * 64)),
        ("token_claim_invalid", lambda claims: changed(claims, net="n" * 65)),
        ("peer_kind_unknown", lambda claims: changed(claims, kind="order_pizza")),
        ("token_claim_invalid", lambda claims: changed(claims, kind="Not A Code")),
        ("peer_body_mismatch", lambda claims: changed(claims, bh="A" * 43)),
        ("token_claim_invalid", lambda claims: changed(claims, bh="short")),
        ("token_claim_invalid", lambda claims: changed(claims, scope="all")),
        ("token_claim_invalid", lambda claims: changed(claims, jti="short")),
        ("token_lifetime", lambda claims: changed(claims, exp=NOW + LIFETIME_MAX_S + 1)),
        ("token_issuer_unknown", lambda claims: changed(claims, iss="mallory-labs")),
        ("token_key_unknown", lambda claims: changed(claims, iss=VITALIS)),
        *(("token_claim_missing", lambda claims, name=name: without(claims, name)) for name in ("bh", "kind", "jti")),
    ],
)
def test_a_message_with_one_wrong_claim_is_refused(code: str, change: Callable[[JsonObject], JsonObject]) -> None:
    refused(code, resigned(change))


def test_a_message_for_another_body_is_refused() -> None:
    refused("peer_body_mismatch", make_message(), body=BODY + b" ")


def test_a_message_that_somebody_else_passes_on_is_refused() -> None:
    refused("peer_sender_mismatch", make_message(), presenter=signing_key(VITALIS, "request").key_id)


def test_a_coordinator_has_no_part_in_it() -> None:
    key = signing_key(RELAY, "request")
    refused("peer_not_organization", make_message(sender=RELAY, key=key), presenter=key.key_id)


@pytest.mark.parametrize("use", ["query_token", "attestation"])
def test_another_key_of_the_sender_is_refused(use: str) -> None:
    refused("token_key_unknown", make_message(key=signing_key(NORTH, use)))


def test_a_query_token_is_no_message_and_a_message_no_query_token() -> None:
    refused("token_wrong_type", make_query_token(issuer=NORTH))
    refused("token_wrong_type", resigned(lambda claims: claims, typ="concordat-query+jwt"))


def test_a_suspended_sender_is_refused() -> None:
    with pytest.raises(OrganizationSuspended):
        verify(make_message(), bundle=make_directory().with_member(NORTH, suspended=True))


@pytest.mark.parametrize(
    ("code", "at"),
    [
        ("token_expired", NOW + LIFETIME_MAX_S + jose.LEEWAY_S),
        ("token_not_yet_valid", NOW - jose.LEEWAY_S - 1),
    ],
)
def test_a_message_out_of_its_time_is_refused_and_one_second_inside_it_is_not(code: str, at: int) -> None:
    refused(code, make_message(), now=at)
    assert verify(make_message(), now=at + (1 if at < NOW else -1)).sender == NORTH


def test_a_message_is_read_up_to_its_limit_only() -> None:
    refused("token_too_large", resigned(lambda claims: changed(claims, note="x" * MESSAGE_BYTES_MAX)))
