"""The table of attacks on a trust bundle (21 rows, numbered as in the threat model), against a running party.

Each row says what the attacker holds, and ends with the code of our own rule. Where TUF accepts by design, the row ends
with what then holds: the recovery, the refusal by our cap, or the detection. `bundle_attacks` has the variants of each.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from concordat_client.cli import main
from concordat_trust.attestation import AttestedView, sign_attestation
from concordat_trust.bundle.metadata import DAY_S
from concordat_trust.bundle.poll import BundlePoller
from concordat_trust.bundle.repository import sign_role
from concordat_trust.bundle.split_view import split_view_bytes, verify_split_view
from concordat_trust.bundle.store import archive_bytes
from concordat_trust.bundle.tuf_api import MetaFile, Snapshot
from concordat_trust.canonical import canonical_bytes, parse_object
from concordat_trust.errors import ConcordatError
from concordat_trust.ids import OrgId
from tests.factories.answers import make_attestation
from tests.factories.mirror import MIRROR, MemoryMirror
from tests.factories.network import NOW, make_key, make_network
from tests.factories.repository import Repository, expires

NORTH, VITALIS = OrgId("north-hospital"), OrgId("vitalis")
FAR = 2**31
STRANGER = make_key("stranger")


class Party:
    """An initialised party: it polled the honest network once, at NOW, and then its mirror is the attacker's."""

    def __init__(self, folder: Path) -> None:
        self.repo = Repository()
        self.mirror = MemoryMirror(self.repo.files)
        self.now = NOW
        self.poller = BundlePoller(
            root_sha256=self.repo.root_sha256,
            mirrors=[MIRROR],
            state=folder,
            clock=lambda: self.now,
            jitter=lambda: 0.5,
            fetcher=self.mirror,
        )
        self.poller.poll()

    def honest(self, seconds: int = 60) -> dict[str, bytes]:
        """Let the network go on for a while, and the party follow it; return the files as they were before."""
        before = dict(self.repo.files)
        self.now += seconds
        self.repo.renew(self.now)
        self.poller.poll()
        return before

    def refused(self) -> str:
        """Return why the next poll brings nothing; the bundle in hand stays."""
        before = self.poller.bundle() if self.now < self._expires_at else None
        with pytest.raises(ConcordatError) as caught:
            self.poller.poll()
        if before is not None:
            assert self.poller.bundle() is before
        return caught.value.code

    @property
    def _expires_at(self) -> int:
        current = self.poller._current
        return 0 if current is None else current.expires_at

    def resign(self, change: Callable[[Snapshot], object], *, version: int) -> None:
        """Use the stolen online key: a new snapshot, and a timestamp for it."""
        newest = max(int(n.partition(".")[0]) for n in self.repo.files if n.endswith(".snapshot.json"))
        name = f"{version}.snapshot.json"
        self.repo.files[name] = self.repo.files[f"{newest}.snapshot.json"]

        def changed(snapshot: Snapshot) -> None:
            snapshot.version = version
            change(snapshot)

        self.repo.edit_online(changed, name=name)
        self.repo.edit("timestamp.json", _next_version, signers=[self.repo.keys.online])


def _next_version(timestamp: object) -> None:
    timestamp.version += 1  # type: ignore[attr-defined]  # signed metadata


@pytest.fixture
def party(tmp_path: Path) -> Party:
    return Party(tmp_path / "state")


def test_row_01_an_older_complete_bundle_is_refused(party: Party) -> None:
    party.mirror.files = party.honest()
    assert party.refused() == "bundle_rollback"


def test_row_02_an_older_timestamp_alone_is_refused(party: Party) -> None:
    old = party.honest()
    party.mirror.files = {**party.repo.files, "timestamp.json": old["timestamp.json"]}
    assert party.refused() == "bundle_rollback"


def test_row_03_a_stolen_online_key_cannot_point_to_older_targets(party: Party) -> None:
    party.repo.publish_targets(2)
    party.honest()
    party.resign(lambda snapshot: snapshot.meta.update({"targets.json": MetaFile(1)}), version=3)
    assert party.refused() == "bundle_rollback"


def test_row_04_a_stolen_online_key_cannot_drop_a_member(party: Party) -> None:
    party.resign(lambda snapshot: snapshot.meta.pop("north-hospital.json"), version=2)
    assert party.refused() == "bundle_missing_member"


def test_row_05_a_freeze_without_the_online_key_ends_with_the_timestamp(party: Party) -> None:
    party.now = NOW + 3_600
    assert party.refused() == "bundle_expired"
    with pytest.raises(ConcordatError) as caught:
        party.poller.bundle()
    assert caught.value.code == "bundle_expired"


def test_row_06_a_freeze_with_the_online_key_ends_with_targets(party: Party) -> None:
    party.now = NOW + 31 * DAY_S
    party.repo.renew(party.now)
    assert party.refused() == "bundle_expired"


