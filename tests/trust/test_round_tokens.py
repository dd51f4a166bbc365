"""The tokens of one round belong together: one issuer, one time, one presenter, and exactly the organizations named."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from concordat_trust.errors import ConcordatError
from concordat_trust.ids import OrgId
from concordat_trust.query_token import RequesterClaims, mint_query_token
from concordat_trust.round_tokens import RoundTokens, tokens_text, verify_relayed_round
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
    fresh_id,
    make_directory,
    make_query_token,
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
