"""What stands around every page: the headers that keep a browser from harm, and the check of every form.

Rules of this file:

* Nothing loads but our own files: no inline script or style, no frame, no other origin.
* A form counts only when the browser says that it comes from a page of ours (`Origin`, or `Sec-Fetch-Site`) *and* it
  repeats a token that only a page of this session holds. The cookie alone does nothing.
* Pages of a person are stored nowhere.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping

from concordat_node.home.errors import FormNotOurs
from concordat_node.home.settings import HomeSettings
from concordat_trust.encoding import sha256_b64u

CSRF_FIELD = "csrf"
SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
    )
)
_CSRF_LABEL = b"concordat-portal-form-v1\x00"
_HEADERS = {
    "content-security-policy": SECURITY_POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
    # Not `no-referrer`: with it a browser sends `Origin: null` also with our own forms (Fetch §3.2).
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}


def page_headers(settings: HomeSettings) -> dict[str, str]:
    """Return the headers of every answer of the portal."""
    secure = {"strict-transport-security": "max-age=31536000"} if settings.is_https else {}
    return {**_HEADERS, **secure, "cache-control": "no-store"}


def static_headers(settings: HomeSettings) -> dict[str, str]:
    """Return the headers of a file whose name holds its digest."""
    return {**page_headers(settings), "cache-control": "public, max-age=31536000, immutable"}


def csrf_of(session_token: str) -> str:
    """Return what a form of this session repeats. It says nothing about the token, nor about its stored hash."""
    return sha256_b64u(_CSRF_LABEL + session_token.encode("utf-8"))


def check_sender(headers: Mapping[str, str], settings: HomeSettings) -> None:
    """Refuse a form that a page of another origin sent, or nobody knows who. Raises: FormNotOurs."""
    origin, site = headers.get("origin"), headers.get("sec-fetch-site")
    if origin is None and site is None:
        raise FormNotOurs
    if origin is not None and origin != settings.origin:
        raise FormNotOurs
    if site is not None and site != "same-origin":
        raise FormNotOurs


def check_form(given: str, session_token: str) -> None:
    """Refuse a form without the token of this session's pages. Raises: FormNotOurs."""
    expected = csrf_of(session_token)
    if not hmac.compare_digest(given.encode("utf-8", "surrogatepass"), expected.encode("ascii")):
        raise FormNotOurs
