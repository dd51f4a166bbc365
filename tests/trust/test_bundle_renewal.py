"""The online signer confirms what its roles signed, and nothing else."""

from __future__ import annotations

import dataclasses

import pytest

from concordat_trust.bundle.errors import BundleMalformed, OnlineKeyUnlisted
from concordat_trust.bundle.metadata import DAY_S
from concordat_trust.bundle.renewal import renew
from concordat_trust.bundle.tuf_api import Delegations, SuccinctRoles
from concordat_trust.ids import OrgId
from tests.factories.network import NOW, make_key
from tests.factories.repository import Repository

NORTH = "north-hospital"


def renewed(repo: Repository, at: int) -> set[str]:
    return set(renew(repo.files, online=repo.keys.online, at=at))


def test_with_nothing_new_only_the_timestamp_is_signed() -> None:
    repo = Repository()
    assert renewed(repo, NOW + 60) == {"timestamp.json"}
    repo.renew(NOW + 60)
    bundle = repo.verify(at=NOW + 60)
    assert (bundle.view.timestamp, bundle.view.snapshot) == (2, 1)
    assert bundle.signed_at == NOW + 60
    assert bundle.expires_at == NOW + 3_660


def test_a_new_role_gives_a_new_snapshot() -> None:
    repo = Repository()
    repo.publish_suspended({NORTH: 2}, 2)
    assert renewed(repo, NOW + 1) == {"timestamp.json", "2.snapshot.json"}


def test_a_snapshot_is_renewed_in_the_second_half_of_its_life() -> None:
    repo = Repository()
    assert renewed(repo, NOW + 302_400) == {"timestamp.json"}
    assert renewed(repo, NOW + 302_401) == {"timestamp.json", "2.snapshot.json"}


def test_a_key_that_the_root_does_not_name_signs_nothing() -> None:
    with pytest.raises(OnlineKeyUnlisted):
        renew(Repository().files, online=make_key("stranger"), at=NOW)


def test_a_role_signed_by_a_stranger_is_not_confirmed() -> None:
    repo = Repository()
    repo.publish_suspended({NORTH: 2}, 2, signer=make_key("stranger"))
    repo.publish_targets(2, signers=repo.keys.keyholders[:1])
    repo.publish_member(
        "vitalis", 2, keys=dataclasses.replace(repo.keys.members[OrgId("vitalis")], entity=make_key("x"))
    )
    assert renewed(repo, NOW + 1) == {"timestamp.json"}


def test_a_half_uploaded_role_is_not_confirmed_until_it_is_whole() -> None:
    repo = Repository()
    before = set(repo.files)
    repo.publish_member(NORTH, 2, at=NOW + 5)
    statement = next(n for n in set(repo.files) - before if n.startswith("targets/"))
    data = repo.files.pop(statement)
    assert renewed(repo, NOW + 5) == {"timestamp.json"}
    repo.files[statement] = data
    assert renewed(repo, NOW + 5) == {"timestamp.json", "2.snapshot.json"}


def test_a_file_under_a_higher_version_than_it_carries_is_not_confirmed() -> None:
    repo = Repository()
    repo.files["9.vitalis.json"] = repo.files["1.vitalis.json"]
    assert renewed(repo, NOW + 1) == {"timestamp.json"}


def test_targets_for_a_member_without_a_role_are_not_confirmed() -> None:
    repo = Repository()
    new_key = make_key("north, again")
    repo.publish_targets(2, entities={OrgId(NORTH): (new_key,)})
    assert renewed(repo, NOW + 1) == {"timestamp.json"}


@pytest.mark.parametrize("delegations", [None, Delegations({}, succinct_roles=SuccinctRoles([], 1, 1, "bin"))])
def test_targets_that_delegate_to_nobody_are_not_confirmed(delegations: Delegations | None) -> None:
    repo = Repository()
    repo.publish_targets(2)
    repo.edit("2.targets.json", lambda t: setattr(t, "delegations", delegations), signers=repo.quorum)
    assert renewed(repo, NOW + 1) == {"timestamp.json"}


def test_a_former_member_stays_in_the_snapshot() -> None:
    repo = Repository()
    rest = tuple(m for m in repo.policy.members if m.id != NORTH)
    repo.publish_targets(2, policy=dataclasses.replace(repo.policy, members=rest))
    repo.renew(NOW + 1)
    assert "north-hospital" in repo.verify(at=NOW + 1).memory.roles


def test_a_repository_without_a_complete_state_is_refused() -> None:
    repo = Repository()
    repo.files.pop("1.suspended.json")
    with pytest.raises(BundleMalformed):
        renewed(repo, NOW)
    with pytest.raises(BundleMalformed):
        renew({}, online=repo.keys.online, at=NOW)


def test_a_renewed_repository_verifies_for_weeks() -> None:
    repo = Repository()
    memory = repo.verify().memory
    for day in range(1, 30, 2):
        repo.renew(NOW + day * DAY_S)
        memory = repo.verify(at=NOW + day * DAY_S, memory=memory).memory
    assert (memory.timestamp, memory.snapshot) == (16, 8)
