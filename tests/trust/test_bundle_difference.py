"""What changed between two states is told in plain words, and what only counts up is not."""

from __future__ import annotations

import dataclasses

import pytest

from concordat_trust.bundle.difference import differences
from concordat_trust.bundle.errors import BundleBootstrapMismatch
from concordat_trust.bundle.policy import MayAssert
from concordat_trust.ids import OrgId
from concordat_trust.vocabulary import Clearance
from tests.factories.network import NOW, make_key, make_member_keys, make_network
from tests.factories.repository import Repository
from tests.factories.visas import metadata

NORTH, VITALIS = OrgId("north-hospital"), OrgId("vitalis")


def changes(repo: Repository, old: Repository | None = None) -> list[tuple[str, str, str]]:
    repo.renew(NOW + 60)
    before = (Repository() if old is None else old).verify()
    return [(c.topic, c.subject, c.text) for c in differences(before, repo.verify(at=NOW + 60))]


def test_a_new_timestamp_is_no_change() -> None:
    assert changes(Repository()) == []


def test_a_removed_member_is_told_with_its_name() -> None:
    repo = Repository()
    rest = tuple(m for m in repo.policy.members if m.id != NORTH)
    repo.publish_targets(2, policy=dataclasses.replace(repo.policy, members=rest))
    assert changes(repo) == [
        (
            "members",
            "north-hospital",
            "is removed; it was North Hospital, organization (public, DE) at https://north-hospital.example",
        )
    ]


def test_a_new_member_is_told_with_its_caps_and_every_key() -> None:
    whole = Repository()
    repo = Repository(make_network(("north-hospital", "vitalis")))
    old = Repository(make_network(("north-hospital", "vitalis")))
    repo.keys = whole.keys
    repo.publish_targets(2, policy=whole.policy)
    repo.files |= {n: d for n, d in whole.files.items() if "alma-university" in n}
    told = changes(repo, old)
    assert {subject for _, subject, _ in told} == {"alma-university"}
    assert told[0][2].startswith("joins as Alma University, organization (nonprofit, FR)")
    assert [topic for topic, _, _ in told].count("keys") == 4
    assert ("caps", "alma-university", "may assert clearance up to 3") in told


def test_wider_and_narrower_caps_are_told_apart() -> None:
    repo = Repository()
    caps = MayAssert(frozenset({"faculty", "guest"}), frozenset(), Clearance.PUBLIC)
    members = tuple(dataclasses.replace(m, may_assert=caps) if m.id == NORTH else m for m in repo.policy.members)
    repo.publish_targets(2, policy=dataclasses.replace(repo.policy, members=members))
    assert changes(repo) == [
        ("caps", "north-hospital", "may now also assert the affiliations guest"),
        ("caps", "north-hospital", "may no longer assert the affiliations researcher, staff, student"),
        ("caps", "north-hospital", "may no longer assert the roles analyst, guest, investigator, researcher"),
        ("caps", "north-hospital", "may assert clearance up to 0 (was 3)"),
    ]


def test_what_a_member_may_say_of_a_sign_in_is_told() -> None:
    repo = Repository()
    caps = {m.id: dataclasses.replace(m.may_assert, acr_values=frozenset({"mfa"})) for m in repo.policy.members}
    members = tuple(dataclasses.replace(m, may_assert=caps[m.id]) if m.id == NORTH else m for m in repo.policy.members)
    repo.publish_targets(2, policy=dataclasses.replace(repo.policy, members=members))
    assert changes(repo) == [("caps", "north-hospital", "may now also assert the acr values mfa")]


def test_a_member_that_begins_or_ends_to_sign_visas_is_told() -> None:
    repo, plain = Repository(make_network(visa_issuers=metadata())), Repository()
    repo.renew(NOW)
    begun = "signs visas as https://visas.north.example, about persons of https://idp.alma.example, with the keys "
    assert ("keys", "north-hospital", begun + "north-1, north-2") in changes(repo, plain)
    assert ("keys", "vitalis", "no longer signs visas as https://visas.vitalis.example") in changes(plain, repo)
    assert changes(repo, repo) == []


def test_rotated_keys_are_told_by_use() -> None:
    repo = Repository()
    repo.publish_member(NORTH, 2, keys=make_member_keys(NORTH, "organization", generation=2))
    told = changes(repo)
    assert [(topic, text.split(" key ")[0]) for topic, _, text in told] == [
        ("keys", f"{verb} {use}")
        for use in ("attestation", "query_token", "request")
        for verb in ("has the new", "no longer has the")
    ]


def test_a_replaced_entity_key_is_told() -> None:
    repo = Repository()
    new = dataclasses.replace(repo.keys.members[NORTH], entity=make_key("north, again"))
    repo.publish_targets(2, entities={NORTH: (new.entity,)})
    repo.publish_member(NORTH, 2, keys=new)
    assert [text.split(" key ")[0] for _, _, text in changes(repo)] == [
        "has the new entity",
        "no longer has the entity",
    ]


def test_another_threshold_and_another_keyholder_are_told() -> None:
    repo = Repository()
    new = dataclasses.replace(repo.keys, keyholders=(*repo.keys.keyholders, make_key("keyholder-4")), threshold=3)
    repo.publish_root(2, new, signers=(*repo.keys.keyholders, make_key("keyholder-4")), at=NOW)
    repo.publish_targets(2, signers=new.keyholders[:3])
    told = changes(repo)
    assert ("thresholds", "root", "needs 3 of 4 keys (was 2 of 3)") in told
    assert ("thresholds", "targets", "needs 3 of 4 keys (was 2 of 3)") in told
    assert [subject for topic, subject, _ in told if topic == "keys"] == ["root", "targets"]


def test_a_suspension_and_its_end_are_told() -> None:
    repo = Repository()
    repo.publish_suspended({NORTH: 2}, 2)
    assert ("suspensions", "north-hospital", "is suspended") in changes(repo)
    back = differences(repo.verify(at=NOW + 60), Repository().verify())
    assert [c.text for c in back if c.topic == "suspensions"] == ["is reinstated"]


def test_every_line_of_the_network_policy_is_told() -> None:
    repo = Repository()
    policy = dataclasses.replace(
        repo.policy, name="Another name", minimum_cell=20, bundle_age_max_s=300, purposes=repo.policy.purposes[1:]
    )
    repo.publish_targets(2, policy=policy, at=NOW + 86_400)
    assert [(topic, text.split(" (was")[0]) for topic, _, text in changes(repo)] == [
        ("policy", "is now called Another name"),
        ("policy", "the smallest number shown is 20"),
        ("policy", "controlled classes close after 300 s"),
        ("policy", f"no longer admits the purposes {repo.policy.purposes[1] and Repository().policy.purposes[0]}"),
        ("expiry", "holds until 2027-02-15 08:00:00 UTC"),
    ]


def test_a_member_that_cannot_be_asked_any_more_is_told_with_the_reason() -> None:
    from tests.trust.test_bundle_members import republish

    told = changes(republish(lambda c: c.pop("jwks")))
    assert any("cannot be asked any more: The entity statement of north-hospital is malformed" in t for _, _, t in told)


def test_two_networks_have_no_difference() -> None:
    with pytest.raises(BundleBootstrapMismatch):
        differences(Repository().verify(), make_network(at=NOW - 1).bundle)
