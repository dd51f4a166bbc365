"""The cookie of a sign-in under way: sealed by this node for itself, so that nothing anonymous has to be stored.

Rules of this file:

* AES-256-GCM under a key and nonce of its own for every cookie: HKDF-SHA256 (RFC 5869) over the home key with a fresh
  salt of 256 random bits, which travels in front. Anybody can have cookies made, as many as they like; with one key for
  all, a 96-bit nonce would repeat in the end.
* The associated data names the purpose: a cookie of one step opens in no other.
* Whatever does not open, is malformed or is too old is one refusal, `login_state_invalid`.
* A cookie can be shown twice. That a sign-in is completed once is the business of `login_store`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from concordat_node.home.errors import LoginStateInvalid
from concordat_node.home.pending import BrowserLogin, ClientRequest, Confirmation, PendingLogin
from concordat_node.home.step_up import ACR_VALUES_MAX, StepUp
from concordat_trust.canonical import JsonObject, canonical_bytes, parse_object
from concordat_trust.encoding import b64u, unb64u
from concordat_trust.errors import RefusedDocument
from concordat_trust.shape import Shape

COOKIE_LENGTH_MAX = 3_800
"""Browsers keep 4096 bytes of name, value and attributes (RFC 6265 §6.1)."""
_LABEL = b"concordat-login-cookie-v1"
_SALT_BYTES, _KEY_BYTES, _NONCE_BYTES = 32, 32, 12
_Purpose = Literal["pending", "confirmation", "browser"]


class LoginCookies:
    """Makes and reads the cookies of one home node."""

    def __init__(self, home_key: bytes, *, entropy: Callable[[int], bytes]) -> None:
        self._home_key = home_key
        self._entropy = entropy

    def seal(self, login: PendingLogin | Confirmation) -> str:
        """Return the cookie's value."""
        fields: JsonObject = {
            "client_challenge": login.client.challenge,
            "client_redirect": login.client.redirect_uri,
            "client_state": login.client.state,
            "ends_at": login.ends_at,
            "state": login.state,
        }
        if isinstance(login, PendingLogin):
            secrets: JsonObject = {"nonce": login.nonce, "verifier": login.provider_verifier}
            return self._sealed("pending", {**fields, **secrets, **_step_up_fields(login.step_up)})
        return self._sealed("confirmation", {**fields, "form": login.form})

    def seal_browser(self, login: BrowserLogin) -> str:
        """Return the value of a browser's own cookie."""
        fields: JsonObject = {
            "ends_at": login.ends_at,
            "next": login.next_path,
            "nonce": login.nonce,
            "state": login.state,
            "verifier": login.provider_verifier,
        }
        return self._sealed("browser", {**fields, **_step_up_fields(login.step_up)})

    def browser(self, cookie: str, *, now: int) -> BrowserLogin:
        """Return the sign-in that this browser began for itself. Raises: LoginStateInvalid."""
        shape = self._opened("browser", cookie)
        try:
            login = BrowserLogin(
                shape.text("state"),
                shape.text("nonce"),
                shape.text("verifier"),
                shape.text("next"),
                shape.integer("ends_at"),
                _step_up(shape),
            )
            shape.finish()
        except RefusedDocument as error:
            raise LoginStateInvalid from error
        _check_time(login.ends_at, now)
        return login

    def pending(self, cookie: str, *, now: int) -> PendingLogin:
        """Return the sign-in that this browser began. Raises: LoginStateInvalid."""
        shape = self._opened("pending", cookie)
        try:
            state, client, ends_at = _common(shape)
            step_up = _step_up(shape)
            login = PendingLogin(state, shape.text("nonce"), shape.text("verifier"), client, ends_at, step_up)
            shape.finish()
        except RefusedDocument as error:
            raise LoginStateInvalid from error
        _check_time(login.ends_at, now)
        return login

    def confirmation(self, cookie: str, *, now: int) -> Confirmation:
        """Return the sign-in that waits for this browser's person. Raises: LoginStateInvalid."""
        shape = self._opened("confirmation", cookie)
        try:
            state, client, ends_at = _common(shape)
            login = Confirmation(state, shape.text("form"), client, ends_at)
            shape.finish()
        except RefusedDocument as error:
            raise LoginStateInvalid from error
        _check_time(login.ends_at, now)
        return login

    def _sealed(self, purpose: _Purpose, fields: JsonObject) -> str:
        salt = self._entropy(_SALT_BYTES)
        key, nonce = self._derived(salt)
        return b64u(salt + key.encrypt(nonce, canonical_bytes(fields), _associated(purpose)))

    def _opened(self, purpose: _Purpose, cookie: str) -> Shape:
        if len(cookie) > COOKIE_LENGTH_MAX:
            raise LoginStateInvalid
        try:
            raw = unb64u(cookie)
            key, nonce = self._derived(raw[:_SALT_BYTES])
            opened = key.decrypt(nonce, raw[_SALT_BYTES:], _associated(purpose))
            return Shape(parse_object(opened, bytes_max=COOKIE_LENGTH_MAX), "cookie")
        except (InvalidTag, RefusedDocument) as error:
            raise LoginStateInvalid from error

    def _derived(self, salt: bytes) -> tuple[AESGCM, bytes]:
        length = _KEY_BYTES + _NONCE_BYTES
        derived = HKDF(algorithm=SHA256(), length=length, salt=salt, info=_LABEL).derive(self._home_key)
        return AESGCM(derived[:_KEY_BYTES]), derived[_KEY_BYTES:]


def _associated(purpose: _Purpose) -> bytes:
    return _LABEL + b"\x00" + purpose.encode("ascii")


def _step_up_fields(step_up: StepUp) -> JsonObject:
    return {"acr_values": [*step_up.acr_values], "since": step_up.since}


def _step_up(shape: Shape) -> StepUp:
    return StepUp(shape.optional_integer("since"), shape.texts("acr_values", count_max=ACR_VALUES_MAX))


def _common(shape: Shape) -> tuple[str, ClientRequest, int]:
    client = ClientRequest(shape.text("client_redirect"), shape.text("client_challenge"), shape.text("client_state"))
    return shape.text("state"), client, shape.integer("ends_at")


def _check_time(ends_at: int, now: int) -> None:
    if now >= ends_at:
        raise LoginStateInvalid
