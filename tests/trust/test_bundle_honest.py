"""What an honest bundle says, and that nobody but the verifier can say it."""

from __future__ import annotations

import dataclasses

import pytest

from concordat_trust.bundle import verify_bundle
from concordat_trust.bundle.policy import BUNDLE_AGE_MAX_S
from concordat_trust.bundle.trusted import AGE_UNKNOWN_S, CLOCK_DIFFERENCE_MAX_S
from concordat_trust.directory import KeyDirectory, KeyUnknown, MemberUnknown
from concordat_trust.encoding import sha256_hex
from concordat_trust.ids import OrgId
from tests.factories.network import NOW, make_network

NETWORK = make_network()
NORTH = OrgId("north-hospital")
RELAY = OrgId("relay-one")


def test_a_founded_network_verifies_from_the_root_fingerprint_alone() -> None:
    bundle = verify_bundle(NETWORK.files, root_sha256=NETWORK.root_sha256, at=NOW)
    assert bundle.organizations == ("alma-university", "north-hospital", "vitalis")
    assert bundle.coordinators == ("relay-one",)
    assert dict(bundle.unusable) == {}
    assert bundle.findings == ()
    assert bundle.network.minimum_cell == 10


def test_the_same_network_is_founded_with_the_same_bytes() -> None:
    assert dict(make_network().files) == dict(NETWORK.files)


def test_a_bundle_is_a_key_directory() -> None:
    directory: KeyDirectory = NETWORK.bundle
    key = NETWORK.keys[NORTH]["attestation"]
    assert directory.key(NORTH, "attestation", key.key_id) == key.public_key
    assert directory.request_key_owner(NETWORK.keys[RELAY]["request"].key_id).id == RELAY
    assert directory.view.snapshot_sha256 == sha256_hex(NETWORK.files["1.snapshot.json"])


def test_a_key_is_found_only_under_its_owner_and_its_use() -> None:
    key_id = NETWORK.keys[NORTH]["attestation"].key_id
    with pytest.raises(KeyUnknown):
        NETWORK.bundle.key(NORTH, "request", key_id)
    with pytest.raises(KeyUnknown):
        NETWORK.bundle.key(OrgId("vitalis"), "attestation", key_id)
    with pytest.raises(MemberUnknown):
        NETWORK.bundle.key(OrgId("stranger"), "attestation", key_id)
    with pytest.raises(KeyUnknown):
        NETWORK.bundle.request_key_owner(key_id)


def test_the_verified_files_alone_are_a_complete_archive() -> None:
    again = verify_bundle(NETWORK.bundle.files, root_sha256=NETWORK.root_sha256, at=NOW + 60)
    assert again.view == NETWORK.bundle.view
    assert dict(again.files) == dict(NETWORK.bundle.files)


def test_nobody_but_the_verifier_makes_a_trusted_bundle() -> None:
    with pytest.raises(RuntimeError):
        dataclasses.replace(NETWORK.bundle, seal=object())


def test_the_age_of_a_bundle_counts_from_the_online_signature() -> None:
    assert NETWORK.bundle.age_s(NOW + 90) == 90
    assert NETWORK.bundle.age_s(NOW - CLOCK_DIFFERENCE_MAX_S) == 0


def test_a_confirmation_dated_ahead_keeps_no_state_young() -> None:
    assert NETWORK.bundle.age_s(NOW - CLOCK_DIFFERENCE_MAX_S - 1) == AGE_UNKNOWN_S
    assert BUNDLE_AGE_MAX_S < AGE_UNKNOWN_S
