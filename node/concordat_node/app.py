"""The composition root: reads clock, keys, network state and policy, and puts the door behind a socket.

Rules of this file:

* Nothing is answered before it is known: a node without a bundle that is in force is alive but not ready, keeps asking
  its mirrors, and refuses questions with `bundle_stale`. A first bundle that is there and wrong stops the start.
* Order of starting: folder and keys, bundle, databases and index, policy, door. Stopping is the reverse; no child and
  no thread is left.
* When the network's term statistics change, the index is built again before it answers with them.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import anyio
import anyio.to_thread
from fastapi import APIRouter
from starlette.types import ASGIApp

from concordat_node.access.cursor import CursorSeal
from concordat_node.access.decisions import ClassDecisions
from concordat_node.access.gate import Gate
from concordat_node.answering.answer import Answering
from concordat_node.api.door import NodeDoor
from concordat_node.api.http import node_app
from concordat_node.errors import DataDirUnusable
from concordat_node.id_secret import read_id_secret
from concordat_node.keys import Keys, check_membership, read_keys
from concordat_node.ledger.ledger import Ledger
from concordat_node.ledger.outbox import UseOutbox
from concordat_node.peer.channel import PeerChannel
from concordat_node.peer.door import PeerDoor
from concordat_node.peer.ping import PingDoor
from concordat_node.peer.reporting import UseReporter
from concordat_node.peer.store import PeerStore
from concordat_node.peer.uses import TokenUses
from concordat_node.policy.engine import NodePolicy, SignInPolicy
from concordat_node.policy.opa_binary import ensure_opa
from concordat_node.policy.opa_engine import OpaPolicyEngine
from concordat_node.policy.opa_process import OpaProcess
from concordat_node.policy.rego_files import policies_dir
from concordat_node.registry.engine import Database, open_database, open_ledger_database
from concordat_node.registry.migrate import upgrade
from concordat_node.registry.rules import Owner
from concordat_node.registry.store import RegistryStore
from concordat_node.search.index_writer import ensure_index
from concordat_node.search.posting_index import SqlPostingIndex
from concordat_node.settings import Settings
from concordat_trust.bundle import TrustedBundle
from concordat_trust.bundle.countdown import bundle_words
from concordat_trust.bundle.deadline_watch import DeadlineWatch
from concordat_trust.bundle.deadlines import deadline_words
from concordat_trust.bundle.errors import BundleExpired, BundleUnavailable
from concordat_trust.bundle.fetcher import HttpFetcher
from concordat_trust.bundle.poll import PEER_TIMEOUT_S, BundlePoller
from concordat_trust.bundle.serving import BUNDLE_PATH, ServedBundle
from concordat_trust.errors import ConcordatError, RefusedDocument
from concordat_trust.failure_log import without_texts
from concordat_trust.vocabulary import Clearance
from concordat_trust.wire.transport import StreamingTransport

FIRST_POLL_PAUSE_S = 1.0
JITTER_SHARE = 0.2
_log = logging.getLogger("concordat.node")

T = TypeVar("T")


class Workers:
    """A bounded number of threads for databases, index and files; a `RunBlocking`."""

    def __init__(self, threads_max: int) -> None:
        self._limiter = anyio.CapacityLimiter(threads_max)

    async def __call__(self, call: Callable[[], T], /) -> T:
        return await anyio.to_thread.run_sync(call, limiter=self._limiter)


@dataclass
class Node:
    """The parts of a node, wired. `start`, then serve `app`, then `stop`."""

    settings: Settings
    keys: Keys
    poller: BundlePoller
    registry: Database
    ledger: Ledger
    opa: OpaProcess
    run_blocking: Workers
    peers: PeerStore
    app: ASGIApp = field(init=False)
    _reporter: UseReporter = field(init=False)
    _deadlines: DeadlineWatch = field(init=False)
    _reporting: asyncio.Task[None] | None = None
    _indexed: str | None = None
    _polling: asyncio.Task[None] | None = None
    _closing: contextlib.AsyncExitStack = field(default_factory=contextlib.AsyncExitStack)

    async def start(self) -> None:
        """Return when the node answers, or waits for nothing but its mirrors.

        Raises: the refusal of a first bundle that is wrong, NodeNotMember, OpaStartFailed, the storage failures.
        """
        known = self.poller.load()
        if known is not None:
            await self._adopt(known)
        await self._first_poll()
        await self.opa.start()
        self._polling = asyncio.create_task(self._keep_current(), name="bundle-poll")
        self._reporting = asyncio.create_task(self._reporter.run(), name="token-uses")

    async def stop(self) -> None:
        """End policy, polling and databases. May be called again, also after a start that failed."""
        for task in (self._polling, self._reporting):
            if task is not None:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
        self._polling = self._reporting = None
        await self._closing.aclose()
        await self.opa.stop()
        self.peers.close()
        self.ledger.close()
        self.registry.close()

    def bundle(self) -> TrustedBundle | None:
        """Return the bundle in force, None when there is none."""
        return in_force(self.poller)

    def is_ready(self) -> bool:
        """Whether a question would be answered now."""
        bundle = self.bundle()
        return bundle is not None and self.opa.is_ready and self._indexed == bundle.statistics.revision

    async def _adopt(self, bundle: TrustedBundle) -> None:
        self.keys.reload(bundle, self.settings.organization)
        check_membership(bundle, self.settings, self.keys)
        self._deadlines.look(bundle, now())
        if self._indexed != bundle.statistics.revision:
            await self.run_blocking(lambda: ensure_index(self.registry, bundle.statistics))
            self._indexed = bundle.statistics.revision

    async def _first_poll(self) -> None:
        try:
            bundle = await self.poller.polled()
        except ConcordatError as error:
            if isinstance(error, RefusedDocument) and self.bundle() is None:
                raise
            _log.warning("bundle poll failed: %s", error.code)
            return
        await self._adopt(bundle)

    async def _keep_current(self) -> None:
        interval_s = self.settings.bundle_poll_s
        while True:
            spread = 1 + JITTER_SHARE * (2 * secrets.SystemRandom().random() - 1)
            await asyncio.sleep(interval_s * spread if self.bundle() else min(interval_s, FIRST_POLL_PAUSE_S))
            try:
                await self._adopt(await self.poller.polled())
            except ConcordatError as error:
                _log.warning("bundle poll failed: %s; %s", error.code, bundle_words(self.poller, now()).rstrip())
            except Exception as error:  # noqa: BLE001  # whatever a mirror brought about, the next poll must come
                _log.error("bundle poll failed: %s", without_texts(error))


def build_node(settings: Settings) -> Node:
    """Return a node that has read its keys and opened its databases, and has started nothing.

    Raises: DataDirUnusable, KeyFile*, OpaMissing, IdSecretUnusable, SchemaNewer, LogTooNew, LogUnavailable, the storage
    failures.
    """
    make_private_folder(settings.data_dir)
    keys = read_keys(settings)
    binary = ensure_opa(environ=opa_environment(settings))
    registry = open_registry(settings)
    ledger = Ledger(open_ledger_database(settings.data_dir / "ledger.sqlite"))
    opa = OpaProcess(
        binary.path,
        policies_dir() if settings.policies_dir is None else settings.policies_dir,
        timeout_s=settings.opa_timeout_ms / 1000,
    )
    poller = make_poller(settings)
    run_blocking = Workers(settings.threads_max)
    node = Node(settings, keys, poller, registry, ledger, opa, run_blocking, open_peer_store(settings))
    node._deadlines = DeadlineWatch(settings.organization, _log)
    # One client for everything that this node sends; it is loaded with a started node only.
    from concordat_node.home.httpx_transport import HttpxTransport  # noqa: PLC0415

    transport = HttpxTransport(ca_file=settings.ca_file, proxy=settings.egress_proxy or None)
    node._closing.push_async_callback(transport.close)
    uses = TokenUses(node.peers, run_blocking, now)
    node._reporter = UseReporter(
        outbox=UseOutbox(ledger.database),
        channel=PeerChannel(settings.organization, keys.request, transport, now, secrets.token_bytes),
        bundle=node.bundle,
        run_blocking=run_blocking,
        clock=now,
    )
    peers = PeerDoor(
        organization=settings.organization, bundle=node.bundle, handlers={"token_uses": uses.receive}, clock=now
    )
    pings = PingDoor(organization=settings.organization, bundle=node.bundle, key=keys.request, clock=now)
    node.app = node_app(
        _door(node),
        is_ready=node.is_ready,
        request_bytes_max=settings.request_bytes_max,
        routers=_home_routers(node, transport, uses),
        peers=peers.handle,
        pings=pings.handle,
        bundle=ServedBundle(node.bundle),
        bundle_words=lambda: bundle_words(poller, now()) + deadline_words(node.bundle(), settings.organization, now()),
    )
    return node


def _door(node: Node) -> NodeDoor:
    """Return the path of a question: from its checks over policy, index and gate to the log and the signature."""
    settings, run_blocking, poller = node.settings, node.run_blocking, node.poller
    engine = OpaPolicyEngine(node.opa)
    store = RegistryStore(node.registry)
    decisions = ClassDecisions(
        engine=engine, registry=store, run_blocking=run_blocking, remembered_s=settings.decisions_remembered_s
    )
    gate = Gate(
        organization=settings.organization,
        registry=store,
        index=SqlPostingIndex(node.registry),
        engine=engine,
        decisions=decisions,
        run_blocking=run_blocking,
        entropy=secrets.token_bytes,
    )
    answering = Answering(
        organization=settings.organization,
        node_policy=node_policy(settings),
        engine=engine,
        decisions=decisions,
        gate=gate,
        ledger=node.ledger,
        cursors=CursorSeal(read_id_secret(settings)),
        key=node.keys.attestation,
        bundle=lambda: in_force(poller),
        run_blocking=run_blocking,
        clock=now,
        entropy=secrets.token_bytes,
    )
    return NodeDoor(
        organization=settings.organization,
        bundle=lambda: in_force(poller),
        answering=answering,
        clock=now,
        request_bytes_max=settings.request_bytes_max,
        answer_timeout_ms=settings.answer_timeout_ms,
        questions_max=settings.questions_max,
    )


def _home_routers(node: Node, transport: StreamingTransport, uses: TokenUses) -> list[APIRouter]:
    settings = node.settings
    if settings.home is None:
        return []
    # The home door is a room of its own; a node without people of its own does not load it.
    from concordat_node.doors.api import build_doors_router  # noqa: PLC0415
    from concordat_node.home.api import build_home_router  # noqa: PLC0415
    from concordat_node.home.home import open_home  # noqa: PLC0415
    from concordat_node.home.home_key import load_home_key  # noqa: PLC0415
    from concordat_node.home.mint import HomeKeys  # noqa: PLC0415
    from concordat_node.home.settings_file import read_home_settings  # noqa: PLC0415
    from concordat_node.home.split_views import FOLDER, SplitViews  # noqa: PLC0415
    from concordat_node.portal.api import build_portal_router  # noqa: PLC0415
    from concordat_node.registration.api import build_registration_router  # noqa: PLC0415
    from concordat_node.registration.registration import Registration  # noqa: PLC0415

    home = open_home(
        settings=read_home_settings(settings, dict(settings.home)),
        organization=settings.organization,
        database=settings.data_dir / "home.sqlite",
        keys=HomeKeys(
            query_token=node.keys.query_token,
            request=node.keys.request,
            pseudonym=load_home_key(settings.data_dir / "keys" / "pseudonym.key"),
        ),
        bundle=node.bundle,
        transport=transport,
        clock=now,
        entropy=secrets.token_bytes,
        run_blocking=node.run_blocking,
        note_minted=uses.note_minted,
        note_split=SplitViews(settings.data_dir / FOLDER).keep,
    )
    node._closing.callback(home.close)
    node._closing.push_async_callback(home.stop)
    registration = Registration(
        database=node.registry,
        owner=lambda: Owner(settings.organization, read_id_secret(settings)),
        statistics=lambda: home.trusted_bundle().statistics,
        clock=now,
    )
    return [
        build_home_router(home),
        build_doors_router(home),
        build_portal_router(home),
        build_registration_router(home, registration),
    ]


def in_force(poller: BundlePoller) -> TrustedBundle | None:
    """Return the bundle in force, None when there is none."""
    try:
        return poller.bundle()
    except (BundleUnavailable, BundleExpired):
        return None


def now() -> int:
    """Return the time in Unix seconds."""
    return int(time.time())


def node_policy(settings: Settings) -> NodePolicy:
    """Return what the configuration says to policy."""
    return NodePolicy(
        purposes_admitted=settings.purposes_admitted,
        notice_mode=settings.notice_mode,
        notice_code=settings.notice_code or None,
        notice_contact=settings.notice_contact or None,
        sign_in=SignInPolicy(
            age_max_s=settings.sign_in_age_max_s,
            acr_values=settings.sign_in_acr_values,
            sensitivity_min=Clearance(settings.sign_in_sensitivity_min),
        ),
    )


def make_poller(settings: Settings) -> BundlePoller:
    """Return the poller of the network's bundle, which has not asked anybody yet."""
    ca_file = None if settings.ca_file is None else str(settings.ca_file)
    return BundlePoller(
        root_sha256=settings.root_sha256,
        mirrors=settings.bundle_mirrors,
        state=settings.data_dir / "bundle",
        clock=now,
        jitter=secrets.SystemRandom().random,
        fetcher=HttpFetcher(ca_file=ca_file),
        peers=lambda bundle: [
            bundle.member(org).endpoint + BUNDLE_PATH for org in bundle.organizations if org != settings.organization
        ],
        peer_fetcher=HttpFetcher(ca_file=ca_file, timeout_s=PEER_TIMEOUT_S),
    )


def open_registry(settings: Settings) -> Database:
    """Return the migrated registry. Raises: SchemaNewer, the storage failures."""
    database = open_database(settings.data_dir / "registry.sqlite")
    upgrade(database)
    return database


def open_peer_store(settings: Settings) -> PeerStore:
    """Return what is remembered of other organizations. Raises: the storage failures."""
    return PeerStore(open_ledger_database(settings.data_dir / "peer.sqlite"))


def opa_environment(settings: Settings) -> dict[str, str]:
    """Return the environment in which OPA is looked for; the setting stands over CONCORDAT_OPA."""
    import os  # noqa: PLC0415  # only the composition root reads the environment

    environment = dict(os.environ)
    return environment if settings.opa_path is None else {**environment, "CONCORDAT_OPA": str(settings.opa_path)}


def make_private_folder(path: Path) -> None:
    """Make the folder for its owner alone, when it is not there yet. Raises: DataDirUnusable."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise DataDirUnusable(path=str(path), problem=error.strerror) from error
