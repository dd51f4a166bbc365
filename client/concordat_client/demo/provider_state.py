"""What the demonstration's identity provider remembers: its persons, the sign-ins under way, its codes and its key.

A small OpenID provider (OpenID Connect Core, authorization code with PKCE S256 only) for loopback. Rules of this file:

* A redirect address is compared character by character with the registered ones (RFC 9700 §2.1).
* A code works once, for 60 seconds, for the client, address and challenge it was issued for; it is forgotten when it is
  presented, whatever comes of it.
* Persons and passwords come from a JSON file and are fictional; nothing is kept when the process ends.
"""

from __future__ import annotations

import hmac
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlencode, urlsplit

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from concordat_client.exits import Exit
from concordat_trust.canonical import Json, JsonObject, parse_object
from concordat_trust.encoding import b64u, sha256_b64u
from concordat_trust.errors import OperatorError, RefusedDocument
from concordat_trust.shape import Shape

CONFIG_BYTES_MAX = 1_000_000
PERSONS_MAX = 1_000
PENDING_MAX = 200
PENDING_S = 600
ATTEMPTS_MAX = 5
CODE_S = 60
ID_TOKEN_S = 300
ALGORITHMS = ("EdDSA", "RS256")
LOOPBACK = ("127.0.0.1", "::1", "localhost")


class ProviderConfigInvalid(OperatorError):
    exit = Exit.USAGE
    code = "provider_config_invalid"
    sentence = "The identity provider's configuration is not valid: {problem}."
    hint = "Correct the file; this provider is for demonstrations and tests."


class ProviderNotLoopback(OperatorError):
    exit = Exit.USAGE
    code = "provider_not_loopback"
    sentence = "This identity provider serves this machine only; {place} is not on loopback."
    hint = "Use your organization's own identity provider for anything else."


class ProviderPortUnavailable(OperatorError):
    exit = Exit.USAGE
    code = "provider_port_unavailable"
    sentence = "The identity provider cannot listen on {host}, port {port}: {problem}."
    hint = "Write a free port into its configuration, or 0 to take one."


