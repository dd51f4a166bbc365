"""Every setting of a coordinator, read once: a JSON file, then the environment over it.

Rules of this file:

* A setting is one field of `Settings` with its unit, default and meaning in one place (`options()`), as for a node.
* The file is JSON; paths in it are relative to the file, key files to `data_dir`. The environment's name of a setting
  is `CONCORDAT_COORDINATOR_` and its name in capitals; lists are separated by commas. An unknown name is refused in
  both, because a misspelt limit must not leave its default in force.
* No default widens access: nothing listens beyond loopback unless said, and there is no default network.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from concordat_coordinator.cost import Limits
from concordat_coordinator.errors import CoordinatorSettingInvalid
from concordat_trust.bundle.poll import MIRRORS_MAX, is_mirror_address
from concordat_trust.canonical import Json, JsonObject, parse_object
from concordat_trust.errors import RefusedDocument
from concordat_trust.ids import OrgId

PREFIX = "CONCORDAT_COORDINATOR_"
FILE_BYTES_MAX = 262_144
_LIMITS = Limits()

Kind = Literal["organization", "text", "integer", "path", "key", "texts"]


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
    """The settings of one coordinator."""

    organization: OrgId = field(metadata=_about("organization", "this coordinator's id in the network"))
    root_sha256: str = field(
        metadata=_about(
            "text", "fingerprint of the network's first root, from a keyholder", unit="hex", matches="[0-9a-f]{64}"
        )
    )
    data_dir: Path = field(metadata=_about("path", "folder of the keys and the bundle's last good copy"))
    bundle_mirrors: tuple[str, ...] = field(
        metadata=_about("texts", "addresses of bundle repositories, asked at every poll", count_max=MIRRORS_MAX)
    )
    host: str = field(default="127.0.0.1", metadata=_about("text", "address to listen on"))
    port: int = field(
        default=8430, metadata=_about("integer", "port to listen on; 0 takes a free one", range=(0, 65535))
    )
    request_key: Path = field(
        default=Path("keys/request.pem"), metadata=_about("key", "private key that signs requests to nodes")
    )
    delivery_key: Path = field(
        default=Path("keys/delivery.pem"), metadata=_about("key", "private key that signs what is handed over")
    )
    bundle_poll_s: int = field(
        default=20, metadata=_about("integer", "time between bundle polls", unit="s", range=(1, 3600))
    )
    organizations_max: int = field(
        default=_LIMITS.organizations_max,
        metadata=_about(
            "integer", "organizations one question may be relayed to", range=(1, _LIMITS.organizations_max)
        ),
    )
    deadline_ms_max: int = field(
        default=_LIMITS.deadline_ms_max,
        metadata=_about("integer", "longest deadline of a question", unit="ms", range=(1_000, 600_000)),
    )
    nodes_parallel_max: int = field(
        default=_LIMITS.nodes_parallel_max,
        metadata=_about("integer", "nodes asked at once for one question", range=(1, 1_000)),
    )
    asks_parallel_max: int = field(
        default=_LIMITS.asks_parallel_max,
        metadata=_about("integer", "questions relayed at once; more are coordinator_overloaded", range=(1, 4_096)),
    )
    stop_grace_s: int = field(
        default=5, metadata=_about("integer", "time for questions under way when stopping", unit="s", range=(0, 120))
    )
    ca_file: Path | None = field(
        default=None, metadata=_about("path", "certificate authorities for outgoing TLS; empty takes the system's")
    )
    egress_proxy: str = field(
        default="", metadata=_about("text", "proxy for outgoing requests; the environment's is ignored")
    )

    def in_data_dir(self, path: Path) -> Path:
        """Return the path, taken from `data_dir` when it is relative."""
        return path if path.is_absolute() else self.data_dir / path

    def limits(self) -> Limits:
        """Return the relay's limits with those that are settings."""
        return Limits(
            organizations_max=self.organizations_max,
            deadline_ms_max=self.deadline_ms_max,
            nodes_parallel_max=self.nodes_parallel_max,
            asks_parallel_max=self.asks_parallel_max,
        )


