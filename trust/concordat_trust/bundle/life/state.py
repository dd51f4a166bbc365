"""What the next signed document builds on: the verified root and targets of a bundle, and who signs for it."""

from __future__ import annotations

from collections.abc import Mapping

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from concordat_trust.bundle.metadata import BYTES_MAX, parse_metadata, public_keys
from concordat_trust.bundle.repository import KEYHOLDER_NAMES
from concordat_trust.bundle.trusted import TrustedBundle
from concordat_trust.bundle.tuf_api import Root, Targets
from concordat_trust.ids import KeyId


def root_of(bundle: TrustedBundle) -> Root:
    """Return a fresh copy of the root in force."""
    data = bundle.files[f"{bundle.view.root}.root.json"]
    return parse_metadata(data, Root, role="root", bytes_max=BYTES_MAX["root"]).signed


def targets_of(bundle: TrustedBundle) -> Targets:
    """Return a fresh copy of the targets metadata in force."""
    data = bundle.files["targets.json"]
    return parse_metadata(data, Targets, role="targets", bytes_max=BYTES_MAX["targets"]).signed


def role_keys(targets: Targets) -> Mapping[str, frozenset[KeyId]]:
    """Return the key ids of every delegated role, by its name."""
    delegations = targets.delegations
    roles = {} if delegations is None or delegations.roles is None else delegations.roles
    return {name: frozenset(role.keyids) for name, role in roles.items()}


def keyholder_keys(bundle: TrustedBundle) -> Mapping[KeyId, Ed25519PublicKey]:
    """Return the public keys of those who sign root and targets, by key id."""
    root = root_of(bundle)
    ids = {*root.roles["root"].keyids, *root.roles["targets"].keyids}
    return public_keys({key_id: root.keys[key_id] for key_id in ids}, "root.json")


def threshold_of(bundle: TrustedBundle) -> int:
    """Return how many keyholders must sign targets."""
    return int(root_of(bundle).roles["targets"].threshold)


def keyholder_name(root: Root, key_id: KeyId) -> str:
    """Return the name under which a keyholder was listed, or the beginning of its key id."""
    names = root.unrecognized_fields.get(KEYHOLDER_NAMES)
    name = names.get(key_id) if isinstance(names, dict) else None
    return name if isinstance(name, str) else f"keyholder {key_id[:12]}"