def test_row_06b_a_freeze_by_one_long_lived_timestamp_is_refused_by_our_cap(party: Party) -> None:
    party.repo.edit("timestamp.json", _next_version, signers=[party.repo.keys.online])
    party.repo.edit("timestamp.json", expires(NOW + 29 * DAY_S), signers=[party.repo.keys.online])
    assert party.refused() == "bundle_lifetime_cap"


def test_row_06b_a_freeze_by_a_snapshot_of_a_month_is_refused_by_our_cap(party: Party) -> None:
    party.resign(expires(NOW + 29 * DAY_S), version=2)
    assert party.refused() == "bundle_lifetime_cap"


def test_row_06b_a_thief_who_signs_on_every_day_freezes_until_targets_expire_and_not_longer(party: Party) -> None:
    honest = party.repo.verify().expires_at
    for day in range(1, 30):
        party.now = NOW + day * DAY_S
        party.repo.renew(party.now)
        party.poller.poll()
    assert party.poller.bundle().expires_at > honest
    party.now = NOW + 30 * DAY_S
    party.repo.renew(party.now)
    assert party.refused() == "bundle_expired"


def test_row_07_versions_raised_by_a_thief_are_undone_when_the_quorum_replaces_the_online_key(party: Party) -> None:
    honest = dict(party.repo.files)
    party.resign(lambda snapshot: None, version=FAR)
    party.repo.edit("timestamp.json", lambda t: setattr(t, "version", FAR), signers=[party.repo.keys.online])
    assert party.poller.poll().view.snapshot == FAR
    party.repo.files = party.mirror.files = honest
    party.repo.renew(NOW + 60)
    party.now = NOW + 60
    assert party.refused() == "bundle_rollback"
    new = dataclasses.replace(party.repo.keys, online=make_key("online, again"))
    party.repo.publish_root(2, new, signers=party.repo.quorum)
    party.repo.files.pop("timestamp.json")
    party.repo.renew(NOW + 60)
    bundle = party.poller.poll()
    assert (bundle.view.root, bundle.view.snapshot) == (2, 1)


def test_row_08_a_flipped_byte_in_targets_is_found(party: Party) -> None:
    party.repo.publish_targets(2)
    party.now += 60
    party.repo.renew(party.now)
    data = party.repo.files["2.targets.json"]
    party.repo.files["2.targets.json"] = data.replace(b'"terminating":true', b'"terminating":fals_')
    assert party.refused() in {"bundle_malformed", "bundle_tampered"}
    party.repo.files["2.targets.json"] = data.replace(b'"threshold":1', b'"threshold":2', 1)
    assert party.refused() == "bundle_tampered"


def _new_statement(party: Party) -> str:
    party.repo.publish_member(VITALIS, 2, at=NOW + 1)
    party.now += 60
    party.repo.renew(party.now)
    old = set(Repository().files)
    return next(n for n in party.repo.files if n.startswith("targets/members/vitalis/") and n not in old)


def test_row_09_a_statement_changed_at_the_same_length_is_found(party: Party) -> None:
    name = _new_statement(party)
    data = party.repo.files[name]
    party.repo.files[name] = data[:-1] + (b"A" if data[-1:] != b"A" else b"B")
    assert party.refused() == "bundle_tampered"


def test_row_10_a_statement_one_byte_longer_is_found(party: Party) -> None:
    party.repo.files[_new_statement(party)] += b"A"
    assert party.refused() == "bundle_tampered"


def _targets_by(party: Party, *signers: object) -> str:
    party.repo.publish_targets(2, signers=signers)  # type: ignore[arg-type]  # signing keys
    party.now += 60
    # The online signer would not take it up: the thief also holds the online key.
    party.resign(lambda snapshot: snapshot.meta.update({"targets.json": MetaFile(2)}), version=2)
    return party.refused()


def test_row_11_targets_signed_by_one_of_three_are_refused(party: Party) -> None:
    assert _targets_by(party, party.repo.keys.keyholders[0]) == "bundle_threshold"


def test_row_12_targets_signed_by_a_keyholder_and_a_stranger_are_refused(party: Party) -> None:
    assert _targets_by(party, party.repo.keys.keyholders[0], STRANGER) == "bundle_threshold"


def test_row_13_one_keyholder_signing_twice_is_refused(party: Party) -> None:
    party.repo.publish_targets(2, signers=party.repo.keys.keyholders[:1])
    document = parse_object(party.repo.files["2.targets.json"], bytes_max=100_000)
    signatures = document["signatures"]
    assert isinstance(signatures, list)
    signatures.append(signatures[0])
    party.repo.files["2.targets.json"] = canonical_bytes(document)
    party.resign(lambda snapshot: snapshot.meta.update({"targets.json": MetaFile(2)}), version=2)
    assert party.refused() == "bundle_malformed"


