"""The documents that cannot rot: what the code declares must be found in `docs/`.

The reference pages (errors, settings, commands, policy codes) are made from the code and must be up to date; every link
between documents leads somewhere; no text file names a path of a developer's machine. Prints what is wrong; exit 0
or 7.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#]+)")
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


def stale_pages() -> list[str]:
    """Return what the page maker says is out of date."""
    done = subprocess.run(  # noqa: S603 - our own script
        [sys.executable, str(ROOT / "tools" / "build_reference.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
    )
    return (done.stdout + done.stderr).strip().splitlines() if done.returncode else []


def broken_links() -> list[str]:
    """Return the links of Markdown files that lead to no file."""
    return [
        f"{path.relative_to(ROOT)} links to {target}, which is not there"
        for path in _tracked()
        if path.suffix == ".md" and path.is_file()
        for target in _LINK.findall(path.read_text("utf-8"))
        if not (path.parent / target).exists()
    ]


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
    problems = stale_pages() + broken_links()
    problems += [f"{name} names a path of a developer's machine" for name in private_paths()]
    for problem in problems:
        print(problem)
    return 7 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
