"""Key files with a passphrase: from a prompt or a private file, never from an argument; and a key that has no file."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from concordat_trust import keys
from concordat_trust.bundle.life.approval import sign_documents
from concordat_trust.bundle.life.parts import make_part
from concordat_trust.bundle.repository import sign_suspended
from concordat_trust.canonical import JsonObject
from concordat_trust.errors import ConcordatError
from concordat_trust.ids import KeyId, OrgId
from concordat_trust.jwk import Signer, SigningKey
from tests.factories.life import living
from tests.factories.network import NOW, make_key

WORDS = "correct horse battery staple"
VARIABLE = keys.PASSPHRASE_VARIABLE


@pytest.fixture
def path(tmp_path: Path) -> Path:
    keys.save_private_key(tmp_path / "keyholder.pem", make_key("one-one"), passphrase=WORDS.encode())
    return tmp_path / "keyholder.pem"


def named(tmp_path: Path, text: str, *, mode: int = 0o600) -> dict[str, str]:
    file = tmp_path / "passphrase"
    file.write_text(text)
    file.chmod(mode)
    return {VARIABLE: str(file)}


def code_of(path: Path, environment: dict[str, str], ask: keys.Ask | None = None) -> str:
    with pytest.raises(ConcordatError) as error:
        keys.load_private_key(path, ask=ask, environment=environment)
    return error.value.code


def test_an_encrypted_key_file_is_private_and_does_not_hold_the_key_in_the_clear(path: Path) -> None:
    assert path.stat().st_mode & 0o777 == 0o600
    assert b"BEGIN ENCRYPTED PRIVATE KEY" in path.read_bytes()
    with pytest.raises(TypeError):
        load_pem_private_key(path.read_bytes(), password=None)


def test_a_prompt_opens_it(path: Path) -> None:
    asked: list[Path] = []

    def ask(asked_for: Path) -> str:
        asked.append(asked_for)
        return WORDS

    assert keys.load_private_key(path, ask=ask, environment={}).key_id == make_key("one-one").key_id
    assert asked == [path]


@pytest.mark.parametrize("end", ["", "\n"])
def test_a_private_file_opens_it_without_asking(path: Path, tmp_path: Path, end: str) -> None:
    def never(_: Path) -> str:
        raise AssertionError

    environment = named(tmp_path, WORDS + end)
    assert keys.load_private_key(path, ask=never, environment=environment).key_id == make_key("one-one").key_id


def test_without_a_passphrase_it_stays_closed(path: Path) -> None:
    assert code_of(path, {}) == "key_passphrase_missing"
    assert code_of(path, {}, ask=lambda _: None) == "key_passphrase_missing"
    assert code_of(path, {}, ask=lambda _: "") == "key_passphrase_missing"


def test_a_wrong_passphrase_opens_nothing(path: Path, tmp_path: Path) -> None:
    assert code_of(path, {}, ask=lambda _: WORDS + "!") == "key_passphrase_wrong"
    assert code_of(path, named(tmp_path, "something else")) == "key_passphrase_wrong"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660])
def test_a_passphrase_file_that_others_can_read_is_refused(path: Path, tmp_path: Path, mode: int) -> None:
    assert code_of(path, named(tmp_path, WORDS, mode=mode)) == "passphrase_file_unusable"


@pytest.mark.parametrize("text", ["", "\n", "two\nlines\n", "x" * (keys.PASSPHRASE_BYTES_MAX + 1)])
def test_a_passphrase_file_has_one_line(path: Path, tmp_path: Path, text: str) -> None:
    assert code_of(path, named(tmp_path, text)) == "passphrase_file_unusable"


def test_a_passphrase_file_that_is_not_there_is_named(path: Path, tmp_path: Path) -> None:
    assert code_of(path, {VARIABLE: str(tmp_path / "absent")}) == "passphrase_file_unusable"


def test_others_may_not_read_an_encrypted_file_either(path: Path) -> None:
    path.chmod(0o644)
    assert code_of(path, {}, ask=lambda _: WORDS) == "key_file_permissions"


@pytest.mark.parametrize("length", [keys.PASSPHRASE_CHARS_MIN, keys.PASSPHRASE_BYTES_MAX])
def test_a_passphrase_may_be_as_short_and_as_long_as_the_limits(tmp_path: Path, length: int) -> None:
    path = tmp_path / "new.pem"
    keys.save_private_key(path, make_key("x"), passphrase=b"x" * length)
    assert keys.load_private_key(path, ask=lambda _: "x" * length, environment={}).key_id == make_key("x").key_id


@pytest.mark.parametrize(
    "passphrase",
    [b"x" * (keys.PASSPHRASE_CHARS_MIN - 1), b"x" * (keys.PASSPHRASE_BYTES_MAX + 1), b"two lines\nof words"],
)
def test_a_weak_passphrase_makes_no_file(tmp_path: Path, passphrase: bytes) -> None:
    with pytest.raises(keys.KeyPassphraseWeak):
        keys.save_private_key(tmp_path / "new.pem", make_key("x"), passphrase=passphrase)
    assert not (tmp_path / "new.pem").exists()


def test_a_key_without_a_passphrase_asks_nobody(tmp_path: Path) -> None:
    keys.save_private_key(tmp_path / "plain.pem", make_key("x"))
    environment = {VARIABLE: str(tmp_path / "absent")}
    assert keys.load_private_key(tmp_path / "plain.pem", environment=environment).key_id == make_key("x").key_id


# A key that never leaves its module.


class Module:
    """A hardware module as a test has one: it signs and shows its public part, and that is all."""

    def __init__(self, name: str) -> None:
        self.__key = make_key(name)
        self.signed = 0

    @property
    def key_id(self) -> KeyId:
        return self.__key.key_id

    @property
    def public_jwk(self) -> JsonObject:
        return self.__key.public_jwk

    def sign(self, data: bytes, /) -> bytes:
        self.signed += 1
        return self.__key.sign(data)


def test_a_keyholder_with_a_module_does_all_that_a_keyholder_does() -> None:
    world, module = living("north-hospital", "vitalis"), Module("two-two")
    signer: Signer = module
    first = world.propose("remove", member=OrgId("vitalis"))
    world.publish(first, world.approve(first, by=signer))
    assert world.state("vitalis") == "removed"
    assert make_part(OrgId("two-two"), "keyholder", signer).key_id == make_key("two-two").key_id
    assert "2.suspended.json" in sign_suspended({}, signer=signer, version=2, at=NOW)
    assert module.signed == 3


def test_what_signs_takes_any_signer_and_no_private_key() -> None:
    for function in (sign_documents, make_part, sign_suspended):
        assert "SigningKey" not in str(inspect.signature(function))
    assert not hasattr(Module("x"), "private_pem")
    assert isinstance(make_key("x"), SigningKey)
