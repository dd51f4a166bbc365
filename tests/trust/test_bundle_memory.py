"""Versions never go back, and what was seen is not forgotten."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from concordat_trust.bundle import BundleMemory
from concordat_trust.bundle.errors import BundleMalformed, BundleRollback
from concordat_trust.bundle.memory import ROLES_MAX
from concordat_trust.canonical import canonical_bytes, parse_object
from concordat_trust.errors import RefusedDocument
from concordat_trust.ids import OrgId
from tests.factories.network import NOW, make_key
from tests.factories.repository import Repository, expires


def refused(repo: Repository, memory: BundleMemory) -> RefusedDocument:
    with pytest.raises(RefusedDocument) as caught:
        repo.verify(at=NOW + 1, memory=memory)
    return caught.value


def seen(**changes: object) -> BundleMemory:
    """Return the memory of a party that saw the honest network, with some of it newer."""
    return dataclasses.replace(Repository().verify().memory, **changes)  # type: ignore[arg-type]


def test_the_same_bundle_again_is_accepted() -> None:
    assert Repository().verify(memory=seen()).memory == seen()


def test_an_older_complete_bundle_is_refused() -> None:
    old, new = Repository(), Repository()
    new.publish_targets(2)
    new.renew(NOW + 1)
    memory = new.verify(at=NOW + 1).memory
    assert refused(old, memory).code == "bundle_rollback"


@pytest.mark.parametrize("part", ["root", "timestamp", "snapshot"])
def test_one_older_part_is_refused(part: str) -> None:
    error = refused(Repository(), seen(**{part: 2}))
    assert error.code == "bundle_rollback"
    assert error.fields["role"] == part


@pytest.mark.parametrize("role", ["targets", "vitalis", "suspended"])
def test_an_older_role_is_refused(role: str) -> None:
    error = refused(Repository(), seen(roles={**seen().roles, role: 2}))
    assert error.code == "bundle_rollback"
    assert error.fields["role"] == role


def test_a_role_that_left_the_snapshot_is_refused() -> None:
    error = refused(Repository(), seen(roles={**seen().roles, "former-member": 1}))
    assert error.code == "bundle_missing_member"


def fast_forwarded() -> tuple[Repository, BundleMemory]:
    """Return a repository whose stolen online key raised its versions, and the memory of a party that took it."""
    repo = Repository()
    repo.edit_online(lambda s: setattr(s.meta["vitalis.json"], "version", 1))
    repo.edit("timestamp.json", lambda t: setattr(t, "version", 2**31), signers=[repo.keys.online])
    return repo, repo.verify().memory


def test_after_a_fast_forward_honest_bundles_are_refused() -> None:
    _, memory = fast_forwarded()
    assert refused(Repository(), memory).code == "bundle_rollback"


def test_a_network_recovers_from_a_fast_forward_by_a_new_online_key() -> None:
    repo, memory = fast_forwarded()
    honest = Repository()
    honest.publish_root(2, dataclasses.replace(repo.keys, online=make_key("online, again")), signers=repo.quorum)
    honest.files.pop("timestamp.json")
    honest.renew(NOW + 1)
    bundle = honest.verify(at=NOW + 1, memory=memory)
    assert (bundle.view.root, bundle.view.timestamp) == (2, 1)


def test_a_new_root_with_the_same_online_key_resets_nothing() -> None:
    _, memory = fast_forwarded()
    honest = Repository()
    honest.publish_root(2, honest.keys, signers=honest.quorum)
    assert refused(honest, memory).code == "bundle_rollback"


def test_a_new_online_key_does_not_bring_old_targets_back() -> None:
    new = Repository()
    new.publish_targets(2)
    new.renew(NOW + 1)
    memory = new.verify(at=NOW + 1).memory
    old = Repository()
    old.publish_root(2, dataclasses.replace(old.keys, online=make_key("online, again")), signers=old.quorum)
    old.files.pop("timestamp.json")
    old.renew(NOW + 1)
    error = refused(old, memory)
    assert (error.code, error.fields["role"]) == ("bundle_rollback", "targets")


def test_a_memory_of_another_network_is_refused() -> None:
    assert refused(Repository(), seen(root_sha256="0" * 64)).code == "bundle_bootstrap_mismatch"


def test_a_memory_survives_storage() -> None:
    memory = seen(suspended=Repository().verify().memory.suspended)
    assert BundleMemory.parse(memory.to_bytes()) == memory


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b"{", b"\x00" * 100])
def test_a_damaged_memory_is_refused_and_not_forgotten(data: bytes) -> None:
    with pytest.raises(BundleMalformed):
        BundleMemory.parse(data)


@pytest.mark.parametrize("field", sorted(parse_object(seen().to_bytes(), bytes_max=10_000)))
def test_a_memory_without_a_field_is_refused(field: str) -> None:
    obj = parse_object(seen().to_bytes(), bytes_max=10_000)
    obj.pop(field)
    with pytest.raises(BundleMalformed):
        BundleMemory.parse(canonical_bytes(obj))


def test_a_state_is_compared_with_a_memory_part_by_part() -> None:
    memory = seen(timestamp=5, snapshot=5)
    memory.refuse_rollback(memory)
    older = {"timestamp": seen(timestamp=4, snapshot=5), "snapshot": seen(timestamp=5, snapshot=4)}
    for part, state in older.items():
        with pytest.raises(BundleRollback) as caught:
            memory.refuse_rollback(state)
        assert caught.value.fields["role"] == part
    other_keys = dataclasses.replace(memory, timestamp=1, snapshot=1, online_keys=frozenset({"new"}))
    memory.refuse_rollback(other_keys)


def stored(**members: Any) -> bytes:
    return canonical_bytes({**parse_object(seen().to_bytes(), bytes_max=10_000), **members})


def test_what_is_stored_has_these_members_in_this_order() -> None:
    keys = [f"{number:064x}" for number in range(8)]
    memory = BundleMemory(
        root_sha256="ab" * 32,
        root=1,
        timestamp=2,
        snapshot=3,
        roles={"vitalis": 4, "targets": 5},
        online_keys=frozenset(keys),
        suspended={OrgId("vitalis"): 6, OrgId("alma-university"): 7},
    )
    assert parse_object(memory.to_bytes(), bytes_max=10_000) == {
        "memory_version": 1,
        "root_sha256": "ab" * 32,
        "root": 1,
        "timestamp": 2,
        "snapshot": 3,
        "roles": [{"role": "targets", "version": 5}, {"role": "vitalis", "version": 4}],
        "online_keys": keys,
        "suspended": [
            {"organization": "alma-university", "version": 7},
            {"organization": "vitalis", "version": 6},
        ],
    }
    assert BundleMemory.parse(memory.to_bytes()) == memory


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ({"memory_version": 1}, {"memory_version": 0}),
        ({"memory_version": 1}, {"memory_version": 2}),
        ({"root": 1}, {"root": 0}),
        ({"timestamp": 1}, {"timestamp": 0}),
        ({"snapshot": 1}, {"snapshot": 0}),
        ({"roles": [{"role": "r", "version": 1}]}, {"roles": [{"role": "r", "version": 0}]}),
        (
            {"suspended": [{"organization": "vitalis", "version": 1}]},
            {"suspended": [{"organization": "vitalis", "version": 0}]},
        ),
        (
            {"roles": [{"role": "r", "version": 1}] * ROLES_MAX},
            {"roles": [{"role": "r", "version": 1}] * (ROLES_MAX + 1)},
        ),
        (
            {"suspended": [{"organization": "vitalis", "version": 1}] * ROLES_MAX},
            {"suspended": [{"organization": "vitalis", "version": 1}] * (ROLES_MAX + 1)},
        ),
    ],
    ids=lambda members: next(iter(members)),
)
def test_a_memory_at_its_limits_is_read_and_one_past_them_is_not(good: dict[str, Any], bad: dict[str, Any]) -> None:
    BundleMemory.parse(stored(**good))
    with pytest.raises(BundleMalformed):
        BundleMemory.parse(stored(**bad))


def test_a_fresh_timestamp_of_the_same_version_is_the_same_version() -> None:
    repo = Repository()
    repo.edit("timestamp.json", expires(NOW + 7_200), signers=[repo.keys.online])
    assert repo.verify(at=NOW + 1, memory=seen()).expires_at == NOW + 7_200


def test_an_older_timestamp_is_told_before_anything_that_it_names() -> None:
    repo = Repository()
    del repo.files["1.snapshot.json"]
    assert refused(repo, seen(timestamp=2)).code == "bundle_rollback"
