"""What an operator does with a node that is not serving: make one, fill it."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from concordat_node.app import in_force, make_poller, make_private_folder, now, open_registry
from concordat_node.errors import SettingsFileExists
from concordat_node.home.home_key import save_home_key
from concordat_node.id_secret import ID_SECRET, read_id_secret
from concordat_node.registry.croissant_reader import CROISSANT_BYTES_MAX, CroissantPolicyMissing, read_croissant
from concordat_node.registry.ndjson_import import ImportReport, import_lines, read_import
from concordat_node.registry.ndjson_import import run_import as import_records
from concordat_node.registry.rules import LINE_BYTES_MAX, Owner
from concordat_node.secret_file import SECRET_BYTES
from concordat_node.settings import Settings, SettingsUnreadable, read_settings
from concordat_trust.bundle import TrustedBundle
from concordat_trust.bundle.errors import BundleUnavailable
from concordat_trust.canonical import Json, JsonObject, canonical_bytes, parse_object
from concordat_trust.errors import ConcordatError
from concordat_trust.jwk import SigningKey, public_jwk
from concordat_trust.keys import save_private_key

KEY_USES = ("entity", "attestation", "query_token", "request")
PSEUDONYM_KEY = Path("keys/pseudonym.key")


@dataclass(frozen=True, slots=True)
class NewNode:
    """What `init` is told."""

    settings: Path
    organization: str
    root_sha256: str
    mirrors: tuple[str, ...]
    data_dir: Path
    purposes: tuple[str, ...]
    host: str
    port: int


def init_node(new: NewNode) -> JsonObject:
    """Make folder, keys and settings file; return paths and public keys.

    The settings file is written last: when it is there, the node is whole.
    Raises: SettingsFileExists, SettingInvalid, DataDirUnusable, KeyFileExists, KeyFileUnwritable, HomeKeyUnusable.
    """
    if new.settings.exists():
        raise SettingsFileExists(path=str(new.settings))
    content: JsonObject = {
        "bundle_mirrors": list[Json](new.mirrors),
        "data_dir": str(new.data_dir),
        "host": new.host,
        "organization": new.organization,
        "port": new.port,
        "purposes_admitted": list[Json](new.purposes),
        "root_sha256": new.root_sha256,
    }
    settings = _checked(new.settings, canonical_bytes(content))
    folder = settings.data_dir / "keys"
    make_private_folder(settings.data_dir)
    make_private_folder(folder)
    public: JsonObject = {}
    for use in KEY_USES:
        key = SigningKey.from_seed(secrets.token_bytes(SECRET_BYTES))
        save_private_key(folder / f"{use}.pem", key)
        public[use] = {"key_id": key.key_id, "jwk": dict[str, Json](public_jwk(key.public_key))}
    save_home_key(settings.data_dir / PSEUDONYM_KEY, secrets.token_bytes(SECRET_BYTES))
    save_home_key(settings.data_dir / ID_SECRET, secrets.token_bytes(SECRET_BYTES))
    _temporary(new.settings).replace(new.settings)
    return {"data_dir": str(settings.data_dir), "public_keys": public, "settings": str(new.settings)}


def _checked(path: Path, content: bytes) -> Settings:
    """Write the file under a temporary name and read it as `serve` will."""
    temporary = _temporary(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(content + b"\n")
        temporary.chmod(0o600)
    except OSError as error:
        raise SettingsUnreadable(path=str(path), problem=error.strerror) from error
    try:
        return read_settings(temporary, {})
    except ConcordatError:
        temporary.unlink()
        raise


def _temporary(path: Path) -> Path:
    return path.with_name(f".{path.name}.new")


def import_file(settings: Settings, path: Path) -> ImportReport:
    """Import a file into the node's registry; a node that is serving sees it at once.

    Raises: BundleUnavailable without a bundle (its term statistics are needed), ImportUnreadable, the storage failures.
    """
    return _imported(settings, partial(import_records, path))


def import_croissant(settings: Settings, path: Path, *, policy: Path | None, local_name: str) -> ImportReport:
    """Import one data set from its Croissant description, under the policy in the file `policy`.

    Raises: as `import_file`; CroissantPolicyMissing; the JSON refusals of either file.
    """
    if policy is None:
        raise CroissantPolicyMissing
    document = read_croissant(read_import(path, bytes_max=CROISSANT_BYTES_MAX))
    access = parse_object(read_import(policy, bytes_max=LINE_BYTES_MAX), bytes_max=LINE_BYTES_MAX)
    line: JsonObject = {"croissant": document, "local_name": local_name, "policy": access, "type": "croissant"}
    return _imported(settings, partial(import_lines, [canonical_bytes(line)]))


def _imported(settings: Settings, load: Callable[..., ImportReport]) -> ImportReport:
    make_private_folder(settings.data_dir)
    statistics = current_bundle(settings).statistics
    database = open_registry(settings)
    try:
        owner = Owner(settings.organization, read_id_secret(settings))
        return load(database, owner=owner, statistics=statistics, clock=now)
    finally:
        database.close()


def current_bundle(settings: Settings) -> TrustedBundle:
    """Return the last good copy while it is in force, else what a mirror has now. Raises: the poll's refusals."""
    poller = make_poller(settings)
    poller.load()
    known = in_force(poller)
    bundle = poller.poll() if known is None else known
    if bundle.expires_at <= now():
        raise BundleUnavailable
    return bundle
