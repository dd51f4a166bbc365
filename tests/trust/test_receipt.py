"""The receipt of an answer: each thing that can be wrong with it, broken alone."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from concordat_trust import jose
from concordat_trust.attestation import AGE_MAX_S, Attestation
from concordat_trust.canonical import canonical_bytes
from concordat_trust.checkpoint import (
    CHECKPOINT_BYTES_MAX,
    TYP,
    Checkpoint,
    claimed_checkpoint,
    sign_checkpoint,
    verify_checkpoint,
)
from concordat_trust.encoding import b64u, unb64u
from concordat_trust.errors import RefusedDocument
from concordat_trust.jose import LEEWAY_S
from concordat_trust.log_proof import EMPTY_ROOT, PATH_MAX, TREE_SIZE_MAX
from concordat_trust.node_answer import NodeAnswer
from concordat_trust.receipt import RECEIPT_CHARS_MAX, Receipt, VerifiedReceipt, parse_receipt, verify_receipt
from tests.factories.answers import (
    NORTH,
    VITALIS,
    demo_network,
    make_answer,
    make_attestation,
    make_card,
    make_receipt,
    verified,
)
from tests.factories.network import NETWORK_ID, NOW

NETWORK = demo_network()
ATTESTATION = make_attestation(NETWORK, [make_card()], org="north-hospital")
KEY = NETWORK.keys[NORTH]["attestation"]


def receipt(attestation: Attestation = ATTESTATION, **changes: Any) -> Receipt:
    return make_receipt(attestation, org=NORTH, key=KEY, **changes)


def checked(text: str | None, asked_at: int | None = NOW) -> VerifiedReceipt:
    return verify_receipt(text, attestation=ATTESTATION, bundle=NETWORK.bundle, asked_at=asked_at)


def refusal(text: str | None, asked_at: int | None = NOW) -> str:
    with pytest.raises(RefusedDocument) as caught:
        checked(text, asked_at)
    return caught.value.code


def edited(change: Callable[[dict[str, Any]], None]) -> str:
    members = json.loads(receipt().to_text())
    change(members)
    return canonical_bytes(members).decode()


def test_a_good_receipt_tells_the_place_and_the_state_of_the_log() -> None:
    found = checked(receipt().to_text())
    assert (found.index, found.checkpoint.size, found.checkpoint.organization) == (3, 4, NORTH)
    assert parse_receipt(receipt().to_text()) == receipt()


def test_an_answer_without_a_receipt_is_refused() -> None:
    assert refusal(None) == "receipt_missing"


def test_a_receipt_of_another_answer_is_refused() -> None:
    assert refusal(receipt(replace(ATTESTATION, log_leaf="o" * 42 + "A")).to_text()) == "receipt_wrong_leaf"


def test_a_checkpoint_of_another_organization_is_refused() -> None:
    other = make_receipt(ATTESTATION, org=VITALIS, key=NETWORK.keys[VITALIS]["attestation"])
    assert refusal(other.to_text()) == "receipt_wrong_log"


def test_a_checkpoint_of_another_network_is_refused() -> None:
    assert refusal(receipt(network="elsewhere").to_text()) == "checkpoint_wrong_network"


def test_a_size_that_was_not_signed_is_refused() -> None:
    assert refusal(receipt(size=5).to_text()) == "receipt_wrong_log"
    assert refusal(edited(lambda r: r.update(size=5))) == "receipt_wrong_log"


def test_a_root_that_was_not_of_this_tree_is_refused() -> None:
    assert refusal(receipt(root=bytes(32)).to_text()) == "inclusion_proof_invalid"


def test_another_place_in_the_log_is_refused() -> None:
    assert refusal(edited(lambda r: r.update(index=2))) == "inclusion_proof_invalid"
    assert refusal(edited(lambda r: r.update(path=r["path"][:1]))) == "inclusion_proof_invalid"


@pytest.mark.parametrize("late_s", [-LEEWAY_S, AGE_MAX_S])
def test_a_receipt_of_the_time_of_waiting_holds(late_s: int) -> None:
    assert checked(receipt(issued_at=NOW + late_s).to_text()).index == 3
    assert checked(receipt(issued_at=NOW + late_s).to_text(), asked_at=None).index == 3


@pytest.mark.parametrize("late_s", [-LEEWAY_S - 1, AGE_MAX_S + 1])
def test_a_receipt_of_another_time_is_refused(late_s: int) -> None:
    assert refusal(receipt(issued_at=NOW + late_s).to_text()) == "receipt_time"
    assert refusal(receipt(issued_at=NOW + late_s).to_text(), asked_at=None) == "receipt_time"


def test_a_receipt_signed_by_a_stranger_is_refused() -> None:
    stranger = NETWORK.keys[VITALIS]["attestation"]
    assert refusal(make_receipt(ATTESTATION, org=NORTH, key=stranger).to_text()) == "checkpoint_key_unknown"
    of_nobody = make_receipt(ATTESTATION, org=NORTH, key=KEY, organization="nobody-here")
    assert refusal(of_nobody.to_text()) == "checkpoint_issuer_unknown"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("index", -1),
        ("index", "3"),
        ("size", 0),
        ("leaf", "short"),
        ("path", ["short"]),
        ("path", ["A" * 43] * (PATH_MAX + 1)),
        ("path", "A" * 43),
        ("checkpoint", "x" * (CHECKPOINT_BYTES_MAX + 1)),
        ("checkpoint", None),
        ("extra", 1),
    ],
)
def test_a_receipt_of_another_form_is_refused(field: str, value: Any) -> None:
    assert refusal(edited(lambda r: r.update({field: value}))) == "receipt_malformed"


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", "\ud800", " " * (RECEIPT_CHARS_MAX + 1)])
def test_what_is_no_receipt_is_refused(text: str) -> None:
    assert refusal(text) == "receipt_malformed"


def test_a_receipt_has_one_spelling() -> None:
    assert refusal(json.dumps(json.loads(receipt().to_text()))) == "receipt_malformed"
    assert refusal(receipt().to_text() + "\n") == "receipt_malformed"


@given(st.integers(0, 10**9), st.integers(0, 7))
def test_no_changed_bit_of_a_receipt_is_believed(place: int, bit: int) -> None:
    text = bytearray(receipt().to_text().encode())
    text[place % len(text)] ^= 1 << bit
    refusal(text.decode("utf-8", "surrogateescape"))


def test_a_checkpoint_is_believed_as_it_was_signed() -> None:
    good = Checkpoint(NORTH, NETWORK_ID, 0, EMPTY_ROOT, NOW)
    jws = sign_checkpoint(good, key=KEY)
    assert verify_checkpoint(jws, bundle=NETWORK.bundle) == claimed_checkpoint(jws) == good


@pytest.mark.parametrize(
    "change",
    [
        {"note": "hidden"},
        {"size": -1},
        {"size": 0},
        {"root": b64u(bytes(31))},
        {"iat": "now"},
        {"net": ""},
        {"jti": "A" * 22},
    ],
)
def test_a_checkpoint_is_closed(change: dict[str, Any]) -> None:
    claims = Checkpoint(NORTH, NETWORK_ID, 4, bytes(32), NOW).claims()
    jws = jose.sign({**claims, **change}, key=KEY, typ=TYP)
    with pytest.raises(RefusedDocument) as caught:
        verify_checkpoint(jws, bundle=NETWORK.bundle)
    assert caught.value.code == "checkpoint_malformed"


@pytest.mark.parametrize("member", ["iss", "net", "size", "root", "iat"])
def test_a_checkpoint_is_whole(member: str) -> None:
    claims = Checkpoint(NORTH, NETWORK_ID, 4, bytes(32), NOW).claims()
    del claims[member]
    with pytest.raises(RefusedDocument) as caught:
        verify_checkpoint(jose.sign(claims, key=KEY, typ=TYP), bundle=NETWORK.bundle)
    assert caught.value.code == "checkpoint_malformed"


def test_an_attestation_is_no_checkpoint() -> None:
    jws = jose.sign(Checkpoint(NORTH, NETWORK_ID, 4, bytes(32), NOW).claims(), key=KEY, typ="concordat-attestation+jwt")
    with pytest.raises(RefusedDocument) as caught:
        verify_checkpoint(jws, bundle=NETWORK.bundle)
    assert caught.value.code == "checkpoint_wrong_type"


def good_answer() -> NodeAnswer:
    return make_answer(NETWORK, [make_card()], org="north-hospital")


def test_a_verified_answer_carries_its_verified_receipt() -> None:
    found = verified(NETWORK, good_answer()).receipt
    assert found is not None
    assert found.checkpoint.organization == NORTH


def test_home_refuses_an_answer_whose_receipt_is_missing_and_a_relay_passes_it_on() -> None:
    without = replace(good_answer(), receipt=None)
    with pytest.raises(RefusedDocument) as caught:
        verified(NETWORK, without)
    assert (caught.value.code, caught.value.fields["organization"]) == ("receipt_missing", NORTH)
    assert verified(NETWORK, without, is_relay=True).receipt is None


# What a mutant of `checkpoint` and `receipt` would change and no test above would notice.


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ({"network": "x" * 100}, {"network": "x" * 101}),
        ({"network": "x"}, {"network": ""}),
        ({"size": TREE_SIZE_MAX}, {"size": -1}),
        ({"size": 0, "root": EMPTY_ROOT}, {"size": 0, "root": bytes(32)}),
        ({"size": 1, "root": EMPTY_ROOT}, {"size": -1, "root": EMPTY_ROOT}),
        ({"issued_at": 0}, {"issued_at": -1}),
    ],
    ids=str,
)
def test_a_checkpoint_is_read_up_to_its_limits_and_not_beyond(good: dict[str, Any], bad: dict[str, Any]) -> None:
    plain = Checkpoint(NORTH, NETWORK_ID, 4, bytes(32), NOW)
    assert claimed_checkpoint(sign_checkpoint(replace(plain, **good), key=KEY)) == replace(plain, **good)
    with pytest.raises(RefusedDocument) as caught:
        claimed_checkpoint(sign_checkpoint(replace(plain, **bad), key=KEY))
    assert caught.value.code == "checkpoint_malformed"


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ({"index": 0}, {"index": -1}),
        ({"index": TREE_SIZE_MAX}, {"index": -1}),
        ({"size": 1}, {"size": 0}),
        ({"size": TREE_SIZE_MAX}, {"size": 0}),
        ({"path": (bytes(32),) * PATH_MAX}, {"path": (bytes(32),) * (PATH_MAX + 1)}),
        ({"path": ()}, {"path": (bytes(31),)}),
        ({"checkpoint": "x" * CHECKPOINT_BYTES_MAX}, {"checkpoint": "x" * (CHECKPOINT_BYTES_MAX + 1)}),
    ],
    ids=lambda change: str(next(iter(change))),
)
def test_a_receipt_is_read_up_to_its_limits_and_not_beyond(good: dict[str, Any], bad: dict[str, Any]) -> None:
    assert parse_receipt(replace(receipt(), **good).to_text()) == replace(receipt(), **good)
    with pytest.raises(RefusedDocument) as caught:
        parse_receipt(replace(receipt(), **bad).to_text())
    assert caught.value.code == "receipt_malformed"


def test_one_entry_of_a_path_that_is_none_is_enough() -> None:
    assert refusal(replace(receipt(), path=(bytes(32), bytes(31))).to_text()) == "receipt_malformed"


def test_the_largest_receipt_is_read() -> None:
    largest = replace(receipt(), index=0, size=1, path=(), checkpoint="x" * CHECKPOINT_BYTES_MAX)
    assert parse_receipt(largest.to_text()) == largest


def test_a_checkpoint_beyond_its_size_is_not_even_looked_at() -> None:
    header, payload, signature = sign_checkpoint(Checkpoint(NORTH, NETWORK_ID, 4, bytes(32), NOW), key=KEY).split(".")
    spaced = b64u(unb64u(payload) + b" " * CHECKPOINT_BYTES_MAX)
    assert claimed_checkpoint(f"{header}.{payload}.{signature}").size == 4
    with pytest.raises(RefusedDocument) as caught:
        claimed_checkpoint(f"{header}.{spaced}.{signature}")
    assert caught.value.code == "checkpoint_malformed"
