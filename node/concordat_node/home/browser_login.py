"""Signing in from a browser, for this browser: code + PKCE at the organization's own provider, a session at the end.

1. `begin`     fresh state, nonce and verifier go, with the page to go on at, into a sealed cookie of this browser.
2. `complete`  cookie and state, issuer (RFC 9207), code + verifier → ID token with our nonce → mapped claims; the state
               is used up; a new session is opened, whatever this browser held before (no fixation).

Nobody is asked to confirm: the session goes to the browser that began, and to no program beside it.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from urllib.parse import urlencode

from concordat_node.home.errors import LoginStateInvalid
from concordat_node.home.login import Login, Redirect, RunBlocking
from concordat_node.home.login_cookies import LoginCookies
from concordat_node.home.login_store import LoginStore
from concordat_node.home.pending import PENDING_S, BrowserLogin
from concordat_node.home.provider import IdentityProvider
from concordat_node.home.sessions import SessionStore
from concordat_node.home.step_up import parse_step_up
from concordat_trust.encoding import b64u

NEXT_LENGTH_MAX = 1_000
_SECRET_BYTES = 32
# A browser reads `%2e%2e` as `..` (WHATWG URL, double-dot path segment), so an encoded dot is in no path of ours.
_PATH = re.compile(r"(?![^?]*%2[eE])(?:/[A-Za-z0-9_~:%-][A-Za-z0-9_.~:%-]*)*/?(?:\?[A-Za-z0-9_.~:%+=&-]*)?")


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A new session's token, shown once, and where its person goes on."""

    token: str
    next_path: str


class BrowserSignIn:
    """The sign-in of browsers at one home node; `root` is the path under which the portal's pages are."""

    def __init__(
        self,
        *,
        login: Login,
        provider: IdentityProvider,
        cookies: LoginCookies,
        logins: LoginStore,
        sessions: SessionStore,
        run_blocking: RunBlocking,
        entropy: Callable[[int], bytes],
        root: str,
    ) -> None:
        self._login = login
        self._provider = provider
        self._cookies = cookies
        self._logins = logins
        self._sessions = sessions
        self._run_blocking = run_blocking
        self._entropy = entropy
        self._root = root

    async def begin(self, query: Mapping[str, str], *, now: int) -> Redirect:
        """Return the way to the provider, for the page `next` and as strictly as a step-up in the query demands.

        Raises: LoginRequestMalformed, ProviderUnreachable, ProviderAnswerInvalid.
        """
        place, step_up = own_path(query.get("next", ""), self._root), parse_step_up(query, now=now)
        login = BrowserLogin(self._secret(), self._secret(), self._secret(), place, now + PENDING_S, step_up)
        location = await self._provider.authorization_url(
            state=login.state, nonce=login.nonce, verifier=login.provider_verifier, now=now, step_up=step_up
        )
        return Redirect(location, self._cookies.seal_browser(login))

    def began(self, query: Mapping[str, str], cookie: str, *, now: int) -> bool:
        """Return whether the provider's answer belongs to a sign-in that this browser began for itself."""
        try:
            self._pending(query, cookie, now)
        except LoginStateInvalid:
            return False
        return True

    async def complete(self, query: Mapping[str, str], cookie: str, *, now: int) -> SignedIn:
        """Return a new session. Raises: LoginStateInvalid, and what the provider's answer is refused with."""
        login = self._pending(query, cookie, now)
        verifier, step_up = login.provider_verifier, login.step_up
        person = await self._login.identify(query, nonce=login.nonce, verifier=verifier, now=now, step_up=step_up)
        await self._run_blocking(partial(self._logins.use, login.state, person, now=now))
        token, _ = await self._run_blocking(partial(self._sessions.open, person, now=now, kind="browser"))
        return SignedIn(token, own_path(login.next_path, self._root))

    def failed_path(self, code: str) -> str:
        """Return the page that says why a sign-in failed."""
        return f"{self._root}/signin-failed?{urlencode({'code': code})}"

    def _pending(self, query: Mapping[str, str], cookie: str, now: int) -> BrowserLogin:
        login = self._cookies.browser(cookie, now=now)
        given = query.get("state", "").encode("utf-8", "surrogatepass")
        if not hmac.compare_digest(given, login.state.encode("utf-8")):
            raise LoginStateInvalid
        return login

    def _secret(self) -> str:
        return b64u(self._entropy(_SECRET_BYTES))


def own_path(wanted: str, root: str) -> str:
    """Return the wanted path if it is one of the portal's, else its first page: nobody is sent anywhere else."""
    rest = wanted.removeprefix(root)
    is_ours = wanted.startswith(f"{root}/") and len(wanted) <= NEXT_LENGTH_MAX and _PATH.fullmatch(rest) is not None
    return wanted if is_ours else f"{root}/"
