"""The coordinator's door without a web framework: a request in, an answer or a refusal with its code out.

Rules of this file:

* POST /graphql with a trusted document is all there is. The relay decides; the door writes down what it decided.
* Two ways to answer: `handle` at once, `opened` as a stream of events (GraphQL over SSE, distinct connections mode).
  What is refused before the first event is a refusal like any other; a bug after it is an event with its code.
* A refusal is `{"errors": [{"message": code, "extensions": {"code": code}}]}` and an HTTP status by who must act. It
  never quotes the request and never says more than its code; our own log gets the code alone too.
"""

from __future__ import annotations

import contextlib
import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Mapping

from concordat_coordinator.admission import PATH
from concordat_coordinator.api.heartbeat import HEARTBEAT_S, with_heartbeats
from concordat_coordinator.api.schema import check_documents
from concordat_coordinator.errors import (
    AskTooLarge,
    BodyTooSlow,
    CoordinatorNotReady,
    CoordinatorOverloaded,
    CoordinatorStopping,
    DocumentNotAcceptable,
    RelayFailed,
)
from concordat_coordinator.relay import Progress, RelayService
from concordat_trust.canonical import JsonObject
from concordat_trust.errors import ConcordatError, RefusedDocument, RequesterError
from concordat_trust.failure_log import without_texts
from concordat_trust.request_signature import ContentDigestMismatch, PresenterUnknown, RequestSignatureInvalid
from concordat_trust.token_errors import TokenRefused
from concordat_trust.wire.coordinator_documents import COORDINATOR_ASK_PROGRESS_ID
from concordat_trust.wire.event_stream import COMPLETE, HEARTBEAT, NEXT, encode_event
from concordat_trust.wire.transport import WireRequest, WireResponse

ANSWER_TYPE = "application/graphql-response+json"
RETRY_AFTER_S = "1"
READER_GRACE_S = 5.0
"""What a reader of a stream gets beyond the longest deadline to take the last event."""

_STATUS: tuple[tuple[tuple[type[ConcordatError], ...], int], ...] = (
    ((AskTooLarge,), 413),
    ((BodyTooSlow,), 408),
    ((CoordinatorOverloaded, CoordinatorStopping, CoordinatorNotReady), 503),
    ((ContentDigestMismatch,), 400),
    ((DocumentNotAcceptable,), 406),
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

    @property
    def stream_seconds_max(self) -> float:
        """How long a reader may take for a whole stream."""
        return self._relay.limits.deadline_ms_max / 1_000 + READER_GRACE_S

    async def handle(self, request: WireRequest) -> WireResponse:
        """Return the answer. Never raises for what a sender or a node did."""
        elsewhere = _elsewhere(request)
        if elsewhere is not None:
            return elsewhere
        try:
            answer = (await self._relay.ask(request)).to_json()
        except Exception as error:  # noqa: BLE001 - the last line before the network: a bug must not become a text
            return refused(_noted(error))
        return WireResponse(200, {"content-type": ANSWER_TYPE}, _encoded({"data": {"ask": answer}}))

    @contextlib.asynccontextmanager
    async def opened(self, request: WireRequest) -> AsyncIterator[WireResponse | AsyncIterator[bytes]]:
        """Yield the pieces of the stream, or a refusal. Leaving ends the question; nothing of it runs on."""
        async with contextlib.AsyncExitStack() as stack:
            answer: WireResponse | AsyncIterator[bytes] | None = _elsewhere(request)
            if answer is None:
                try:
                    asking = self._relay.asking(request, COORDINATOR_ASK_PROGRESS_ID)
                    events = await stack.enter_async_context(asking)
                    answer = await stack.enter_async_context(contextlib.aclosing(_pieces(events)))
                except Exception as error:  # noqa: BLE001 - as in `handle`
                    answer = refused(_noted(error))
            yield answer


async def _pieces(events: AsyncIterator[Progress]) -> AsyncGenerator[bytes, None]:
    yield HEARTBEAT  # the head leaves with it, before the first node has answered
    try:
        async with contextlib.aclosing(with_heartbeats(events, every_s=HEARTBEAT_S)) as beating:
            async for event in beating:
                yield HEARTBEAT if event is None else _next({"data": {"askProgress": event.progress_json()}})
    except Exception as error:  # noqa: BLE001 - as in `handle`, but the status has been sent
        yield _next(_refusal(_noted(error).code))
    yield encode_event(COMPLETE, b"")


def _elsewhere(request: WireRequest) -> WireResponse | None:
    if request.path != PATH:
        return _refused("not_found", 404)
    if request.method != "POST":
        return _refused("method_not_allowed", 405, {"allow": "POST"})
    return None


def _noted(error: Exception) -> ConcordatError:
    """Return what may be said of an error, written to our own log."""
    if isinstance(error, ConcordatError) and not isinstance(error, RelayFailed):
        _log.warning("refused: %s", error.code)
        return error
    failed = RelayFailed()
    failed.__cause__ = error
    _log.error("failed: %s", without_texts(failed))
    return failed


def _next(result: JsonObject) -> bytes:
    return encode_event(NEXT, _encoded(result))


def refused(error: ConcordatError) -> WireResponse:
    """Return the refusal for an error, with the status by who must act."""
    status = next((status for kinds, status in _STATUS if isinstance(error, kinds)), 500)
    return _refused(error.code, status, {"retry-after": RETRY_AFTER_S} if status == 503 else {})


def _refused(code: str, status: int, headers: Mapping[str, str] | None = None) -> WireResponse:
    return WireResponse(status, {"content-type": ANSWER_TYPE, **(headers or {})}, _encoded(_refusal(code)))


def _refusal(code: str) -> JsonObject:
    return {"errors": [{"message": code, "extensions": {"code": code}}]}


def _encoded(body: JsonObject) -> bytes:
    # Not canonical: nothing is hashed over this body, and the C encoder is fifty times faster than canonical form.
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode("utf-8")
