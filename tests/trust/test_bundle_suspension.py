"""One keyholder stops an organization fast; only the quorum lets it back (BR-07)."""

from __future__ import annotations

import dataclasses

import pytest

from concordat_trust.bundle import BundleMemory, verify_bundle
from concordat_trust.bundle.verify import standing_suspensions
from concordat_trust.directory import OrganizationSuspended
from concordat_trust.errors import RefusedDocument
from concordat_trust.ids import OrgId
from tests.factories.life import found
from tests.factories.network import NOW, make_key
from tests.factories.repository import Repository

NORTH = OrgId("north-hospital")


def suspended() -> tuple[Repository, BundleMemory]:
    """Return a repository after one keyholder suspended north-hospital, and the memory of a party that saw it."""
    repo = Repository()
    repo.publish_suspended({NORTH: 2}, 2)
    repo.renew(NOW + 1)
    return repo, repo.verify(at=NOW + 1).memory


def reinstate(repo: Repository, version: int, *, role_version: int) -> None:
    policy = dataclasses.replace(repo.policy, reinstated={NORTH: version})
    repo.publish_targets(role_version, policy=policy)
    repo.renew(NOW + 2)


def test_one_keyholder_suspends_an_organization() -> None:
    repo, _ = suspended()
    bundle = repo.verify(at=NOW + 1)
    assert bundle.organizations == ("alma-university", "vitalis")
    assert bundle.member(NORTH).suspended
    assert bundle.findings == ()
    for use, key in repo.network.keys[NORTH].items():
        with pytest.raises(OrganizationSuspended):
            bundle.key(NORTH, use, key.key_id)
    with pytest.raises(OrganizationSuspended):
        bundle.request_key_owner(repo.network.keys[NORTH]["request"].key_id)


def test_any_keyholder_can_suspend_and_nobody_else() -> None:
    for keyholder in Repository().keys.keyholders:
        repo = Repository()
        repo.publish_suspended({NORTH: 1}, 1, signer=keyholder)
        assert repo.verify().member(NORTH).suspended
    repo = Repository()
    repo.publish_suspended({NORTH: 1}, 1, signer=make_key("stranger"))
    with pytest.raises(RefusedDocument) as refused:
        repo.verify()
    assert refused.value.code == "bundle_threshold"


def test_a_coordinator_can_be_suspended() -> None:
    repo = Repository()
    repo.publish_suspended({"relay-one": 1}, 1)
    assert repo.verify().coordinators == ()


def test_an_emptied_list_reinstates_nobody() -> None:
    repo, memory = suspended()
    repo.publish_suspended({}, 3)
    repo.renew(NOW + 2)
    bundle = repo.verify(at=NOW + 2, memory=memory)
    assert bundle.member(NORTH).suspended
    assert [finding.code for finding in bundle.findings] == ["bundle_reinstate_unauthorised"]
    assert bundle.memory.suspended == {NORTH: 2}


def test_a_lowered_version_in_the_list_reinstates_nobody() -> None:
    repo, memory = suspended()
    repo.publish_suspended({NORTH: 1}, 3)
    reinstate(repo, 1, role_version=2)
    bundle = repo.verify(at=NOW + 2, memory=memory)
    assert bundle.member(NORTH).suspended
    assert [finding.code for finding in bundle.findings] == ["bundle_reinstate_unauthorised"]


def test_the_quorum_reinstates_by_naming_the_suspension() -> None:
    repo, memory = suspended()
    reinstate(repo, 2, role_version=2)
    bundle = repo.verify(at=NOW + 2, memory=memory)
    assert not bundle.member(NORTH).suspended
    assert bundle.memory.suspended == {}
    assert bundle.findings == ()


def test_one_keyholder_cannot_reinstate() -> None:
    repo, memory = suspended()
    policy = dataclasses.replace(repo.policy, reinstated={NORTH: 2})
    repo.publish_targets(2, policy=policy, signers=repo.keys.keyholders[:1])
    repo.files |= {"2.targets.json": repo.files["2.targets.json"]}
    repo.edit_online(lambda s: setattr(s.meta["targets.json"], "version", 2), name="2.snapshot.json")
    with pytest.raises(RefusedDocument) as refused:
        repo.verify(at=NOW + 1, memory=memory)
    assert refused.value.code == "bundle_threshold"


def test_an_organization_can_be_suspended_again_after_it_was_reinstated() -> None:
    repo, memory = suspended()
    reinstate(repo, 2, role_version=2)
    memory = repo.verify(at=NOW + 2, memory=memory).memory
    repo.publish_suspended({NORTH: 3}, 3)
    repo.renew(NOW + 3)
    assert repo.verify(at=NOW + 3, memory=memory).member(NORTH).suspended


def test_a_reinstatement_does_not_lift_a_later_suspension() -> None:
    repo, memory = suspended()
    repo.publish_suspended({NORTH: 3}, 3)
    reinstate(repo, 2, role_version=2)
    assert repo.verify(at=NOW + 2, memory=memory).member(NORTH).suspended


def test_a_suspension_from_a_version_to_come_is_refused() -> None:
    repo = Repository()
    repo.publish_suspended({NORTH: 2}, 1)
    with pytest.raises(RefusedDocument) as refused:
        repo.verify()
    assert refused.value.code == "bundle_malformed"
    assert "does not exist yet" in str(refused.value)


def test_a_suspended_member_with_an_expired_statement_stays_suspended() -> None:
    repo, _ = suspended()
    repo.edit("1.north-hospital.json", lambda r: setattr(r, "targets", {}), signers=[repo.entity(NORTH)])
    bundle = repo.verify(at=NOW + 1)
    assert bundle.unusable[NORTH].code == "statement_malformed"
    with pytest.raises(OrganizationSuspended):
        bundle.key(NORTH, "attestation", "any")


# What a mutant of `bundle/verify` would change and no test above would notice.


def test_every_suspension_that_was_dropped_is_told_with_its_name_in_order() -> None:
    orgs = [OrgId.parse(f"org-{number * 7919 % 100:03d}") for number in range(40)]
    memory = dataclasses.replace(Repository().verify().memory, suspended=dict.fromkeys(orgs, 1))
    standing, alarms = standing_suspensions({}, Repository().policy, memory)
    assert standing == dict.fromkeys(orgs, 1)
    assert [alarm.fields["member"] for alarm in alarms] == sorted(orgs)


def test_a_network_without_members_is_a_network() -> None:
    world = found()
    bundle = verify_bundle(world.files, root_sha256=world.root_sha256, at=world.at)
    assert (bundle.organizations, bundle.coordinators) == ((), ())
