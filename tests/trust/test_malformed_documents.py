"""Malformed bundles, archives and saved answers: never another exception than ours, never another state believed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from concordat_trust.answer import verify_saved_answer
from concordat_trust.bundle import verify_bundle
from concordat_trust.bundle.errors import BundleArchiveInvalid
from concordat_trust.bundle.store import archive_bytes, parse_archive
from concordat_trust.errors import ConcordatError, RefusedDocument
from tests.factories.answers import demo_network, make_saved
from tests.factories.network import NOW
from tests.trust.malformed_documents import broken_archives, broken_json, broken_text

NETWORK = demo_network()
SAVED = make_saved()
METADATA = [name for name in NETWORK.files if name.endswith(".json") and not name.startswith("targets/")]


REFUSED = "refused"


def bundle_state(files: Mapping[str, bytes]) -> object:
    bundle = verify_bundle(files, root_sha256=NETWORK.root_sha256, at=NOW)
    return bundle.view, bundle.network, bundle.organizations, bundle.memory


STATE = bundle_state(NETWORK.files)


def bundle_outcome(files: Mapping[str, bytes]) -> object:
    """Return the state that is believed, or "refused" when a leaf of the bundle's errors refuses."""
    try:
        return bundle_state(files)
    except RefusedDocument as error:
        return REFUSED if error.code.startswith("bundle_") else error


def refused_bundles(name: str, cases: Iterator[tuple[str, bytes]]) -> int:
    """Verify the bundle with each case in the place of `name`; what is not refused must say the same as before."""
    count = 0
    for what, data in cases:
        outcome = bundle_outcome({**NETWORK.files, name: data})
        assert outcome in (REFUSED, STATE), (name, what)
        count += outcome == REFUSED
    return count


@pytest.mark.parametrize("name", METADATA)
def test_no_broken_metadata_changes_what_is_believed(name: str) -> None:
    # Only what is not signed can be broken and go unnoticed: one signature of three, a note beside the signed part.
    assert refused_bundles(name, broken_json(NETWORK.files[name], depth_max=3)) > 40


@pytest.mark.long
@pytest.mark.parametrize("name", METADATA)
def test_no_metadata_broken_deep_inside_changes_what_is_believed(name: str) -> None:
    assert refused_bundles(name, broken_json(NETWORK.files[name], depth_max=8)) > 40


@pytest.mark.parametrize("name", sorted(set(NETWORK.files) - set(METADATA)))
def test_no_broken_target_is_believed(name: str) -> None:
    data = NETWORK.files[name]
    cases = (
        list(broken_text(data)) if name.endswith(".json") else [("cut", data[:-1]), ("more", data + b"."), ("", b"")]
    )
    assert refused_bundles(name, iter(cases)) == len(cases)


@pytest.mark.parametrize("name", sorted(NETWORK.files))
def test_a_file_that_is_missing_or_another_refuses_the_bundle(name: str) -> None:
    left = {other: data for other, data in NETWORK.files.items() if other != name}
    with pytest.raises(RefusedDocument):
        bundle_state(left)
    others = (data for other, data in NETWORK.files.items() if data != NETWORK.files[name])
    assert refused_bundles(name, (("another file", data) for data in others)) > 0


def test_a_damaged_archive_is_refused_or_holds_the_same_files() -> None:
    refused = 0
    for what, data in broken_archives(archive_bytes(NETWORK.files)):
        try:
            files = parse_archive(data, Path("bundle.zip"))
        except BundleArchiveInvalid:
            refused += 1
            continue
        assert bundle_outcome(files) in (REFUSED, STATE), what
        refused += files != NETWORK.files
    assert refused >= 60


@pytest.mark.parametrize("depth_max", [3, pytest.param(8, marks=pytest.mark.long)])
def test_no_broken_saved_answer_is_believed(depth_max: int) -> None:
    refused = 0
    for what, data in broken_json(SAVED.to_bytes(), depth_max=depth_max):
        try:
            found = verify_saved_answer(data, bundle_at=lambda _: NETWORK.bundle)
        except ConcordatError:
            refused += 1
            continue
        # The one thing nobody signs is when the file was written.
        assert replace(found.saved, saved_at=SAVED.saved_at) == SAVED, what
    assert refused >= 200
