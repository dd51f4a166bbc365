"""The proof of a split view: two signed objects, checked again by anybody from the root fingerprint alone."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from concordat_client.cli import main
from concordat_trust.bundle.errors import SplitViewMalformed, SplitViewUnproven
from concordat_trust.bundle.members import statement_path
from concordat_trust.bundle.repository import sign_role
from concordat_trust.bundle.split_view import PROOF_BYTES_MAX, split_view_bytes, verify_split_view
from concordat_trust.errors import ConcordatError
from tests.factories.network import NOW, make_network
from tests.factories.repository import Repository
from tests.trust.test_bundle_attack_table import attestation_of, split

OURS, THEIRS = split()
ROOT = OURS.root_sha256
KEPT = split_view_bytes(attestation_of(THEIRS), OURS.verify())


def changed(**members: Any) -> bytes:
    return json.dumps({**json.loads(KEPT), **members}).encode()


def refused(data: bytes, root_sha256: str = ROOT) -> str:
    with pytest.raises(ConcordatError) as caught:
        verify_split_view(data, root_sha256=root_sha256)
    return caught.value.code


def test_an_attestation_of_the_same_state_proves_nothing() -> None:
    with pytest.raises(SplitViewUnproven):
        split_view_bytes(attestation_of(OURS), OURS.verify())
    assert refused(changed(attestation=attestation_of(OURS))) == "split_view_unproven"


def test_an_attestation_of_another_number_proves_nothing() -> None:
    later = Repository()
    later.publish_targets(2)
    later.renew(NOW)
    with pytest.raises(SplitViewUnproven):
        split_view_bytes(attestation_of(later), OURS.verify())


def test_a_member_whose_statement_is_no_text_makes_no_answer_fail() -> None:
    ours, theirs = split()
    for repo, snapshot_s in ((ours, 604_800), (theirs, 600_000)):
        own = {statement_path("vitalis"): b"\xff"}
        repo.files |= sign_role("vitalis", own, signer=repo.entity("vitalis"), version=2, expires_at=NOW + 86_400)
        repo.renew(NOW, snapshot_s=snapshot_s)
    assert set(ours.verify().unusable) == {"vitalis"}
    with pytest.raises(SplitViewMalformed):
        split_view_bytes(attestation_of(theirs), ours.verify())


def test_a_proof_stands_on_the_root_fingerprint() -> None:
    assert refused(KEPT, make_network(at=NOW - 1).root_sha256) == "bundle_bootstrap_mismatch"


def test_a_proof_needs_both_signatures() -> None:
    broken = attestation_of(THEIRS)[:-4] + "AAAA"
    assert refused(changed(attestation=broken)) == "attestation_signature_invalid"
    files = json.loads(KEPT)["bundle"]
    tampered = files["snapshot.json"].replace('"version":1', '"version":2', 1)
    assert refused(changed(bundle={**files, "snapshot.json": tampered})) == "bundle_tampered"


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b"\xff", b"x" * (PROOF_BYTES_MAX + 1)])
def test_bytes_that_are_no_proof_are_refused(data: bytes) -> None:
    with pytest.raises(SplitViewMalformed):
        verify_split_view(data, root_sha256=ROOT)


@pytest.mark.parametrize(
    "change", [{"bundle": []}, {"split_view_version": 2}, {"attestation": 1}, {"more": 1}, {"bundle": None}]
)
def test_a_proof_of_another_form_is_refused(change: dict[str, Any]) -> None:
    assert refused(changed(**change)) == "split_view_malformed"


def test_the_command_says_who_signed_what(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "1-north-hospital.json"
    path.write_bytes(KEPT)
    assert main(["trust", "verify-split", str(path), "--root-sha256", ROOT, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["organization"], told["snapshot"], told["network"]) == ("north-hospital", 1, "health-research-demo")
    assert main(["trust", "verify-split", str(path), "--root-sha256", ROOT]) == 0
    printed = capsys.readouterr().out
    assert told["attested_sha256"] in printed
    assert told["signed_sha256"] in printed
    path.write_bytes(changed(attestation=attestation_of(OURS)))
    assert main(["trust", "verify-split", str(path), "--root-sha256", ROOT]) == 6
    assert main(["trust", "verify-split", str(tmp_path / "none"), "--root-sha256", ROOT]) == 1
