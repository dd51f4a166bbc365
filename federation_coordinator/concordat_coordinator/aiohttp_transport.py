"""The coordinator's `Transport` over sockets.

Rules of this file:

* One absolute deadline around everything, name resolution and the last byte included: a node that dribbles does not
  get a new one with every read.
* The answer is counted while it arrives and cut off at `bytes_max`; nothing is decompressed, so these are the bytes.
* No redirects, no cookies, nothing from the environment (proxy, netrc, CA bundle): where a request goes stands in the
  trust bundle and in the settings. TLS is 1.3.
* A connection that fails before a byte was sent is `PeerUnreachable(sent=False)`; only then may the caller try again.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

import aiohttp

from concordat_trust.wire.transport import (
    PeerAnswerInvalid,
    PeerAnswerTooLarge,
    PeerTimeout,
    PeerUnreachable,
    WireRequest,
    WireResponse,
)

# uvicorn closes an idle connection after 5 s by default. Reusing one later than that would lose a request now and then
# in the moment of closing, and a request that may have been seen is not sent again.
KEEP_ALIVE_S = 4.0
_HEADERS_SENT_BY_US = ("Accept", "Accept-Encoding", "User-Agent", "Content-Type")


class AiohttpTransport:
    """A `Transport` with one keep-alive pool; use it as an async context manager."""

    def __init__(self, *, ca_file: Path | None = None, egress_proxy: str | None = None) -> None:
        self._ca_file = ca_file
        self._egress_proxy = egress_proxy
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(
            ssl=_tls(self._ca_file),
            limit=0,  # the fan-out bounds the calls; a second bound here would wait without a status
            keepalive_timeout=KEEP_ALIVE_S,
        )
        self._session = aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            skip_auto_headers=_HEADERS_SENT_BY_US,
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=None, sock_read=None),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def exchange(self, endpoint: str, request: WireRequest, *, deadline_s: float, bytes_max: int) -> WireResponse:
        """Return the whole answer. Raises: PeerUnreachable, PeerTimeout, PeerAnswerTooLarge, PeerAnswerInvalid."""
        if self._session is None:
            raise RuntimeError("the transport is used before it is entered")
        try:
            async with asyncio.timeout(deadline_s):
                return await self._exchange(self._session, endpoint, request, bytes_max)
        except TimeoutError as error:
            raise PeerTimeout(endpoint=endpoint) from error

    async def _exchange(
        self, session: aiohttp.ClientSession, endpoint: str, request: WireRequest, bytes_max: int
    ) -> WireResponse:
        try:
            async with session.request(
                request.method,
                endpoint.rstrip("/") + request.path,
                data=request.body,
                headers={**request.headers, "accept-encoding": "identity"},
                allow_redirects=False,
                proxy=self._egress_proxy,
            ) as response:
                return await _read(response, endpoint, bytes_max)
        except (aiohttp.ClientConnectorError, aiohttp.ClientConnectorCertificateError) as error:
            raise PeerUnreachable(endpoint=endpoint, sent=False) from error
        except aiohttp.ClientConnectionError as error:
            raise PeerUnreachable(endpoint=endpoint, sent=True) from error
        except (aiohttp.ClientError, ValueError) as error:
            # Not HTTP, cut off in the middle of the body, or an address that no URL can be made of.
            raise PeerAnswerInvalid(endpoint=endpoint) from error


async def _read(response: aiohttp.ClientResponse, endpoint: str, bytes_max: int) -> WireResponse:
    headers = _joined(response.headers.items())
    if headers.get("content-encoding", "identity") != "identity":
        raise PeerAnswerInvalid(endpoint=endpoint)
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > bytes_max:
            response.close()  # not released to the pool: the rest of the gigabyte is never read
            raise PeerAnswerTooLarge(endpoint=endpoint, bytes_max=bytes_max)
    return WireResponse(status=response.status, headers=headers, body=bytes(body))


def _joined(items: Iterable[tuple[str, str]]) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, value in items:
        lower = name.lower()
        headers[lower] = f"{headers[lower]}, {value}" if lower in headers else value
    return headers


def _tls(ca_file: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    return context
