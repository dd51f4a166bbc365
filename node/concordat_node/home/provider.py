"""The organization's identity provider, as the home node talks to it: discovery, key set, code exchange.

authlib composes the OAuth 2.0 requests (RFC 6749, RFC 7636); they are carried by our own `Transport`, because authlib's
httpx integration is deprecated, follows the environment's proxies and reads answers of any size. Verifying the ID token
is `id_token.py`'s.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from authlib.oauth2.client import OAuth2Client
from authlib.oauth2.rfc6749.parameters import prepare_token_request

from concordat_node.home.errors import IdTokenKeyUnknown, ProviderAnswerInvalid, ProviderUnreachable
from concordat_node.home.id_token import Expected, Jwk, key_id_of, verify_id_token
from concordat_node.home.settings import ProviderSettings, is_trustworthy_url
from concordat_trust.errors import PeerFailure
from concordat_trust.wire.transport import Transport, WireRequest

DOCUMENT_BYTES_MAX = 262_144
DEADLINE_S = 10.0
METADATA_AGE_MAX_S = 300
KEYS_COOLDOWN_S = 30
KEYS_MAX = 100
_FORM = {"accept": "application/json", "content-type": "application/x-www-form-urlencoded;charset=UTF-8"}
_JSON = {"accept": "application/json"}


@dataclass(frozen=True, slots=True)
class ProviderMetadata:
    """What the discovery document says (OpenID Connect Discovery §3)."""

    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    read_at: int


class IdentityProvider:
    """One provider; keeps its discovery document and key set for some minutes."""

    def __init__(self, settings: ProviderSettings, redirect_uri: str, transport: Transport) -> None:
        self._settings = settings
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

    async def authorization_url(self, *, state: str, nonce: str, verifier: str, now: int) -> str:
        """Return where to send the browser. Raises: ProviderUnreachable, ProviderAnswerInvalid."""
        metadata = await self._discover(now)
        url, _ = self._oauth.create_authorization_url(
            metadata.authorization_endpoint, state=state, code_verifier=verifier, nonce=nonce
        )
        return str(url)

    async def identify(self, code: str, *, verifier: str, nonce: str, now: int) -> Mapping[str, object]:
        """Return the verified ID token claims of an authorization code.

        Raises: ProviderUnreachable, ProviderAnswerInvalid, and the refusals of `verify_id_token`.
        """
        metadata = await self._discover(now)
        answer = await self._exchange_code(metadata, code, verifier)
        token = answer.get("id_token")
        if not isinstance(token, str):
            raise ProviderAnswerInvalid(document="token answer", problem="it has no ID token")
        keys = await self._keys_for(metadata, key_id_of(token), now)
        expected = Expected(self._settings.issuer, self._settings.client_id, nonce)
        return verify_id_token(token, keys=keys, expected=expected, now=now)

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
        read_at=now,
    )


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
