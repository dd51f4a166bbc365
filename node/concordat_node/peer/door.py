"""The door for messages of other organizations: POST /v1/peer. One kind, one handler.

Rules of this file:

* Order: size · bundle in force · content digest · request signature over the own authority · form · the message (its
  own order, `peer_message`) · the kind's handler, which consumes the message in the transaction of its effect.
* Whatever goes wrong leaves as one code; 503 and 504 are the only ones after which the sender tries again at once.
* The answer to a report is the same whatever comes of it: what this organization minted is nobody's business.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from concordat_node.access.refusals import MEDIA_TYPE, NodeOverloaded, bugs_masked, refusal, wire_code
from concordat_node.access.request_check import BodyTooLarge, BundleStale, RequestMalformed, signed_presenter
from concordat_trust.bundle.trusted import TrustedBundle
from concordat_trust.canonical import JsonObject, canonical_bytes
from concordat_trust.errors import ConcordatError
from concordat_trust.failure_log import without_texts
from concordat_trust.ids import OrgId
from concordat_trust.peer_message import (
    BODY_BYTES_MAX,
    CONTENT_TYPE,
    PATH,
    PEER_KINDS,
    PeerKind,
    PeerMessage,
    verify_peer_message,
)
from concordat_trust.wire.transport import WireRequest, WireResponse

MESSAGES_MAX = 16
"""Handled at once; more are refused as overload."""
Handler = Callable[[PeerMessage, bytes], Awaitable[JsonObject]]
"""Takes a verified message and its body, consumes it, and returns the data of the answer."""
_BEARER: Final = "Bearer "
_log = logging.getLogger("concordat.node.peer")


class PeerDoor:
    """Handles signed messages of other organizations. Everything it needs from outside is given to it."""

    def __init__(
        self,
        *,
        organization: OrgId,
        bundle: Callable[[], TrustedBundle | None],
        handlers: Mapping[PeerKind, Handler],
        clock: Callable[[], int],
    ) -> None:
        if set(handlers) != set(PEER_KINDS):
            raise RuntimeError("every kind of message has one handler")
        self._organization = organization
        self._bundle = bundle
        self._handlers = handlers
        self._clock = clock
        self._under_way = 0

    async def handle(self, request: WireRequest) -> WireResponse:
        """Return the answer or the refusal; never raises for anything a request can cause."""
        try:
            with bugs_masked():
                taken = await self._taken(request)
            body = canonical_bytes({"data": taken})
        except ConcordatError as error:
            code = wire_code(error)
            _log.warning("refused %s (%s)", code, without_texts(error))
            return refusal(code)
        return WireResponse(200, {"content-type": MEDIA_TYPE, "cache-control": "no-store"}, body)

    async def _taken(self, request: WireRequest) -> JsonObject:
        if self._under_way >= MESSAGES_MAX:
            raise NodeOverloaded(questions_max=MESSAGES_MAX)
        self._under_way += 1
        try:
            message = self._verified(request)
            return await self._handlers[message.kind](message, request.body)
        finally:
            self._under_way -= 1

    def _verified(self, request: WireRequest) -> PeerMessage:
        bundle, now = self._bundle(), self._clock()
        if len(request.body) > BODY_BYTES_MAX:
            raise BodyTooLarge(bytes_max=BODY_BYTES_MAX)
        if bundle is None or bundle.expires_at <= now:
            raise BundleStale
        presenter = signed_presenter(request, me=self._organization, bundle=bundle, now=now)
        if (request.method, request.path) != ("POST", PATH):
            raise RequestMalformed(field="method or path")
        if request.headers.get("content-type") != CONTENT_TYPE:
            raise RequestMalformed(field="content-type")
        authorization = request.headers.get("authorization", "")
        if not authorization.startswith(_BEARER):
            raise RequestMalformed(field="authorization")
        return verify_peer_message(
            authorization.removeprefix(_BEARER),
            me=self._organization,
            bundle=bundle,
            body=request.body,
            presenter=presenter,
            now=now,
        )
