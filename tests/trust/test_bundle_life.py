"""The ordinary life of a network is accepted: limits just kept, rotations, new members, removed ones."""

from __future__ import annotations

import dataclasses

import pytest

from concordat_trust.bundle.errors import BundleAgeHidden
from concordat_trust.bundle.metadata import DAY_S, SIGNED_AT
from concordat_trust.directory import KeyUnknown, MemberUnknown
from concordat_trust.ids import OrgId
from tests.factories.network import NOW, make_key, make_member_keys, make_network
from tests.factories.repository import Repository, expires

NORTH = OrgId("north-hospital")


def test_a_timestamp_holds_until_the_last_second() -> None:
    assert Repository().verify(at=NOW + 3_599).expires_at == NOW + 3_600


def test_every_lifetime_may_reach_its_cap() -> None:
    repo = Repository()
    repo.publish_root(2, repo.keys, signers=repo.quorum)
    repo.edit("2.root.json", expires(NOW + 400 * DAY_S), signers=repo.quorum)
    repo.edit("1.targets.json", expires(NOW + 45 * DAY_S), signers=repo.quorum)
    repo.edit("1.suspended.json", expires(NOW + 45 * DAY_S), signers=repo.keys.keyholders[:1])
    repo.edit_online(expires(NOW + 14 * DAY_S))
    repo.edit("timestamp.json", expires(NOW + 2 * DAY_S), signers=[repo.keys.online])
    assert repo.verify().expires_at == NOW + 2 * DAY_S


def test_a_bundle_expires_with_its_list_of_suspensions() -> None:
    repo = Repository()
    repo.edit("1.suspended.json", expires(NOW + 60), signers=repo.keys.keyholders[:1])
    assert repo.verify().expires_at == NOW + 60


def test_any_two_keyholders_are_a_quorum() -> None:
    repo = Repository()
    repo.publish_targets(1, signers=repo.keys.keyholders[1:])
    assert repo.verify().view.targets == 1


def test_a_third_broken_signature_does_not_undo_a_quorum() -> None:
    repo = Repository()
    repo.publish_targets(1, signers=repo.keys.keyholders)
    data = repo.files["1.targets.json"]
    start = data.rindex(b'"sig":"') + 7
    repo.files["1.targets.json"] = data[:start] + b"0" * 8 + data[start + 8 :]
    assert repo.verify().view.targets == 1


def test_keyholders_replace_one_of_them_and_an_old_client_follows() -> None:
    repo = Repository()
    old = repo.keys
    new = dataclasses.replace(old, keyholders=(*old.keyholders[:2], make_key("keyholder-4")))
    repo.publish_root(2, new, signers=(*old.keyholders[:2], new.keyholders[2]))
    repo.publish_targets(2, signers=new.keyholders[1:])
    repo.publish_suspended({}, 2, signer=new.keyholders[2])
    repo.renew(NOW + 1)
    bundle = repo.verify(at=NOW + 1)
    assert (bundle.view.root, bundle.view.targets) == (2, 2)


def test_a_member_rotates_its_operational_keys_alone() -> None:
    repo = Repository()
    rotated = make_member_keys(NORTH, "organization", generation=2)
    repo.publish_member(NORTH, 2, keys=rotated)
    repo.renew(NOW + 1)
    bundle = repo.verify(at=NOW + 1)
    old, new = repo.network.keys[NORTH]["attestation"], rotated.uses["attestation"]
    assert bundle.key(NORTH, "attestation", new.key_id) == new.public_key
    with pytest.raises(KeyUnknown):
        bundle.key(NORTH, "attestation", old.key_id)


def test_keyholders_replace_a_lost_member_key_and_the_old_one_is_refused() -> None:
    repo = Repository()
    new = dataclasses.replace(repo.keys.members[NORTH], entity=make_key("north, again"))
    repo.publish_targets(2, entities={NORTH: (new.entity,)})
    repo.publish_member(NORTH, 2, keys=new)
    repo.renew(NOW + 1)
    assert NORTH in repo.verify(at=NOW + 1).organizations


def test_a_new_member_joins_with_the_next_snapshot() -> None:
    whole = Repository()
    repo = Repository(make_network(("north-hospital", "vitalis")))
    memory = repo.verify().memory
    repo.keys = whole.keys
    repo.publish_targets(2, policy=whole.policy)
    repo.files |= {n: d for n, d in whole.files.items() if "alma-university" in n}
    repo.renew(NOW + 1)
    assert repo.verify(at=NOW + 1, memory=memory).organizations == whole.verify().organizations


def test_a_removed_member_is_a_stranger() -> None:
    repo = Repository()
    rest = tuple(m for m in repo.policy.members if m.id != NORTH)
    repo.publish_targets(2, policy=dataclasses.replace(repo.policy, members=rest))
    repo.renew(NOW + 1)
    bundle = repo.verify(at=NOW + 1)
    assert bundle.organizations == ("alma-university", "vitalis")
    with pytest.raises(MemberUnknown):
        bundle.member(NORTH)


def test_a_member_publishes_only_below_its_own_path() -> None:
    repo = Repository()
    own = next(n for n in repo.files if n.startswith(f"targets/members/{NORTH}/"))
    forged = {f"members/{NORTH}/entity.jwt": repo.files[own], "members/vitalis/entity.jwt": b"forged"}
    from concordat_trust.bundle.repository import sign_role

    repo.files |= sign_role(NORTH, forged, signer=repo.entity(NORTH), version=1, expires_at=NOW + DAY_S)
    key = repo.network.keys[OrgId("vitalis")]["attestation"]
    assert repo.verify().key(OrgId("vitalis"), "attestation", key.key_id) == key.public_key


def test_unknown_fields_of_a_bundle_document_are_kept_and_ignored() -> None:
    repo = Repository()
    repo.edit("1.targets.json", lambda t: t.unrecognized_fields.update(later="field"), signers=repo.quorum)
    assert b'"later":"field"' in repo.verify().files["targets.json"]


@pytest.mark.parametrize("signed_at", [-1, True, "1800000000", None])
def test_a_signing_time_is_a_whole_number_of_seconds(signed_at: object) -> None:
    repo = Repository()
    repo.edit(
        "timestamp.json", lambda t: t.unrecognized_fields.update({SIGNED_AT: signed_at}), signers=[repo.keys.online]
    )
    with pytest.raises(BundleAgeHidden):
        repo.verify()


def test_the_epoch_is_a_signing_time() -> None:
    repo = Repository()
    repo.edit("timestamp.json", lambda t: t.unrecognized_fields.update({SIGNED_AT: 0}), signers=[repo.keys.online])
    assert repo.verify().signed_at == 0