def test_row_14_a_root_with_one_signature_is_refused(party: Party) -> None:
    party.repo.publish_root(2, party.repo.keys, signers=party.repo.quorum[:1])
    assert party.refused() == "bundle_root_chain"


def test_row_15_a_root_that_skips_a_version_is_refused(party: Party) -> None:
    party.repo.publish_root(3, party.repo.keys, signers=party.repo.quorum)
    party.repo.files["2.root.json"] = party.repo.files.pop("3.root.json")
    assert party.refused() == "bundle_root_chain"


def test_row_16_what_a_member_publishes_for_another_is_ignored(party: Party) -> None:
    own = next(n for n in party.repo.files if n.startswith(f"targets/members/{NORTH}/"))
    forged = {f"members/{NORTH}/entity.jwt": party.repo.files[own], "members/vitalis/entity.jwt": b"forged"}
    party.repo.files |= sign_role(
        NORTH, forged, signer=party.repo.entity(NORTH), version=2, expires_at=NOW + 30 * DAY_S
    )
    party.now += 60
    party.repo.renew(party.now)
    bundle = party.poller.poll()
    key = party.repo.network.keys[VITALIS]["attestation"]
    assert bundle.key(VITALIS, "attestation", key.key_id) == key.public_key


def test_row_17_another_networks_bundle_is_refused_by_an_initialised_party(party: Party) -> None:
    other = Repository(make_network(coordinator="relay-two"))
    other.edit("timestamp.json", _next_version, signers=[STRANGER])
    party.mirror.files = other.files
    assert party.refused() == "bundle_threshold"


def test_row_18_another_networks_root_is_refused_at_first_contact(tmp_path: Path) -> None:
    other = Repository(make_network(coordinator="relay-two", at=NOW - 1))
    poller = BundlePoller(
        root_sha256=Repository().root_sha256,
        mirrors=[MIRROR],
        state=tmp_path,
        clock=lambda: NOW,
        jitter=lambda: 0.5,
        fetcher=MemoryMirror(other.files),
    )
    with pytest.raises(ConcordatError) as caught:
        poller.poll()
    assert caught.value.code == "bundle_bootstrap_mismatch"


@pytest.mark.parametrize("command", ["verify", "show"])
def test_row_18_nothing_is_believed_without_a_fingerprint(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bundle.zip").write_bytes(archive_bytes(Repository().files))
    assert main(["trust", command, "--bundle", str(tmp_path / "bundle.zip")]) == 6
    assert "root_fingerprint_missing" in capsys.readouterr().err


def test_row_19_an_expired_member_closes_itself_only(party: Party) -> None:
    party.repo.publish_member(NORTH, 2)
    party.repo.edit("2.north-hospital.json", expires(NOW + 30), signers=[party.repo.entity(NORTH)])
    party.now += 60
    party.repo.renew(party.now)
    bundle = party.poller.poll()
    assert bundle.organizations == ("alma-university", "vitalis")
    assert bundle.unusable[NORTH].code == "statement_expired"


def split() -> tuple[Repository, Repository]:
    """Return two states that a stolen online key gave one number: both are in order by themselves."""
    ours, theirs = Repository(), Repository()
    theirs.edit_online(expires(NOW + 6 * DAY_S))
    return ours, theirs


def attestation_of(repo: Repository) -> str:
    bundle = repo.verify()
    attestation = make_attestation(repo.network, (), org=NORTH, bundle=AttestedView.of(bundle.view))
    return sign_attestation(attestation, key=repo.network.keys[NORTH]["attestation"])


def test_row_20_two_states_under_one_number_are_found_and_proved() -> None:
    ours, theirs = split()
    assert ours.verify().view.snapshot == theirs.verify().view.snapshot
    kept = split_view_bytes(attestation_of(theirs), ours.verify())
    proved = verify_split_view(kept, root_sha256=ours.root_sha256)
    assert (proved.organization, proved.snapshot) == (NORTH, 1)
    assert proved.attested_sha256 == theirs.verify().view.snapshot_sha256
    assert proved.signed_sha256 == ours.verify().view.snapshot_sha256


def test_row_21_a_second_timestamp_under_the_same_version_is_ignored(party: Party) -> None:
    before = party.poller.bundle()
    party.repo.edit("timestamp.json", expires(NOW + DAY_S), signers=[party.repo.keys.online])
    assert party.poller.poll() is before
    assert party.poller.bundle().expires_at == NOW + 3_600


def test_every_row_of_the_table_is_here() -> None:
    rows = {name.split("_")[2] for name in globals() if name.startswith("test_row_")}
    assert rows == {f"{n:02}" for n in range(1, 22)} | {"06b"}
