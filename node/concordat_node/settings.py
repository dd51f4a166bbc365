"""Every setting of a node, read once: a JSON file, then the environment over it.

Rules of this file:

* A setting is one field of `Settings` with its kind, unit, default and meaning in one place; the documentation and
  `--help` are checked against `options()`.
* The file is JSON; paths in it are relative to the file. The environment's name of a setting is `CONCORDAT_NODE_` and
  its name in capitals; lists are separated by commas. An unknown name is refused in both, because a misspelt limit
  must not leave its default in force.
* No default widens access: no purpose is admitted, no member may be asked, nothing listens beyond loopback unless said.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, cast

from concordat_trust.bundle.poll import MIRRORS_MAX, is_mirror_address
from concordat_trust.canonical import Json, JsonObject, parse_object
from concordat_trust.errors import OperatorError, RefusedDocument
from concordat_trust.ids import OrgId
from concordat_trust.vocabulary import NOTICE_MODES, PURPOSES, NoticeMode

PREFIX = "CONCORDAT_NODE_"
FILE_BYTES_MAX = 262_144
LIST_MAX = 50

Kind = Literal["organization", "text", "integer", "path", "texts", "object"]


class SettingUnknown(OperatorError):
    code = "setting_unknown"
    sentence = "There is no setting {setting!r} ({source})."
    hint = "Correct the spelling; the documentation lists every setting."


class SettingMissing(OperatorError):
    code = "setting_missing"
    sentence = "The setting {setting!r} has no value and no default."
    hint = "Set it in the settings file, or in the environment as CONCORDAT_NODE_ and its name in capitals."


class SettingInvalid(OperatorError):
    code = "setting_invalid"
    sentence = "The setting {setting!r} {problem}."
    hint = "Correct the value; the documentation gives its kind and unit."


class SettingsUnreadable(OperatorError):
    code = "settings_unreadable"
    sentence = "The settings file {path} cannot be read: {problem}."
    hint = "Name a JSON file with --settings, or make one with `concordat node init`."


@dataclass(frozen=True, slots=True)
class Option:
    """One setting as the documentation shows it; `default` is None when it must be given."""

    name: str
    kind: Kind
    unit: str
    default: str | None
    meaning: str


def _about(kind: Kind, meaning: str, *, unit: str = "", **limits: Any) -> dict[str, Any]:
    return {"kind": kind, "meaning": meaning, "unit": unit, **limits}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of one node."""

    organization: OrgId = field(metadata=_about("organization", "this organization's id in the network"))
    root_sha256: str = field(
        metadata=_about(
            "text", "fingerprint of the network's first root, from a keyholder", unit="hex", matches="[0-9a-f]{64}"
        )
    )
    data_dir: Path = field(metadata=_about("path", "folder of databases, keys and the bundle's last good copy"))
    bundle_mirrors: tuple[str, ...] = field(
        metadata=_about(
            "texts", "addresses of bundle repositories, asked at every poll", count_max=MIRRORS_MAX, addresses=True
        )
    )
    purposes_admitted: tuple[str, ...] = field(
        default=(), metadata=_about("texts", "purpose codes this organization answers to at all", among=PURPOSES)
    )
    notice_mode: NoticeMode = field(
        default="none",
        metadata=_about("text", "whether answers say that something may be withheld", among=NOTICE_MODES),
    )
    notice_code: str = field(default="", metadata=_about("text", "code of the standing notice"))
    notice_contact: str = field(default="", metadata=_about("text", "where to ask about what is withheld"))
    sign_in_age_max_s: int = field(
        default=0,
        metadata=_about(
            "integer", "oldest sign-in that reads sensitive classes; 0 demands none", unit="s", range=(0, 604800)
        ),
    )
    sign_in_acr_values: tuple[str, ...] = field(
        default=(), metadata=_about("texts", "values of acr that read sensitive classes; empty demands none")
    )
    sign_in_sensitivity_min: int = field(
        default=3, metadata=_about("integer", "least sensitivity for which a sign-in is demanded", range=(0, 3))
    )
    host: str = field(default="127.0.0.1", metadata=_about("text", "address to listen on"))
    port: int = field(
        default=8420, metadata=_about("integer", "port to listen on; 0 takes a free one", range=(0, 65535))
    )
    attestation_key: Path = field(
        default=Path("keys/attestation.pem"), metadata=_about("path", "private key that signs attestations")
    )
    query_token_key: Path = field(
        default=Path("keys/query_token.pem"), metadata=_about("path", "private key that signs query tokens")
    )
    request_key: Path = field(
        default=Path("keys/request.pem"), metadata=_about("path", "private key that signs requests")
    )
    policies_dir: Path | None = field(
        default=None, metadata=_about("path", "folder of the baseline policy; empty takes the one shipped")
    )
    opa_path: Path | None = field(
        default=None, metadata=_about("path", "the OPA program; empty searches cache and PATH")
    )
    opa_timeout_ms: int = field(
        default=750, metadata=_about("integer", "longest wait for one decision", unit="ms", range=(10, 10000))
    )
    bundle_poll_s: int = field(
        default=20, metadata=_about("integer", "time between bundle polls", unit="s", range=(1, 3600))
    )
    request_bytes_max: int = field(
        default=131072, metadata=_about("integer", "largest request body", unit="bytes", range=(8192, 1048576))
    )
    answer_timeout_ms: int = field(
        default=10000, metadata=_about("integer", "longest time for one answer", unit="ms", range=(100, 120000))
    )
    questions_max: int = field(
        default=64,
        metadata=_about("integer", "questions answered at once; more are refused as node_overloaded", range=(1, 4096)),
    )
    threads_max: int = field(
        default=4, metadata=_about("integer", "threads for databases and the index", range=(1, 64))
    )
    decisions_remembered_s: int = field(
        default=30, metadata=_about("integer", "longest time a class decision is used again", unit="s", range=(0, 300))
    )
    stop_grace_s: int = field(
        default=5, metadata=_about("integer", "time for questions under way when stopping", unit="s", range=(0, 120))
    )
    ca_file: Path | None = field(
        default=None, metadata=_about("path", "certificate authorities for outgoing TLS; empty takes the system's")
    )
    tls_certificate_file: Path | None = field(
        default=None,
        metadata=_about(
            "path", "certificate chain of the node's own port, followed while it serves; empty: plain HTTP"
        ),
    )
    tls_key_file: Path | None = field(
        default=None, metadata=_about("path", "private key of that certificate, mode 0600")
    )
    egress_proxy: str = field(
        default="", metadata=_about("text", "proxy for outgoing requests; the environment's is ignored")
    )
    home: Mapping[str, Json] | None = field(
        default=None, metadata=_about("object", "settings of the home door (login, coordinators); empty has none")
    )

    def in_data_dir(self, path: Path) -> Path:
        """Return the path, taken from `data_dir` when it is relative."""
        return path if path.is_absolute() else self.data_dir / path


