"""A node takes over new key files when the network knows them, without a restart."""

from __future__ import annotations

from pathlib import Path

from concordat_node.keys import read_keys
from concordat_node.settings import read_settings
from concordat_trust.ids import OrgId
from concordat_trust.keys import save_private_key
from tests.factories.network import NOW, make_member_keys
from tests.factories.repository import Repository

NORTH = OrgId("north-hospital")


def test_the_keys_of_a_node_follow_their_files_and_the_bundle(tmp_path: Path) -> None:
    repo = Repository()
    old, new = repo.network.keys[NORTH], make_member_keys(NORTH, "organization", generation=2)
    (tmp_path / "keys").mkdir()
    for use, key in old.items():
        save_private_key(tmp_path / "keys" / f"{use}.pem", key)
    base = {
        "organization": NORTH,
        "root_sha256": repo.root_sha256,
        "data_dir": str(tmp_path),
        "bundle_mirrors": "http://m/",
    }
    settings = read_settings(None, {f"CONCORDAT_NODE_{name.upper()}": value for name, value in base.items()})
    keys = read_keys(settings)
    for use, key in new.uses.items():
        (tmp_path / "keys" / f"{use}.pem").unlink()
        save_private_key(tmp_path / "keys" / f"{use}.pem", key)
    keys.reload(repo.verify(), NORTH)
    assert {use: key.key_id for use, key in keys.by_use()} == {use: key.key_id for use, key in old.items()}
    repo.publish_member(NORTH, 2, keys=new)
    repo.renew(NOW + 20)
    keys.reload(repo.verify(at=NOW + 20), NORTH)
    assert {use: key.key_id for use, key in keys.by_use()} == {use: key.key_id for use, key in new.uses.items()}