class OAuthRefused(Exception):
    """An error of RFC 6749 §4.1.2.1 or §5.2; never leaves the provider but as its answer."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(description)
        self.error = error
        self.description = description


@dataclass(frozen=True, slots=True)
class Person:
    username: str
    password: str = field(repr=False)
    subject: str
    claims: JsonObject


@dataclass(frozen=True, slots=True)
class Client:
    client_id: str
    client_secret: str | None = field(repr=False)
    redirect_uris: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ProviderConfig:
    host: str
    port: int
    algorithm: str
    clients: Mapping[str, Client]
    persons: Mapping[str, Person]


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """A valid request of a client, waiting for somebody to sign in."""

    client_id: str
    redirect_uri: str
    state: str
    nonce: str
    challenge: str


def parse_config(data: bytes) -> ProviderConfig:
    """Return the configuration. Raises: ProviderConfigInvalid, ProviderNotLoopback."""
    try:
        shape = Shape(parse_object(data, bytes_max=CONFIG_BYTES_MAX), "provider")
        config = ProviderConfig(
            host=shape.text("host", length_max=40),
            port=shape.integer("port", minimum=0, maximum=65_535),
            algorithm=shape.one_of("algorithm", ALGORITHMS) if shape.has("algorithm") else "EdDSA",
            clients={client.client_id: client for client in map(_client, shape.objects("clients", count_max=20))},
            persons={p.username: p for p in map(_person, shape.objects("persons", count_max=PERSONS_MAX))},
        )
        shape.finish()
    except RefusedDocument as error:
        raise ProviderConfigInvalid(problem=error.message) from error
    for place in (config.host, *(uri for client in config.clients.values() for uri in client.redirect_uris)):
        host = urlsplit(place).hostname if "/" in place else place
        if host not in LOOPBACK:
            raise ProviderNotLoopback(place=place)
    return config


def _client(shape: Shape) -> Client:
    client = Client(
        client_id=shape.text("client_id", length_min=1, length_max=200),
        client_secret=shape.optional_text("client_secret", length_max=200),
        redirect_uris=shape.texts("redirect_uris", count_max=20, length_max=300),
    )
    shape.finish()
    return client


def _person(shape: Shape) -> Person:
    person = Person(
        username=shape.text("username", length_min=1, length_max=100),
        password=shape.text("password", length_min=1, length_max=200),
        subject=shape.text("sub", length_min=1, length_max=255),
        claims=shape.raw_object("claims"),
    )
    shape.finish()
    return person


class ProviderKey:
    """The key that signs ID tokens; made when the provider starts."""

    def __init__(self, algorithm: str) -> None:
        self.algorithm = algorithm
        self._rsa = rsa.generate_private_key(65537, 2048) if algorithm == "RS256" else None
        self._ed25519 = ed25519.Ed25519PrivateKey.generate()
        self.key_id = sha256_b64u(json.dumps(self._public(), sort_keys=True).encode())

    def jwk(self) -> JsonObject:
        return {**self._public(), "alg": self.algorithm, "kid": self.key_id, "use": "sig"}

    def sign(self, claims: JsonObject) -> str:
        """Return a compact JWS (RFC 7515 §7.1)."""
        header = {"alg": self.algorithm, "kid": self.key_id, "typ": "JWT"}
        signed = f"{b64u(json.dumps(header).encode())}.{b64u(json.dumps(claims).encode())}"
        data = signed.encode("ascii")
        if self._rsa is not None:
            return f"{signed}.{b64u(self._rsa.sign(data, padding.PKCS1v15(), hashes.SHA256()))}"
        return f"{signed}.{b64u(self._ed25519.sign(data))}"

    def _public(self) -> JsonObject:
        if self._rsa is not None:
            numbers = self._rsa.public_key().public_numbers()
            return {"kty": "RSA", "n": _number(numbers.n), "e": _number(numbers.e)}
        raw = self._ed25519.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        return {"kty": "OKP", "crv": "Ed25519", "x": b64u(raw)}


def _number(value: int) -> str:
    return b64u(value.to_bytes((value.bit_length() + 7) // 8, "big"))


@dataclass(slots=True)
class _Pending:
    request: AuthorizationRequest
    ends_at: int
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class _Code:
    request: AuthorizationRequest
    person: Person
    ends_at: int


class ProviderState:
    """The provider's memory, shared by its threads."""

    def __init__(
        self, config: ProviderConfig, *, issuer: str, clock: Callable[[], int], entropy: Callable[[int], bytes]
    ) -> None:
        self.issuer = issuer
        self.key = ProviderKey(config.algorithm)
        self._config = config
        self._clock = clock
        self._entropy = entropy
        self._lock = threading.Lock()
        self._pending: dict[str, _Pending] = {}
        self._codes: dict[str, _Code] = {}

    def discovery(self) -> JsonObject:
        return {
            "authorization_endpoint": f"{self.issuer}/authorize",
            "authorization_response_iss_parameter_supported": True,
            "code_challenge_methods_supported": ["S256"],
            "grant_types_supported": ["authorization_code"],
            "id_token_signing_alg_values_supported": [self.key.algorithm],
            "issuer": self.issuer,
            "jwks_uri": f"{self.issuer}/jwks",
            "response_types_supported": ["code"],
            "scopes_supported": ["openid"],
            "subject_types_supported": ["public"],
            "token_endpoint": f"{self.issuer}/token",
            "token_endpoint_auth_methods_supported": ["none", "client_secret_basic"],
        }

    def registered(self, query: Mapping[str, str]) -> bool:
        """Return whether client and redirect address are registered; if not, nobody is redirected anywhere."""
        client = self._config.clients.get(query.get("client_id", ""))
        return client is not None and query.get("redirect_uri") in client.redirect_uris

    def begin(self, query: Mapping[str, str]) -> str:
        """Return the id of a new sign-in. The request must be `registered`. Raises: OAuthRefused."""
        if query.get("response_type") != "code":
            raise OAuthRefused("unsupported_response_type", "only code")
        if "openid" not in query.get("scope", "").split():
            raise OAuthRefused("invalid_scope", "openid is missing")
        if query.get("code_challenge_method") != "S256" or len(query.get("code_challenge", "")) != 43:
            raise OAuthRefused("invalid_request", "PKCE with S256 is required")
        if not query.get("state") or not query.get("nonce"):
            raise OAuthRefused("invalid_request", "state and nonce are required")
        request = AuthorizationRequest(
            query["client_id"], query["redirect_uri"], query["state"], query["nonce"], query["code_challenge"]
        )
        with self._lock:
            now = self._clock()
            self._pending = {k: v for k, v in self._pending.items() if v.ends_at > now}
            if len(self._pending) >= PENDING_MAX:
                raise OAuthRefused("temporarily_unavailable", "too many sign-ins")
            login_id = b64u(self._entropy(32))
            self._pending[login_id] = _Pending(request, now + PENDING_S)
        return login_id

    def sign_in(self, login_id: str, username: str, password: str) -> str | None:
        """Return where to redirect, or None for a wrong name or password. Raises: OAuthRefused."""
        with self._lock:
            now = self._clock()
            pending = self._pending.get(login_id)
            if pending is None or pending.ends_at <= now or pending.attempts >= ATTEMPTS_MAX:
                self._pending.pop(login_id, None)
                raise OAuthRefused("access_denied", "this sign-in is over; begin again")
            pending.attempts += 1
            person = self._config.persons.get(username)
            expected = person.password if person is not None else ""
            is_right = hmac.compare_digest(expected.encode("utf-8"), password.encode("utf-8"))
            if person is None or not is_right:
                return None
            del self._pending[login_id]
            code = b64u(self._entropy(32))
            self._codes[code] = _Code(pending.request, person, now + CODE_S)
        answer = urlencode({"code": code, "state": pending.request.state, "iss": self.issuer})
        return f"{pending.request.redirect_uri}?{answer}"

    def redeem(self, form: Mapping[str, str], basic: tuple[str, str] | None) -> JsonObject:
        """Return the token answer of a code (RFC 6749 §4.1.3, RFC 7636 §4.6). Raises: OAuthRefused."""
        client = self._authenticated(form, basic)
        if form.get("grant_type") != "authorization_code":
            raise OAuthRefused("unsupported_grant_type", "only authorization_code")
        with self._lock:
            code = self._codes.pop(form.get("code", ""), None)
        now = self._clock()
        if code is None or code.ends_at <= now or code.request.client_id != client.client_id:
            raise OAuthRefused("invalid_grant", "the code is unknown, used or too old")
        if form.get("redirect_uri") != code.request.redirect_uri:
            raise OAuthRefused("invalid_grant", "another redirect address")
        if sha256_b64u(form.get("code_verifier", "").encode("utf-8")) != code.request.challenge:
            raise OAuthRefused("invalid_grant", "the code verifier does not match")
        return {
            "access_token": b64u(self._entropy(32)),
            "expires_in": ID_TOKEN_S,
            "id_token": self.key.sign(self._id_token(code, now)),
            "token_type": "Bearer",
        }

    def _id_token(self, code: _Code, now: int) -> JsonObject:
        reserved: dict[str, Json] = {
            "aud": code.request.client_id,
            "exp": now + ID_TOKEN_S,
            "iat": now,
            "iss": self.issuer,
            "nonce": code.request.nonce,
            "sub": code.person.subject,
        }
        return {**code.person.claims, **reserved}

    def _authenticated(self, form: Mapping[str, str], basic: tuple[str, str] | None) -> Client:
        client_id, secret = basic if basic is not None else (form.get("client_id", ""), None)
        client = self._config.clients.get(client_id)
        if client is None or (client.client_secret or "") != (secret or ""):
            raise OAuthRefused("invalid_client", "unknown client or wrong secret")
        return client
