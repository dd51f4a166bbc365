"""GA4GH visas as an issuer makes them: two issuers with an ES256 and an RS256 key, and a good visa to break.

Keys are made once a run; nothing compares the bytes of two runs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from concordat_trust.canonical import JsonObject
from concordat_trust.encoding import b64u
from concordat_trust.shape import Shape
from concordat_trust.visa_issuer import VisaIssuer, issuer_metadata, read_visa_issuer
from tests.factories.answers import NORTH, VITALIS
from tests.factories.network import NOW

IDP = "https://idp.alma.example"
PERSON = (IDP, "person-1")
NORTH_ISSUER, VITALIS_ISSUER = "https://visas.north.example", "https://visas.vitalis.example"
DUA = "urn:concordat:north-hospital:agreement:dua-1"


@cache
def ec_key(name: str) -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@cache
def rsa_key(name: str, bits: int) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, bits)


def ec_jwk(name: str) -> JsonObject:
    numbers = ec_key(name).public_key().public_numbers()
    return {
        "kty": "EC",
        "crv": "P-256",
        "x": b64u(numbers.x.to_bytes(32)),
        "y": b64u(numbers.y.to_bytes(32)),
        "kid": name,
        "use": "sig",
    }


def rsa_jwk(name: str, bits: int = 2048) -> JsonObject:
    numbers = rsa_key(name, bits).public_key().public_numbers()
    modulus = numbers.n.to_bytes((numbers.n.bit_length() + 7) // 8)
    return {"kty": "RSA", "n": b64u(modulus), "e": b64u(numbers.e.to_bytes(3)), "kid": name, "use": "sig"}


def metadata() -> dict[str, JsonObject]:
    """Return what the two organizations publish."""
    return {
        NORTH: issuer_metadata(NORTH_ISSUER, [ec_jwk("north-1"), rsa_jwk("north-2")], subject_issuers=(IDP,)),
        VITALIS: issuer_metadata(VITALIS_ISSUER, [rsa_jwk("vitalis-1")]),
    }


def issuers() -> dict[str, tuple[VisaIssuer, ...]]:
    published = {org: read_visa_issuer(Shape(value, "m")) for org, value in metadata().items()}
    return {item.issuer: (item.of(NORTH if org == NORTH else VITALIS),) for org, item in published.items()}


def visa_object(**changes: Any) -> dict[str, Any]:
    good = {
        "type": "ControlledAccessGrants",
        "asserted": NOW - 1_000,
        "value": DUA,
        "source": "https://north.example/dac",
        "by": "dac",
    }
    return {name: value for name, value in {**good, **changes}.items() if value is not ...}


def visa_claims(**changes: Any) -> dict[str, Any]:
    good = {
        "iss": NORTH_ISSUER,
        "sub": "person-1",
        "iat": NOW - 100,
        "exp": NOW + 5_000,
        "jti": "visa-1",
        "ga4gh_visa_v1": visa_object(),
    }
    return {name: value for name, value in {**good, **changes}.items() if value is not ...}


def make_visa(*, key: str = "north-1", header: Mapping[str, Any] | None = None, **changes: Any) -> str:
    """Return a signed visa; `changes` are of its claims, `...` leaves one out."""
    is_ec = key == "north-1"
    head = {"alg": "ES256" if is_ec else "RS256", "typ": "vnd.ga4gh.visa+jwt", "kid": key, **(header or {})}
    signed = f"{_part(head)}.{_part(visa_claims(**changes))}"
    data = signed.encode("ascii")
    if not is_ec:
        return f"{signed}.{b64u(rsa_key(key, 2048).sign(data, padding.PKCS1v15(), SHA256()))}"
    r, s = decode_dss_signature(ec_key(key).sign(data, ec.ECDSA(SHA256())))
    return f"{signed}.{b64u(r.to_bytes(32) + s.to_bytes(32))}"


def _part(value: object) -> str:
    return b64u(json.dumps(value).encode())
