"""A browser for these tests is found or brought along; where there is none, one exact hint says what to do."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.factories import browser
from tests.factories.browser import PACKED, Chromium, ChromiumMissing, chromium, find_chromium
from tests.factories.web import INSTALL_SECONDS_MAX


@pytest.fixture(autouse=True)
def afresh() -> Iterator[None]:
    find_chromium.cache_clear()
    yield
    find_chromium.cache_clear()


def test_the_named_browser_is_taken_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    named = tmp_path / "mine"
    named.touch()
    monkeypatch.setenv("CONCORDAT_CHROMIUM", str(named))
    assert find_chromium() == Chromium(named)


def test_a_named_browser_that_is_not_there_is_not_replaced_by_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONCORDAT_CHROMIUM", "/nowhere/chromium")
    with pytest.raises(ChromiumMissing, match="apt-get install chromium"):
        find_chromium()


def test_a_machine_that_the_packed_browser_is_not_for_gets_the_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CONCORDAT_CHROMIUM", raising=False)
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    with pytest.raises(ChromiumMissing, match="apt-get install chromium"):
        find_chromium()


def test_the_packed_browser_is_pinned_by_digest_and_names_no_registry() -> None:
    text = (PACKED / "package-lock.json").read_text("utf-8")
    packages = {name: package for name, package in json.loads(text)["packages"].items() if name}
    assert all(package["integrity"].startswith("sha512-") for package in packages.values())
    assert packages["node_modules/@sparticuz/chromium"]["version"] == "153.0.0"
    assert "resolved" not in text


@pytest.mark.long
@pytest.mark.timeout(2 * INSTALL_SECONDS_MAX)
def test_a_machine_without_a_browser_gets_the_packed_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CONCORDAT_CHROMIUM", raising=False)
    monkeypatch.setattr(browser, "NAMES", ())
    with chromium() as started:
        page = started.new_page()
        page.set_content("<title>There is a browser</title>")
        assert page.title() == "There is a browser"
