"""The versions of an asset: what a good one becomes, how they are ordered, and what each bad one is refused with."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from concordat_node.registry.records import AssetRecord, VersionRecord, newest_first
from concordat_node.registry.rules import ImportedAsset, read_line
from concordat_node.registry.store import RegistryStore
from concordat_node.registry.version_rules import CHANGES_LENGTH_MAX, LABEL_LENGTH_MAX, VERSIONS_MAX
from concordat_trust.errors import RefusedDocument
from tests.factories.registry import DIGEST, OWNER, Databases, asset_fields, asset_id, import_fields, ndjson_line


@pytest.fixture(scope="module")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    made = Databases(tmp_path_factory.mktemp("versions"))
    yield made
    made.close()


def read(line: bytes) -> AssetRecord:
    item = read_line(line, OWNER)
    assert isinstance(item, ImportedAsset)
    return item.record


def refusal(line: bytes) -> tuple[str, str]:
    """Return the code and field with which a line is refused."""
    with pytest.raises(RefusedDocument) as caught:
        read_line(line, OWNER)
    where = str(caught.value.fields.get("where", "line")).removeprefix("line").lstrip(".")
    return caught.value.code, ".".join(part for part in (where, str(caught.value.fields["field"])) if part)


def version(label: Any = "2.0", **changes: Any) -> dict[str, Any]:
    return {"label": label, "released": "2026-05-04"} | changes


def with_versions(*versions: dict[str, Any], **changes: Any) -> bytes:
    fields = asset_fields("model", **({"version": ..., "versions": list(versions)} | changes))
    return ndjson_line(fields)


def test_a_version_is_read_whole() -> None:
    record = read(with_versions(version(digest=DIGEST, changes="Newer scanner.", status="withdrawn")))
    assert record.versions == (VersionRecord("2.0", "2026-05-04", DIGEST, "Newer scanner.", "withdrawn"),)


BAD_VERSIONS: list[tuple[dict[str, Any], str]] = [
    ({"label": ""}, "label"),
    ({"label": "v 2"}, "label"),
    ({"label": "x" * (LABEL_LENGTH_MAX + 1)}, "label"),
    ({"label": 2}, "label"),
    ({"released": "last week"}, "released"),
    ({"digest": "ab"}, "digest"),
    ({"digest": ""}, "digest"),
    ({"digest": DIGEST.upper()}, "digest"),
    ({"changes": "x" * (CHANGES_LENGTH_MAX + 1)}, "changes"),
    ({"status": "draft"}, "status"),
    ({"note": "fine"}, "note"),
]


@pytest.mark.parametrize(("changes", "field"), BAD_VERSIONS)
def test_a_bad_version_is_refused_at_its_place(changes: dict[str, Any], field: str) -> None:
    assert refusal(with_versions(version(**changes))) == ("document_malformed", f"versions[0].{field}")


def test_versions_have_limits() -> None:
    longest = version("x" * LABEL_LENGTH_MAX, changes="y" * CHANGES_LENGTH_MAX)
    most = [version(str(number)) for number in range(VERSIONS_MAX)]
    assert len(read(with_versions(*most)).versions) == VERSIONS_MAX
    assert read(with_versions(longest)).current_version == "x" * LABEL_LENGTH_MAX
    assert refusal(with_versions(*most, version("one more"))) == ("document_malformed", "versions")


@pytest.mark.parametrize(
    ("line", "code", "field"),
    [
        (with_versions(version(), version()), "version_repeated", "versions"),
        (with_versions(version(), version="2"), "version_unknown", "version"),
        (with_versions(version="2"), "version_unknown", "version"),
        (with_versions(version(status="withdrawn"), version="2.0"), "version_withdrawn", "version"),
        (
            with_versions(version(), evaluations=[{"metric": "auroc", "value": "1", "split": "test", "version": "2"}]),
            "version_unknown",
            "evaluations.version",
        ),
    ],
)
def test_a_name_of_a_version_must_fit_the_versions(line: bytes, code: str, field: str) -> None:
    assert refusal(line) == (code, field)


def test_the_current_version_is_the_newest_active_one_unless_named() -> None:
    history = (
        version("2.0", released="2026-01-01"),
        version("1.10", released="2025-01-01"),
        version("3.0", released="2026-02-01", status="withdrawn"),
    )
    assert read(with_versions(*history)).current_version == "2.0"
    assert read(with_versions(*history, version="1.10")).current_version == "1.10"
    assert read(with_versions()).current_version == ""


def test_on_one_day_numbers_in_labels_are_numbers() -> None:
    found = read(with_versions(version("1.9"), version("1.10"), version("1.10-rc")))
    assert [item.label for item in found.versions] == ["1.10-rc", "1.10", "1.9"]


LABELS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,8}", fullmatch=True)
DAYS = st.sampled_from(["2026-01-01", "2026-01-02"])


@given(st.dictionaries(LABELS, DAYS, max_size=6), st.randoms(use_true_random=False))
def test_the_order_of_versions_is_that_of_none_of_their_writings(held: dict[str, str], random: Random) -> None:
    versions = [VersionRecord(label, released) for label, released in held.items()]
    shuffled = random.sample(versions, len(versions))
    assert newest_first(shuffled) == newest_first(versions)


def test_what_is_published_lacks_withdrawn_versions_and_what_was_measured_on_them() -> None:
    measured = [{"metric": "auroc", "value": "1", "split": "test", "version": label} for label in ("1", "2")]
    line = with_versions(version("1"), version("2", status="withdrawn"), evaluations=measured)
    without = with_versions(version("1"), evaluations=measured[:1])
    assert read(line).published() == read(without)


def test_the_registry_keeps_every_version_and_hands_out_the_active_ones(databases: Databases) -> None:
    database = databases.new()
    measured = [{"metric": "auroc", "value": "1", "split": "test", "version": label} for label in ("1", "2")]
    held = [version("2", status="withdrawn"), version("1", digest=DIGEST, changes="First.")]
    fields = asset_fields("model", version=..., versions=held, evaluations=measured)
    assert import_fields(database, [fields]).refused == 0
    asset = asset_id("arm-a", "model")
    record = RegistryStore(database).assets([asset])[asset]
    assert record.versions == (VersionRecord("1", "2026-05-04", DIGEST, "First."),)
    assert [item.version for item in record.evaluations] == ["1"]
    assert record.current_version == "1"
