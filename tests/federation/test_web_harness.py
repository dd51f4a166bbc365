"""The stock npm programs of tests/web: pinned, from no named registry, under known licences, and running."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.factories.web import INSTALL_SECONDS_MAX, WEB, node_server, run_node, web_modules

LICENCES = {
    "MIT", "ISC", "0BSD", "BSD-2-Clause", "BSD-3-Clause", "BlueOak-1.0.0", "Apache-2.0", "MPL-2.0", "Elastic-2.0",
    "(MIT AND BSD-3-Clause)",
}  # fmt: skip

pytestmark = pytest.mark.timeout(INSTALL_SECONDS_MAX)


def _locked() -> dict[str, dict[str, object]]:
    packages: dict[str, dict[str, object]] = json.loads((WEB / "package-lock.json").read_bytes())["packages"]
    return {name: package for name, package in packages.items() if name}


def test_the_lock_pins_by_digest_and_names_no_registry() -> None:
    assert all(str(package["integrity"]).startswith("sha512-") for package in _locked().values())
    assert "resolved" not in (WEB / "package-lock.json").read_text()


def test_every_licence_is_a_known_one() -> None:
    assert {package.get("license") for package in _locked().values()} <= LICENCES


def test_what_is_named_is_exact() -> None:
    named = json.loads((WEB / "package.json").read_bytes())["dependencies"]
    assert all(version[0].isdigit() for version in named.values())
    assert {name: _locked()[f"node_modules/{name}"]["version"] for name in named} == named


def test_node_runs_what_the_lock_installs(tmp_path: Path) -> None:
    script = tmp_path / "version.cjs"
    script.write_text("console.log(require('graphql').version, process.argv[2], process.env.HOME)")
    done = run_node(script, "given", timeout_s=30)
    assert (done.returncode, done.stdout) == (0, "16.15.0 given undefined\n")
    assert (web_modules() / "axe-core" / "axe.min.js").is_file()


def test_a_server_script_is_stopped_and_one_that_dies_is_reported(tmp_path: Path) -> None:
    script = tmp_path / "server.cjs"
    script.write_text(
        "const s = require('http').createServer().listen(0, '127.0.0.1',"
        " () => console.log(`listening http://127.0.0.1:${s.address().port}/`))"
    )
    with node_server(script) as url:
        assert url.startswith("http://127.0.0.1:")
    script.write_text("throw new Error('no port for me')")
    with pytest.raises(RuntimeError, match="no port for me"), node_server(script):
        pass
