"""The name under which a network knows a person: the same in every question, and only the home node can undo it."""

from __future__ import annotations

import hashlib
import hmac

from concordat_trust.encoding import b64u

HOME_KEY_BYTES_MIN = 32
_LABEL = b"concordat-pseudonym-v1"
_PAIRWISE_LABEL = b"concordat-pairwise-pseudonym-v1"


def pseudonym(home_key: bytes, network: str, subject: str, receiver: str | None = None) -> str:
    """Return base64url(HMAC-SHA256(home key, label ‖ network ‖ subject)), 43 characters (DESIGN section 6).

    With `receiver` it is the pairwise one: another for each organization, under a label of its own.

    The identity provider's address is left out, so that moving the provider does not end anybody's approvals.
    """
    if len(home_key) < HOME_KEY_BYTES_MIN:
        raise RuntimeError(f"a home key has at least {HOME_KEY_BYTES_MIN} bytes")
    label = (_LABEL,) if receiver is None else (_PAIRWISE_LABEL, receiver.encode("utf-8"))
    message = b"\x00".join((*label, network.encode("utf-8"), subject.encode("utf-8")))
    return b64u(hmac.new(home_key, message, hashlib.sha256).digest())
