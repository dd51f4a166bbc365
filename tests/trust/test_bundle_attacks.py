"""Every attack of `bundle_attacks` gets the code of the rule that it breaks."""

from __future__ import annotations

import pytest

from concordat_trust.bundle import verify_bundle
from concordat_trust.bundle.files import FILES_MAX
from concordat_trust.errors import RefusedDocument
from tests.factories.network import NOW, make_network
from tests.factories.repository import Repository
from tests.trust.bundle_attacks import ATTACKS, Attack


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda a: a.name)
def test_refused(attack: Attack) -> None:
    repo = Repository()
    attack.break_it(repo)
    with pytest.raises(RefusedDocument) as refused:
        repo.verify(at=attack.at)
    assert refused.value.code == attack.code
    assert attack.says in str(refused.value)


@pytest.mark.parametrize("fingerprint", ["0" * 64, "", "0" * 63, make_network().root_sha256.upper()])
def test_a_root_with_another_fingerprint_is_refused(fingerprint: str) -> None:
    with pytest.raises(RefusedDocument) as refused:
        verify_bundle(Repository().files, root_sha256=fingerprint, at=NOW)
    assert refused.value.code == "bundle_bootstrap_mismatch"


def test_another_networks_whole_bundle_is_refused_at_first_contact() -> None:
    other = make_network(coordinator="relay-two", at=NOW - 1)
    with pytest.raises(RefusedDocument) as refused:
        verify_bundle(other.files, root_sha256=Repository().root_sha256, at=NOW)
    assert refused.value.code == "bundle_bootstrap_mismatch"


def test_a_bundle_without_its_first_root_is_refused() -> None:
    repo = Repository()
    repo.files.pop("1.root.json")
    with pytest.raises(RefusedDocument) as refused:
        repo.verify()
    assert refused.value.code == "bundle_bootstrap_mismatch"


def test_too_many_files_are_refused_unread() -> None:
    repo = Repository()
    repo.files |= {f"{i}.x.json": b"" for i in range(FILES_MAX - len(repo.files))}
    repo.verify()
    repo.files["one.more.json"] = b""
    with pytest.raises(RefusedDocument) as refused:
        repo.verify()
    assert refused.value.code == "bundle_malformed"