def options() -> tuple[Option, ...]:
    """Return every setting in the order of the documentation."""
    return tuple(
        Option(item.name, item.metadata["kind"], item.metadata["unit"], _shown(item), item.metadata["meaning"])
        for item in fields(Settings)
    )


def read_settings(path: Path | None, environment: Mapping[str, str]) -> Settings:
    """Return the settings of the file (if any) with those of the environment over them.

    Raises: SettingsUnreadable, SettingUnknown, SettingMissing, SettingInvalid.
    """
    known = {item.name: item for item in fields(Settings)}
    values: dict[str, Any] = {}
    base = Path.cwd() if path is None else path.parent.absolute()
    for name, value in ({} if path is None else _file(path)).items():
        values[name] = _value(_known(known, name, "settings file"), value, base)
    for name, text in environment.items():
        if name.startswith(PREFIX):
            item = _known(known, name.removeprefix(PREFIX).lower(), "environment")
            values[item.name] = _value(item, _from_text(item, text), Path.cwd())
    for item in known.values():
        if item.name not in values and item.default is MISSING:
            raise SettingMissing(setting=item.name)
    if (values.get("tls_certificate_file") is None) != (values.get("tls_key_file") is None):
        raise SettingMissing(setting="tls_certificate_file and tls_key_file, both or none,")
    return Settings(**values)


