"""The tokens of one round belong together: one issuer, one time, one presenter, and exactly the organizations named."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from concordat_trust import jose
from concordat_trust.canonical import Json
from concordat_trust.errors import ConcordatError
from concordat_trust.ids import OrgId
from concordat_trust.query_token import ORGANIZATIONS_MAX, QUERY_TOKEN_BYTES_MAX, RequesterClaims, mint_query_token
from concordat_trust.round_tokens import (
    TOKENS_BYTES_MAX,
    RoundTokens,
    parse_tokens,
    tokens_text,
    verify_archived_round,
    verify_relayed_round,
)
from concordat_trust.vocabulary import Clearance
from tests.factories.tokens import (
    HOME,
    NETWORK,
    NORTH,
    NOW,
    PARTS,
    QUESTION,
    RELAY,
    SEALING_KEY,
    VITALIS,
    changed,
    fresh_id,
    make_directory,
    make_query_token,
    signed,
    signing_key,
)


def mint(parts: Mapping[OrgId, bytes], **changes: Any) -> str:
    issuer = changes.pop("issuer", HOME)
    values: dict[str, Any] = {
        "key": signing_key(issuer, "query_token"),
        "issuer": issuer,
        "subject": f"p-of-{'-'.join(parts)}",
        "network": NETWORK,
        "question": QUESTION,
        "parts": parts,
        "claims": RequesterClaims("faculty", "researcher", Clearance.REGISTERED),
        "presenter": signing_key(RELAY, "request").key_id,
        "enc": SEALING_KEY.public,
        "token_id": fresh_id(f"token {sorted(parts)}"),
        "now": NOW,
    }
    return mint_query_token(**{**values, **changes})


def own_tokens(**changes: Any) -> dict[OrgId, str]:
    """Return a token for each organization; `changes` are of North's alone."""
    return {org: mint({org: part}, **(changes if org == NORTH else {})) for org, part in PARTS.items()}


def verify(tokens: Mapping[OrgId, str], parts: Mapping[OrgId, bytes] = PARTS) -> RoundTokens:
    carried = tokens_text(tokens)
    handed = {**parts, RELAY: carried}
    return verify_relayed_round(
        mint({RELAY: carried}),
        me=RELAY,
        bundle=make_directory(),
        question=QUESTION,
        parts=handed,
        relay=signing_key(RELAY, "request").key_id,
        now=NOW,
    )


def code_of(tokens: Mapping[OrgId, str], parts: Mapping[OrgId, bytes] = PARTS) -> str:
    with pytest.raises(ConcordatError) as caught:
        verify(tokens, parts)
    return caught.value.code


def test_each_organization_has_its_own_token() -> None:
    tokens = own_tokens()
    verified = verify(tokens)
    assert verified.audience == (NORTH, VITALIS)
    assert {org: token.subject for org, token in verified.by_organization.items()} == {
        NORTH: "p-of-north-hospital",
        VITALIS: "p-of-vitalis",
    }
    assert verified.texts == tokens
    assert verified.presented.audience == (RELAY,)


def test_one_token_for_everybody_is_read_the_same_way() -> None:
    token = make_query_token()
    verified = verify_relayed_round(
        token,
        me=RELAY,
        bundle=make_directory(),
        question=QUESTION,
        parts=PARTS,
        relay=signing_key(RELAY, "request").key_id,
        now=NOW,
    )
    assert dict(verified.texts) == {NORTH: token, VITALIS: token}
    assert all(token == verified.presented for token in verified.by_organization.values())


@pytest.mark.parametrize("changes", [{"now": NOW - 1}, {"issuer": VITALIS}])
def test_tokens_of_another_issuer_or_time_do_not_belong_to_the_round(changes: dict[str, Any]) -> None:
    assert code_of(own_tokens(**changes)) == "token_round_mismatch"


@pytest.mark.parametrize(
    ("code", "changes"),
    [
        ("token_presenter", {"presenter": signing_key(VITALIS, "request").key_id}),
        ("token_question_mismatch", {"question": b"{}"}),
        ("token_claim_not_allowed", {"claims": RequesterClaims("emperor", "researcher", Clearance.PUBLIC)}),
        ("token_expired", {"now": NOW - 200}),
        ("token_network", {"network": "another-network"}),
    ],
)
def test_every_token_of_a_round_is_checked_like_one_alone(code: str, changes: dict[str, Any]) -> None:
    assert code_of(own_tokens(**changes)) == code


