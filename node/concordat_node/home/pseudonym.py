"""The name under which a network knows a person: the same in every question, and only the home node can undo it."""

from __future__ import annotations

import hashlib
import hmac

from concordat_trust.encoding import b64u

HOME_KEY_BYTES_MIN = 32
_LABEL = b"concordat-pseudonym-v1"


def pseudonym(home_key: bytes, network: str, subject: str) -> str:
    """Return base64url(HMAC-SHA256(home key, label ‖ network ‖ subject)), 43 characters (DESIGN section 6).

    The identity provider's address is left out, so that moving the provider does not end anybody's approvals.
    """
    if len(home_key) < HOME_KEY_BYTES_MIN:
        raise RuntimeError(f"a home key has at least {HOME_KEY_BYTES_MIN} bytes")
    message = b"\x00".join((_LABEL, network.encode("utf-8"), subject.encode("utf-8")))
    return b64u(hmac.new(home_key, message, hashlib.sha256).digest())
