"""Signing in from the command line: RFC 8252 loopback redirect, PKCE on both legs, one session token at the end.

A browser that signs in for itself goes another way (`browser_login`), with the same provider, cookies and stores.

The order, and what each step is bound to:

1. `begin`     the command line's redirect address, challenge and state go, with a fresh state, nonce and verifier, into
               a sealed cookie of this browser: nothing is stored, and nobody can be made to finish a sign-in that
               another began.
2. `complete`  the provider's answer: cookie and state, issuer (RFC 9207), code + our own verifier → ID token with our
               nonce → mapped claims; the state is used up.
3. `waiting`   the person is shown which port would get the code, and
   `confirm`   continues: a one-time code (once), sent to the command line's own loopback address only.
4. `redeem`    one-time code + the command line's verifier → session.
"""

from __future__ import annotations

import hmac
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol, TypeVar
from urllib.parse import urlencode, urlsplit

from concordat_node.home.claims import ClaimsMapping, map_claims
from concordat_node.home.errors import (
    IdTokenIssuer,
    LoginCodeInvalid,
    LoginRedirectRefused,
    LoginRefusedByProvider,
    LoginRequestMalformed,
    LoginStateInvalid,
)
from concordat_node.home.id_token import acr_of, auth_time_of
from concordat_node.home.login_cookies import LoginCookies
from concordat_node.home.login_store import LoginStore
from concordat_node.home.passport import visas_handed_over
from concordat_node.home.pending import CONFIRM_S, PENDING_S, ClientRequest, Confirmation, PendingLogin
from concordat_node.home.person import Passport, Person, SignIn
from concordat_node.home.provider import Identified, IdentityProvider
from concordat_node.home.sessions import Session, SessionStore
from concordat_node.home.step_up import NO_STEP_UP, StepUp, parse_step_up
from concordat_trust.encoding import b64u
from concordat_trust.errors import ConcordatError

CODE_LENGTH_MAX = 2_048
CALLBACK_PATH = "/callback"
CONFIRM_LOCATION = "confirm"
"""Relative to /login/callback, so that it holds behind every reverse proxy."""
_SECRET_BYTES = 32
_CHALLENGE = re.compile(r"[A-Za-z0-9_-]{43}")
_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")
_STATE = re.compile(r"[A-Za-z0-9._~-]{16,128}")

T = TypeVar("T")
_log = logging.getLogger("concordat.node.home")


class RunBlocking(Protocol):
    """Runs a function that blocks (SQLite) off the event loop, in a bounded pool."""

    def __call__(self, function: Callable[[], T], /) -> Awaitable[T]: ...


@dataclass(frozen=True, slots=True)
class Redirect:
    """Where to send the browser, and the cookie to set; without one the browser's cookie is over."""

    location: str
    cookie: str | None = None


@dataclass(frozen=True, slots=True)
class Waiting:
    """A person who is asked whether to go on, and what their consent must repeat."""

    subject: str
    redirect_uri: str
    form: str


