"""Hundreds of malformed tokens: none is accepted, each has the same code as ever, and no other exception comes out."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from concordat_trust.attestation import verify_attestation
from concordat_trust.bundle.statement import verify_statement
from concordat_trust.checkpoint import verify_checkpoint
from concordat_trust.delivery import verify_delivery
from concordat_trust.errors import ConcordatError, RefusedDocument
from concordat_trust.query_token import verify_archived_token, verify_relayed_token
from tests.factories import tokens
from tests.factories.tokens import HOME, NORTH, NOW, RELAY, signing_key
from tests.trust.malformed_tokens import GOOD, malformed, refusal

FROZEN: dict[str, str] = json.loads((Path(__file__).parents[1] / "vectors/malformed_tokens.json").read_text("utf-8"))
CASES = list(malformed())
CASES_MIN = 300
DIRECTORY = tokens.make_directory()


def test_the_good_token_that_all_are_made_from_is_accepted() -> None:
    assert refusal(GOOD) == "ACCEPTED"


def test_there_are_hundreds_of_different_ones() -> None:
    assert len(CASES) >= CASES_MIN
    assert max(Counter(name for name, _ in CASES).values()) == 1
    assert GOOD not in {token for _, token in CASES}


def test_none_is_accepted_and_each_has_its_frozen_code() -> None:
    assert {name: refusal(token) for name, token in CASES} == FROZEN
    assert "ACCEPTED" not in FROZEN.values()
    assert all(code.startswith("token_") for code in FROZEN.values())


def _attestation(token: str) -> object:
    return verify_attestation(token, bundle=DIRECTORY, at=NOW)


def _archived(token: str) -> object:
    return verify_archived_token(token, bundle=DIRECTORY, question=tokens.QUESTION, parts=tokens.PARTS)


def _checkpoint(token: str) -> object:
    return verify_checkpoint(token, bundle=DIRECTORY)


def _delivery(token: str) -> object:
    return verify_delivery(
        token,
        bundle=DIRECTORY,
        coordinator=RELAY,
        home=HOME,
        token_id=tokens.fresh_id("token"),
        question_hash="q" * 43,
        organizations=[NORTH],
        at=NOW,
    )


def _relayed(token: str) -> object:
    relay = signing_key(RELAY, "request").key_id
    return verify_relayed_token(
        token, bundle=DIRECTORY, question=tokens.QUESTION, parts=tokens.PARTS, relay=relay, now=NOW
    )


def _statement(token: str) -> object:
    return verify_statement(token.encode(), member=HOME, kind="organization", role_keys={}, at=NOW)


@pytest.mark.parametrize("verify", [_attestation, _checkpoint, _delivery, _statement])
def test_no_other_verifier_accepts_one_either(verify: Callable[[str], object]) -> None:
    for name, token in CASES:
        if name == "other_tokens: an attestation" and verify is _attestation:
            continue  # a good one, in the wrong place only as a query token
        with pytest.raises(RefusedDocument):
            verify(token)


# What a receiver's own clock, audience or presenter refuses is good for others, or was good at its time.
ONLY_HERE = {"token_expired", "token_not_yet_valid", "token_audience", "token_presenter"}


@pytest.mark.parametrize("verify", [_relayed, _archived])
def test_other_readers_of_query_tokens_accept_none_that_is_malformed(verify: Callable[[str], object]) -> None:
    for name, token in CASES:
        try:
            verify(token)
        except ConcordatError:
            continue
        assert FROZEN[name] in ONLY_HERE, name
