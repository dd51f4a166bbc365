"""The home door's parts in one place, and how they are put together.

`open_home` is what the node's `app` calls. It reads no environment; clock, entropy and threads come in from outside.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine

from concordat_node.home.ask import Asker
from concordat_node.home.database import open_home_database
from concordat_node.home.errors import HomeBundleUnusable
from concordat_node.home.jobs import JobStore
from concordat_node.home.login import Login, RunBlocking
from concordat_node.home.login_cookies import LoginCookies
from concordat_node.home.login_store import LoginStore
from concordat_node.home.mint import HomeKeys
from concordat_node.home.provider import IdentityProvider
from concordat_node.home.sessions import SessionStore
from concordat_node.home.settings import HomeSettings
from concordat_trust.bundle.trusted import TrustedBundle
from concordat_trust.ids import OrgId
from concordat_trust.wire.transport import StreamingTransport

BundleGetter = Callable[[], TrustedBundle | None]


@dataclass(frozen=True, slots=True)
class Home:
    """Everything the routes of the home door use."""

    settings: HomeSettings
    organization: OrgId
    keys: HomeKeys
    login: Login
    sessions: SessionStore
    jobs: JobStore
    asker: Asker
    engine: Engine
    bundle: BundleGetter
    clock: Callable[[], int]
    run_blocking: RunBlocking

    def trusted_bundle(self) -> TrustedBundle:
        """Return the bundle that is valid now. Raises: HomeBundleUnusable."""
        bundle = self.bundle()
        if bundle is None or bundle.expires_at <= self.clock():
            raise HomeBundleUnusable
        return bundle

    def close(self) -> None:
        """Close the home database."""
        self.engine.dispose()


def open_home(
    *,
    settings: HomeSettings,
    organization: OrgId,
    database: Path,
    keys: HomeKeys,
    bundle: BundleGetter,
    transport: StreamingTransport,
    clock: Callable[[], int],
    entropy: Callable[[int], bytes],
    run_blocking: RunBlocking,
) -> Home:
    """Return the home door of a node. The caller closes it, and the transport."""
    engine = open_home_database(database)
    sessions = SessionStore(
        engine, idle_s=settings.session_idle_s, absolute_s=settings.session_absolute_s, entropy=entropy
    )
    login = Login(
        provider=IdentityProvider(settings.provider, settings.redirect_uri, transport),
        issuer=settings.provider.issuer,
        mapping=settings.claims,
        cookies=LoginCookies(keys.pseudonym, entropy=entropy),
        logins=LoginStore(engine, entropy=entropy),
        sessions=sessions,
        run_blocking=run_blocking,
        entropy=entropy,
    )
    asker = Asker(
        organization=organization,
        coordinators=tuple(OrgId.parse(coordinator) for coordinator in settings.coordinators),
        deadline_ms=settings.question_deadline_ms,
        keys=keys,
        transport=transport,
        clock=clock,
        entropy=entropy,
    )
    return Home(
        settings=settings,
        organization=organization,
        keys=keys,
        login=login,
        sessions=sessions,
        jobs=JobStore(engine, entropy=entropy),
        asker=asker,
        engine=engine,
        bundle=bundle,
        clock=clock,
        run_blocking=run_blocking,
    )