class Login:
    """The sign-in of one home node."""

    def __init__(
        self,
        *,
        provider: IdentityProvider,
        issuer: str,
        mapping: ClaimsMapping,
        cookies: LoginCookies,
        logins: LoginStore,
        sessions: SessionStore,
        run_blocking: RunBlocking,
        entropy: Callable[[int], bytes],
    ) -> None:
        self._provider = provider
        self._issuer = issuer
        self._mapping = mapping
        self._cookies = cookies
        self._logins = logins
        self._sessions = sessions
        self._run_blocking = run_blocking
        self._entropy = entropy

    async def begin(self, query: Mapping[str, str], *, now: int) -> Redirect:
        """Return the way to the provider.

        Raises: LoginRedirectRefused, LoginRequestMalformed, ProviderUnreachable, ProviderAnswerInvalid.
        """
        client, step_up = parse_client_request(query), parse_step_up(query, now=now)
        login = PendingLogin(self._secret(), self._secret(), self._secret(), client, now + PENDING_S, step_up)
        location = await self._provider.authorization_url(
            state=login.state, nonce=login.nonce, verifier=login.provider_verifier, now=now, step_up=step_up
        )
        return Redirect(location, self._cookies.seal(login))

    async def complete(self, query: Mapping[str, str], cookie: str, *, now: int) -> Redirect:
        """Return the way to the page that asks the person, or to the command line with the code of what went wrong.

        Raises: LoginStateInvalid, when it is not known whom to tell.
        """
        login = self._cookies.pending(cookie, now=now)
        if not _is_same(query.get("state", ""), login.state):
            raise LoginStateInvalid
        try:
            nonce, verifier = login.nonce, login.provider_verifier
            person = await self.identify(query, nonce=nonce, verifier=verifier, now=now, step_up=login.step_up)
            await self._run_blocking(lambda: self._logins.use(login.state, person, now=now))
        except LoginStateInvalid:
            raise
        except ConcordatError as error:
            _log.warning("sign-in refused: %s", error.code)
            return _back(login.client, "error", error.code)
        confirmation = Confirmation(login.state, self._secret(), login.client, now + CONFIRM_S)
        return Redirect(CONFIRM_LOCATION, self._cookies.seal(confirmation))

    async def waiting(self, cookie: str, *, now: int) -> Waiting:
        """Return what the person of this browser is asked. Raises: LoginStateInvalid."""
        login = self._cookies.confirmation(cookie, now=now)
        person = await self._run_blocking(lambda: self._logins.person(login.state, now=now))
        return Waiting(person.subject, login.client.redirect_uri, login.form)

    async def confirm(self, form: str, cookie: str, *, now: int) -> Redirect:
        """Return the way back to the command line, with its one-time code. Raises: LoginStateInvalid."""
        login = self._cookies.confirmation(cookie, now=now)
        if not _is_same(form, login.form):
            raise LoginStateInvalid
        code = await self._run_blocking(lambda: self._logins.confirm(login.state, login.client, now=now))
        return _back(login.client, "code", code)

    async def redeem(self, code: str, verifier: str, *, now: int) -> tuple[str, Session]:
        """Return a new session token and its session. Raises: LoginCodeInvalid, LoginVerifierMismatch."""
        if len(code) > CODE_LENGTH_MAX:
            raise LoginCodeInvalid
        if not _VERIFIER.fullmatch(verifier):
            raise LoginRequestMalformed(field="code_verifier")
        person = await self._run_blocking(lambda: self._logins.redeem(code, verifier, now=now))
        return await self._run_blocking(lambda: self._sessions.open(person, now=now))

    async def identify(
        self, query: Mapping[str, str], *, nonce: str, verifier: str, now: int, step_up: StepUp = NO_STEP_UP
    ) -> Person:
        """Return whom the provider's answer names. Raises: IdTokenIssuer, LoginRefusedByProvider, the provider's."""
        # RFC 9207 §2.4: an answer that names its issuer must name ours, also an error.
        if query.get("iss", self._issuer) != self._issuer:
            raise IdTokenIssuer
        code = query.get("code", "")
        if "error" in query or not 0 < len(code) <= CODE_LENGTH_MAX:
            raise LoginRefusedByProvider
        found = await self._provider.identify(code, verifier=verifier, nonce=nonce, now=now, step_up=step_up)
        return self.mapped(found, now=now)

    def mapped(self, found: Identified, *, now: int) -> Person:
        """Return what this node remembers of whom the provider named. Raises: PersonNotMapped, IdTokenMalformed."""
        claims, everything = found.claims, found.all_claims()
        return Person(
            subject=str(claims["sub"]),
            claims=map_claims(everything, self._mapping),
            sign_in=SignIn(now, auth_time_of(claims), acr_of(claims)),
            passport=Passport(self._issuer, visas_handed_over(everything)),
        )

    def _secret(self) -> str:
        return b64u(self._entropy(_SECRET_BYTES))


def _is_same(given: str, ours: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), ours.encode("utf-8"))


def _back(client: ClientRequest, name: str, value: str) -> Redirect:
    return Redirect(f"{client.redirect_uri}?{urlencode({name: value, 'state': client.state})}")


def parse_client_request(query: Mapping[str, str]) -> ClientRequest:
    """Return what the command line asked for. Raises: LoginRedirectRefused, LoginRequestMalformed."""
    redirect_uri = query.get("redirect_uri", "")
    if not is_loopback_redirect(redirect_uri):
        raise LoginRedirectRefused
    challenge, state = query.get("code_challenge", ""), query.get("state", "")
    if not _CHALLENGE.fullmatch(challenge) or query.get("code_challenge_method", "S256") != "S256":
        raise LoginRequestMalformed(field="code_challenge")
    if not _STATE.fullmatch(state):
        raise LoginRequestMalformed(field="state")
    return ClientRequest(redirect_uri, challenge, state)


def is_loopback_redirect(uri: str) -> bool:
    """Return whether the address is exactly http://127.0.0.1:PORT/callback or its IPv6 twin (RFC 8252 §7.3, §8.3)."""
    try:
        port = urlsplit(uri).port
    except ValueError:
        return False
    return bool(port) and uri in (
        f"http://127.0.0.1:{port}{CALLBACK_PATH}",
        f"http://[::1]:{port}{CALLBACK_PATH}",
    )
