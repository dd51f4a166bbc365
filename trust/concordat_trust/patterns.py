"""The forms of short texts that several signed documents share."""

from __future__ import annotations

import re

from concordat_trust.shape import Shape

DIGEST = re.compile(r"[A-Za-z0-9_-]{43}")
"""SHA-256 as base64url."""
HEX_DIGEST = re.compile(r"[0-9a-f]{64}")
"""SHA-256 as hex."""
FRESH_ID = re.compile(r"[A-Za-z0-9_-]{22,86}")
"""At least 128 random bits as base64url: token ids, nonces."""
OPAQUE_ID = re.compile(r"[A-Za-z0-9_-]{1,86}")
"""An id that its issuer alone interprets."""
CODE = re.compile(r"[a-z][a-z0-9_]{2,63}")
"""A stable reason or error code."""


def matching(shape: Shape, name: str, pattern: re.Pattern[str]) -> str:
    """Return a text field that has the form as a whole. Raises: DocumentMalformed."""
    value = shape.text(name)
    if not pattern.fullmatch(value):
        raise shape.refuse(name, "does not have the required form")
    return value


def optional_matching(shape: Shape, name: str, pattern: re.Pattern[str]) -> str | None:
    """Like `matching`, for a field that must be there and may be null."""
    return None if shape.value(name) is None else matching(shape, name, pattern)
