"""The attacks on one bundle, as facts with the code that each must get.

`client` says what `tuf.ngclient` does with the same repository: "refuses" like us, or "accepts" where our own rules are
stricter than TUF. `test_bundle_attacks.py` runs ours, `test_bundle_client.py` the library.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from concordat_trust.bundle.metadata import DAY_S, SIGNED_AT
from concordat_trust.bundle.repository import sign_role
from concordat_trust.bundle.signing import tuf_key
from concordat_trust.bundle.tuf_api import (
    DelegatedRole,
    Delegations,
    MetaFile,
    Root,
    SSlibKey,
    SuccinctRoles,
    TargetFile,
    Targets,
)
from concordat_trust.canonical import canonical_bytes, parse_object
from concordat_trust.ids import OrgId
from concordat_trust.jwk import SigningKey
from tests.factories.network import NOW, make_key, make_network
from tests.factories.repository import Repository, expires

Break = Callable[[Repository], None]
STRANGER = make_key("stranger")
NORTH = "north-hospital"


@dataclass(frozen=True, slots=True)
class Attack:
    """`break_it` changes an honest repository; verification at `at` must give `code` and say `says`."""

    name: str
    break_it: Break
    code: str
    says: str = ""
    at: int = NOW
    client: Literal["refuses", "accepts"] = "refuses"


ATTACKS: list[Attack] = []


def attack(
    code: str, *, says: str = "", at: int = NOW, client: Literal["refuses", "accepts"] = "refuses"
) -> Callable[[Break], Break]:
    def register(break_it: Break) -> Break:
        ATTACKS.append(Attack(break_it.__name__, break_it, code, says, at, client))
        return break_it

    return register


# Root chain (specification 5.3; BR-02 to BR-04)


@attack("bundle_root_chain")
def root_signed_by_one_keyholder(repo: Repository) -> None:
    repo.publish_root(2, repo.keys, signers=repo.keys.keyholders[:1])


@attack("bundle_root_chain")
def root_signed_by_the_new_keyholders_only(repo: Repository) -> None:
    new = dataclasses.replace(repo.keys, keyholders=(make_key("k4"), make_key("k5")))
    repo.publish_root(2, new, signers=new.keyholders)


@attack("bundle_root_chain")
def root_signed_by_the_old_keyholders_only(repo: Repository) -> None:
    old = repo.quorum
    repo.publish_root(2, dataclasses.replace(repo.keys, keyholders=(make_key("k4"), make_key("k5"))), signers=old)


@attack("bundle_root_chain")
def root_that_skips_a_version(repo: Repository) -> None:
    repo.publish_root(3, repo.keys, signers=repo.quorum)
    repo.files["2.root.json"] = repo.files.pop("3.root.json")


@attack("bundle_root_chain", client="accepts")
def root_chain_with_a_gap(repo: Repository) -> None:
    repo.publish_root(3, repo.keys, signers=repo.quorum)


@attack("bundle_quorum_too_small", says="root needs at least 2 keyholders", client="accepts")
def next_root_that_one_keyholder_is_enough_for(repo: Repository) -> None:
    repo.publish_root(2, dataclasses.replace(repo.keys, threshold=1), signers=repo.quorum)


@attack("bundle_online_key_shared", says="the online key is a keyholder's key", client="accepts")
def next_root_with_a_keyholder_as_online_key(repo: Repository) -> None:
    repo.publish_root(2, dataclasses.replace(repo.keys, online=repo.keys.keyholders[0]), signers=repo.quorum)
    repo.files.pop("timestamp.json")
    repo.renew(NOW)


@attack("bundle_key_form", says="a key is not named by its thumbprint", client="accepts")
def one_keyholder_under_two_key_ids(repo: Repository) -> None:
    repo.publish_root(2, repo.keys, signers=repo.quorum)
    first = tuf_key(repo.keys.keyholders[0])

    def double(root: Root) -> None:
        root.keys["twin"] = SSlibKey("twin", "ed25519", "ed25519", first.keyval)
        root.roles["targets"].keyids.append("twin")

    repo.edit("2.root.json", double, signers=repo.quorum)


def _spare_key(repo: Repository, key: SSlibKey) -> None:
    repo.publish_root(2, repo.keys, signers=repo.quorum)
    repo.edit("2.root.json", lambda r: r.keys.update({key.keyid: key}), signers=repo.quorum)


@attack("bundle_key_form", says="a key is not an Ed25519 key", client="accepts")
def key_of_another_type(repo: Repository) -> None:
    own = tuf_key(STRANGER)
    _spare_key(repo, SSlibKey(own.keyid, "ecdsa", "ecdsa-sha2-nistp256", own.keyval))


@attack("bundle_key_form", says="a key is not an Ed25519 key", client="accepts")
def key_under_which_anybody_can_sign(repo: Repository) -> None:
    _spare_key(repo, SSlibKey("weak", "ed25519", "ed25519", {"public": "00" * 32}))


@attack("bundle_key_form", says="a key is not an Ed25519 key", client="accepts")
def key_that_is_no_hexadecimal_text(repo: Repository) -> None:
    _spare_key(repo, SSlibKey("text", "ed25519", "ed25519", {"public": "none"}))


# Lifetimes (5.3.10, 5.4.4, 5.5.6, 5.6.5; BR-05, BR-06)


@attack("bundle_expired", says="root.json", at=NOW + 365 * DAY_S)
def expired_root(repo: Repository) -> None:
    later = NOW + 365 * DAY_S
    for name, signers in _everything(repo):
        repo.edit(name, expires(later + DAY_S), signers=signers)
    repo.edit_online(expires(later + DAY_S))


@attack("bundle_expired", says="timestamp.json", at=NOW + 3_600)
def frozen_without_the_online_key(repo: Repository) -> None:
    del repo


@attack("bundle_expired", says="snapshot.json", at=NOW + 7 * DAY_S)
def expired_snapshot(repo: Repository) -> None:
    repo.edit("timestamp.json", expires(NOW + 8 * DAY_S), signers=[repo.keys.online])


@attack("bundle_expired", says="targets.json", at=NOW + 31 * DAY_S)
def frozen_with_the_online_key_for_a_month(repo: Repository) -> None:
    repo.renew(NOW + 31 * DAY_S)


@attack("bundle_expired", says="suspended.json", at=NOW + 31 * DAY_S)
def expired_list_of_suspensions(repo: Repository) -> None:
    repo.publish_targets(2, at=NOW + 31 * DAY_S)
    repo.renew(NOW + 31 * DAY_S)


@attack("bundle_lifetime_cap", client="accepts")
def root_signed_for_too_long(repo: Repository) -> None:
    repo.publish_root(2, repo.keys, signers=repo.quorum)
    repo.edit("2.root.json", expires(NOW + 400 * DAY_S + 1), signers=repo.quorum)


@attack("bundle_lifetime_cap", client="accepts")
def timestamp_signed_for_too_long(repo: Repository) -> None:
    repo.edit("timestamp.json", expires(NOW + 2 * DAY_S + 1), signers=[repo.keys.online])


@attack("bundle_lifetime_cap", client="accepts")
def snapshot_signed_for_too_long(repo: Repository) -> None:
    repo.edit_online(expires(NOW + 14 * DAY_S + 1))


@attack("bundle_lifetime_cap", client="accepts")
def targets_signed_for_too_long(repo: Repository) -> None:
    repo.edit("1.targets.json", expires(NOW + 45 * DAY_S + 1), signers=repo.quorum)


@attack("bundle_lifetime_cap", client="accepts")
def suspensions_signed_for_too_long(repo: Repository) -> None:
    repo.edit("1.suspended.json", expires(NOW + 45 * DAY_S + 1), signers=repo.keys.keyholders[:1])


@attack("bundle_age_hidden", says="it does not say when it was signed", client="accepts")
def timestamp_that_hides_its_age(repo: Repository) -> None:
    repo.edit("timestamp.json", lambda t: t.unrecognized_fields.pop(SIGNED_AT), signers=[repo.keys.online])


# Signatures and thresholds


@attack("bundle_tampered")
def byte_changed_in_targets(repo: Repository) -> None:
    data = repo.files["1.targets.json"]
    repo.files["1.targets.json"] = data.replace(b'"terminating":true', b'"terminating":false', 1)


@attack("bundle_tampered")
def byte_changed_in_a_member_role(repo: Repository) -> None:
    data = repo.files["1.vitalis.json"]
    repo.files["1.vitalis.json"] = data.replace(b"members/vitalis/entity.jwt", b"members/vitalis/entitx.jwt")


@attack("bundle_threshold")
def targets_signed_by_one_of_three(repo: Repository) -> None:
    repo.publish_targets(1, signers=repo.keys.keyholders[:1])


@attack("bundle_threshold")
def targets_signed_by_a_keyholder_and_a_stranger(repo: Repository) -> None:
    repo.publish_targets(1, signers=[repo.keys.keyholders[0], STRANGER])


@attack("bundle_malformed", says="it is not TUF metadata with one reading")
def one_keyholder_signing_twice(repo: Repository) -> None:
    repo.publish_targets(1, signers=repo.keys.keyholders[:1])
    document = parse_object(repo.files["1.targets.json"], bytes_max=100_000)
    signatures = document["signatures"]
    assert isinstance(signatures, list)
    signatures.append(signatures[0])
    repo.files["1.targets.json"] = canonical_bytes(document)


@attack("bundle_threshold")
def timestamp_signed_by_a_stranger(repo: Repository) -> None:
    repo.edit("timestamp.json", lambda t: None, signers=[STRANGER])


@attack("bundle_threshold")
def snapshot_signed_by_a_keyholder(repo: Repository) -> None:
    name = "1.snapshot.json"
    repo.edit(name, lambda s: None, signers=repo.quorum)
    meta = MetaFile.from_data(1, repo.files[name], ["sha256"])
    repo.edit("timestamp.json", lambda t: setattr(t, "snapshot_meta", meta), signers=[repo.keys.online])


@attack("bundle_threshold")
def member_role_signed_by_another_member(repo: Repository) -> None:
    repo.edit("1.vitalis.json", lambda r: None, signers=[repo.entity(NORTH)])


@attack("bundle_threshold")
def suspensions_signed_by_a_stranger(repo: Repository) -> None:
    repo.publish_suspended({NORTH: 1}, 1, signer=STRANGER)


@attack("bundle_threshold")
def another_networks_metadata_under_our_root(repo: Repository) -> None:
    other = Repository(make_network(coordinator="relay-two"))
    other.keys = dataclasses.replace(other.keys, online=STRANGER)
    other.files.pop("1.root.json")
    other.edit("timestamp.json", lambda t: None, signers=[STRANGER])
    repo.files |= other.files


# Consistency of timestamp, snapshot, targets and members


@attack("bundle_tampered")
def snapshot_that_the_timestamp_does_not_name(repo: Repository) -> None:
    repo.edit("1.snapshot.json", expires(NOW + DAY_S), signers=[repo.keys.online])


@attack("bundle_rollback")
def snapshot_of_another_version(repo: Repository) -> None:
    repo.edit_online(lambda s: setattr(s, "version", 2))


@attack("bundle_rollback")
def targets_of_another_version(repo: Repository) -> None:
    repo.edit("1.targets.json", lambda t: setattr(t, "version", 2), signers=repo.quorum)


@attack("bundle_rollback")
def member_role_of_another_version(repo: Repository) -> None:
    repo.edit("1.vitalis.json", lambda t: setattr(t, "version", 2), signers=[repo.entity("vitalis")])


@attack("bundle_malformed", says="it does not name targets.json")
def snapshot_without_targets(repo: Repository) -> None:
    repo.edit_online(lambda s: s.meta.pop("targets.json"))


@attack("bundle_missing_member")
def online_key_drops_a_member_from_the_snapshot(repo: Repository) -> None:
    repo.edit_online(lambda s: s.meta.pop("vitalis.json"))


@attack("bundle_missing_member")
def mirror_withholds_a_member_role(repo: Repository) -> None:
    repo.files.pop("1.vitalis.json")


@attack("bundle_missing_member")
def mirror_withholds_a_statement(repo: Repository) -> None:
    repo.files.pop(_statement(repo, "vitalis"))


@attack("bundle_missing_member")
def mirror_withholds_the_suspensions(repo: Repository) -> None:
    repo.files.pop("1.suspended.json")


@attack("bundle_malformed", says="it is not in the bundle")
def mirror_withholds_the_timestamp(repo: Repository) -> None:
    repo.files.pop("timestamp.json")


@attack("bundle_tampered")
def statement_changed_in_one_byte(repo: Repository) -> None:
    name = _statement(repo, "vitalis")
    data = repo.files[name]
    repo.files[name] = data[:-1] + (b"A" if data[-1:] != b"A" else b"B")


@attack("bundle_tampered")
def statement_one_byte_longer(repo: Repository) -> None:
    repo.files[_statement(repo, "vitalis")] += b"A"


@attack("bundle_tampered")
def network_policy_changed(repo: Repository) -> None:
    name = next(n for n in repo.files if n.endswith(".network.json"))
    repo.files[name] = repo.files[name].replace(b'"minimum_cell":10', b'"minimum_cell":11')


# Form


@attack("bundle_malformed", says="it is not TUF metadata with one reading")
def timestamp_that_is_html(repo: Repository) -> None:
    repo.files["timestamp.json"] = b"<html>Please sign in to the Wi-Fi</html>"


@attack("bundle_malformed", says="it is not TUF metadata with one reading", client="accepts")
def timestamp_with_a_key_twice(repo: Repository) -> None:
    data = repo.files["timestamp.json"]
    repo.files["timestamp.json"] = data.replace(b'{"signatures"', b'{"note":1,"note":2,"signatures"', 1)


@attack("bundle_malformed", says="it is not TUF metadata with one reading", client="accepts")
def timestamp_with_a_float(repo: Repository) -> None:
    data = repo.files["timestamp.json"]
    repo.files["timestamp.json"] = data.replace(b'{"signatures"', b'{"note":0.5,"signatures"', 1)


@attack("bundle_malformed", says="it is not TUF metadata with one reading")
def timestamp_too_large(repo: Repository) -> None:
    repo.files["timestamp.json"] += b" " * 16_384


@attack("bundle_malformed", says="it is metadata of another role")
def snapshot_in_the_place_of_the_timestamp(repo: Repository) -> None:
    repo.files["timestamp.json"] = repo.files["1.snapshot.json"]


@attack("bundle_malformed", says="its role lists no SHA-256 or too large a file", client="accepts")
def target_without_a_sha256(repo: Repository) -> None:
    path, data = "network.json", repo.policy.to_bytes()
    listed = TargetFile.from_data(path, data, ["sha512"])
    repo.edit("1.targets.json", lambda t: t.targets.update({path: listed}), signers=repo.quorum)
    repo.files[f"targets/{listed.hashes['sha512']}.network.json"] = data


@attack("bundle_malformed", says="too large a file")
def target_larger_than_any_may_be(repo: Repository) -> None:
    repo.edit(
        "1.targets.json", lambda t: setattr(t.targets["statistics.json"], "length", 8_000_001), signers=repo.quorum
    )


@attack("bundle_tampered")
def target_of_another_length_than_listed(repo: Repository) -> None:
    repo.edit(
        "1.targets.json", lambda t: setattr(t.targets["statistics.json"], "length", 8_000_000), signers=repo.quorum
    )


# What the keyholders signed, and must not have (BR-08, BR-09)


def _delegation(change: Callable[[dict[str, DelegatedRole]], object], repo: Repository) -> None:
    repo.edit("1.targets.json", lambda t: change(t.delegations.roles), signers=repo.quorum)


@attack("bundle_delegation_foreign", says="its roles are not the members of network.json", client="accepts")
def delegated_role_without_a_member(repo: Repository) -> None:
    key_id = repo.entity(NORTH).key_id
    extra = DelegatedRole("extra", [key_id], 1, terminating=True, paths=["members/extra/*"])
    _delegation(lambda roles: roles.update(extra=extra), repo)


@attack("bundle_delegation_foreign", says="its roles are not the members of network.json")
def member_without_a_delegated_role(repo: Repository) -> None:
    _delegation(lambda roles: roles.pop("vitalis"), repo)


@attack("bundle_delegation_foreign", says="the role north-hospital has other paths or keys than its own")
def role_for_the_paths_of_everybody(repo: Repository) -> None:
    _delegation(lambda roles: setattr(roles[NORTH], "paths", ["members/*/*"]), repo)


@attack("bundle_delegation_foreign", says="north-hospital has other paths or keys than its own", client="accepts")
def role_that_does_not_terminate(repo: Repository) -> None:
    _delegation(lambda roles: setattr(roles[NORTH], "terminating", False), repo)


@attack("bundle_delegation_foreign", says="the role north-hospital has other paths or keys than its own")
def role_with_a_key_that_is_not_listed(repo: Repository) -> None:
    _delegation(lambda roles: setattr(roles[NORTH], "keyids", [STRANGER.key_id]), repo)


@attack("bundle_key_two_roles", says="a key serves two roles", client="accepts")
def one_key_for_two_members(repo: Repository) -> None:
    key = repo.entity(NORTH)
    repo.publish_targets(1, entities={OrgId("vitalis"): (key,)})
    repo.edit("1.vitalis.json", lambda r: None, signers=[key])


@attack("bundle_key_two_roles", says="a key serves two roles", client="accepts")
def keyholder_key_for_a_member(repo: Repository) -> None:
    key = repo.keys.keyholders[0]
    repo.publish_targets(1, entities={OrgId("vitalis"): (key,)})
    repo.edit("1.vitalis.json", lambda r: None, signers=[key])


@attack("bundle_suspended_role_foreign", says="the suspended role is not one keyholder's", client="accepts")
def suspended_role_for_a_stranger(repo: Repository) -> None:
    def change(targets: Targets) -> None:
        assert targets.delegations is not None
        assert targets.delegations.roles is not None
        targets.delegations.keys[STRANGER.key_id] = tuf_key(STRANGER)
        targets.delegations.roles["suspended"].keyids.append(STRANGER.key_id)

    repo.edit("1.targets.json", change, signers=repo.quorum)


@attack("bundle_suspended_role_foreign", says="the suspended role is not one keyholder's", client="accepts")
def suspended_role_that_needs_two(repo: Repository) -> None:
    _delegation(lambda roles: setattr(roles["suspended"], "threshold", 2), repo)
    repo.edit("1.suspended.json", lambda r: None, signers=repo.quorum)


@attack("bundle_delegation_foreign", says="it delegates to nobody")
def targets_that_delegate_to_nobody(repo: Repository) -> None:
    repo.edit("1.targets.json", lambda t: setattr(t, "delegations", None), signers=repo.quorum)


@attack("bundle_delegation_foreign", says="it delegates to nobody")
def targets_that_delegate_by_hash_bins(repo: Repository) -> None:
    bins = Delegations({}, succinct_roles=SuccinctRoles([], 1, 1, "bin"))
    repo.edit("1.targets.json", lambda t: setattr(t, "delegations", bins), signers=repo.quorum)


@attack("bundle_key_form", says="a key is not named by its thumbprint", client="accepts")
def delegated_key_not_named_by_its_thumbprint(repo: Repository) -> None:
    def change(targets: Targets) -> None:
        assert targets.delegations is not None
        targets.delegations.keys["spare"] = SSlibKey("spare", "ed25519", "ed25519", tuf_key(STRANGER).keyval)

    repo.edit("1.targets.json", change, signers=repo.quorum)


@attack("bundle_malformed", says="it does not list network.json")
def targets_without_a_network_policy(repo: Repository) -> None:
    repo.edit("1.targets.json", lambda t: t.targets.pop("network.json"), signers=repo.quorum)


@attack("bundle_malformed", says="it does not list statistics.json")
def targets_without_statistics(repo: Repository) -> None:
    repo.edit("1.targets.json", lambda t: t.targets.pop("statistics.json"), signers=repo.quorum)


@attack(
    "bundle_malformed",
    says="The term statistics are not valid: statistics: the field 'statistics_version' is missing",
    client="accepts",
)
def statistics_that_are_none(repo: Repository) -> None:
    _target(repo, "statistics.json", b"{}")


@attack("bundle_malformed", says="network.json: the field 'network_version' is missing", client="accepts")
def network_policy_that_is_none(repo: Repository) -> None:
    _target(repo, "network.json", b"{}")


@attack("bundle_malformed", says="The document is not valid JSON in UTF-8", client="accepts")
def suspensions_that_are_none(repo: Repository) -> None:
    key = repo.keys.keyholders[0]
    repo.files |= sign_role("suspended", {"suspended.json": b"[]"}, signer=key, version=1, expires_at=NOW + DAY_S)


@attack("bundle_malformed", says="its role must list this one target and nothing else", client="accepts")
def suspended_role_with_a_further_target(repo: Repository) -> None:
    key, own = repo.keys.keyholders[0], {"suspended.json": b"{}", "more.json": b"{}"}
    repo.files |= sign_role("suspended", own, signer=key, version=1, expires_at=NOW + DAY_S)


@attack("bundle_malformed", says="one target and nothing else", client="accepts")
def suspended_role_that_delegates(repo: Repository) -> None:
    key = repo.keys.keyholders[0]
    repo.edit("1.suspended.json", lambda r: setattr(r, "delegations", Delegations({}, {})), signers=[key])


def _everything(repo: Repository) -> list[tuple[str, list[SigningKey]]]:
    members = [(f"1.{m.id}.json", [repo.entity(m.id)]) for m in repo.policy.members]
    return [
        ("1.targets.json", list(repo.quorum)),
        ("1.suspended.json", [repo.keys.keyholders[0]]),
        *members,
    ]


def _statement(repo: Repository, member: str) -> str:
    return next(n for n in repo.files if n.startswith(f"targets/members/{member}/"))


def _target(repo: Repository, path: str, data: bytes) -> None:
    listed = TargetFile.from_data(path, data, ["sha256"])
    repo.edit("1.targets.json", lambda t: t.targets.update({path: listed}), signers=repo.quorum)
    repo.files[f"targets/{listed.hashes['sha256']}.{path}"] = data
