"""A key that follows its file: exchanged when it is both in the file and in the bundle, and never by halves."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from concordat_trust import jose
from concordat_trust.encoding import unb64u
from concordat_trust.jwk import SigningKey
from concordat_trust.keys import save_private_key
from concordat_trust.reloading_key import ReloadingKey
from concordat_trust.request_signature import sign_request, verify_request
from tests.factories.network import NOW, make_key
from tests.factories.tokens import fresh_id, make_message

OLD, NEW = make_key("old"), make_key("new")


def replace(path: Path, key: SigningKey) -> None:
    """Put another key in the file's place, as an operator does."""
    save_private_key(path.with_suffix(".new"), key)
    path.with_suffix(".new").replace(path)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    save_private_key(tmp_path / "request.pem", OLD)
    return tmp_path / "request.pem"


def test_an_unchanged_file_changes_nothing(path: Path) -> None:
    key = ReloadingKey(path)
    assert not key.reload(lambda _: True)
    assert (key.key_id, key.public_jwk) == (OLD.key_id, OLD.public_jwk)


def test_a_new_key_is_used_once_the_bundle_lists_it(path: Path) -> None:
    key = ReloadingKey(path)
    replace(path, NEW)
    assert not key.reload(lambda _: False)
    assert key.key_id == OLD.key_id
    assert key.reload(lambda key_id: key_id == NEW.key_id)
    assert key.key_id == NEW.key_id
    assert key.sign(b"x") == NEW.sign(b"x")


def test_a_key_taken_back_before_it_was_listed_is_forgotten(path: Path) -> None:
    key = ReloadingKey(path)
    replace(path, NEW)
    key.reload(lambda _: False)
    replace(path, OLD)
    assert not key.reload(lambda _: True)
    assert key.key_id == OLD.key_id


@pytest.mark.parametrize("damage", ["open to others", "half-written", "gone"])
def test_a_file_that_cannot_be_read_leaves_the_key_in_use_and_is_logged_once(
    damage: str, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    key = ReloadingKey(path)
    if damage == "gone":
        path.unlink()
    else:
        replace(path, NEW)
        if damage == "open to others":
            path.chmod(0o644)
        path.write_bytes(path.read_bytes()[: 40 if damage == "half-written" else None])
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert not key.reload(lambda _: True)
    assert key.key_id == OLD.key_id
    assert len(caplog.records) == 1


class Exchanged:
    """A signer whose key is exchanged exactly between its id and its first signature."""

    def __init__(self) -> None:
        self._key = OLD

    @property
    def key_id(self) -> str:
        return self._key.key_id

    @property
    def public_jwk(self) -> dict[str, object]:
        return dict(self._key.public_jwk)

    def sign(self, data: bytes) -> bytes:
        self._key = NEW
        return self._key.sign(data)


def test_a_token_signed_while_the_key_is_exchanged_verifies() -> None:
    token = jose.sign({"iss": "a", "iat": NOW, "jti": fresh_id("x")}, key=Exchanged(), typ="x+jwt")  # type: ignore[arg-type]  # its JWK
    assert jose.unverified_key_id(token) == NEW.key_id
    head, _, signature = token.rpartition(".")
    NEW.public_key.verify(unb64u(signature), head.encode())


def test_a_request_signed_while_the_key_is_exchanged_verifies() -> None:
    message = make_message()
    headers = sign_request(message, key=Exchanged(), created=NOW, nonce=fresh_id("n"))  # type: ignore[arg-type]  # the same
    assert verify_request(message, headers, resolve_key=lambda _: NEW.public_key, now=NOW) == NEW.key_id
