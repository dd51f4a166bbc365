"""Ids are parsed labels; base64url has one spelling; codes are unique."""

import hashlib
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from concordat_trust.encoding import EncodingInvalid, b64u, sha256_b64u, sha256_hex, unb64u
from concordat_trust.errors import RefusedDocument, all_error_classes
from concordat_trust.ids import AssetId, AssetIdInvalid, OrganizationIdInvalid, OrgId, tie_key

GOOD = "urn:concordat:north-hospital:model:" + "a" * 26


@pytest.mark.parametrize("text", ["abc", "a-1", "z" * 40, "north-hospital"])
def test_an_organization_id_of_the_stated_form_is_taken(text: str) -> None:
    assert OrgId.parse(text) == text


@pytest.mark.parametrize(
    "text", ["", "ab", "z" * 41, "1ab", "-ab", "North", "north_hospital", "nоrth", "north\n", "a.b", "north hospital"]
)
def test_an_organization_id_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(OrganizationIdInvalid):
        OrgId.parse(text)


def test_ids_are_compared_by_label_never_by_suffix() -> None:
    # A deployed system once accepted `ulm` where `neu-ulm` had signed, because it compared endings.
    assert AssetId.parse(GOOD).org != OrgId.parse("hospital")
    assert AssetId.parse(GOOD.replace("north-hospital", "hospital")).org != AssetId.parse(GOOD).org


@pytest.mark.parametrize(
    "text",
    [
        GOOD.upper(),
        GOOD[:-1],
        GOOD + "a",
        GOOD.replace("model", "agent"),
        GOOD.replace("urn:", ""),
        GOOD + ":x",
        GOOD.replace("north-hospital", "n"),
        GOOD[:-1] + "1",
        "",
    ],
)
def test_an_asset_id_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(AssetIdInvalid):
        AssetId.parse(text)


@given(st.binary(min_size=16, max_size=16))
def test_a_new_asset_id_reads_back(random16: bytes) -> None:
    asset = AssetId.new(OrgId.parse("vitalis"), "dataset", random16)
    assert AssetId.parse(str(asset)) == asset


def test_the_tie_key_is_the_first_8_bytes_of_the_hash_of_the_id() -> None:
    assert tie_key(GOOD) == hashlib.sha256(GOOD.encode()).hexdigest()[:16]


@given(st.binary(max_size=64))
def test_base64url_reads_back(data: bytes) -> None:
    assert unb64u(b64u(data)) == data


@pytest.mark.parametrize(
    "text",
    [
        *("QQ==", "QQ=", "QR", "Q", "Q+", "Q/", "QQ\n", " QQ", "QÄ"),
        *("!QUJD", "+QUJD", "=QUJD", " QUJD", "\nQUJD", "QU!JD", "QUJD!QUJD", "====QUJD"),
    ],
)
def test_a_second_spelling_of_base64url_is_refused(text: str) -> None:
    with pytest.raises(EncodingInvalid):
        unb64u(text)


def test_a_sha256_has_43_characters() -> None:
    assert len(sha256_b64u(b"")) == 43


def test_every_leaf_has_a_code_a_sentence_and_a_hint() -> None:
    for leaf in all_error_classes():
        assert leaf.code, leaf
        assert leaf.sentence, leaf
        assert leaf.hint, leaf


def test_a_code_cannot_be_used_twice() -> None:
    with pytest.raises(RuntimeError, match="share the code"):

        class Second(RefusedDocument):
            code = "encoding_invalid"


def test_a_family_is_never_raised_itself() -> None:
    with pytest.raises(RuntimeError):
        RefusedDocument()


def test_an_error_survives_a_process_boundary() -> None:
    error = pickle.loads(pickle.dumps(AssetIdInvalid()))  # noqa: S301 - our own bytes
    assert (type(error), error.fields) == (AssetIdInvalid, {})


def test_bytes_whose_text_ends_in_any_letter_are_written_whole() -> None:
    assert b64u(bytes.fromhex("5d75d7")) == "XXXX"
    assert all(unb64u(b64u(bytes([first, last]))) == bytes([first, last]) for first in (0, 255) for last in range(256))


def test_a_hex_digest_is_the_known_one() -> None:
    assert sha256_hex(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
