"""The composition root: reads the clock, the keys and the network's state, and puts the relay behind a socket.

Rules of this file:

* Nothing is served before it is known: a coordinator without a bundle that is valid now is alive but not ready, keeps
  asking its mirrors, and refuses questions with `coordinator_not_ready`.
* A bundle that is there and wrong (fingerprint, signature, our own keys missing) stops the start with its code.
* Stopping: not ready first, then no new questions, then those under way finish within `stop_grace_s`. A second signal
  does not wait. A stop that was asked for ends with exit code 0 at any moment, also during the start.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import secrets
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

import uvicorn
from fastapi import FastAPI

from concordat_coordinator.aiohttp_transport import AiohttpTransport
from concordat_coordinator.api.connection import BoundedConnection
from concordat_coordinator.api.door import RelayDoor
from concordat_coordinator.api.http import build_app
from concordat_coordinator.errors import CoordinatorNotMember, CoordinatorNotReady, PortInUse
from concordat_coordinator.relay import RelayKeys, RelayService
from concordat_coordinator.settings import Settings
from concordat_trust.bundle import TrustedBundle
from concordat_trust.bundle.deadline_watch import DeadlineWatch
from concordat_trust.bundle.errors import BundleExpired, BundleUnavailable
from concordat_trust.bundle.fetcher import HttpFetcher
from concordat_trust.bundle.poll import BundlePoller
from concordat_trust.directory import KeyDirectory, KeyUse, is_listed
from concordat_trust.errors import ConcordatError, RefusedDocument
from concordat_trust.failure_log import without_texts
from concordat_trust.ids import OrgId
from concordat_trust.reloading_key import ReloadingKey

FIRST_POLL_PAUSE_S = 1.0
JITTER_SHARE = 0.2
KEEP_ALIVE_S = 75
BACKLOG = 512
CONNECTIONS_MAX = 512
"""Open connections; from this one on a request is answered 503 at once."""
SIGNALS = (signal.SIGINT, signal.SIGTERM)
_log = logging.getLogger("concordat.coordinator")
Announce = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Coordinator:
    """The parts of a coordinator, wired."""

    settings: Settings
    poller: BundlePoller
    keys: RelayKeys
    relay: RelayService
    transport: AiohttpTransport
    app: FastAPI
    key_files: Mapping[KeyUse, ReloadingKey]
    deadlines: DeadlineWatch

    def adopt(self, bundle: TrustedBundle) -> None:
        """Take over new key files that the bundle lists already, and warn of what runs out."""
        self.deadlines.look(bundle, _now())
        for use, key in self.key_files.items():
            key.reload(partial(is_listed, bundle, self.settings.organization, use))


def compose(settings: Settings) -> Coordinator:
    """Return a coordinator that has read its keys and its last good bundle and has not opened a socket.

    Raises: KeyFile*, what `BundlePoller.load` raises, CoordinatorNotMember.
    """
    request = ReloadingKey(settings.in_data_dir(settings.request_key))
    delivery = ReloadingKey(settings.in_data_dir(settings.delivery_key))
    keys = RelayKeys(request=request, delivery=delivery)
    poller = BundlePoller(
        root_sha256=settings.root_sha256,
        mirrors=settings.bundle_mirrors,
        state=settings.data_dir / "bundle",
        clock=_now,
        jitter=secrets.SystemRandom().random,
        fetcher=HttpFetcher(ca_file=None if settings.ca_file is None else str(settings.ca_file)),
    )
    known = poller.load()
    if known is not None:
        check_membership(known, settings.organization, keys)
    transport = AiohttpTransport(ca_file=settings.ca_file, egress_proxy=settings.egress_proxy or None)
    relay = RelayService(
        me=settings.organization,
        keys=keys,
        bundle=lambda: _bundle_in_force(poller),
        transport=transport,
        clock=_now,
        entropy=secrets.token_bytes,
        limits=settings.limits(),
    )
    app = build_app(RelayDoor(relay), is_ready=lambda: is_ready(relay, poller, settings.organization, keys))
    key_files: Mapping[KeyUse, ReloadingKey] = {"request": request, "delivery": delivery}
    watch = DeadlineWatch(settings.organization, _log)
    return Coordinator(settings, poller, keys, relay, transport, app, key_files, watch)


async def serve(settings: Settings, announce: Announce) -> None:
    """Serve until a signal; `announce` gets the address once it is open.

    Raises: as `compose`; PortInUse; the refusal of a first bundle that is there and wrong.
    """
    with contextlib.closing(listen(settings.host, settings.port)) as listener:
        coordinator = compose(settings)
        config = server_config(coordinator.app, stop_grace_s=settings.stop_grace_s)
        server = _Server(config, opened=lambda: announce(_address(listener)))
        with _stopping_on_signals(asyncio.current_task(), server, coordinator.relay):
            try:
                await _first_poll(coordinator)
                async with coordinator.transport, _polling(coordinator):
                    await server.serve(sockets=[listener])
            except asyncio.CancelledError:
                return  # a signal before the server took over: nothing was under way


def server_config(app: FastAPI, *, stop_grace_s: int) -> uvicorn.Config:
    """Return how the application is served: HTTP/1.1 only, bounded in connections and in every wait."""
    return uvicorn.Config(
        app,
        http=BoundedConnection,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=CONNECTIONS_MAX,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=stop_grace_s,
    )


def listen(host: str, port: int) -> socket.socket:
    """Return a bound socket. Raises: PortInUse (also for an address that is not ours)."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        problem = "is already in use" if error.errno == errno.EADDRINUSE else f"cannot be used: {error.strerror}"
        raise PortInUse(host=host, port=port, problem=problem) from error
    return listener


