"""The request signature: one profile of RFC 9421, bound to the receiver that the bundle names."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from concordat_trust.directory import KeyUnknown, MemberUnknown, request_keys
from concordat_trust.encoding import unb64u
from concordat_trust.errors import RefusedDocument
from concordat_trust.ids import KeyId
from concordat_trust.jwk import SigningKey
from concordat_trust.refusals import refusal_code
from concordat_trust.request_signature import (
    COMPONENT_CHARS_MAX,
    CREATED_WINDOW_S,
    SIGNATURE_INPUT_CHARS_MAX,
    EndpointInvalid,
    SignedMessage,
    authority_of,
    content_digest,
    sign_request,
    signature_base,
    verify_request,
)
from tests.factories.tokens import (
    NORTH,
    NOW,
    PROPERTY,
    RELAY,
    FakeDirectory,
    digest_of,
    flipped,
    fresh_id,
    make_directory,
    make_message,
    signing_key,
)

KEY = signing_key(RELAY, "request")


def headers_of(
    message: SignedMessage | None = None, *, key: SigningKey = KEY, created: int = NOW, nonce: str = fresh_id("nonce")
) -> dict[str, str]:
    return sign_request(message or make_message(), key=key, created=created, nonce=nonce)


def verify(
    message: SignedMessage | None = None,
    headers: dict[str, str] | None = None,
    *,
    now: int = NOW,
    directory: FakeDirectory | None = None,
) -> KeyId:
    return verify_request(
        message or make_message(),
        headers_of() if headers is None else headers,
        resolve_key=request_keys(directory or make_directory()),
        now=now,
    )


def code_of(
    message: SignedMessage | None = None,
    headers: dict[str, str] | None = None,
    *,
    now: int = NOW,
    directory: FakeDirectory | None = None,
) -> str:
    with pytest.raises(RefusedDocument) as caught:
        verify(message, headers, now=now, directory=directory)
    return caught.value.code


def rewritten(name: str, old: str, new: str) -> dict[str, str]:
    headers = headers_of()
    assert old in headers[name]
    return {**headers, name: headers[name].replace(old, new)}


def test_a_good_request_names_the_key_that_signed_it() -> None:
    assert verify() == KEY.key_id


visible = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=40)


@PROPERTY
@given(
    body=st.binary(max_size=300),
    authorization=visible,
    path=st.from_regex(r"/[a-z0-9/_.-]{0,30}", fullmatch=True),
    created=st.integers(0, 10**12 - 1),
    skew=st.integers(-30, 30),
)
def test_every_signed_request_is_believed(body: bytes, authorization: str, path: str, created: int, skew: int) -> None:
    message = replace(make_message(), body=body, authorization=authorization, path=path)
    assert verify(message, headers_of(message, created=created), now=created + skew) == KEY.key_id


@PROPERTY
@given(
    name=st.sampled_from(["content-digest", "signature", "signature-input"]),
    position=st.integers(0, 2_000),
    mask=st.integers(1, 127),
)
def test_a_signature_header_with_any_byte_changed_is_refused(name: str, position: int, mask: int) -> None:
    headers = headers_of()
    assert code_of(headers={**headers, name: flipped(headers[name], position, mask)})


@PROPERTY
@given(
    name=st.sampled_from(["method", "authority", "path", "content_type", "authorization"]),
    position=st.integers(0, 2_000),
    mask=st.integers(1, 127),
)
def test_a_request_with_any_covered_byte_changed_is_refused(name: str, position: int, mask: int) -> None:
    message = make_message()
    changed = replace(message, **{name: flipped(getattr(message, name), position, mask)})  # type: ignore[arg-type]  # texts
    assert code_of(changed).startswith("request_signature_")


@PROPERTY
@given(position=st.integers(0, 2_000), mask=st.integers(1, 255))
def test_a_body_with_any_byte_changed_is_refused(position: int, mask: int) -> None:
    body = bytearray(make_message().body)
    body[position % len(body)] ^= mask
    assert code_of(replace(make_message(), body=bytes(body))) == "content_digest_mismatch"


headers_strategy = st.dictionaries(
    st.sampled_from(["content-digest", "signature", "signature-input", "host"]), st.text(max_size=80)
)


@PROPERTY
@given(headers=headers_strategy, digest=st.booleans())
def test_whatever_headers_are_sent_only_our_own_errors_come_out(headers: dict[str, str], digest: bool) -> None:
    right = {"content-digest": content_digest(make_message().body)} if digest else {}
    assert code_of(headers={**headers, **right})


# RFC 9421 appendix B.2.6, with the key of B.1.4.
RFC_KEY = SigningKey.from_seed(unb64u("n4Ni-HpISpVObnQMW0wOhCKROaIKqKtW_2ZYb2p9KcU"))
RFC_COMPONENTS = (
    ("date", "Tue, 20 Apr 2021 02:07:55 GMT"),
    ("@method", "POST"),
    ("@path", "/foo"),
    ("@authority", "example.com"),
    ("content-type", "application/json"),
    ("content-length", "18"),
)
RFC_PARAMETERS = (
    '("date" "@method" "@path" "@authority" "content-type" "content-length")'
    ';created=1618884473;keyid="test-key-ed25519"'
)
RFC_SIGNATURE = "wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw=="


def test_the_signature_of_rfc_9421_b_2_6_is_reproduced() -> None:
    assert RFC_KEY.public_jwk["x"] == "JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0bs"
    base = signature_base(RFC_COMPONENTS, RFC_PARAMETERS)
    assert base.decode() == (
        '"date": Tue, 20 Apr 2021 02:07:55 GMT\n'
        '"@method": POST\n'
        '"@path": /foo\n'
        '"@authority": example.com\n'
        '"content-type": application/json\n'
        '"content-length": 18\n'
        f'"@signature-params": {RFC_PARAMETERS}'
    )
    assert base64.b64encode(RFC_KEY.sign(base)).decode() == RFC_SIGNATURE


def test_the_request_of_rfc_9421_b_2_6_is_not_in_our_profile() -> None:
    headers = {
        **headers_of(),
        "signature-input": f"sig-b26={RFC_PARAMETERS}",
        "signature": f"sig-b26=:{RFC_SIGNATURE}:",
    }
    assert code_of(headers=headers) == "request_signature_malformed"


def test_the_digests_of_rfc_9530_are_reproduced() -> None:
    # RFC 9530 appendix B.1 and B.2.
    assert content_digest(b'{"hello": "world"}\n') == "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:"
    assert content_digest(b"") == "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:"


def test_what_is_signed_is_frozen() -> None:
    message = replace(make_message(), authorization="Bearer t", body=b"{}")
    assert headers_of(message, nonce="n" * 22) == {
        "authorization": "Bearer t",
        "content-digest": "sha-256=:RBNvo1WzZ4oRRq0W9+hknpT7T8If536DEMBg9hyq/4o=:",
        "content-type": "application/json",
        "signature": headers_of(message, nonce="n" * 22)["signature"],
        "signature-input": (
            'concordat=("@method" "@authority" "@path" "content-type" "content-digest" "authorization")'
            f';created=1800000000;nonce="{"n" * 22}";keyid="{KEY.key_id}";alg="ed25519";tag="concordat-v1"'
        ),
    }


# Digest.


@pytest.mark.parametrize("value", [None, "", "sha-512=:AAAA:", "md5=:AAAA:"])
def test_a_missing_or_other_digest_is_refused(value: str | None) -> None:
    headers = {name: text for name, text in headers_of().items() if name != "content-digest"}
    assert code_of(headers=headers if value is None else {**headers, "content-digest": value}) == (
        "content_digest_mismatch"
    )


def test_a_second_digest_beside_the_right_one_is_refused() -> None:
    headers = headers_of()
    headers["content-digest"] += ", sha-512=:AAAA:"
    assert code_of(headers=headers) == "content_digest_mismatch"


# Form.


@pytest.mark.parametrize("name", ["signature", "signature-input"])
def test_a_request_without_one_of_the_signature_headers_is_refused(name: str) -> None:
    headers = headers_of()
    del headers[name]
    assert code_of(headers=headers) == "request_signature_malformed"


@pytest.mark.parametrize("name", ["signature", "signature-input"])
def test_a_second_signature_beside_the_first_is_refused(name: str) -> None:
    headers = headers_of()
    headers[name] += ", other" + headers[name].removeprefix("concordat")
    assert code_of(headers=headers) in ("request_signature_malformed", "request_signature_parameters")


def test_another_label_is_refused() -> None:
    assert code_of(headers=rewritten("signature-input", "concordat=", "sig1=")) == "request_signature_malformed"
    assert code_of(headers=rewritten("signature", "concordat=", "sig1=")) == "request_signature_malformed"


def test_a_signature_with_a_second_spelling_is_refused() -> None:
    headers = headers_of()
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    text = headers["signature"]
    at = len(text) - 4  # the last character before "==:"
    twin = text[:at] + alphabet[alphabet.index(text[at]) ^ 1] + text[at + 1 :]
    assert code_of(headers={**headers, "signature": twin}) == "request_signature_malformed"


def test_an_endless_signature_input_is_refused() -> None:
    headers = rewritten("signature-input", ";created", " " * 1_024 + ";created")
    assert code_of(headers=headers) == "request_signature_malformed"


INJECTED = "Bearer a\n" + '"@authority": other.example.org'


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("authorization", INJECTED),
        ("authorization", ""),
        ("authorization", " Bearer a"),
        ("authorization", "Bearer a "),
        ("authorization", "Bearer é"),
        ("authorization", "x" * (COMPONENT_CHARS_MAX + 1)),
        ("content_type", "application/json\r\nx: y"),
        ("method", "PO\x00ST"),
        ("path", "graphql"),
        ("path", "/graphql?debug=1"),
        ("path", "/graphql#x"),
        ("path", "/gra phql"),
        ("authority", "North-Hospital.example.org"),
        ("authority", "user@north-hospital.example.org"),
        ("authority", "north-hospital.example.org/x"),
        ("authority", "north-hospital.example.org:port"),
    ],
)
def test_a_component_that_could_be_read_two_ways_is_neither_signed_nor_believed(field: str, value: str) -> None:
    message = replace(make_message(), **{field: value})  # type: ignore[arg-type]  # text fields only
    assert code_of(message) == "request_signature_malformed"
    with pytest.raises(RefusedDocument) as caught:
        headers_of(message)
    assert caught.value.code == "request_signature_malformed"


def test_a_component_of_the_largest_size_is_believed() -> None:
    message = replace(make_message(), authorization="x" * COMPONENT_CHARS_MAX)
    assert verify(message, headers_of(message)) == KEY.key_id


# Components and parameters: a valid signature over something else is no signature here.


def resigned(covered: list[str], parameters: str) -> dict[str, str]:
    """Sign, correctly, over other components or parameters than the profile's."""
    values = dict(make_message().components())
    text = "(" + " ".join(f'"{name}"' for name in covered) + ")" + parameters
    signature = KEY.sign(signature_base([(name, values[name]) for name in covered], text))
    return {
        **headers_of(),
        "signature-input": f"concordat={text}",
        "signature": f"concordat=:{base64.b64encode(signature).decode()}:",
    }


