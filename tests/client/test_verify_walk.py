"""`concordat verify` of a saved walk: offline, from the root fingerprint, and one changed byte is found."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from concordat_client import cli
from concordat_client.exits import Exit
from concordat_trust.bundle.store import archive_bytes
from tests.federation.test_lineage_across_organizations import ARM, BASE, NETWORK, TUNED, walk

Run = Callable[..., tuple[int, str, str]]
PLACES = 40


@pytest.fixture(scope="module")
def saved() -> bytes:
    """A walk up through three organizations, one of which seals its records."""
    return walk(TUNED, "up").saved()


@pytest.fixture
def run(tmp_path: Path, config_home: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    bundle, file = tmp_path / "bundle.zip", tmp_path / "walk.json"
    bundle.write_bytes(archive_bytes(NETWORK.files))

    def verify(data: bytes, *more: str) -> tuple[int, str, str]:
        file.write_bytes(data)
        fixed = ("--bundle", str(bundle), "--root-sha256", NETWORK.root_sha256)
        code = cli.main(["verify", str(file), *fixed, *more])
        printed = capsys.readouterr()
        return code, printed.out, printed.err

    return verify


def test_a_saved_walk_holds_and_is_told_again(run: Run, saved: bytes) -> None:
    code, out, err = run(saved)
    assert (code, err) == (Exit.DONE, "")
    assert out.startswith("This walk holds.")
    assert all(str(asset) in out for asset in (TUNED, BASE, ARM))
    assert out.count("Round ") == 3


def test_a_saved_walk_holds_as_json(run: Run, saved: bytes) -> None:
    code, out, _ = run(saved, "--json")
    told = json.loads(out)
    assert (code, told["ok"], len(told["rounds"])) == (Exit.DONE, True, 3)
    assert told["picture"] == json.loads(saved)["picture"]


@pytest.mark.parametrize(
    "place", [b'"picture"', b"vitalis-tuned title", b'"asserted_on"', b'"attestation":"', b'"token":"']
)
def test_one_changed_byte_of_a_saved_walk_is_found(run: Run, saved: bytes, place: bytes) -> None:
    at = saved.index(place) + len(place) + 30
    changed = saved[:at] + (b"A" if saved[at : at + 1] != b"A" else b"B") + saved[at + 1 :]
    code, out, err = run(changed)
    assert code == Exit.TRUST_FAILED, (out, err)
    assert out == ""


def test_no_place_of_a_saved_walk_can_be_changed_unseen(run: Run, saved: bytes) -> None:
    # When it was saved is a note of whoever saved it: nobody signs it, and nothing is concluded from it.
    notes = {at for note in re.finditer(rb'"saved_at":[0-9]+', saved) for at in range(*note.span())}
    for at in range(7, len(saved), len(saved) // PLACES):
        byte = b"5" if saved[at : at + 1].isdigit() and saved[at : at + 1] != b"5" else b"A"
        changed = saved[:at] + byte + saved[at + 1 :]
        if changed != saved and at not in notes:
            assert run(changed)[0] == Exit.TRUST_FAILED, saved[at - 40 : at + 10]
