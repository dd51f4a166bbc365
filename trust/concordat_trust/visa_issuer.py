"""Who signs visas: the public keys that an organization publishes for its GA4GH visa issuer.

Rules of this file:

* They stand in the organization's entity statement (`metadata.ga4gh_visa_issuer`) and come from there alone: `jku`,
  discovery and key sets on the web are never read.
* ES256 over P-256 and RS256 with at least 2048 bits; every key has a `kid`, and no two share one.
* Nobody can prove an address from here, so several members may claim one. Each visa is then the word of the member
  whose key signed it: whoever claims another's address takes nothing from it. The bundle tells of it (BR-29).
* `subject_issuers` names the identity providers whose subjects this issuer's visas speak of; without it a visa speaks
  of a subject of its own issuer, and needs a LinkedIdentities visa to be somebody's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric import ec, rsa

from concordat_trust.canonical import JsonObject
from concordat_trust.encoding import unb64u
from concordat_trust.errors import RefusedDocument
from concordat_trust.ids import OrgId
from concordat_trust.shape import Shape

VisaAlgorithmName = Literal["ES256", "RS256"]
KEYS_MAX = 8
SUBJECT_ISSUERS_MAX = 8
URL_LENGTH_MAX = 255
"""GA4GH Passport, "URL Fields": at most 255 characters."""
RSA_BITS_MIN, RSA_BITS_MAX = 2_048, 8_192
_EXPONENT = 65_537
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True, slots=True)
class VisaKey:
    """One public key; the algorithm is the key's, never the token's."""

    algorithm: VisaAlgorithmName
    key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey


@dataclass(frozen=True, slots=True)
class PublishedIssuer:
    """What a statement says of its organization's visa issuer."""

    issuer: str
    keys: Mapping[str, VisaKey]
    subject_issuers: frozenset[str] = frozenset()

    def of(self, organization: OrgId) -> VisaIssuer:
        return VisaIssuer(organization, self.keys, self.subject_issuers)


@dataclass(frozen=True, slots=True)
class VisaIssuer:
    """An issuer of the bundle: whose it is, its keys by `kid`, and whose subjects its visas speak of."""

    organization: OrgId
    keys: Mapping[str, VisaKey]
    subject_issuers: frozenset[str] = frozenset()


VisaIssuers = Mapping[str, tuple[VisaIssuer, ...]]
"""By issuer address all members that claim it; of two that list one key, the first counts."""


def own_first(issuers: VisaIssuers, organization: OrgId) -> VisaIssuers:
    """Return the same issuers, at each address the claim of `organization` before those of others."""
    return {url: tuple(sorted(them, key=lambda it: it.organization != organization)) for url, them in issuers.items()}


def read_visa_issuer(shape: Shape) -> PublishedIssuer:
    """Return the issuer of a statement's `ga4gh_visa_issuer`; unknown members are kept by others and ignored here.

    Raises: DocumentMalformed.
    """
    entries = shape.object("jwks").objects("keys", count_max=KEYS_MAX)
    keys = {entry.text("kid", length_min=1, length_max=200): _key(entry) for entry in entries}
    if not keys or len(keys) != len(entries):
        raise shape.refuse("jwks", "has no key, or two with one kid")
    others = shape.texts("subject_issuers", count_max=SUBJECT_ISSUERS_MAX) if shape.has("subject_issuers") else ()
    for url in (shape.text("issuer"), *others):
        if not _is_issuer_url(url):
            raise shape.refuse("issuer", "or one of subject_issuers is not an https address (http only on loopback)")
    return PublishedIssuer(shape.text("issuer"), MappingProxyType(keys), frozenset(others))


def _is_issuer_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        return False
    is_plain = url.isascii() and url.isprintable() and len(url) <= URL_LENGTH_MAX and "@" not in parts.netloc
    return is_plain and bool(host) and (parts.scheme == "https" or (parts.scheme == "http" and host in _LOOPBACK))


def _key(shape: Shape) -> VisaKey:
    if shape.has("d") or shape.has("p"):
        raise shape.refuse("d", "is the private part of a key")
    if shape.has("use") and shape.text("use") != "sig":
        raise shape.refuse("use", "is not sig")
    try:
        key = VisaKey("ES256", _p256(shape)) if shape.text("kty") == "EC" else VisaKey("RS256", _rsa(shape))
    except (ValueError, RefusedDocument) as error:
        raise shape.refuse("kty", "is no public key for ES256 or RS256") from error
    if shape.has("alg") and shape.text("alg") != key.algorithm:
        raise shape.refuse("alg", f"is not {key.algorithm}, the algorithm of this key")
    return key


def _p256(shape: Shape) -> ec.EllipticCurvePublicKey:
    shape.one_of("crv", ("P-256",))
    x, y = unb64u(shape.text("x")), unb64u(shape.text("y"))
    if (len(x), len(y)) != (32, 32):
        raise shape.refuse("x", "and y have not 32 bytes each")
    numbers = ec.EllipticCurvePublicNumbers(int.from_bytes(x), int.from_bytes(y), ec.SECP256R1())
    return numbers.public_key()


def _rsa(shape: Shape) -> rsa.RSAPublicKey:
    shape.one_of("kty", ("RSA",))
    modulus, exponent = int.from_bytes(unb64u(shape.text("n"))), int.from_bytes(unb64u(shape.text("e")))
    if not RSA_BITS_MIN <= modulus.bit_length() <= RSA_BITS_MAX or exponent != _EXPONENT:
        raise shape.refuse("n", f"has not {RSA_BITS_MIN} to {RSA_BITS_MAX} bits, or e is another than {_EXPONENT}")
    return rsa.RSAPublicNumbers(exponent, modulus).public_key()


def issuer_metadata(issuer: str, jwks: list[JsonObject], *, subject_issuers: tuple[str, ...] = ()) -> JsonObject:
    """Return what a statement publishes; reading it back is `read_visa_issuer`. Raises: DocumentMalformed."""
    metadata: JsonObject = {"issuer": issuer, "jwks": {"keys": [*jwks]}, "subject_issuers": [*subject_issuers]}
    read_visa_issuer(Shape(metadata, "ga4gh_visa_issuer"))
    return metadata