COVERED = ["@method", "@authority", "@path", "content-type", "content-digest", "authorization"]
PARAMETERS = f';created={NOW};nonce="{"n" * 22}";keyid="{KEY.key_id}";alg="ed25519";tag="concordat-v1"'


def test_the_helper_of_these_tests_signs_what_is_believed() -> None:
    assert verify(headers=resigned(COVERED, PARAMETERS)) == KEY.key_id


@pytest.mark.parametrize(
    "covered", [*[[name for name in COVERED if name != left] for left in COVERED], ["@method"], [], COVERED[::-1]]
)
def test_a_signature_over_less_or_in_another_order_is_refused(covered: list[str]) -> None:
    assert code_of(headers=resigned(covered, PARAMETERS)) == "request_signature_components"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('alg="ed25519"', 'alg="hmac-sha256"'),
        (';alg="ed25519"', ""),
        ('tag="concordat-v1"', 'tag="concordat-v2"'),
        (';tag="concordat-v1"', ""),
        (f';nonce="{"n" * 22}"', ""),
        ("n" * 22, "n" * 21),
        ("n" * 22, "n" * 87),
        (f"created={NOW}", f"created=0{NOW}"),
        (f"created={NOW}", f"created=-{NOW}"),
        (f"created={NOW}", f"created={NOW}.0"),
        (f";created={NOW}", ""),
        (";alg", f";expires={NOW + 9};alg"),
        (";created", " ;created"),
    ],
)
def test_a_signature_with_other_parameters_is_refused(old: str, new: str) -> None:
    assert old in PARAMETERS
    code = code_of(headers=resigned(COVERED, PARAMETERS.replace(old, new)))
    assert code in ("request_signature_parameters", "request_signature_malformed")
    assert (code == "request_signature_malformed") == (new == " ;created")


