"""Where the policy files are, and the one digest that names what they say.

Imports only the standard library: the launcher uses this before anything is installed.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

_CHECKOUT = Path(__file__).resolve().parents[3]
_INSTALLED = Path(__file__).resolve().parents[1] / "policies"

POLICY_FILES_MAX = 1_000
POLICY_BYTES_MAX = 10_000_000


def policies_dir() -> Path:
    """Return the folder with `rego/`, `schemas/` and `capabilities.json`: the checkout's, else the package's."""
    checkout = _CHECKOUT / "policies"
    return checkout if (checkout / "capabilities.json").is_file() else _INSTALLED


def tools_dir() -> Path:
    """Return the folder with the pinned `go.mod` and `go.sum`: the checkout's, else the package's."""
    checkout = _CHECKOUT / "tools"
    return checkout if (checkout / "go.mod").is_file() else _INSTALLED / "tools"


def policy_files(directory: Path) -> dict[str, bytes]:
    """Return the policy text under `directory`/rego by relative name, without tests.

    Raises: RuntimeError when there is none or too much of it; our own package is then broken.
    """
    root = directory / "rego"
    paths = [path for path in sorted(root.rglob("*.rego")) if not path.name.endswith("_test.rego")]
    if not 0 < len(paths) <= POLICY_FILES_MAX:
        raise RuntimeError(f"{len(paths)} policy files; between 1 and {POLICY_FILES_MAX} are expected")
    files = {path.relative_to(root).as_posix(): path.read_bytes() for path in paths}
    if sum(map(len, files.values())) > POLICY_BYTES_MAX:
        raise RuntimeError(f"the policy files have more than {POLICY_BYTES_MAX} bytes")
    return files


def policy_revision(files: dict[str, bytes]) -> str:
    """Return the SHA-256 (hex) over the names and bytes of policy files; lengths keep two lists apart."""
    digest = hashlib.sha256()
    for name in sorted(files):
        for part in (name.encode(), files[name]):
            digest.update(len(part).to_bytes(8, "big"))
            digest.update(part)
    return digest.hexdigest()
