"""A corpus of malformed query tokens, made from one good token by breaking one thing at a time; always the same.

`malformed()` yields (name, token); whatever can be signed again by the right key is signed again, so that the fault
named is the only one. The codes that refuse them are frozen in tests/vectors/malformed_tokens.json; after a deliberate
change of a code: `python -m tests.trust.malformed_tokens > tests/vectors/malformed_tokens.json`.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator, Mapping
from typing import Final

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from concordat_trust import jose
from concordat_trust.attestation import sign_attestation
from concordat_trust.canonical import Json, JsonObject, canonical_bytes
from concordat_trust.delivery import sign_delivery
from concordat_trust.encoding import b64u, unb64u
from concordat_trust.errors import ConcordatError
from concordat_trust.jwk import SigningKey
from concordat_trust.query_token import QUERY_TOKEN_BYTES_MAX, verify_query_token
from tests.factories import tokens
from tests.factories.tokens import HOME, NORTH, NOW, RELAY, VITALIS, signing_key

Case = tuple[str, str]

GOOD: Final = tokens.make_query_token()
HEAD, BODY, SIGNATURE = GOOD.split(".")
CLAIMS: Final = tokens.token_claims()
KEY: Final = signing_key(HOME, "query_token")
TYP: Final = "concordat-query+jwt"
HEADER: Final[JsonObject] = {"alg": "EdDSA", "kid": KEY.key_id, "typ": TYP}
GROUP_ORDER: Final = 2**252 + 27742317777372353535851937790883648493
ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


def compact(header: bytes, payload: bytes, key: SigningKey = KEY) -> str:
    signed = f"{b64u(header)}.{b64u(payload)}"
    return f"{signed}.{b64u(key.sign(signed.encode()))}"


def with_header(header: Mapping[str, Json], key: SigningKey = KEY) -> str:
    return compact(canonical_bytes(dict(header)), canonical_bytes(CLAIMS), key)


def with_claims(claims: Mapping[str, Json]) -> str:
    return compact(canonical_bytes(HEADER), canonical_bytes(dict(claims)))


def malformed() -> Iterator[Case]:
    """Yield every case; names differ."""
    for family in (
        *(_truncated, _segments, _base64, _signatures, _sizes, _headers, _algorithms, _hmac, _types, _key_ids),
        *(_json, _missing_claims, _wrong_types, _wrong_values, _nested_claims, _nested, _other_tokens, _unicode),
    ):
        for name, token in family():
            yield f"{family.__name__[1:]}: {name}", token


def _truncated() -> Iterator[Case]:
    for length in range(0, len(GOOD), 19):
        yield f"first {length} characters", GOOD[:length]
    for length in range(19, len(GOOD), 57):
        yield f"last {length} characters", GOOD[-length:]


def _segments() -> Iterator[Case]:
    parts = {"none": "", "one": HEAD, "two": f"{HEAD}.{BODY}", "four": f"{GOOD}.{SIGNATURE}", "five": f"{GOOD}.e30.e30"}
    yield from parts.items()
    yield "dots", ".."
    yield "no header", f".{BODY}.{SIGNATURE}"
    yield "no payload", f"{HEAD}..{SIGNATURE}"
    yield "no signature", f"{HEAD}.{BODY}."
    yield "exchanged", f"{BODY}.{HEAD}.{SIGNATURE}"
    yield "twice", GOOD + GOOD
    for name, text in {"space": " ", "newline": "\n", "tab": "\t", "nul": "\0", "bom": "\ufeff", "dot": "."}.items():
        yield f"{name} before", text + GOOD
        yield f"{name} after", GOOD + text
        yield f"{name} inside", f"{HEAD}{text}.{BODY}.{SIGNATURE}"
    yield "a scheme before", f"Bearer {GOOD}"
    yield "quoted", f'"{GOOD}"'
    yield "percent-encoded", GOOD.replace(".", "%2E")
    yield "a full-width dot", GOOD.replace(".", "\uff0e")


def _base64() -> Iterator[Case]:
    for index, name in enumerate(("header", "payload", "signature")):
        parts = [HEAD, BODY, SIGNATURE]
        for what, text in {"padding": "=", "two paddings": "==", "plus": "+", "slash": "/", "star": "*"}.items():
            yield f"{name} with {what}", ".".join([*parts[:index], parts[index] + text, *parts[index + 1 :]])
        last = ALPHABET.index(parts[index][-1])
        twin = parts[index][:-1] + ALPHABET[last ^ 1]
        yield f"{name} with another last character", ".".join([*parts[:index], twin, *parts[index + 1 :]])
        one_more = parts[index] + "A" * (1 + (1 - len(parts[index])) % 4)
        yield f"{name} of an impossible length", ".".join([*parts[:index], one_more, *parts[index + 1 :]])
    standard = base64.b64encode(unb64u(SIGNATURE)).decode()
    yield "signature in the other alphabet", f"{HEAD}.{BODY}.{standard}"
    yield "header in hex", f"{unb64u(HEAD).hex()}.{BODY}.{SIGNATURE}"


def _signatures() -> Iterator[Case]:
    raw, signed = unb64u(SIGNATURE), f"{HEAD}.{BODY}"
    for bit in range(0, 512, 16):
        changed = bytearray(raw)
        changed[bit // 8] ^= 1 << (bit % 8)
        yield f"bit {bit} flipped", f"{signed}.{b64u(bytes(changed))}"
    beyond = (int.from_bytes(raw[32:], "little") + GROUP_ORDER).to_bytes(32, "little")
    spellings = {
        "one byte": raw[:1],
        "63 bytes": raw[:63],
        "65 bytes": raw + b"\0",
        "zeros": bytes(64),
        "ones": b"\xff" * 64,
        "halves exchanged": raw[32:] + raw[:32],
        "s beyond the group order": raw[:32] + beyond,
        "r of small order": (1).to_bytes(32, "little") + raw[32:],
        "of the payload alone": KEY.sign(BODY.encode()),
        "of the decoded bytes": KEY.sign(unb64u(HEAD) + b"." + unb64u(BODY)),
        "a digest": hashlib.sha512(signed.encode()).digest(),
    }
    for name, value in spellings.items():
        yield name, f"{signed}.{b64u(value)}"
    for org, use in ((HOME, "attestation"), (HOME, "request"), (NORTH, "query_token"), (RELAY, "request")):
        yield f"by the {use} key of {org}", f"{signed}.{b64u(signing_key(org, use).sign(signed.encode()))}"
    other = with_claims({**CLAIMS, "sub": "p-4712"}).rpartition(".")[2]
    yield "of another token", f"{signed}.{other}"


def _sizes() -> Iterator[Case]:
    yield "one character too many", "A" * (QUERY_TOKEN_BYTES_MAX + 1)
    yield "a long subject", with_claims({**CLAIMS, "sub": "p" * QUERY_TOKEN_BYTES_MAX})
    yield "a long header", with_header({**HEADER, "typ": TYP + "x" * jose.HEADER_BYTES_MAX})
    yield "a long audience", with_claims({**CLAIMS, "aud": [NORTH] * (jose.AUDIENCE_MAX + 1)})
    yield "a long name in the audience", with_claims({**CLAIMS, "aud": [NORTH, "x" * 300]})


def _headers() -> Iterator[Case]:
    url = "https://evil.example/keys"
    more: Mapping[str, Json] = {
        "crit": ["exp"],
        "jku": url,
        "x5u": url,
        "jwk": KEY.public_jwk,
        "x5c": ["MIIB"],
        "x5t": "AAAA",
        "x5t#S256": "AAAA",
        "b64": False,
        "cty": "JWT",
        "zip": "DEF",
        "enc": "A256GCM",
        "epk": KEY.public_jwk,
        "apu": "QQ",
        "p2c": 1,
        "p2s": "QQ",
        "url": url,
        "nonce": "n",
        "iss": HOME,
        "ALG": "EdDSA",
        "": "",
    }
    for name, value in more.items():
        yield f"with {name!r}", with_header({**HEADER, name: value})
    yield "with an empty crit", with_header({**HEADER, "crit": []})
    yield "a key of its own", with_header({**HEADER, "jwk": SigningKey.from_seed(bytes(32)).public_jwk})
    for name in HEADER:
        yield f"without {name}", with_header({key: value for key, value in HEADER.items() if key != name})
    yield "empty", with_header({})


def _algorithms() -> Iterator[Case]:
    names = "none None NONE nOnE HS256 HS384 HS512 RS256 RS512 PS256 ES256 ES256K ES384 ES512 Ed25519 Ed448 dir A128KW"
    for name in (*names.split(), "eddsa", "EDDSA", "EdDSA ", " EdDSA", "EdDSA\0", "Ed\u0501SA", "EdDS\u0410", ""):
        yield repr(name), with_header({**HEADER, "alg": name})
    values: Mapping[str, Json] = {"null": None, "true": True, "a number": 1, "a list": ["EdDSA"], "an object": {}}
    for kind, value in values.items():
        yield kind, with_header({**HEADER, "alg": value})
    for name in ("none", "HS256", "EdDSA"):
        head = b64u(canonical_bytes({**HEADER, "alg": name}))
        yield f"{name} without a signature", f"{head}.{BODY}."


def _hmac() -> Iterator[Case]:
    public = KEY.public_key
    secrets = {
        "raw": public.public_bytes(Encoding.Raw, PublicFormat.Raw),
        "pem": public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        "der": public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        "jwk": json.dumps(KEY.public_jwk).encode(),
        "x": str(KEY.public_jwk["x"]).encode(),
        "kid": KEY.key_id.encode(),
        "empty": b"",
    }
    for algorithm in ("HS256", "HS512", "EdDSA"):
        digest = "sha512" if algorithm == "HS512" else "sha256"
        signed = f"{b64u(canonical_bytes({**HEADER, 'alg': algorithm}))}.{BODY}"
        for name, secret in secrets.items():
            code = hmac.new(secret, signed.encode(), digest).digest()
            yield f"{algorithm} with the public key as secret ({name})", f"{signed}.{b64u(code)}"


def _types() -> Iterator[Case]:
    others = "JWT jwt at+jwt dpop+jwt entity-statement+jwt concordat-attestation+jwt concordat-delivery+jwt"
    spelled = ("concordat-query", "Concordat-Query+JWT", f"application/{TYP}", f"{TYP} ", f"{TYP}\0", f"{TYP}\n", "")
    for name in (*others.split(), *spelled):
        yield repr(name), with_header({**HEADER, "typ": name})
    values: Mapping[str, Json] = {"null": None, "true": True, "a number": 1, "a list": [TYP], "an object": {"t": TYP}}
    for kind, value in values.items():
        yield kind, with_header({**HEADER, "typ": value})


def _key_ids() -> Iterator[Case]:
    good = KEY.key_id
    texts = (
        "",
        "0",
        good[:-1],
        good + "A",
        good + "=",
        good.swapcase(),
        good[::-1],
        "../../../../etc/passwd",
        f"{good}\0",
    )
    for name in (*texts, "' OR 1=1 --", "https://evil.example/key", "\u202e" + good[1:]):
        yield repr(name), with_header({**HEADER, "kid": name})
    values: Mapping[str, Json] = {"null": None, "true": True, "a number": 1, "a list": [good], "an object": {"k": good}}
    for kind, value in values.items():
        yield kind, with_header({**HEADER, "kid": value})
    strangers = {
        "another use": signing_key(HOME, "attestation"),
        "another organization": signing_key(NORTH, "query_token"),
        "a coordinator": signing_key(RELAY, "request"),
        "nobody": SigningKey.from_seed(bytes(32)),
    }
    for name, key in strangers.items():
        yield f"the key of {name}", with_header({**HEADER, "kid": key.key_id}, key)
        yield f"the key of {name} under the right id", with_header(HEADER, key)


def _json() -> Iterator[Case]:
    """Bytes that are no JSON object with one reading, in the place of the header and of the payload, signed."""
    for place, good in (("header", canonical_bytes(HEADER)), ("payload", canonical_bytes(CLAIMS))):
        for name, data in _spellings(good):
            token = (
                compact(data, canonical_bytes(CLAIMS)) if place == "header" else compact(canonical_bytes(HEADER), data)
            )
            yield f"{place} {name}", token


def _spellings(good: bytes) -> Iterator[tuple[str, bytes]]:
    text = good.decode()
    yield from {
        "empty": b"\n",
        "a list": b"[]",
        "a text": b'"EdDSA"',
        "a number": b"1",
        "null": b"null",
        "true": b"true",
        "a list around it": b"[" + good + b"]",
        "a text around it": json.dumps(text).encode(),
        "with a byte order mark": b"\xef\xbb\xbf" + good,
        "in UTF-16": text.encode("utf-16"),
        "in UTF-32": text.encode("utf-32"),
        "not UTF-8": good[:-1] + b',"z":"\xff"}',
        "with an overlong character": good[:-1] + b',"z":"\xc0\x80"}',
        "with a surrogate in UTF-8": good[:-1] + b',"z":"\xed\xa0\x80"}',
        "with a lone surrogate": good[:-1] + b',"z":"\\ud800"}',
        "with a trailing comma": good[:-1] + b",}",
        "with a comment": b"/**/" + good,
        "with single quotes": text.replace('"', "'").encode(),
        "twice": good + good,
        "with text behind": good + b"x",
        "with NUL behind": good + b"\0",
        "not closed": good[:-1],
        "with a raw newline in a text": good[:-1] + b',"z":"\n"}',
        "with NaN": good[:-1] + b',"z":NaN}',
        "with Infinity": good[:-1] + b',"z":-Infinity}',
        "with a fraction": good[:-1] + b',"z":1.0}',
        "with an exponent": good[:-1] + b',"z":1e3}',
        "with minus zero": good[:-1] + b',"z":-0}',
        "with a large integer": good[:-1] + b',"z":9007199254740992}',
        "with a leading zero": good[:-1] + b',"z":01}',
        "with a hexadecimal number": good[:-1] + b',"z":0x1}',
        "nested too deep": good[:-1] + b',"z":' + b"[" * 40 + b"]" * 40 + b"}",
    }.items()
    for name, value in json.loads(text).items():
        member = f"{json.dumps(name)}:{json.dumps(value)}"
        yield f"with {name} twice", f"{text[:-1]},{member}}}".encode()
    first = next(iter(json.loads(text)))
    escaped = "".join(f"\\u{ord(character):04x}" for character in first)
    yield "with a key twice, once escaped", f'{text[:-1]},"{escaped}":0}}'.encode()


def _missing_claims() -> Iterator[Case]:
    for name in CLAIMS:
        yield name, with_claims({key: value for key, value in CLAIMS.items() if key != name})
    yield "all", with_claims({})


def _wrong_types() -> Iterator[Case]:
    values: Mapping[str, Json] = {
        "null": None,
        "true": True,
        "zero": 0,
        "a negative number": -1,
        "an empty text": "",
        "a list": [],
        "an object": {},
        "a list of it": "*",
    }
    for name, good in CLAIMS.items():
        for kind, value in values.items():
            wrong = [good] if value == "*" else value
            if not (name == "iat" and value == 0):  # a good time of another day: see _wrong_values
                yield f"{name} {kind}", with_claims({**CLAIMS, name: wrong})


def _wrong_values() -> Iterator[Case]:
    changes: Mapping[str, JsonObject] = {
        "an expiry before the issue": {"exp": NOW - 1},
        "no lifetime": {"exp": NOW},
        "a lifetime of 121 s": {"exp": NOW + 121},
        "a lifetime of a day": {"exp": NOW + 86_400},
        "expired": {"iat": NOW - 200, "exp": NOW - 80},
        "from the future": {"iat": NOW + 31, "exp": NOW + 60},
        "from 1970": {"iat": 0, "exp": 60},
        "a time in milliseconds": {"iat": NOW * 1000, "exp": NOW * 1000 + 60},
        "not before": {"nbf": NOW},
        "an unknown claim": {"admin": True},
        "an issuer outside": {"iss": "unknown-clinic"},
        "an issuer as URL": {"iss": "https://alma-university.example"},
        "a coordinator as issuer": {"iss": RELAY},
        "another member as issuer": {"iss": VITALIS},
        "an audience without us": {"aud": [VITALIS]},
        "an audience that begins like us": {"aud": [f"{NORTH}-annex", VITALIS]},
        "an audience of everybody": {"aud": ["*"]},
        "an audience twice": {"aud": [NORTH, NORTH, VITALIS]},
        "an audience without its part": {"aud": [NORTH, VITALIS, "third-clinic"]},
        "an audience as one text": {"aud": NORTH},
        "another network": {"net": "another-network"},
        "a short token id": {"jti": "A" * 21},
        "a long token id": {"jti": "A" * 87},
        "a token id with a space": {"jti": "A" * 21 + " "},
        "another question": {"qh": b64u(bytes(32))},
        "a short question hash": {"qh": b64u(bytes(31))},
        "a padded question hash": {"qh": b64u(bytes(32)) + "="},
        "a key of zeros": {"enc": b64u(bytes(32))},
        "a key of order 8": {"enc": "4Ot6fDtBuK4WVuP68Z_EatoJjeucMrH9hmIFFl9JuAA"},
        "a short key": {"enc": b64u(bytes(31))},
        "a subject with markup": {"sub": "<b>p</b>"},
        "a subject with a newline": {"sub": "p\n4711"},
        "a long subject": {"sub": "p" * 129},
    }
    for name, change in changes.items():
        yield name, with_claims({**CLAIMS, **change})


def _nested_claims() -> Iterator[Case]:
    inner: Mapping[str, tuple[Json, ...]] = {
        "affiliation": (None, True, 1, "", "director", "Faculty", "faculty ", ["faculty"], {}, "x" * 2_000),
        "role": (None, True, 1, "", "root", "Researcher", ["researcher"], {}, "\u0440esearcher"),
        "clearance": (None, True, -1, 3, 4, 2**53 - 1, "1", [], {}),
    }
    for name, values in inner.items():
        for number, value in enumerate(values):
            claims = {**_object("claims"), name: value}
            yield f"{name} wrong in way {number}", with_claims({**CLAIMS, "claims": claims})
        left = {key: value for key, value in _object("claims").items() if key != name}
        yield f"without {name}", with_claims({**CLAIMS, "claims": left})
    yield "one more", with_claims({**CLAIMS, "claims": {**_object("claims"), "admin": True}})
    presenters: Mapping[str, Json] = {"null": None, "short": "A", "another": b64u(bytes(32)), "a list": [KEY.key_id]}
    for kind, presenter in presenters.items():
        yield f"presenter {kind}", with_claims({**CLAIMS, "cnf": {"jkt": presenter}})
    yield "presenter missing", with_claims({**CLAIMS, "cnf": {}})
    yield "presenter as key", with_claims({**CLAIMS, "cnf": {"jwk": signing_key(RELAY, "request").public_jwk}})
    yield "presenter and more", with_claims({**CLAIMS, "cnf": {**_object("cnf"), "x5t#S256": "AAAA"}})
    parts = _object("parts")
    yield "a part of nobody", with_claims({**CLAIMS, "parts": {**parts, "third-clinic": b64u(bytes(32))}})
    yield "a part missing", with_claims({**CLAIMS, "parts": {NORTH: parts[NORTH]}})
    yield "another part", with_claims({**CLAIMS, "parts": {**parts, NORTH: b64u(bytes(32))}})
    yield "parts exchanged", with_claims({**CLAIMS, "parts": {NORTH: parts[VITALIS], VITALIS: parts[NORTH]}})
    yield "a part that is no digest", with_claims({**CLAIMS, "parts": {**parts, NORTH: "A"}})


def _object(name: str) -> JsonObject:
    value = CLAIMS[name]
    assert isinstance(value, dict)
    return value


def _nested() -> Iterator[Case]:
    general = {"payload": BODY, "signatures": [{"protected": HEAD, "signature": SIGNATURE}]}
    flat = {"payload": BODY, "protected": HEAD, "signature": SIGNATURE}
    yield "as JSON", json.dumps(general)
    yield "as flattened JSON", json.dumps(flat)
    yield "as the payload of another", compact(canonical_bytes(HEADER), GOOD.encode())
    yield "as a text in the payload", compact(canonical_bytes(HEADER), json.dumps(GOOD).encode())
    yield "as a claim", compact(canonical_bytes(HEADER), canonical_bytes({"token": GOOD}))
    yield "as base64", b64u(GOOD.encode())
    yield "encrypted in form", f"{b64u(b'{}')}.{HEAD}.{BODY}.{SIGNATURE}.{SIGNATURE}"
    yield "detached", f"{HEAD}..{SIGNATURE}"


def _other_tokens() -> Iterator[Case]:
    attestation = sign_attestation(tokens.make_attestation(), key=signing_key(NORTH, "attestation"))
    delivery = sign_delivery(tokens.make_delivery(), key=signing_key(RELAY, "delivery"))
    yield "an attestation", attestation
    yield "a delivery", delivery
    id_token: JsonObject = {"aud": NORTH, "exp": NOW + 60, "iat": NOW, "iss": HOME, "nonce": "n", "sub": "p-4711"}
    for typ in ("JWT", TYP):
        yield f"an ID token as {typ}", jose.sign(id_token, key=KEY, typ=typ)
    for name, token in (("attestation", attestation), ("delivery", delivery)):
        claims = jose.unverified_claims(token)
        yield f"the claims of an {name}", with_claims(claims)
        yield f"the claims of an {name} of ours", with_claims({**claims, "iss": HOME})
        head, body, signature = token.split(".")
        yield f"the payload of an {name} under our header", f"{HEAD}.{body}.{signature}"
        yield f"our payload under the header of an {name}", f"{head}.{BODY}.{SIGNATURE}"


def _unicode() -> Iterator[Case]:
    names = {
        "a Cyrillic letter": HOME.replace("a", "\u0430", 1),
        "a combining accent": HOME.replace("a", "a\u0301", 1),
        "capitals": HOME.upper(),
        "a full-width letter": HOME.replace("a", "\uff41", 1),
        "a right-to-left mark": f"\u202e{HOME}",
        "a space": f"{HOME} ",
        "a NUL": f"{HOME}\0",
        "a soft hyphen": HOME.replace("-", "\u00ad-"),
        "another hyphen": HOME.replace("-", "\u2010"),
        "a dotless i": HOME.replace("i", "\u0131"),
        "a ligature": HOME.replace("v", "\u2174"),
    }
    for name, org in names.items():
        yield f"issuer with {name}", with_claims({**CLAIMS, "iss": org})
        yield f"audience with {name}", with_claims({**CLAIMS, "aud": [org, VITALIS]})
    for place in range(3):
        parts = GOOD.split(".")
        parts[place] = parts[place][:5] + "\u0430" + parts[place][6:]
        yield f"a Cyrillic letter in segment {place}", ".".join(parts)
    yield (
        "full-width digits in a time",
        compact(canonical_bytes(HEADER), canonical_bytes(CLAIMS).replace(str(NOW).encode(), "１８０００".encode(), 1)),
    )


def refusal(token: str) -> str:
    """Return the code that refuses a token; any other exception, and acceptance, are the caller's finding."""
    try:
        verify_query_token(
            token,
            me=NORTH,
            bundle=tokens.make_directory(),
            question=tokens.QUESTION,
            part=tokens.PARTS[NORTH],
            presenter=signing_key(RELAY, "request").key_id,
            now=NOW,
        )
    except ConcordatError as error:
        return error.code
    return "ACCEPTED"


if __name__ == "__main__":
    print(json.dumps({name: refusal(token) for name, token in malformed()}, indent=1, ensure_ascii=True))