def test_only_the_longest_parameters_that_fit_are_believed() -> None:
    assert verify(headers=resigned(COVERED, PARAMETERS.replace("n" * 22, "n" * 86))) == KEY.key_id


@pytest.mark.parametrize(("created", "nonce"), [(-1, "n" * 22), (NOW, "short"), (10**12, "n" * 22), (NOW, 'n"' * 22)])
def test_parameters_that_nobody_would_believe_are_not_signed(created: int, nonce: str) -> None:
    with pytest.raises(RefusedDocument) as caught:
        headers_of(created=created, nonce=nonce)
    assert caught.value.code == "request_signature_parameters"


# Time, key, signature.


@pytest.mark.parametrize(
    ("now", "believed"), [(NOW - 31, False), (NOW - 30, True), (NOW + 30, True), (NOW + 31, False)]
)
def test_the_signature_is_at_most_thirty_seconds_away(now: int, believed: bool) -> None:
    if believed:
        assert verify(now=now) == KEY.key_id
    else:
        assert code_of(now=now) == "request_signature_time"


def test_a_key_that_belongs_to_nobody_is_an_unknown_presenter() -> None:
    stranger = SigningKey.from_seed(digest_of("stranger"))
    assert code_of(headers=headers_of(key=stranger)) == "presenter_unknown"


