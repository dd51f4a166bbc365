"""What a node reports of a token's use, and what its issuer finds in it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from concordat_trust.canonical import canonical_bytes
from concordat_trust.encoding import b64u
from concordat_trust.peer_message import BODY_BYTES_MAX
from concordat_trust.token_use import (
    USES_MAX,
    MintedToken,
    TokenUse,
    TokenUsesMalformed,
    finding_of,
    parse_token_uses,
    token_digest,
    token_uses_body,
)
from tests.factories.tokens import NORTH, NOW, VITALIS, fresh_id, make_query_token

TOKEN = make_query_token()
USE = TokenUse(fresh_id("token"), token_digest(TOKEN), "OK", NOW)
MINTED = MintedToken(token_digest(TOKEN), frozenset({NORTH}))


def test_a_use_of_a_token_minted_for_the_node_is_no_finding() -> None:
    assert finding_of(USE, by=NORTH, minted=MINTED) is None


@pytest.mark.parametrize(
    ("code", "minted"),
    [
        ("token_never_minted", None),
        ("token_minted_for_others", MintedToken(MINTED.token_sha256, frozenset({VITALIS}))),
        ("token_minted_differently", MintedToken(token_digest(TOKEN + "x"), frozenset({NORTH}))),
    ],
)
def test_any_other_use_is_a_finding_that_names_the_node(code: str, minted: MintedToken | None) -> None:
    finding = finding_of(USE, by=NORTH, minted=minted)
    assert finding is not None
    assert finding.code == code
    assert finding.fields == {"organization": NORTH, "at": NOW, "token_id": USE.token_id}
    assert NORTH in finding.message


def test_a_report_is_read_back_as_it_was_written_up_to_its_limit() -> None:
    uses = tuple(TokenUse(fresh_id(str(number)), USE.token_sha256, "DENIED", NOW) for number in range(USES_MAX))
    body = token_uses_body(uses)
    assert parse_token_uses(body) == uses
    assert len(body) <= BODY_BYTES_MAX
    with pytest.raises(RuntimeError):
        token_uses_body((*uses, USE))
    with pytest.raises(RuntimeError):
        token_uses_body(())


def test_a_token_is_named_by_the_hash_of_its_spelling() -> None:
    assert token_digest("a.b.c") == b64u(hashlib.sha256(b"a.b.c").digest())


def test_a_use_is_of_any_time_since_the_epoch() -> None:
    first = replace(USE, at=0)
    assert parse_token_uses(token_uses_body([first])) == (first,)


def _document() -> Any:
    return json.loads(token_uses_body([USE]))


@pytest.mark.parametrize(
    "change",
    [
        lambda report: report["uses"].clear(),
        lambda report: report["uses"].extend([report["uses"][0]] * USES_MAX),
        lambda report: report.update(more=1),
        lambda report: report["uses"][0].update(records=3),
        lambda report: report["uses"][0].update(status="TIMEOUT"),
        lambda report: report["uses"][0].update(at=-1),
        lambda report: report["uses"][0].update(token_id="short"),
        lambda report: report["uses"][0].update(token_sha256="short"),
    ],
)
def test_a_report_of_another_form_is_refused(change: Callable[[Any], None]) -> None:
    report = _document()
    change(report)
    with pytest.raises(TokenUsesMalformed):
        parse_token_uses(canonical_bytes(report))


@pytest.mark.parametrize("body", [b"", b"{", json.dumps(_document()).encode(), b" " * (BODY_BYTES_MAX + 1)])
def test_a_report_in_another_spelling_is_refused(body: bytes) -> None:
    with pytest.raises(TokenUsesMalformed):
        parse_token_uses(body)
