"""The home node's `Transport` over httpx: one deadline, a byte cap, nothing followed, nothing from the environment.

Rules of this file:

* The deadline covers connecting, sending and every byte of the answer; a server that dribbles does not extend it.
* Bodies are asked for unencoded and refused when they come encoded anyway, so that the cap counts what is held.
* Redirects are answers, not instructions. Proxies and CA files of the environment are ignored; an explicit proxy and CA
  file are settings. Off loopback there is only TLS 1.3.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncGenerator
from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from concordat_node.home.settings import is_trustworthy_url
from concordat_trust.wire.event_stream import is_event_stream
from concordat_trust.wire.transport import (
    Feed,
    PeerAnswerInvalid,
    PeerAnswerTooLarge,
    PeerOverloaded,
    PeerTimeout,
    PeerUnreachable,
    WireRequest,
    WireResponse,
)

CONNECTIONS_MAX = 20
_OK = 200
_OVERLOADED = (429, 503)


class HttpxTransport:
    """Carries requests of this home node to coordinators, to its own node and to the identity provider."""

    def __init__(self, *, ca_file: Path | None = None, proxy: str | None = None) -> None:
        context = ssl.create_default_context(cafile=None if ca_file is None else str(ca_file))
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        self._client = httpx.AsyncClient(
            verify=context,
            proxy=proxy,
            trust_env=False,
            follow_redirects=False,
            timeout=None,  # noqa: S113  # the one deadline is asyncio's, below
            limits=httpx.Limits(max_connections=CONNECTIONS_MAX, max_keepalive_connections=CONNECTIONS_MAX),
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._client.aclose()

    async def exchange(self, endpoint: str, request: WireRequest, *, deadline_s: float, bytes_max: int) -> WireResponse:
        """Return the whole answer (see `Transport.exchange`)."""
        return await self._carried(endpoint, request, deadline_s, bytes_max, None)

    async def stream(
        self, endpoint: str, request: WireRequest, *, deadline_s: float, bytes_max: int, feed: Feed
    ) -> WireResponse:
        """Return the answer; feed an event stream while it arrives (see `StreamingTransport.stream`)."""
        return await self._carried(endpoint, request, deadline_s, bytes_max, feed)

    async def _carried(
        self, endpoint: str, request: WireRequest, deadline_s: float, bytes_max: int, feed: Feed | None
    ) -> WireResponse:
        if not is_trustworthy_url(endpoint):
            raise PeerUnreachable(endpoint=endpoint, sent=False)
        try:
            async with asyncio.timeout(deadline_s):
                return await self._exchange(endpoint, request, bytes_max, feed)
        except (TimeoutError, httpx.TimeoutException) as error:
            raise PeerTimeout(endpoint=endpoint) from error
        except httpx.ConnectError as error:
            raise PeerUnreachable(endpoint=endpoint, sent=False) from error
        except (httpx.RemoteProtocolError, httpx.DecodingError) as error:
            raise PeerAnswerInvalid(endpoint=endpoint) from error
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise PeerUnreachable(endpoint=endpoint, sent=True) from error

    async def _exchange(self, endpoint: str, request: WireRequest, bytes_max: int, feed: Feed | None) -> WireResponse:
        headers = {**request.headers, "accept-encoding": "identity"}
        url = endpoint + request.path
        async with self._client.stream(request.method, url, headers=headers, content=request.body) as response:
            if response.headers.get("content-encoding", "identity") != "identity" or response.is_redirect:
                raise PeerAnswerInvalid(endpoint=endpoint)
            if response.status_code in _OVERLOADED:
                raise PeerOverloaded(endpoint=endpoint)
            names = {name.lower(): value for name, value in response.headers.items()}
            pieces = _bounded(response, endpoint, bytes_max)
            if feed is None or response.status_code != _OK or not is_event_stream(names.get("content-type", "")):
                return WireResponse(response.status_code, names, b"".join([piece async for piece in pieces]))
            async with contextlib.aclosing(pieces):
                async for piece in pieces:
                    if feed(piece):
                        break
            return WireResponse(response.status_code, names, b"")


async def _bounded(response: httpx.Response, endpoint: str, bytes_max: int) -> AsyncGenerator[bytes, None]:
    count = 0
    async for piece in response.aiter_raw():
        count += len(piece)
        if count > bytes_max:
            raise PeerAnswerTooLarge(endpoint=endpoint, bytes_max=bytes_max)
        yield piece
