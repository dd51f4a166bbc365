"""Base64url and SHA-256 as Concordat writes them: no padding, canonical, lower-case hex.

A base64url text is accepted only when encoding its bytes again gives the same text (RFC 4648 §3.5): two spellings of
one value would let a token or a digest be changed without being noticed.
"""

from __future__ import annotations

import base64
import binascii
import hashlib

from concordat_trust.errors import RefusedDocument

# To the standard alphabet; its own two signs and the padding become one that is in none.
_TO_STANDARD = bytes.maketrans(b"-_+/=", b"+/!!!")


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
    try:
        standard = text.encode("ascii").translate(_TO_STANDARD)
        data = binascii.a2b_base64(standard + b"=" * (-len(text) % 4), strict_mode=True)
    except ValueError as error:
        raise EncodingInvalid from error
    # Only the last group can have a second spelling, in the bits that stand for nothing.
    if not text.endswith(b64u(data[-(len(data) % 3 or 3) :])):
        raise EncodingInvalid
    return data


def sha256_b64u(data: bytes) -> str:
    """Return the SHA-256 of `data` as 43 base64url characters."""
    return b64u(hashlib.sha256(data).digest())


def sha256_hex(data: bytes) -> str:
    """Return the SHA-256 of `data` as 64 lower-case hex characters."""
    return hashlib.sha256(data).hexdigest()
