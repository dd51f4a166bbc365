"""Only one file speaks through opa_client, and only through the calls that are safe."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path

import pytest
from opa_client.opa_async import AsyncOpaClient

from concordat_node.policy.opa_client import OpaClient

ROOT = Path(__file__).parents[2]
USED = {"check_health", "close_connection"}


def importers(package: str) -> set[str]:
    """Return the files of the project that import `package`."""
    found = set()
    folders = ("trust", "node", "federation_coordinator", "client", "tools")
    for path in (path for folder in folders for path in (ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) and node.level == 0 else []
            if any(name.split(".")[0] == package for name in names):
                found.add(path.relative_to(ROOT).as_posix())
    return found


def test_nothing_else_imports_opa_client() -> None:
    assert importers("opa_client") == {"node/concordat_node/policy/opa_client.py"}


def test_every_other_call_of_the_package_is_closed(tmp_path: Path) -> None:
    client = OpaClient(tmp_path / "opa.sock", "token")
    public = {name for name, _ in inspect.getmembers(AsyncOpaClient, inspect.isfunction) if not name.startswith("_")}
    assert public > USED
    for name in sorted(public - USED):
        with pytest.raises(RuntimeError):
            getattr(client, name)("x")


def test_nothing_is_retried(tmp_path: Path) -> None:
    assert OpaClient(tmp_path / "opa.sock", "token").retries == 0
