"""The organization's identity provider, as the home node talks to it: discovery, key set, code exchange.

authlib composes the OAuth 2.0 requests (RFC 6749, RFC 7636); they are carried by our own `Transport`, because authlib's
httpx integration is deprecated, follows the environment's proxies and reads answers of any size. Verifying the ID token
is `id_token.py`'s.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

from authlib.oauth2.client import OAuth2Client
from authlib.oauth2.rfc6749.parameters import prepare_token_request

from concordat_node.home.errors import (
    IdTokenKeyUnknown,
    ProviderAnswerInvalid,
    ProviderUnreachable,
    UserinfoInvalid,
)
from concordat_node.home.id_token import Expected, Jwk, key_id_of, verified_claims, verify_id_token
from concordat_node.home.settings import ProviderSettings, is_trustworthy_url
from concordat_node.home.step_up import NO_STEP_UP, StepUp
from concordat_trust.errors import PeerFailure
from concordat_trust.wire.transport import Transport, WireRequest

DOCUMENT_BYTES_MAX = 262_144
DEADLINE_S = 10.0
METADATA_AGE_MAX_S = 300
KEYS_COOLDOWN_S = 30
KEYS_MAX = 100
_FORM = {"accept": "application/json", "content-type": "application/x-www-form-urlencoded;charset=UTF-8"}
_JSON = {"accept": "application/json"}
_BEARER = re.compile(r"[A-Za-z0-9._~+/-]{1,16384}=*")
_ID_TOKEN_ONLY = frozenset({"acr", "amr", "aud", "auth_time", "azp", "exp", "iat", "iss", "nonce"})


@dataclass(frozen=True, slots=True)
class ProviderMetadata:
    """What the discovery document says (OpenID Connect Discovery §3)."""

    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None
    end_session_endpoint: str | None
    read_at: int


@dataclass(frozen=True, slots=True)
class Identified:
    """Whom the provider named: verified ID token claims, and the unsigned claims of its userinfo answer, if read."""

    claims: Mapping[str, object]
    more: Mapping[str, object]

    def all_claims(self) -> Mapping[str, object]:
        """Return what the mapping reads; what the ID token says stands over userinfo."""
        return {**self.more, **self.claims}


class IdentityProvider:
    """One provider; keeps its discovery document and key set for some minutes."""

    def __init__(
        self, settings: ProviderSettings, redirect_uri: str, transport: Transport, *, max_age_s: int | None = None
    ) -> None:
        self._settings = settings
        self._max_age_s = max_age_s
        self._transport = transport
        self._metadata: ProviderMetadata | None = None
        self._keys: tuple[Jwk, ...] = ()
        self._keys_read_at: int | None = None
        self._oauth = OAuth2Client(
            session=None,
            client_id=settings.client_id,
            client_secret=settings.client_secret,
            scope=settings.scope,
            redirect_uri=redirect_uri,
            code_challenge_method="S256",
        )

    async def authorization_url(
        self, *, state: str, nonce: str, verifier: str, now: int, step_up: StepUp = NO_STEP_UP
    ) -> str:
        """Return where to send the browser. Raises: ProviderUnreachable, ProviderAnswerInvalid."""
        metadata = await self._discover(now)
        more = step_up.parameters()
        if self._max_age_s is not None:
            more["max_age"] = str(self._max_age_s)  # with it a provider says when the person signed in
        url, _ = self._oauth.create_authorization_url(
            metadata.authorization_endpoint, state=state, code_verifier=verifier, nonce=nonce, **more
        )
        return str(url)

    async def end_session_url(self, back_to: str, *, now: int) -> str | None:
        """Return where to sign out of the provider too (RP-Initiated Logout §2); None when it has no such place.

        Raises: ProviderUnreachable, ProviderAnswerInvalid.
        """
        endpoint = (await self._discover(now)).end_session_endpoint
        query = urlencode({"client_id": self._settings.client_id, "post_logout_redirect_uri": back_to})
        return None if endpoint is None else f"{endpoint}{'&' if urlsplit(endpoint).query else '?'}{query}"

    async def identify(
        self, code: str, *, verifier: str, nonce: str, now: int, step_up: StepUp = NO_STEP_UP
    ) -> Identified:
        """Return whom the answer to an authorization code names.

        Raises: ProviderUnreachable, ProviderAnswerInvalid, UserinfoInvalid, and the refusals of `verify_id_token`.
        """
        metadata = await self._discover(now)
        answer = await self._exchange_code(metadata, code, verifier)
        token = answer.get("id_token")
        if not isinstance(token, str):
            raise ProviderAnswerInvalid(document="token answer", problem="it has no ID token")
        keys = await self._keys_for(metadata, key_id_of(token), now)
        settings = self._settings
        expected = Expected(settings.issuer, settings.client_id, nonce, settings.algorithm, self._max_age_s, step_up)
        claims = verify_id_token(token, keys=keys, expected=expected, now=now)
        return Identified(claims, await self._userinfo(metadata, answer, claims))

    async def verified(self, token: str, *, now: int) -> Mapping[str, object]:
        """Return the claims of any token that this provider signed; nothing of them is compared yet.

        Raises: ProviderUnreachable, ProviderAnswerInvalid, and the refusals of `verified_claims`.
        """
        key_id = key_id_of(token)  # a form that cannot be one asks nobody
        keys = await self._keys_for(await self._discover(now), key_id, now)
        return verified_claims(token, keys=keys, algorithm=None)

    async def _userinfo(
        self, metadata: ProviderMetadata, answer: Mapping[str, object], claims: Mapping[str, object]
    ) -> Mapping[str, object]:
        """Return the userinfo claims, without those that only an ID token can say."""
        if not self._settings.userinfo and not self._settings.has_passport:
            return {}
        token = answer.get("access_token")
        if metadata.userinfo_endpoint is None or not isinstance(token, str) or not _BEARER.fullmatch(token):
            raise ProviderAnswerInvalid(document="token answer", problem="nothing leads from it to userinfo")
        headers = {**_JSON, "authorization": f"Bearer {token}"}
        told = await self._call("GET", metadata.userinfo_endpoint, headers, b"")
        if told.get("sub") != claims["sub"]:
            raise UserinfoInvalid  # OpenID Connect Core §5.3.2: a token could have been swapped
        return {name: value for name, value in told.items() if name not in _ID_TOKEN_ONLY}

    async def _discover(self, now: int) -> ProviderMetadata:
        if self._metadata is None or now - self._metadata.read_at > METADATA_AGE_MAX_S:
            url = f"{self._settings.issuer}/.well-known/openid-configuration"
            self._metadata = _metadata(await self._call("GET", url, _JSON, b""), self._settings.issuer, now)
        return self._metadata

    async def _exchange_code(self, metadata: ProviderMetadata, code: str, verifier: str) -> Mapping[str, object]:
        body = prepare_token_request(
            "authorization_code", code=code, redirect_uri=self._oauth.redirect_uri, code_verifier=verifier
        )
        auth = self._oauth.client_auth(self._oauth.token_endpoint_auth_method)
        url, headers, body = auth.prepare("POST", metadata.token_endpoint, dict(_FORM), body)
        lower = {name.lower(): value for name, value in headers.items()}
        return await self._call("POST", url, lower, body.encode("utf-8"))

    async def _keys_for(self, metadata: ProviderMetadata, key_id: str | None, now: int) -> tuple[Jwk, ...]:
        known = any(jwk.get("kid") == key_id for jwk in self._keys)
        # An unknown key id may be a rotated key; a stream of invented ones must not become a stream of requests.
        may_read = self._keys_read_at is None or now - self._keys_read_at >= KEYS_COOLDOWN_S
        is_old = self._keys_read_at is None or now - self._keys_read_at > METADATA_AGE_MAX_S
        if is_old or (not known and may_read):
            self._keys = _key_set(await self._call("GET", metadata.jwks_uri, _JSON, b""))
            self._keys_read_at = now
        elif not known:
            raise IdTokenKeyUnknown
        return self._keys

    async def _call(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Mapping[str, object]:
        parts = urlsplit(url)
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        request = WireRequest(method, path or "/", headers, body)
        try:
            response = await self._transport.exchange(
                f"{parts.scheme}://{parts.netloc}", request, deadline_s=DEADLINE_S, bytes_max=DOCUMENT_BYTES_MAX
            )
        except PeerFailure as error:
            raise ProviderUnreachable from error
        if response.status != 200:
            raise ProviderAnswerInvalid(document="answer", problem=f"its status is {response.status}")
        return _object(response.body)


def _object(body: bytes) -> Mapping[str, object]:
    # Foreign providers may use floats and vendor fields, so this is plain JSON and not the canonical parser.
    try:
        value = json.loads(body.decode("utf-8"))
    except (UnicodeDecodeError, ValueError, RecursionError) as error:
        raise ProviderAnswerInvalid(document="answer", problem="it is not JSON") from error
    if not isinstance(value, dict):
        raise ProviderAnswerInvalid(document="answer", problem="it is not an object")
    return value


def _metadata(document: Mapping[str, object], issuer: str, now: int) -> ProviderMetadata:
    # OpenID Connect Discovery §4.3: the issuer must be the one that was asked, character by character.
    if document.get("issuer") != issuer:
        raise ProviderAnswerInvalid(document="discovery document", problem="it names another issuer")
    methods = document.get("code_challenge_methods_supported")
    if isinstance(methods, list) and "S256" not in methods:
        raise ProviderAnswerInvalid(document="discovery document", problem="it does not support PKCE with S256")
    return ProviderMetadata(
        authorization_endpoint=_endpoint(document, "authorization_endpoint"),
        token_endpoint=_endpoint(document, "token_endpoint"),
        jwks_uri=_endpoint(document, "jwks_uri"),
        userinfo_endpoint=_optional_endpoint(document, "userinfo_endpoint"),
        end_session_endpoint=_optional_endpoint(document, "end_session_endpoint"),
        read_at=now,
    )


def _optional_endpoint(document: Mapping[str, object], name: str) -> str | None:
    return None if document.get(name) is None else _endpoint(document, name)


def _endpoint(document: Mapping[str, object], name: str) -> str:
    value = document.get(name)
    if not isinstance(value, str) or not is_trustworthy_url(value):
        raise ProviderAnswerInvalid(document="discovery document", problem=f"{name} is not an https address")
    return value


def _key_set(document: Mapping[str, object]) -> tuple[Jwk, ...]:
    keys = document.get("keys")
    if not isinstance(keys, list) or len(keys) > KEYS_MAX or not all(isinstance(key, dict) for key in keys):
        raise ProviderAnswerInvalid(document="key set", problem="it is not a list of keys")
    return tuple(keys)
