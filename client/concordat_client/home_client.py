"""Talking to the home node: bounded, without the environment's proxies, following nothing.

The home node has verified everything it sends (DESIGN section 3, step 7); this client trusts its own home node for
that, and nobody else. A saved answer can be verified again without it: `concordat verify`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import httpx

from concordat_client.config import SavedSession
from concordat_client.errors import HomeAddressInvalid, HomeAnswerInvalid, HomeRefused, HomeUnreachable
from concordat_client.exits import Exit
from concordat_client.plain_text import plain
from concordat_trust.canonical import JsonObject, parse_object
from concordat_trust.errors import RefusedDocument

ANSWER_BYTES_MAX = 64_000_000
TIMEOUT_S = 70.0
PROBE_TIMEOUT_S = 5.0
_LOOPBACK = ("127.0.0.1", "::1", "localhost")
_CODE = re.compile(r"[a-z][a-z0-9_]{2,63}")


def parse_home_address(text: str) -> str:
    """Return the address without a slash at its end. Raises: HomeAddressInvalid."""
    address = text.rstrip("/")
    try:
        parts = urlsplit(address)
        port_is_valid = parts.port is None or parts.port > 0
    except ValueError as error:
        raise HomeAddressInvalid(address=text[:200]) from error
    plain_http = parts.scheme == "http" and parts.hostname in _LOOPBACK
    if not (parts.scheme == "https" or plain_http) or not parts.hostname or not port_is_valid:
        raise HomeAddressInvalid(address=text[:200])
    if parts.path or parts.query or parts.fragment or "@" in parts.netloc:
        raise HomeAddressInvalid(address=text[:200])
    return address


class HomeClient:
    """One home node; with a session, on behalf of the person it belongs to."""

    def __init__(self, address: str, token: str | None = None) -> None:
        self.address = parse_home_address(address)
        headers = {"accept": "application/json", "accept-encoding": "identity"}
        if token is not None:
            headers["authorization"] = f"Bearer {token}"
        self._http = httpx.Client(trust_env=False, follow_redirects=False, timeout=TIMEOUT_S, headers=headers)

    @classmethod
    def of(cls, session: SavedSession) -> Self:
        return cls(session.home, session.token)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def probe(self) -> None:
        """Return when a home node answers at once. Raises: HomeUnreachable, HomeAnswerInvalid, HomeRefused."""
        try:
            self._bytes("GET", "/v1/whoami", None, timeout_s=PROBE_TIMEOUT_S)
        except HomeRefused as error:
            if error.exit != Exit.NOT_SIGNED_IN:  # what a home node says to somebody who is about to sign in
                raise

    def redeem(self, code: str, verifier: str) -> JsonObject:
        """Return {session_token, …} for a one-time code. Raises: HomeUnreachable, HomeRefused, HomeAnswerInvalid."""
        return self._object("POST", "/v1/session", {"code": code, "code_verifier": verifier})

    def exchange(self, subject_token: str) -> str:
        """Return a session token for a provider's token (RFC 8693). Raises: as `redeem`."""
        form = {
            "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
            "subject_token": subject_token,
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        }
        token = self._parsed(self._bytes("POST", "/v1/token", None, form=form)).get("access_token")
        if not isinstance(token, str):
            raise HomeAnswerInvalid(address=self.address)
        return token

    def sign_out(self) -> None:
        self._bytes("DELETE", "/v1/session", None)

    def whoami(self) -> JsonObject:
        return self._object("GET", "/v1/whoami", None)

    def ask(self, body: JsonObject) -> JsonObject:
        """Return the result of a search. Raises: HomeUnreachable, HomeRefused, HomeAnswerInvalid."""
        return self._object("POST", "/v1/questions", body)

    def next_page(self, job_id: str) -> JsonObject:
        """Return the page after a stored one. Raises: as `ask`; HomeRefused `next_page_missing` after the last."""
        return self._object("POST", f"/v1/questions/{job_id}/next", {})

    def assets(self, body: JsonObject) -> JsonObject:
        """Return the result for ids. Raises: as `ask`."""
        return self._object("POST", "/v1/assets", body)

    def lineage(self, body: JsonObject) -> JsonObject:
        """Return a walked lineage. Raises: as `ask`."""
        return self._object("POST", "/v1/lineage", body)

    def saved_answer(self, job_id: str) -> bytes:
        """Return the saved answer of a stored search, byte for byte. Raises: as `ask`."""
        return self._bytes("GET", f"/v1/questions/{job_id}/answer", None)

    def _object(self, method: str, path: str, body: JsonObject | None) -> JsonObject:
        return self._parsed(self._bytes(method, path, body))

    def _bytes(
        self,
        method: str,
        path: str,
        body: JsonObject | None,
        *,
        timeout_s: float = TIMEOUT_S,
        form: Mapping[str, str] | None = None,
    ) -> bytes:
        try:
            with self._http.stream(method, self.address + path, json=body, data=form, timeout=timeout_s) as response:
                content = bytearray()
                for chunk in response.iter_raw():
                    content += chunk
                    if len(content) > ANSWER_BYTES_MAX:
                        raise HomeAnswerInvalid(address=self.address)
        except httpx.HTTPError as error:
            raise HomeUnreachable(address=self.address) from error
        if response.status_code not in (200, 204):
            raise self._refusal(response.status_code, bytes(content))
        return bytes(content)

    def _refusal(self, status: int, content: bytes) -> HomeRefused | HomeAnswerInvalid:
        answer = self._parsed(content)
        told = answer.get("error")
        if isinstance(told, str):  # an OAuth error (RFC 6749 §5.2); its description begins with our code
            own_code, _, message = str(answer.get("error_description", "")).partition(": ")
            told = {"code": own_code, "message": message}
        code = told.get("code") if isinstance(told, dict) else None
        if not isinstance(told, dict) or not isinstance(code, str) or not _CODE.fullmatch(code):
            return HomeAnswerInvalid(address=self.address)
        return HomeRefused(
            status=status,
            remote_code=code,
            message=plain(told.get("message") or code, length_max=500),
            remote_hint=plain(told.get("hint") or "", length_max=500),
        )

    def _parsed(self, content: bytes) -> JsonObject:
        try:
            return parse_object(content, bytes_max=ANSWER_BYTES_MAX)
        except RefusedDocument as error:
            raise HomeAnswerInvalid(address=self.address) from error
