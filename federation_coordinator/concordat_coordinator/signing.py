"""Makes the signed request of a planned one: the query token, the body, and the coordinator's signature over both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from concordat_coordinator.plan import NODE_PATH, NodeRequest
from concordat_trust.encoding import b64u
from concordat_trust.jose import Signer
from concordat_trust.request_signature import SignedMessage, authority_of, sign_request
from concordat_trust.wire.transport import WireRequest

CONTENT_TYPE = "application/json"
NONCE_BYTES = 16


@dataclass(frozen=True, slots=True)
class RequestSigner:
    """Signs with the coordinator's `request` key, the one that query tokens name in `cnf.jkt`."""

    key: Signer
    clock: Callable[[], int]
    entropy: Callable[[int], bytes]

    def sign(self, request: NodeRequest, token: str) -> WireRequest:
        """Return the request for a node; `@authority` is the node's endpoint in the trust bundle."""
        message = SignedMessage(
            method="POST",
            authority=authority_of(request.endpoint),
            path=NODE_PATH,
            content_type=CONTENT_TYPE,
            authorization=f"Bearer {token}",
            body=request.body,
        )
        nonce = b64u(self.entropy(NONCE_BYTES))
        headers = sign_request(message, key=self.key, created=self.clock(), nonce=nonce)
        return WireRequest("POST", NODE_PATH, headers, request.body)
