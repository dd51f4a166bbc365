"""The door for pings of those who want to join: POST /v1/ping (`concordat_trust.join_ping`).

Rules of this file:

* Strangers may knock here, so it is bounded: so many pings in a minute for everybody together, each answered once, with
  one signature. Beyond the limit it is `node_overloaded`.
* Only what is a new ping with a good signature counts towards that. Whatever else is sent costs at most one signature
  check, and of these there are many more in a minute: who sends garbage keeps nobody out, and the work has an end.
* Nothing of a record, of a person or of a policy is touched, and nothing is written to the disk.
"""

from __future__ import annotations

import logging
from collections import OrderedDict, deque
from collections.abc import Callable

from concordat_node.access.refusals import MEDIA_TYPE, NodeOverloaded, bugs_masked, refusal, wire_code
from concordat_node.access.request_check import BundleStale
from concordat_trust.bundle.trusted import TrustedBundle
from concordat_trust.canonical import canonical_bytes
from concordat_trust.directory import require_standing
from concordat_trust.errors import ConcordatError
from concordat_trust.failure_log import without_texts
from concordat_trust.ids import OrgId
from concordat_trust.join_ping import Ping, PingReplayed, make_pong, verify_ping
from concordat_trust.jose import Signer
from concordat_trust.request_signature import CREATED_WINDOW_S, authority_of
from concordat_trust.wire.transport import WireRequest, WireResponse

PINGS_PER_MINUTE_MAX = 60
CHECKED_PER_MINUTE_MAX = 6_000
MINUTE_S = 60
REMEMBERED_S = 2 * CREATED_WINDOW_S
"""A ping older than that is refused by its time."""
_log = logging.getLogger("concordat.node.ping")


class PingDoor:
    """Answers pings; remembers them for as long as they could be sent again."""

    def __init__(
        self,
        *,
        organization: OrgId,
        bundle: Callable[[], TrustedBundle | None],
        key: Signer,
        clock: Callable[[], int],
        per_minute_max: int = PINGS_PER_MINUTE_MAX,
        checked_per_minute_max: int = CHECKED_PER_MINUTE_MAX,
    ) -> None:
        self._organization = organization
        self._bundle = bundle
        self._key = key
        self._clock = clock
        self._answered: deque[int] = deque(maxlen=per_minute_max)
        self._checked: deque[int] = deque(maxlen=checked_per_minute_max)
        self._seen: OrderedDict[Ping, int] = OrderedDict()

    async def handle(self, request: WireRequest) -> WireResponse:
        """Return the answer or the refusal; never raises for anything a request can cause."""
        try:
            with bugs_masked():
                pong = self._pong(request)
        except ConcordatError as error:
            code = wire_code(error)
            _log.info("refused %s (%s)", code, without_texts(error))
            return refusal(code)
        body = canonical_bytes({"data": {"pong": pong}})
        return WireResponse(200, {"content-type": MEDIA_TYPE, "cache-control": "no-store"}, body)

    def _pong(self, request: WireRequest) -> str:
        bundle, now = self._bundle(), self._clock()
        if bundle is None or bundle.expires_at <= now:
            raise BundleStale
        _count(self._checked, now)
        require_standing(bundle, self._organization)
        authority = authority_of(bundle.member(self._organization).endpoint)
        ping = verify_ping(request, authority=authority, network=bundle.network.id, now=now)
        self._consume(ping, now)
        return make_pong(ping, key=self._key, organization=self._organization, directory=bundle, now=now)

    def _consume(self, ping: Ping, now: int) -> None:
        # No more can be remembered than were counted in REMEMBERED_S, so this is bounded too.
        while self._seen and now - next(iter(self._seen.values())) > REMEMBERED_S:
            self._seen.popitem(last=False)
        if ping in self._seen:
            raise PingReplayed
        _count(self._answered, now)
        self._seen[ping] = now


def _count(times: deque[int], now: int) -> None:
    if len(times) == times.maxlen and now - times[0] < MINUTE_S:
        raise NodeOverloaded(questions_max=len(times))
    times.append(now)