def _file(path: Path) -> JsonObject:
    try:
        return parse_object(path.read_bytes(), bytes_max=FILE_BYTES_MAX)
    except OSError as error:
        raise SettingsUnreadable(path=str(path), problem=error.strerror) from error
    except RefusedDocument as error:
        raise SettingsUnreadable(path=str(path), problem=error.message) from error


def _known(known: Mapping[str, Field[Any]], name: str, source: str) -> Field[Any]:
    if name not in known:
        raise SettingUnknown(setting=name[:100], source=source)
    return known[name]


def _from_text(item: Field[Any], text: str) -> Json:
    kind: Kind = item.metadata["kind"]
    if kind == "integer":
        if not re.fullmatch(r"[0-9]{1,15}", text):
            raise SettingInvalid(setting=item.name, problem="is not a whole number")
        return int(text)
    if kind == "texts":
        return [part.strip() for part in text.split(",") if part.strip()]
    if kind == "object":
        try:
            return parse_object(text.encode(), bytes_max=FILE_BYTES_MAX)
        except RefusedDocument as error:
            raise SettingInvalid(setting=item.name, problem="is not a JSON object") from error
    return text


def _value(item: Field[Any], value: Json, base: Path) -> Any:
    readers: Mapping[Kind, Callable[[Field[Any], Json, Path], Any]] = {
        "organization": _organization,
        "text": _text,
        "integer": _integer,
        "path": _path,
        "texts": _texts,
        "object": _object,
    }
    return readers[item.metadata["kind"]](item, value, base)


def _organization(item: Field[Any], value: Json, _base: Path) -> OrgId:
    if not isinstance(value, str):
        raise SettingInvalid(setting=item.name, problem="is not a text")
    try:
        return OrgId.parse(value)
    except RefusedDocument as error:
        raise SettingInvalid(setting=item.name, problem="is not an organization id") from error


def _text(item: Field[Any], value: Json, _base: Path) -> str:
    if not isinstance(value, str):
        raise SettingInvalid(setting=item.name, problem="is not a text")
    _refuse_foreign(item, (value,))
    pattern = item.metadata.get("matches")
    if pattern is not None and not re.fullmatch(pattern, value):
        raise SettingInvalid(setting=item.name, problem="does not have the required form")
    return value


def _integer(item: Field[Any], value: Json, _base: Path) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise SettingInvalid(setting=item.name, problem="is not a whole number")
    low, high = item.metadata["range"]
    if not low <= value <= high:
        raise SettingInvalid(setting=item.name, problem=f"is not between {low} and {high}")
    return value


def _path(item: Field[Any], value: Json, base: Path) -> Path:
    if not isinstance(value, str) or not value or "\0" in value:
        raise SettingInvalid(setting=item.name, problem="is not a path")
    # Relative key files belong to data_dir; everything else to the place of the settings.
    return Path(value) if item.name.endswith("_key") else base / value


def _texts(item: Field[Any], value: Json, _base: Path) -> tuple[str, ...]:
    count_max: int = item.metadata.get("count_max", LIST_MAX)
    if not isinstance(value, list) or len(value) > count_max or not all(isinstance(v, str) for v in value):
        raise SettingInvalid(setting=item.name, problem=f"is not a list of at most {count_max} texts")
    texts = tuple(cast(str, v) for v in value)
    _refuse_foreign(item, texts)
    if item.metadata.get("addresses") and not all(map(is_mirror_address, texts)):
        raise SettingInvalid(setting=item.name, problem="is not a list of addresses that begin with http(s)://")
    return texts


def _object(item: Field[Any], value: Json, _base: Path) -> JsonObject:
    if not isinstance(value, dict):
        raise SettingInvalid(setting=item.name, problem="is not an object")
    return value


def _refuse_foreign(item: Field[Any], values: Iterable[str]) -> None:
    among = item.metadata.get("among")
    if among is not None and not set(values) <= set(among):
        raise SettingInvalid(setting=item.name, problem="is not among " + ", ".join(among))


def _shown(item: Field[Any]) -> str | None:
    if item.default is MISSING:
        return None
    return (
        ",".join(item.default) if isinstance(item.default, tuple) else str("" if item.default is None else item.default)
    )
