"""Checkpoints, receipts and consistency proofs as files: each verified for its own sake."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from concordat_trust.checkpoint import Checkpoint, sign_checkpoint
from concordat_trust.errors import RefusedDocument
from concordat_trust.ids import OrgId
from concordat_trust.log_documents import (
    DOCUMENT_BYTES_MAX,
    ConsistencyProof,
    LogDocument,
    VerifiedLogDocument,
    claimed_state,
    parse_log_document,
    verify_log_document,
)
from concordat_trust.log_proof import consistency_path
from tests.factories.answers import NORTH, VITALIS, demo_network, make_attestation, make_card, make_receipt
from tests.factories.merkle import naive_root
from tests.factories.network import NETWORK_ID, NOW
from tests.trust.test_log_proof import MANY, STORED

NETWORK = demo_network()
RECEIPT = make_receipt(
    make_attestation(NETWORK, [make_card()], org="north-hospital"), org=NORTH, key=NETWORK.keys[NORTH]["attestation"]
)


def checkpoint(size: int, org: OrgId = NORTH, root: bytes | None = None, at: int = NOW) -> str:
    state = Checkpoint(org, NETWORK_ID, size, naive_root(MANY[:size]) if root is None else root, at)
    return sign_checkpoint(state, key=NETWORK.keys[org]["attestation"])


def proof(old: int = 5, new: int = 13) -> ConsistencyProof:
    return ConsistencyProof(checkpoint(old), checkpoint(new), consistency_path(old, new, STORED))


def verified(document: LogDocument) -> VerifiedLogDocument:
    return verify_log_document(document, bundle_at=lambda _at: NETWORK.bundle)


def refusal(document: LogDocument) -> str:
    with pytest.raises(RefusedDocument) as caught:
        verified(document)
    return caught.value.code


@pytest.mark.parametrize("text", [checkpoint(5), RECEIPT.to_text(), proof().to_text(), proof(0, 3).to_text()])
def test_each_kind_of_document_is_recognised_and_verified(text: str) -> None:
    document = parse_log_document(text.encode() + b"\n")
    found = verified(document)
    assert found.checkpoint == claimed_state(document)
    assert found.to_json()["organization"] == NORTH


def test_what_a_document_shows_is_told() -> None:
    assert verified(RECEIPT).index == RECEIPT.index
    continued = verified(proof(5, 13))
    assert continued.continues is not None
    assert (continued.continues.size, continued.checkpoint.size) == (5, 13)


def test_each_checkpoint_is_verified_at_its_own_time() -> None:
    asked: list[int] = []

    def bundle_at(at: int) -> object:
        asked.append(at)
        return NETWORK.bundle

    older = replace(proof(), old=checkpoint(5, at=NOW - 1_000))
    verify_log_document(older, bundle_at=bundle_at)  # type: ignore[arg-type]  # the bundle of the test's network
    assert asked == [NOW, NOW - 1_000]


def test_a_proof_between_two_organizations_is_refused() -> None:
    assert refusal(replace(proof(), old=checkpoint(5, VITALIS))) == "logs_unrelated"


def test_a_log_that_does_not_continue_is_refused() -> None:
    assert refusal(replace(proof(), old=checkpoint(5, root=bytes(32)))) == "consistency_proof_invalid"
    assert refusal(replace(proof(), path=proof().path[:-1])) == "consistency_proof_invalid"
    assert refusal(replace(proof(), old=checkpoint(13), new=checkpoint(5))) == "consistency_proof_invalid"


def test_a_receipt_whose_size_was_not_signed_is_refused() -> None:
    assert refusal(replace(RECEIPT, size=RECEIPT.size + 1)) == "receipt_wrong_log"
    assert refusal(replace(RECEIPT, index=0)) == "inclusion_proof_invalid"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "checkpoint_malformed"),
        (b"a.b.c", "checkpoint_malformed"),
        ("ü".encode(), "log_document_unknown"),
        (b"{}", "log_document_unknown"),
        (b'{"old": "a", "new": "b", "path": ["short"]}', "log_document_unknown"),
        (b'{"old": "a", "new": "b", "path": [], "more": 1}', "log_document_unknown"),
        (b"{" + b" " * DOCUMENT_BYTES_MAX, "log_document_unknown"),
    ],
)
def test_what_is_no_such_document_is_refused(data: bytes, code: str) -> None:
    with pytest.raises(RefusedDocument) as caught:
        parse_log_document(data)
    assert caught.value.code == code


@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_no_bytes_crash_the_reader(data: bytes) -> None:
    try:
        parse_log_document(data)
    except RefusedDocument:
        return
    raise AssertionError("noise was read as a document")