def check_membership(bundle: KeyDirectory, organization: OrgId, keys: RelayKeys) -> None:
    """Refuse to run with keys that nobody will believe. Raises: CoordinatorNotMember."""
    for use, key in (("request", keys.request), ("delivery", keys.delivery)):
        try:
            bundle.key(organization, "request" if use == "request" else "delivery", key.key_id)
        except RefusedDocument as error:
            raise CoordinatorNotMember(organization=organization, use=use) from error


def is_ready(relay: RelayService, poller: BundlePoller, organization: OrgId, keys: RelayKeys) -> bool:
    """Tell whether a question would be relayed now."""
    try:
        check_membership(_bundle_in_force(poller), organization, keys)
    except ConcordatError:
        return False
    return not relay.is_stopping


def _bundle_in_force(poller: BundlePoller) -> TrustedBundle:
    try:
        return poller.bundle()
    except (BundleUnavailable, BundleExpired) as error:
        raise CoordinatorNotReady from error


async def _first_poll(coordinator: Coordinator) -> None:
    """Poll once before serving. A mirror that is away is waited for later; a wrong first bundle stops the start."""
    try:
        bundle = await coordinator.poller.polled()
    except ConcordatError as error:
        if isinstance(error, RefusedDocument) and not _has_bundle(coordinator.poller):
            raise
        _log.warning("bundle poll failed: %s", error.code)
        return
    coordinator.adopt(bundle)
    check_membership(bundle, coordinator.settings.organization, coordinator.keys)


def _has_bundle(poller: BundlePoller) -> bool:
    try:
        _bundle_in_force(poller)
    except CoordinatorNotReady:
        return False
    return True


@contextlib.asynccontextmanager
async def _polling(coordinator: Coordinator) -> AsyncIterator[None]:
    task = asyncio.create_task(_keep_current(coordinator))
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _keep_current(coordinator: Coordinator) -> None:
    interval_s = coordinator.settings.bundle_poll_s
    while True:
        spread = 1 + JITTER_SHARE * (2 * secrets.SystemRandom().random() - 1)
        await asyncio.sleep(
            interval_s * spread if _has_bundle(coordinator.poller) else min(interval_s, FIRST_POLL_PAUSE_S)
        )
        try:
            coordinator.adopt(await coordinator.poller.polled())
        except ConcordatError as error:
            _log.warning("bundle poll failed: %s", error.code)
        except Exception as error:  # noqa: BLE001  # whatever a mirror brought about, the next poll must come
            _log.error("bundle poll failed: %s", without_texts(error))


class _Server(uvicorn.Server):
    """uvicorn with our own stop: a stop that was asked for is not a failure."""

    def __init__(self, config: uvicorn.Config, *, opened: Callable[[], None]) -> None:
        super().__init__(config)
        self._opened = opened

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._opened()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # the handlers of `_stopping_on_signals` stay in place


@contextlib.contextmanager
def _stopping_on_signals(starting: asyncio.Task[None] | None, server: _Server, relay: RelayService) -> Iterator[None]:
    def stop() -> None:
        relay.stop()
        if not server.started and starting is not None:
            starting.cancel()
            return
        server.force_exit = server.should_exit
        server.should_exit = True

    loop = asyncio.get_running_loop()
    for number in SIGNALS:
        loop.add_signal_handler(number, stop)
    try:
        yield
    finally:
        for number in SIGNALS:
            loop.remove_signal_handler(number)


def _address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _now() -> int:
    return int(time.time())
