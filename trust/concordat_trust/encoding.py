"""Base64url and SHA-256 as Concordat writes them: no padding, canonical, lower-case hex.

A base64url text is accepted only when encoding its bytes again gives the same text (RFC 4648 §3.5): two spellings of
one value would let a token or a digest be changed without being noticed.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re

from concordat_trust.errors import RefusedDocument

_ALPHABET = re.compile(r"^[A-Za-z0-9_-]*$")


class EncodingInvalid(RefusedDocument):
    code = "encoding_invalid"
    sentence = "A base64url text is not in its canonical form."
    hint = "Encode without padding, with the URL alphabet, and with zero bits at the end (RFC 4648 §3.5, §5)."


def b64u(data: bytes) -> str:
    """Return base64url without padding (RFC 7515 §2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def unb64u(text: str) -> bytes:
    """Return the bytes of a canonical base64url text.

    Raises: EncodingInvalid for padding, foreign characters or a second spelling of the same bytes.
    """
    if not _ALPHABET.fullmatch(text):
        raise EncodingInvalid
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError) as error:
        raise EncodingInvalid from error
    if b64u(data) != text:
        raise EncodingInvalid
    return data


def sha256_b64u(data: bytes) -> str:
    """Return the SHA-256 of `data` as 43 base64url characters."""
    return b64u(hashlib.sha256(data).digest())


def sha256_hex(data: bytes) -> str:
    """Return the SHA-256 of `data` as 64 lower-case hex characters."""
    return hashlib.sha256(data).hexdigest()
