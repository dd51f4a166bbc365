"""The coordinator's door without a web framework: a request in, an answer or a refusal with its code out.

Rules of this file:

* POST /graphql with a trusted document is all there is. The relay decides; the door writes down what it decided.
* A refusal is `{"errors": [{"message": code, "extensions": {"code": code}}]}` and an HTTP status by who must act. It
  never quotes the request and never says more than its code; our own log gets the code alone too.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping

from concordat_coordinator.admission import PATH
from concordat_coordinator.api.schema import check_documents
from concordat_coordinator.errors import (
    AskTooLarge,
    BodyTooSlow,
    CoordinatorNotReady,
    CoordinatorOverloaded,
    CoordinatorStopping,
    RelayFailed,
)
from concordat_coordinator.relay import RelayService
from concordat_trust.canonical import JsonObject
from concordat_trust.errors import ConcordatError, RefusedDocument, RequesterError
from concordat_trust.failure_log import without_texts
from concordat_trust.request_signature import ContentDigestMismatch, PresenterUnknown, RequestSignatureInvalid
from concordat_trust.token_errors import TokenRefused
from concordat_trust.wire.transport import WireRequest, WireResponse

ANSWER_TYPE = "application/graphql-response+json"
RETRY_AFTER_S = "1"

_STATUS: tuple[tuple[tuple[type[ConcordatError], ...], int], ...] = (
    ((AskTooLarge,), 413),
    ((BodyTooSlow,), 408),
    ((CoordinatorOverloaded, CoordinatorStopping, CoordinatorNotReady), 503),
    ((ContentDigestMismatch,), 400),
    ((RequestSignatureInvalid, PresenterUnknown, TokenRefused), 401),
    ((RequesterError, RefusedDocument), 400),
)


_log = logging.getLogger("concordat.coordinator.door")


class RelayDoor:
    """Answers wire requests with the relay's answers."""

    def __init__(self, relay: RelayService) -> None:
        check_documents()
        self._relay = relay

    @property
    def body_bytes_max(self) -> int:
        """How many bytes of a request are read before it is refused."""
        return self._relay.limits.request_bytes_max

    async def handle(self, request: WireRequest) -> WireResponse:
        """Return the answer. Never raises for what a sender or a node did."""
        if request.path != PATH:
            return _refused("not_found", 404)
        if request.method != "POST":
            return _refused("method_not_allowed", 405, {"allow": "POST"})
        try:
            answer = await self._masked(request)
        except ConcordatError as error:
            if isinstance(error, RelayFailed):
                _log.error("failed: %s", without_texts(error))
            else:
                _log.warning("refused: %s", error.code)
            return refused(error)
        return WireResponse(200, {"content-type": ANSWER_TYPE}, _encoded({"data": {"ask": answer}}))

    async def _masked(self, request: WireRequest) -> JsonObject:
        # The last line before the network: a bug must not become a text that leaves.
        try:
            return (await self._relay.ask(request)).to_json()
        except ConcordatError:
            raise
        except Exception as error:
            raise RelayFailed from error


def refused(error: ConcordatError) -> WireResponse:
    """Return the refusal for an error, with the status by who must act."""
    status = next((status for kinds, status in _STATUS if isinstance(error, kinds)), 500)
    return _refused(error.code, status, {"retry-after": RETRY_AFTER_S} if status == 503 else {})


def _refused(code: str, status: int, headers: Mapping[str, str] | None = None) -> WireResponse:
    body: JsonObject = {"errors": [{"message": code, "extensions": {"code": code}}]}
    return WireResponse(status, {"content-type": ANSWER_TYPE, **(headers or {})}, _encoded(body))


def _encoded(body: JsonObject) -> bytes:
    # Not canonical: nothing is hashed over this body, and the C encoder is fifty times faster than canonical form.
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode("utf-8")
