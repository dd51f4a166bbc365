"""The node's door: one request in, one answer out, without any web framework.

Rules of this file:

* Only trusted documents, by id. Their answer is the given answer (`wire_schema.answer_data`).
* Whatever goes wrong leaves as one code of a closed list (`refusals`); the finer reason goes to our own log, without
  anything of the question or of a record.
* Bounded: so many questions at once, each within the shorter of the caller's and our own time.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from concordat_node.access.refusals import (
    FAILED,
    MEDIA_TYPE,
    AnswerTimeout,
    NodeOverloaded,
    bugs_masked,
    refusal,
    wire_code,
)
from concordat_node.access.request_check import check_request
from concordat_node.answering.answer import Answering
from concordat_node.api.wire_schema import answer_data, check_documents
from concordat_trust.bundle.trusted import TrustedBundle
from concordat_trust.canonical import canonical_bytes
from concordat_trust.errors import ConcordatError
from concordat_trust.failure_log import without_texts
from concordat_trust.ids import OrgId
from concordat_trust.wire.transport import WireRequest, WireResponse

_log = logging.getLogger("concordat.node.door")


class NodeDoor:
    """Handles signed questions. Everything it needs from outside is given to it."""

    def __init__(
        self,
        *,
        organization: OrgId,
        bundle: Callable[[], TrustedBundle | None],
        answering: Answering,
        clock: Callable[[], int],
        request_bytes_max: int,
        answer_timeout_ms: int,
        questions_max: int,
    ) -> None:
        check_documents()
        self._organization = organization
        self._bundle = bundle
        self._answering = answering
        self._clock = clock
        self._request_bytes_max = request_bytes_max
        self._answer_timeout_ms = answer_timeout_ms
        self._questions_max = questions_max
        self._under_way = 0

    async def handle(self, request: WireRequest) -> WireResponse:
        """Return the answer or the refusal; never raises for anything a request can cause."""
        try:
            with bugs_masked():
                return await self._answer(request)
        except ConcordatError as error:
            code = wire_code(error)
            if code == FAILED:
                _log.error("failed: %s", without_texts(error))
            else:
                _log.warning("refused %s (%s)", code, error.code)
            return refusal(code)

    async def _answer(self, request: WireRequest) -> WireResponse:
        if self._under_way >= self._questions_max:
            raise NodeOverloaded(questions_max=self._questions_max)
        self._under_way += 1
        try:
            return await self._in_time(request)
        finally:
            self._under_way -= 1

    async def _in_time(self, request: WireRequest) -> WireResponse:
        admitted = check_request(
            request,
            me=self._organization,
            bundle=self._bundle(),
            now=self._clock(),
            bytes_max=self._request_bytes_max,
        )
        timeout_ms = min(admitted.timeout_ms or self._answer_timeout_ms, self._answer_timeout_ms)
        try:
            async with asyncio.timeout(timeout_ms / 1000):
                given = await self._answering.answer(admitted)
        except TimeoutError as error:
            raise AnswerTimeout(timeout_ms=timeout_ms) from error
        body = canonical_bytes({"data": answer_data(admitted.operation, given)})
        return WireResponse(200, {"content-type": MEDIA_TYPE, "cache-control": "no-store"}, body)