def options() -> tuple[Option, ...]:
    """Return every setting in the order of the documentation."""
    return tuple(
        Option(item.name, item.metadata["kind"], item.metadata["unit"], _shown(item), item.metadata["meaning"])
        for item in fields(Settings)
    )


def read_settings(path: Path | None, environment: Mapping[str, str]) -> Settings:
    """Return the settings of the file (if any) with those of the environment over them.

    Raises: CoordinatorSettingInvalid.
    """
    known = {item.name: item for item in fields(Settings)}
    values: dict[str, Any] = {}
    base = Path.cwd() if path is None else path.parent.absolute()
    for name, value in ({} if path is None else _file(path)).items():
        values[name] = _value(_known(known, name), value, base)
    for variable, text in environment.items():
        if variable.startswith(PREFIX):
            item = _known(known, variable.removeprefix(PREFIX).lower())
            values[item.name] = _value(item, _from_text(item, text), Path.cwd())
    for item in known.values():
        if item.name not in values and item.default is MISSING:
            raise CoordinatorSettingInvalid(setting=item.name, problem="has no value and no default")
    return Settings(**values)


def _file(path: Path) -> JsonObject:
    try:
        return parse_object(path.read_bytes(), bytes_max=FILE_BYTES_MAX)
    except OSError as error:
        raise CoordinatorSettingInvalid(setting="--settings", problem=f"cannot be read: {error.strerror}") from error
    except RefusedDocument as error:
        raise CoordinatorSettingInvalid(setting="--settings", problem=f"cannot be read: {error.message}") from error


def _known(known: Mapping[str, Field[Any]], name: str) -> Field[Any]:
    if name not in known:
        raise CoordinatorSettingInvalid(setting=name[:100], problem="is not a setting of a coordinator")
    return known[name]


def _from_text(item: Field[Any], text: str) -> Json:
    kind: Kind = item.metadata["kind"]
    if kind == "integer":
        if not re.fullmatch(r"[0-9]{1,15}", text):
            raise CoordinatorSettingInvalid(setting=item.name, problem="is not a whole number")
        return int(text)
    if kind == "texts":
        return [part.strip() for part in text.split(",") if part.strip()]
    return text


def _value(item: Field[Any], value: Json, base: Path) -> Any:
    kind: Kind = item.metadata["kind"]
    if kind == "integer":
        return _integer(item, value)
    if kind == "texts":
        return _texts(item, value)
    if not isinstance(value, str) or "\0" in value:
        raise CoordinatorSettingInvalid(setting=item.name, problem="is not a text")
    if kind == "organization":
        return _organization(item, value)
    if kind == "path":
        return base / value
    if kind == "key":
        return Path(value)
    pattern = item.metadata.get("matches")
    if pattern is not None and not re.fullmatch(pattern, value):
        raise CoordinatorSettingInvalid(setting=item.name, problem="does not have the required form")
    return value


def _integer(item: Field[Any], value: Json) -> int:
    low, high = item.metadata["range"]
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise CoordinatorSettingInvalid(setting=item.name, problem=f"is not a whole number from {low} to {high}")
    return value


def _texts(item: Field[Any], value: Json) -> tuple[str, ...]:
    count_max: int = item.metadata["count_max"]
    if not isinstance(value, list) or not 0 < len(value) <= count_max or not all(isinstance(v, str) for v in value):
        raise CoordinatorSettingInvalid(setting=item.name, problem=f"is not a list of 1 to {count_max} texts")
    if not all(is_mirror_address(str(v)) for v in value):
        raise CoordinatorSettingInvalid(
            setting=item.name, problem="is not a list of addresses that begin with http(s)://"
        )
    return tuple(str(v) for v in value)


def _organization(item: Field[Any], value: str) -> OrgId:
    try:
        return OrgId.parse(value)
    except RefusedDocument as error:
        raise CoordinatorSettingInvalid(setting=item.name, problem="is not an organization id") from error


def _shown(item: Field[Any]) -> str | None:
    if item.default is MISSING:
        return None
    return "" if item.default is None else str(item.default)
