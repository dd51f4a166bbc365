"""The two cookies of a browser: the sign-in under way, and the session of its person.

Over https the session's name begins with `__Host-` (RFC 6265bis §4.1.3.2): no other host of the domain can set it.
Both are HttpOnly and SameSite=Lax. Over http there is only this machine.
"""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import Response

from concordat_node.home.errors import NotSignedIn
from concordat_node.home.pending import PENDING_S
from concordat_node.home.sessions import TOKEN_LENGTH_MAX
from concordat_node.home.settings import HomeSettings

BROWSER_LOGIN_COOKIE = "concordat_browser_login"
_SESSION = "concordat_session"
_LOGIN_PATH = "/login"


def session_cookie(settings: HomeSettings) -> str:
    """Return the name of the session's cookie."""
    return f"__Host-{_SESSION}" if settings.is_https else _SESSION


def browser_token(cookies: Mapping[str, str], settings: HomeSettings) -> str:
    """Return the session token that a browser sent. Raises: NotSignedIn."""
    token = cookies.get(session_cookie(settings), "")
    if not 0 < len(token) <= TOKEN_LENGTH_MAX:
        raise NotSignedIn
    return token


def begin_browser_login(response: Response, settings: HomeSettings, value: str) -> None:
    response.set_cookie(
        BROWSER_LOGIN_COOKIE,
        value,
        max_age=PENDING_S,
        path=_LOGIN_PATH,
        httponly=True,
        samesite="lax",
        secure=settings.is_https,
    )


def end_browser_login(response: Response, settings: HomeSettings) -> None:
    response.delete_cookie(
        BROWSER_LOGIN_COOKIE, path=_LOGIN_PATH, httponly=True, samesite="lax", secure=settings.is_https
    )


def begin_browser_session(response: Response, settings: HomeSettings, token: str) -> None:
    # Without max-age: it is gone with the browser; how long it is of use is decided where sessions are stored.
    response.set_cookie(
        session_cookie(settings), token, path="/", httponly=True, samesite="lax", secure=settings.is_https
    )


def end_browser_session(response: Response, settings: HomeSettings) -> None:
    response.delete_cookie(session_cookie(settings), path="/", httponly=True, samesite="lax", secure=settings.is_https)
