"""The home door's parts in one place, and how they are put together.

`open_home` is what the node's `app` calls. It reads no environment; clock, entropy and threads come in from outside.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import Engine

from concordat_node.home.ask import Asker, NoteMinted, nobody_notes
from concordat_node.home.browser_login import BrowserSignIn
from concordat_node.home.database import open_home_database
from concordat_node.home.errors import HomeBundleUnusable
from concordat_node.home.exchange import TokenExchange
from concordat_node.home.job_runner import JobRunner
from concordat_node.home.jobs import Job, JobStore
from concordat_node.home.judge import NoteSplit, nobody_keeps
from concordat_node.home.login import Login, RunBlocking
from concordat_node.home.login_cookies import LoginCookies
from concordat_node.home.login_store import LoginStore
from concordat_node.home.mint import HomeKeys
from concordat_node.home.provider import IdentityProvider
from concordat_node.home.sessions import Session, SessionKind, SessionStore
from concordat_node.home.settings import HomeSettings
from concordat_node.home.stored_standing import require_speakers, still_shown
from concordat_trust.bundle.trusted import TrustedBundle
from concordat_trust.directory import require_standing
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
    browser_login: BrowserSignIn
    exchange: TokenExchange
    provider: IdentityProvider
    sessions: SessionStore
    jobs: JobStore
    asker: Asker
    runner: JobRunner
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

    def own_standing(self) -> None:
        """Refuse everything while the own organization is suspended. Raises: OrganizationSuspended."""
        bundle = self.bundle()
        if bundle is not None:
            require_standing(bundle, self.organization)

    async def session(self, token: str, *, kind: SessionKind) -> Session:
        """Return the session of a token, and note its use. Raises: OrganizationSuspended (the own one), NotSignedIn."""
        self.own_standing()
        return await self.local_session(token, kind=kind)

    async def local_session(self, token: str, *, kind: SessionKind = "program") -> Session:
        """Return a session for what concerns this organization alone, also while it is suspended. Raises: NotSignedIn.

        Nothing that asks the network, or shows what came from it, may use this one.
        """
        now = self.clock()
        return await self.run_blocking(lambda: self.sessions.resolve(token, now=now, kind=kind))

    async def end_session(self, token: str, *, kind: SessionKind) -> None:
        """End a session, its stored searches and its questions under way. Raises: NotSignedIn."""
        session_id = await self.run_blocking(lambda: self.sessions.close(token, kind=kind))
        await self.runner.end_session(session_id)

    async def job(self, job_id: str, session: Session) -> Job:
        """Return a stored search of this session that may still be shown.

        Raises: JobNotFound; AnswerSuspended when somebody whose answer is in it may no longer speak;
        OrganizationSuspended for the own organization; HomeBundleUnusable.
        """
        bundle, now = self.trusted_bundle(), self.clock()
        require_standing(bundle, self.organization)
        job = await self.run_blocking(lambda: self.jobs.load(job_id, session, now=now))
        if job.result is not None:
            require_speakers(job.result, bundle)
        return job

    async def stop(self) -> None:
        """End the questions under way. Before `close`."""
        await self.runner.close()

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
    note_minted: NoteMinted = nobody_notes,
    note_split: NoteSplit = nobody_keeps,
) -> Home:
    """Return the home door of a node. The caller closes it, and the transport."""
    engine = open_home_database(database)
    ways_in = _ways_in(settings, keys, engine, transport, entropy=entropy, run_blocking=run_blocking)
    asker = Asker(
        organization=organization,
        coordinators=tuple(OrgId.parse(coordinator) for coordinator in settings.coordinators),
        deadline_ms=settings.question_deadline_ms,
        keys=keys,
        transport=transport,
        clock=clock,
        entropy=entropy,
        in_force=bundle,
        note_minted=note_minted,
        minting=settings.minting,
        note_split=note_split,
    )
    jobs = JobStore(engine, entropy=entropy, still=lambda events: still_shown(events, bundle()))
    jobs.interrupt_all()
    return Home(
        settings=settings,
        organization=organization,
        keys=keys,
        login=ways_in.login,
        browser_login=ways_in.browser_login,
        exchange=ways_in.exchange,
        provider=ways_in.provider,
        sessions=ways_in.sessions,
        jobs=jobs,
        asker=asker,
        runner=JobRunner(asker=asker, jobs=jobs, clock=clock, run_blocking=run_blocking),
        engine=engine,
        bundle=bundle,
        clock=clock,
        run_blocking=run_blocking,
    )


@dataclass(frozen=True, slots=True)
class _WaysIn:
    """How people sign in, over one provider and one store of sessions."""

    provider: IdentityProvider
    sessions: SessionStore
    login: Login
    browser_login: BrowserSignIn
    exchange: TokenExchange


def _ways_in(
    settings: HomeSettings,
    keys: HomeKeys,
    engine: Engine,
    transport: StreamingTransport,
    *,
    entropy: Callable[[int], bytes],
    run_blocking: RunBlocking,
) -> _WaysIn:
    sessions = SessionStore(
        engine, idle_s=settings.session_idle_s, absolute_s=settings.session_absolute_s, entropy=entropy
    )
    provider = IdentityProvider(
        settings.provider, settings.redirect_uri, transport, max_age_s=settings.session_absolute_s
    )
    cookies, logins = LoginCookies(keys.pseudonym, entropy=entropy), LoginStore(engine, entropy=entropy)
    login = Login(
        provider=provider,
        issuer=settings.provider.issuer,
        mapping=settings.claims,
        cookies=cookies,
        logins=logins,
        sessions=sessions,
        run_blocking=run_blocking,
        entropy=entropy,
    )
    browser_login = BrowserSignIn(
        login=login,
        provider=provider,
        cookies=cookies,
        logins=logins,
        sessions=sessions,
        run_blocking=run_blocking,
        entropy=entropy,
        root=settings.portal_root,
    )
    exchange = TokenExchange(
        audience=settings.exchange_audience,
        issuer=settings.provider.issuer,
        provider=provider,
        login=login,
        logins=logins,
        sessions=sessions,
        run_blocking=run_blocking,
    )
    return _WaysIn(provider, sessions, login, browser_login, exchange)