def test_a_key_for_another_use_is_an_unknown_presenter() -> None:
    assert code_of(headers=headers_of(key=signing_key(RELAY, "delivery"))) == "presenter_unknown"


def test_a_suspended_presenter_is_refused() -> None:
    directory = make_directory().with_member(RELAY, suspended=True)
    assert code_of(directory=directory) == "organization_suspended"


def test_a_signature_by_another_key_under_a_listed_id_is_refused() -> None:
    stranger = SigningKey.from_seed(digest_of("stranger"))
    headers = {**headers_of(), "signature": headers_of(key=stranger)["signature"]}
    assert code_of(headers=headers) == "request_signature_invalid"


def test_a_request_captured_by_one_node_is_worthless_at_another() -> None:
    elsewhere = replace(make_message(), authority="vitalis.example.org")
    assert code_of(elsewhere, headers_of()) == "request_signature_invalid"


def test_a_captured_signature_cannot_carry_another_token() -> None:
    assert code_of(replace(make_message(), authorization="Bearer other"), headers_of()) == "request_signature_invalid"


def test_a_node_that_signs_a_captured_request_again_is_named_as_itself() -> None:
    own = signing_key(NORTH, "request")
    assert verify(headers=headers_of(key=own)) == own.key_id != KEY.key_id


# Authority.


