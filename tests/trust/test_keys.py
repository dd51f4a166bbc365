"""Keys: one key, one id; a private key that others can read is no key."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from hypothesis import example, given
from hypothesis import strategies as st

from concordat_trust import keys
from concordat_trust.canonical import Json
from concordat_trust.encoding import b64u, unb64u
from concordat_trust.errors import ConcordatError
from concordat_trust.jwk import SigningKey, public_jwk, public_key_from_jwk, thumbprint
from tests.factories.tokens import PROPERTY

# RFC 8037 appendix A.1 to A.3: the key, its public part and its thumbprint.
RFC_SEED = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"
RFC_X = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
RFC_THUMBPRINT = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
GOOD: dict[str, Json] = {"kty": "OKP", "crv": "Ed25519", "x": RFC_X}


def test_the_key_of_rfc_8037_has_its_published_public_part_and_thumbprint() -> None:
    key = SigningKey.from_seed(unb64u(RFC_SEED))
    assert key.public_jwk == GOOD
    assert key.key_id == RFC_THUMBPRINT


@PROPERTY
@given(st.binary(min_size=32, max_size=32))
def test_a_public_jwk_comes_back_as_the_same_key(seed: bytes) -> None:
    key = SigningKey.from_seed(seed)
    again = public_key_from_jwk({**key.public_jwk, "kid": key.key_id})
    assert thumbprint(again) == key.key_id
    again.verify(key.sign(b"message"), b"message")


def test_generated_keys_differ_and_their_text_shows_no_secret() -> None:
    one, two = SigningKey.generate(), SigningKey.generate()
    assert one.key_id != two.key_id
    assert repr(one) == f"SigningKey(key_id={one.key_id!r})"


def test_a_seed_of_another_length_is_a_bug() -> None:
    with pytest.raises(RuntimeError):
        SigningKey.from_seed(bytes(31))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"d": RFC_SEED}, "jwk_private"),
        ({"kty": "oct"}, "jwk_malformed"),
        ({"crv": "X25519"}, "jwk_malformed"),
        ({"x": None}, "jwk_malformed"),
        ({"x": RFC_X + "="}, "jwk_malformed"),
        ({"x": RFC_X[:-1] + "p"}, "jwk_malformed"),  # the same 32 bytes, spelled a second way
        ({"x": b64u(bytes(31))}, "jwk_malformed"),
        ({"use": "enc"}, "jwk_use"),
        ({"key_ops": ["sign"]}, "jwk_use"),
        ({"key_ops": ["verify", "sign"]}, "jwk_use"),
        ({"alg": "HS256"}, "jwk_use"),
        ({"kid": "another"}, "jwk_thumbprint"),
    ],
)
def test_a_jwk_that_is_not_a_plain_public_signature_key_is_refused(change: dict[str, Json], code: str) -> None:
    with pytest.raises(ConcordatError) as caught:
        public_key_from_jwk({**GOOD, **change})
    assert caught.value.code == code


def test_a_jwk_that_is_not_an_object_is_refused() -> None:
    with pytest.raises(ConcordatError, match="not an object"):
        public_key_from_jwk([GOOD])


def test_a_jwk_may_name_its_use_and_carry_members_of_others() -> None:
    named: dict[str, Json] = {
        **GOOD,
        "use": "sig",
        "key_ops": ["verify"],
        "alg": "EdDSA",
        "kid": RFC_THUMBPRINT,
        "x-note": "spare",
    }
    assert thumbprint(public_key_from_jwk(named)) == RFC_THUMBPRINT


PRIME = 2**255 - 19
ORDER_8 = 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826
SMALL_ORDER = [0, 1, PRIME - 1, ORDER_8, PRIME - ORDER_8]


@pytest.mark.parametrize("sign_bit", [0, 1])
@pytest.mark.parametrize("y", [*SMALL_ORDER, PRIME, PRIME + 1, PRIME + 3, 2**255 - 1])
def test_a_point_of_small_order_or_with_a_second_spelling_is_refused(y: int, sign_bit: int) -> None:
    raw = (y | sign_bit << 255).to_bytes(32, "little")
    with pytest.raises(ConcordatError) as caught:
        public_key_from_jwk({**GOOD, "x": b64u(raw)})
    assert caught.value.code == "jwk_weak"


def test_the_library_itself_lets_anybody_sign_under_a_point_of_small_order() -> None:
    identity = (1).to_bytes(32, "little")
    key = Ed25519PublicKey.from_public_bytes(identity)
    key.verify(identity + bytes(32), b"whatever")  # this is why `jwk_weak` exists
    assert thumbprint(key)


def test_the_small_order_points_are_those_that_eight_times_make_the_identity() -> None:
    d = -121665 * pow(121666, -1, PRIME) % PRIME
    for y in SMALL_ORDER:
        x2 = (y * y - 1) * pow(d * y * y + 1, -1, PRIME) % PRIME
        doubled = y
        for _ in range(3):  # y of the doubled point: (y² + x²) / (1 − d·x²·y²), for a = −1
            y2 = doubled * doubled % PRIME
            x2 = (y2 - 1) * pow(d * y2 + 1, -1, PRIME) % PRIME
            doubled = (y2 + x2) * pow(1 - d * x2 * y2, -1, PRIME) % PRIME
        assert doubled == 1


# Key files.


@pytest.fixture
def key() -> SigningKey:
    return SigningKey.from_seed(unb64u(RFC_SEED))


def code_of(path: Path) -> str:
    with pytest.raises(ConcordatError) as caught:
        keys.load_private_key(path)
    return caught.value.code


def test_a_saved_key_is_private_to_its_owner_and_loads_again(tmp_path: Path, key: SigningKey) -> None:
    path = tmp_path / "request.pem"
    before = os.umask(0)
    try:
        keys.save_private_key(path, key)
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o600
    assert keys.load_private_key(path).key_id == key.key_id


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o610, 0o601, 0o644, 0o777])
def test_a_key_file_with_any_permission_for_others_is_refused(tmp_path: Path, key: SigningKey, mode: int) -> None:
    path = tmp_path / "request.pem"
    keys.save_private_key(path, key)
    path.chmod(mode)
    assert code_of(path) == "key_file_permissions"


def test_a_read_only_key_file_is_accepted(tmp_path: Path, key: SigningKey) -> None:
    path = tmp_path / "request.pem"
    keys.save_private_key(path, key)
    path.chmod(0o400)
    assert keys.load_private_key(path).key_id == key.key_id


def test_a_missing_key_file_is_named(tmp_path: Path) -> None:
    assert code_of(tmp_path / "absent.pem") == "key_file_missing"


def test_an_existing_key_is_never_overwritten(tmp_path: Path, key: SigningKey) -> None:
    path = tmp_path / "request.pem"
    keys.save_private_key(path, key)
    with pytest.raises(keys.KeyFileExists):
        keys.save_private_key(path, SigningKey.generate())
    assert keys.load_private_key(path).key_id == key.key_id


def test_a_directory_that_is_not_there_is_unwritable(tmp_path: Path, key: SigningKey) -> None:
    with pytest.raises(keys.KeyFileUnwritable):
        keys.save_private_key(tmp_path / "absent" / "request.pem", key)


def test_a_full_disk_leaves_no_half_written_key(
    tmp_path: Path, key: SigningKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    path = tmp_path / "request.pem"
    with pytest.raises(keys.KeyFileUnwritable, match="No space left"):
        keys.save_private_key(path, key)
    assert not path.exists()


def test_a_pipe_in_place_of_the_file_does_not_hang_the_start(tmp_path: Path) -> None:
    path = tmp_path / "request.pem"
    os.mkfifo(path, 0o600)
    assert code_of(path) == "key_file_invalid"


def test_a_pipe_that_holds_a_good_key_is_still_no_key_file(tmp_path: Path, key: SigningKey) -> None:
    path = tmp_path / "request.pem"
    os.mkfifo(path, 0o600)
    writer = os.open(path, os.O_RDWR)
    try:
        os.write(writer, key.private_pem())
        assert code_of(path) == "key_file_invalid"
    finally:
        os.close(writer)


def elliptic() -> bytes:
    return generate_private_key(SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


@pytest.mark.parametrize("kind", ["empty", "text", "truncated", "elliptic", "too large"])
def test_a_file_that_holds_no_plain_ed25519_key_is_refused(tmp_path: Path, key: SigningKey, kind: str) -> None:
    content = {
        "empty": b"",
        "text": b"not a key\n",
        "truncated": key.private_pem()[:60],
        "elliptic": elliptic(),
        "too large": key.private_pem() + b"\n" * keys.KEY_FILE_BYTES_MAX,
    }[kind]
    path = tmp_path / "request.pem"
    path.write_bytes(content)
    path.chmod(0o600)
    assert code_of(path) == "key_file_invalid"


def test_a_key_file_of_exactly_the_largest_size_is_read(tmp_path: Path, key: SigningKey) -> None:
    pem = key.private_pem()
    path = tmp_path / "request.pem"
    path.write_bytes(pem + b"\n" * (keys.KEY_FILE_BYTES_MAX - len(pem)))
    path.chmod(0o600)
    assert keys.load_private_key(path).key_id == key.key_id


@PROPERTY
@given(position=st.integers(0, 10_000), mask=st.integers(1, 255))
@example(position=1709, mask=1)  # Ed25519 becomes X448: cryptography raises InternalError
def test_a_damaged_key_file_gives_another_key_or_a_refusal_but_no_crash(position: int, mask: int) -> None:
    pem = bytearray(SigningKey.from_seed(unb64u(RFC_SEED)).private_pem())
    pem[position % len(pem)] ^= mask
    try:
        loaded = keys._parse(Path("damaged.pem"), bytes(pem))
    except keys.KeyFileInvalid:
        return
    assert loaded.key_id


def test_a_signature_of_one_key_is_not_one_of_another(key: SigningKey) -> None:
    with pytest.raises(InvalidSignature):
        SigningKey.generate().public_key.verify(key.sign(b"message"), b"message")


def test_public_jwk_has_exactly_the_required_members(key: SigningKey) -> None:
    assert sorted(public_jwk(key.public_key)) == ["crv", "kty", "x"]


def test_a_folder_is_no_key_file(tmp_path: Path) -> None:
    with pytest.raises(keys.KeyFileInvalid):
        keys.load_private_key(tmp_path)


def test_a_jwk_without_a_key_id_is_named_by_its_thumbprint() -> None:
    assert thumbprint(public_key_from_jwk(GOOD)) == RFC_THUMBPRINT
