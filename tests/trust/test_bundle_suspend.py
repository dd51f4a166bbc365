"""What one keyholder signs to suspend an organization, and that nothing else than that comes of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from concordat_trust.bundle.errors import SuspensionRaced
from concordat_trust.bundle.online_signer import OnlineSigner
from concordat_trust.bundle.policy import (
    MEMBERS_MAX,
    SUSPENDED_BYTES_MAX,
    listed_suspensions,
    parse_suspended,
    suspended_bytes,
)
from concordat_trust.bundle.store import publish, publish_suspension, read_repository
from concordat_trust.bundle.suspension import REASON_MAX, SignedSuspension, suspend
from concordat_trust.bundle.verify import verify_bundle
from concordat_trust.errors import ConcordatError
from concordat_trust.ids import OrgId
from tests.factories.network import NOW, make_key
from tests.factories.repository import Repository

NORTH, VITALIS, RELAY = OrgId("north-hospital"), OrgId("vitalis"), OrgId("relay-one")
REASON = "Its signing keys were found in a public place."


def signed(repo: Repository, **changes: Any) -> SignedSuspension:
    arguments: dict[str, Any] = {
        "root_sha256": repo.root_sha256,
        "organization": NORTH,
        "reason": REASON,
        "keyholder": repo.keys.keyholders[1],
        "at": NOW + 1,
    }
    return suspend(repo.files, **{**arguments, **changes})


def refused(repo: Repository, **changes: Any) -> str:
    with pytest.raises(ConcordatError) as error:
        signed(repo, **changes)
    return error.value.code


@pytest.mark.parametrize("keyholder", range(3))
def test_any_one_keyholder_suspends_and_the_online_key_makes_it_current(keyholder: int) -> None:
    repo = Repository()
    new = signed(repo, keyholder=repo.keys.keyholders[keyholder])
    repo.files |= new.files
    assert not repo.verify(at=NOW + 1).member(NORTH).suspended
    repo.renew(NOW + 2)
    bundle = repo.verify(at=NOW + 2)
    assert bundle.member(NORTH).suspended
    assert bundle.memory.suspended == {NORTH: new.version} == {NORTH: 2}
    assert bundle.findings == ()


def test_a_coordinator_is_suspended_the_same_way() -> None:
    repo = Repository()
    repo.files |= signed(repo, organization=RELAY).files
    repo.renew(NOW + 2)
    assert repo.verify(at=NOW + 2).coordinators == ()


def test_the_reason_travels_with_the_list_and_earlier_suspensions_stay() -> None:
    repo = Repository()
    repo.files |= signed(repo).files
    repo.renew(NOW + 2)
    repo.files |= signed(repo, organization=VITALIS, reason="Another reason.", at=NOW + 3).files
    repo.renew(NOW + 4)
    bundle = repo.verify(at=NOW + 4)
    assert bundle.memory.suspended == {NORTH: 2, VITALIS: 3}
    assert listed_suspensions(bundle.files["targets/suspended.json"]) == {
        NORTH: (2, REASON),
        VITALIS: (3, "Another reason."),
    }


def test_an_earlier_suspension_without_a_reason_gets_none() -> None:
    repo = Repository()
    repo.publish_suspended({VITALIS: 2}, 2)
    repo.renew(NOW + 1)
    new = signed(repo, at=NOW + 2)
    assert listed_suspensions(new.files[new.target_file]) == {VITALIS: (2, None), NORTH: (3, REASON)}
    assert new.files[new.target_file] == suspended_bytes({VITALIS: 2, NORTH: 3}, {NORTH: REASON})


def test_an_entry_that_the_quorum_lifted_stays_lifted_when_another_is_added() -> None:
    repo = Repository()
    repo.files |= signed(repo).files
    repo.renew(NOW + 2)
    memory = repo.verify(at=NOW + 2).memory
    repo.publish_targets(2, policy=replace(repo.policy, reinstated={NORTH: 2}))
    repo.renew(NOW + 3)
    repo.files |= signed(repo, organization=VITALIS, at=NOW + 4).files
    repo.renew(NOW + 5)
    bundle = repo.verify(at=NOW + 5, memory=memory)
    assert not bundle.member(NORTH).suspended
    assert bundle.member(VITALIS).suspended
    assert bundle.findings == ()
    repo.files |= signed(repo, at=NOW + 6).files
    repo.renew(NOW + 7)
    assert repo.verify(at=NOW + 7).member(NORTH).suspended


def test_what_cannot_be_suspended_says_why() -> None:
    repo = Repository()
    assert refused(repo, organization=OrgId("nobody-here")) == "member_unknown"
    assert refused(repo, keyholder=make_key("stranger")) == "suspension_key_refused"
    assert refused(repo, keyholder=repo.keys.online) == "suspension_key_refused"
    assert refused(repo, keyholder=repo.entity("vitalis")) == "suspension_key_refused"
    assert refused(repo, root_sha256="00" * 32) == "bundle_bootstrap_mismatch"
    assert refused(repo, at=NOW + 100_000) == "bundle_expired"
    repo.files |= signed(repo).files
    repo.renew(NOW + 2)
    assert refused(repo, at=NOW + 2) == "suspension_stands"


def test_nothing_is_signed_over_a_list_that_no_keyholder_signed() -> None:
    repo = Repository()
    stranger = make_key("stranger")
    repo.publish_suspended({VITALIS: 2}, 2, signer=stranger)
    # The online signer would ignore it; whoever holds the online key too could put it into the snapshot.
    repo.edit_online(lambda s: setattr(s.meta["suspended.json"], "version", 2))
    assert refused(repo) == "bundle_threshold"


@pytest.mark.parametrize("reason", ["", "   ", "two\nlines", "x" * (REASON_MAX + 1), "bell\a"])
def test_a_reason_is_one_line_of_bounded_length(reason: str) -> None:
    assert refused(Repository(), reason=reason) == "suspension_reason_invalid"


def test_the_longest_reason_is_taken() -> None:
    assert signed(Repository(), reason="x" * REASON_MAX).version == 2


def test_a_list_of_every_member_with_the_longest_reasons_can_be_read() -> None:
    members = [OrgId(f"m{number:039d}") for number in range(MEMBERS_MAX)]
    data = suspended_bytes(dict.fromkeys(members, 10**9), dict.fromkeys(members, "\U0001f512" * REASON_MAX))
    assert len(data) <= SUSPENDED_BYTES_MAX
    assert len(parse_suspended(data, role_version=10**9)) == MEMBERS_MAX


# The repository and the online signer.


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    publish(tmp_path / "repository", Repository().files)
    return tmp_path / "repository"


def test_the_online_signer_takes_a_suspension_up_at_its_next_look(folder: Path) -> None:
    repo = Repository()
    times = iter(range(NOW, NOW + 100))
    signer = OnlineSigner(folder, repo.keys.online, clock=lambda: next(times))
    assert signer.refresh()
    assert not signer.refresh()
    publish_suspension(folder, signed(repo))
    assert signer.refresh()
    bundle = verify_bundle(read_repository(folder), root_sha256=repo.root_sha256, at=NOW + 5)
    assert bundle.member(NORTH).suspended


def test_a_suspension_of_which_only_one_file_arrived_changes_nothing(folder: Path) -> None:
    repo, new = Repository(), signed(Repository())
    for name in (new.target_file, new.role_file):
        publish(folder, {name: new.files[name]})
        repo.files = read_repository(folder)
        repo.renew(NOW + 2)
        assert repo.verify(at=NOW + 2).member(NORTH).suspended is (name == new.role_file)


def test_two_keyholders_at_once_lose_no_suspension(folder: Path) -> None:
    repo = Repository()
    first, second = signed(repo), signed(repo, organization=VITALIS, keyholder=repo.keys.keyholders[2])
    publish_suspension(folder, first)
    with pytest.raises(SuspensionRaced):
        publish_suspension(folder, second)
    repo.files = read_repository(folder)
    repo.renew(NOW + 2)
    assert repo.verify(at=NOW + 2).memory.suspended == {NORTH: 2}
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]