@pytest.mark.parametrize(
    ("endpoint", "authority"),
    [
        ("https://north.example.org", "north.example.org"),
        ("https://North.Example.ORG/", "north.example.org"),
        ("https://north.example.org:443", "north.example.org"),
        ("https://north.example.org:8443", "north.example.org:8443"),
        ("http://127.0.0.1:8001", "127.0.0.1:8001"),
        ("http://127.0.0.1:80", "127.0.0.1"),
        ("http://127.0.0.1:443", "127.0.0.1:443"),
        ("http://[::1]:8001", "[::1]:8001"),
    ],
)
def test_the_authority_of_an_endpoint_is_normalized(endpoint: str, authority: str) -> None:
    assert authority_of(endpoint) == authority


@pytest.mark.parametrize(
    "endpoint",
    [
        "",
        "north.example.org",
        "ftp://north.example.org",
        "https://",
        "https://north.example.org/path",
        "https://north.example.org?x=1",
        "https://north.example.org#x",
        "https://user@north.example.org",
        "https://:secret@north.example.org",
        "https://north.example.org:99999",
        "https://north.example.org:port",
        "https://[::1",
        "https://nörth.example.org",
        "https://north example.org",
    ],
)
def test_an_endpoint_that_is_no_server_is_refused(endpoint: str) -> None:
    with pytest.raises(RefusedDocument) as caught:
        authority_of(endpoint)
    assert caught.value.code == "endpoint_invalid"


@PROPERTY
@given(st.text(max_size=60) | st.text("https://[]:@?#.%ab1", max_size=40).map("https://".__add__))
def test_any_text_as_endpoint_gives_an_authority_or_our_own_error(endpoint: str) -> None:
    try:
        authority = authority_of(endpoint)
    except EndpointInvalid:
        return
    assert authority == authority.lower()


# What travels.


def test_the_finer_codes_travel_as_the_one_of_the_wire() -> None:
    with pytest.raises(RefusedDocument) as caught:
        verify(now=NOW + 31)
    assert (caught.value.code, refusal_code(caught.value)) == ("request_signature_time", "request_signature_invalid")


# What a mutant of `request_signature` would change and no test above would notice.


def test_the_limits_are_frozen() -> None:
    assert (COMPONENT_CHARS_MAX, SIGNATURE_INPUT_CHARS_MAX, CREATED_WINDOW_S) == (65_536, 1_024, 30)


def test_a_signature_input_of_the_largest_size_is_read_and_one_longer_is_not() -> None:
    room = SIGNATURE_INPUT_CHARS_MAX - len("concordat=();")
    for more, code in ((0, "request_signature_components"), (1, "request_signature_malformed")):
        header = f"concordat=({'x' * (room + more)});"
        assert code_of(headers={**headers_of(), "signature-input": header}) == code


@pytest.mark.parametrize("name", ["signature-input", "signature"])
def test_nothing_stands_behind_a_signature_header(name: str) -> None:
    headers = headers_of()
    for more in ("\n", "\nx"):
        assert code_of(headers={**headers, name: headers[name] + more}) == "request_signature_malformed"


def test_no_parameter_stands_behind_the_last() -> None:
    assert code_of(headers=resigned(COVERED, PARAMETERS + ";x=1")) == "request_signature_parameters"


def test_a_nonce_cannot_end_the_parameters_before_their_end() -> None:
    nonce = f'{"n" * 22}";keyid="{KEY.key_id}";alg="ed25519";tag="concordat-v1'
    with pytest.raises(RefusedDocument) as caught:
        headers_of(nonce=nonce)
    assert caught.value.code == "request_signature_parameters"


@pytest.mark.parametrize("leaf", [KeyUnknown, MemberUnknown])
def test_whatever_the_directory_does_not_know_is_an_unknown_presenter(leaf: type[RefusedDocument]) -> None:
    def resolve(_: KeyId) -> Ed25519PublicKey:
        raise leaf

    with pytest.raises(RefusedDocument) as caught:
        verify_request(make_message(), headers_of(), resolve_key=resolve, now=NOW)
    assert caught.value.code == "presenter_unknown"
