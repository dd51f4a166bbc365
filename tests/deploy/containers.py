"""compose.federation.yaml and the Containerfiles as data, read by other programs than the one that wrote them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parent.parent.parent
COMPOSE = ROOT / "compose.federation.yaml"
_FROM = re.compile(r"^FROM (\S+)(?: AS (\S+))?$", re.MULTILINE)
_COPY = re.compile(r"^COPY (?!--from)(.+) \S+$", re.MULTILINE)
_COPY_FROM = re.compile(r"^COPY --from=(\S+) ", re.MULTILINE)
_ARG = re.compile(r"^ARG (\w+)", re.MULTILINE)


def read_compose() -> dict[str, Any]:
    parsed: dict[str, Any] = YAML(typ="safe").load(COMPOSE.read_text("utf-8"))
    return parsed


@dataclass(frozen=True, slots=True)
class Mount:
    """`source` is a volume's name, or a path of this repository that begins with a dot."""

    source: str
    target: str
    is_read_only: bool

    @property
    def is_file(self) -> bool:
        return self.source.startswith(".")


def mounts(service: dict[str, Any]) -> list[Mount]:
    parts = [entry.split(":") for entry in service.get("volumes", [])]
    return [Mount(part[0], part[1], part[2:] == ["ro"]) for part in parts]


def networks(service: dict[str, Any]) -> set[str]:
    return set(service.get("networks", ()))


@dataclass(frozen=True, slots=True)
class Containerfile:
    text: str

    @classmethod
    def read(cls, name: str) -> Containerfile:
        return cls((ROOT / name).read_text("utf-8"))

    def stages(self) -> list[tuple[str, str]]:
        """Return (base, name) of every stage in order."""
        return _FROM.findall(self.text)

    def images(self) -> set[str]:
        """Return the bases that are not stages of this file."""
        return {base for base, _ in self.stages()} - {name for _, name in self.stages()}

    def copied(self) -> list[str]:
        return [source for sources in _COPY.findall(self.text) for source in sources.split()]

    def copied_from(self) -> set[str]:
        return set(_COPY_FROM.findall(self.text))

    def arguments(self) -> set[str]:
        return set(_ARG.findall(self.text))


FILE = read_compose()
SERVICES: dict[str, dict[str, Any]] = FILE["services"]
OURS = [name for name, service in SERVICES.items() if "build" in service]
CONTAINERFILES = ("deploy/Containerfile.node", "deploy/Containerfile.coordinator")
