"""Run one client command as if nothing but the base install were there: `python base_install.py ARGUMENTS`.

Without arguments it prints the commands that need no extra and whose modules can be imported.

Every module that is not of the standard library, of the base dependencies (with what they need) or of the packages
`concordat_trust` and `concordat_client` cannot be found; no socket is made and no process started.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Sequence
from importlib import metadata
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

OURS = {"concordat_trust", "concordat_client"}
_NAME = re.compile(r"[A-Za-z0-9._-]+")


def base_distributions() -> set[str]:
    """Return the distributions of a base install: the project's own dependencies and all that they need."""
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))["project"]
    waiting, found = [_name(text) for text in project["dependencies"]], set[str]()
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            needed = metadata.requires(name) or []
            waiting += [_name(text) for text in needed if "extra ==" not in text and _is_installed(text)]
    return found


def _name(requirement: str) -> str:
    match = _NAME.match(requirement)
    assert match is not None, requirement
    return match[0].lower().replace("_", "-")


def _is_installed(requirement: str) -> bool:
    try:
        metadata.distribution(_name(requirement))
    except metadata.PackageNotFoundError:
        return False  # one for another platform or an older Python
    return True


def base_modules() -> set[str]:
    """Return the top-level names that a base install can import beside the standard library."""
    base = base_distributions()
    owners = metadata.packages_distributions().items()
    return OURS | {module for module, names in owners if base & {name.lower().replace("_", "-") for name in names}}


class OnlyBase(MetaPathFinder):
    """Finds nothing, and says so first for every module beyond the base install."""

    def __init__(self, allowed: set[str]) -> None:
        self._allowed = allowed | sys.stdlib_module_names

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name.partition(".")[0] not in self._allowed:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return None


def _refuse_the_world(event: str, _: tuple[object, ...]) -> None:
    if event.startswith(("socket.", "subprocess.", "os.system", "os.exec", "os.fork", "os.posix_spawn")):
        raise RuntimeError(f"{event}: a command that needs no network made a connection or a process")


if __name__ == "__main__":
    sys.meta_path.insert(0, OnlyBase(base_modules()))
    from concordat_client.cli import COMMANDS, build_parser, main

    sys.addaudithook(_refuse_the_world)
    if len(sys.argv) == 1:
        bare = [command for command in COMMANDS if command.extra is None]
        print(*sorted(command.name for command in bare if build_parser(command) is not None))
        sys.exit()
    sys.exit(main(sys.argv[1:]))