def test_a_token_for_somebody_without_a_part_is_refused() -> None:
    assert code_of(own_tokens(), {NORTH: PARTS[NORTH]}) == "token_audience"


# Read again later.


def archived(token: str, tokens: Mapping[OrgId, str] | None) -> RoundTokens:
    return verify_archived_round(token, tokens, bundle=make_directory(), question=QUESTION, parts=PARTS)


def presented(tokens: Mapping[OrgId, str], **changes: Any) -> str:
    return mint({RELAY: tokens_text(tokens)}, **changes)


def archived_code(token: str, tokens: Mapping[OrgId, str] | None) -> str:
    with pytest.raises(ConcordatError) as caught:
        archived(token, tokens)
    return caught.value.code


def test_a_round_is_read_later_as_the_relay_read_it() -> None:
    tokens = own_tokens()
    assert archived(presented(tokens), tokens) == verify(tokens)
    shared = archived(make_query_token(), None)
    assert (shared.audience, shared.presented.audience) == ((NORTH, VITALIS), (NORTH, VITALIS))
    assert set(shared.texts.values()) == {make_query_token()}


def test_an_archived_token_that_another_presenter_was_handed_is_not_of_the_round() -> None:
    tokens = own_tokens(presenter=signing_key(VITALIS, "request").key_id)
    assert archived_code(presented(tokens), tokens) == "token_round_mismatch"


def test_the_token_of_a_round_is_for_one_coordinator_alone() -> None:
    tokens = own_tokens()
    carried = tokens_text(tokens)
    assert archived_code(mint({NORTH: carried}), tokens) == "token_audience"
    assert archived_code(mint({RELAY: carried, NORTH: carried}), tokens) == "token_audience"
    assert archived_code(mint({OrgId("a-stranger"): carried}), tokens) == "member_unknown"
    token = mint({RELAY: carried})
    audiences: list[list[Json]] = [[], [RELAY, VITALIS]]
    for audience in audiences:
        assert archived_code(signed(changed(jose.unverified_claims(token), aud=audience)), tokens) == "token_audience"


def test_the_token_of_a_round_is_read_up_to_the_limit_of_any_query_token() -> None:
    tokens = own_tokens()
    claims = jose.unverified_claims(presented(tokens))
    assert archived_code(signed(changed(claims, note="x" * 20_000)), tokens) == "token_claim_invalid"
    assert archived_code(signed(changed(claims, note="x" * QUERY_TOKEN_BYTES_MAX)), tokens) == "token_too_large"


# The list.


def listed(count: int, token: str = "t") -> dict[OrgId, str]:  # noqa: S107 - a text in the place of a token
    return {OrgId(f"org-{number:03d}"): token for number in range(count)}


def malformed(data: bytes) -> None:
    with pytest.raises(ConcordatError) as caught:
        parse_tokens(data)
    assert caught.value.code == "tokens_malformed"


def test_a_list_has_one_to_as_many_tokens_as_organizations_can_be_asked() -> None:
    for count in (1, ORGANIZATIONS_MAX):
        assert parse_tokens(tokens_text(listed(count))) == listed(count)
    for count in (0, ORGANIZATIONS_MAX + 1):
        malformed(tokens_text(listed(count)))


def test_a_list_is_read_up_to_its_limit_only() -> None:
    largest = listed(1, "t" * (TOKENS_BYTES_MAX - len(tokens_text(listed(1, "")))))
    assert parse_tokens(tokens_text(largest)) == largest
    malformed(tokens_text({org: token + "t" for org, token in largest.items()}))


@pytest.mark.parametrize(
    "data", [b"", b"[]", b'{"north-hospital":1}', b'{"north-hospital":"t","vitalis":1}', b'{"X":"t"}', b'{"a-b": "t"}']
)
def test_a_list_of_another_form_is_malformed(data: bytes) -> None:
    malformed(data)
