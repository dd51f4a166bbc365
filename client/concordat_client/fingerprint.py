"""The root fingerprint as a person gives it: 64 hex characters, from a keyholder."""

from __future__ import annotations

import re

from concordat_client.exits import Exit
from concordat_trust.errors import RequesterError

_FORM = re.compile(r"[0-9a-f]{64}")


class RootFingerprintInvalid(RequesterError):
    exit = Exit.USAGE
    code = "root_fingerprint_invalid"
    sentence = "{text!r} is not a root fingerprint: it has 64 characters, 0 to 9 and a to f."
    hint = "Copy it whole, as a keyholder gave it to you; `concordat trust init` writes it to root.sha256."


def read_fingerprint(text: str) -> str:
    """Return the fingerprint in lower case, without space around it. Raises: RootFingerprintInvalid."""
    fingerprint = text.strip().lower()
    if not _FORM.fullmatch(fingerprint):
        raise RootFingerprintInvalid(text=text[:80])
    return fingerprint
