"""A home node's door with a clock that stands still, counted entropy, and an identity provider in memory."""

from __future__ import annotations

import hashlib
import json
import re
from base64 import urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Protocol, TypeVar
from urllib.parse import parse_qs, parse_qsl, urlsplit

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import FastAPI

from concordat_node.home.api import build_home_router
from concordat_node.home.home import Home, open_home
from concordat_node.home.mint import HomeKeys
from concordat_node.home.settings import HomeSettings, parse_home_settings
from concordat_node.portal.api import build_portal_router
from concordat_trust.bundle.trusted import TrustedBundle
from concordat_trust.canonical import JsonObject
from concordat_trust.encoding import b64u, sha256_b64u
from concordat_trust.ids import OrgId
from concordat_trust.wire.transport import Feed, PeerUnreachable, Transport, WireRequest, WireResponse
from tests.factories.network import NOW, TestNetwork, make_network
from tests.factories.node import PATIENT_MS
from tests.factories.streaming import fed

HOME = OrgId.parse("alma-university")
ISSUER = "https://idp.alma.example"
BASE_URL = "https://home.alma.example"
CLI_REDIRECT = "http://127.0.0.1:43210/callback"
CLI_STATE = "cli-state-0123456789"
CLI_VERIFIER = "v" * 64
HOME_KEY = bytes(range(32))
T = TypeVar("T")


def home_settings_json() -> JsonObject:
    """Return good settings; tests change one thing."""

    def same(claim: str, *values: str) -> JsonObject:
        return {"claim": claim, "rules": [{"is": value, "becomes": value} for value in values]}

    return {
        "base_url": BASE_URL,
        "provider": {"issuer": ISSUER, "client_id": "concordat-home", "client_secret": None, "scope": "openid"},
        "claims": {
            "affiliation": same("affiliation", "faculty", "staff", "student"),
            "role": same("role", "researcher", "guest"),
            "clearance": same("clearance", "restricted", "controlled", "registered"),
        },
        "coordinators": ["relay-one"],
        "question_deadline_ms": PATIENT_MS,
    }


class Clock:
    """Stands still until a test moves it."""

    def __init__(self, now: int = NOW) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now


class Entropy:
    """Different bytes every time, the same ones in every run."""

    def __init__(self, label: str = "home") -> None:
        self._label = label
        self._count = 0

    def __call__(self, size: int) -> bytes:
        self._count += 1
        return hashlib.shake_256(f"{self._label} {self._count}".encode()).digest(size)


async def run_inline(function: Callable[[], T]) -> T:
    return function()


@dataclass
class FakeProvider:
    """An identity provider behind the `Transport` protocol that answers as a test tells it to."""

    clock: Clock
    claims: dict[str, object] = field(
        default_factory=lambda: {"affiliation": "staff", "role": "researcher", "clearance": "controlled"}
    )
    subject: str = "person-1"
    change: Callable[[dict[str, object]], None] = lambda _claims: None
    forge: Callable[[str], str] = lambda token: token
    nonces: dict[str, str] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    userinfo: dict[str, object] | None = None
    """What its userinfo endpoint answers; None: it has none."""
    has_end_session: bool = False
    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)

    def jwk(self) -> dict[str, object]:
        raw = self.key.public_key().public_bytes_raw()
        return {"kty": "OKP", "crv": "Ed25519", "x": b64u(raw), "kid": "key-1", "use": "sig", "alg": "EdDSA"}

    def authorize(self, location: str) -> str:
        """Play the person: return a code for the authorization request at `location`."""
        query = dict(parse_qsl(urlsplit(location).query))
        code = f"code-{len(self.nonces)}"
        self.nonces[code] = query["nonce"]
        return code

    async def exchange(self, endpoint: str, request: WireRequest, *, deadline_s: float, bytes_max: int) -> WireResponse:
        if endpoint != ISSUER:
            raise PeerUnreachable(endpoint=endpoint, sent=False)
        self.asked.append(request.path)
        body: dict[str, object]
        if request.path == "/.well-known/openid-configuration":
            body = {
                "issuer": ISSUER,
                "authorization_endpoint": f"{ISSUER}/authorize",
                "token_endpoint": f"{ISSUER}/token",
                "jwks_uri": f"{ISSUER}/jwks",
            }
            if self.userinfo is not None:
                body["userinfo_endpoint"] = f"{ISSUER}/userinfo"
            if self.has_end_session:
                body["end_session_endpoint"] = f"{ISSUER}/logout"
        elif request.path == "/jwks":
            body = {"keys": [self.jwk()]}
        elif request.path == "/userinfo":
            assert request.headers["authorization"] == "Bearer access-token"
            body = self.userinfo or {}
        else:
            id_token = self.id_token(parse_qs(request.body.decode())["code"][0])
            body = {"id_token": id_token, "token_type": "Bearer", "access_token": "access-token"}
        return WireResponse(200, {"content-type": "application/json"}, json.dumps(body).encode())

    def id_token(self, code: str) -> str:
        claims: dict[str, object] = {
            **self.claims,
            "iss": ISSUER,
            "sub": self.subject,
            "aud": "concordat-home",
            "iat": self.clock(),
            "exp": self.clock() + 300,
            "nonce": self.nonces[code],
        }
        self.change(claims)
        return self.forge(sign_jws(claims, self.key))


def sign_jws(claims: dict[str, object], key: Ed25519PrivateKey, *, alg: str = "EdDSA", kid: str = "key-1") -> str:
    def part(value: object) -> str:
        return urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    signed = f"{part({'alg': alg, 'kid': kid})}.{part(claims)}"
    return f"{signed}.{b64u(key.sign(signed.encode()))}"


class Streamed(Protocol):
    """The `stream` of another transport."""

    async def __call__(
        self, endpoint: str, request: WireRequest, /, *, deadline_s: float, bytes_max: int, feed: Feed
    ) -> WireResponse: ...


class Routed:
    """A transport over several: each by the endpoints it answers for; `streams` are those that come piece by piece."""

    def __init__(self, default: Transport, **by_endpoint: Transport) -> None:
        self.default = default
        self.by_endpoint = dict(by_endpoint)
        self.streams: dict[str, Streamed] = {}

    async def exchange(self, endpoint: str, request: WireRequest, *, deadline_s: float, bytes_max: int) -> WireResponse:
        chosen = self.by_endpoint.get(endpoint, self.default)
        return await chosen.exchange(endpoint, request, deadline_s=deadline_s, bytes_max=bytes_max)

    async def stream(
        self, endpoint: str, request: WireRequest, *, deadline_s: float, bytes_max: int, feed: Feed
    ) -> WireResponse:
        streamed = self.streams.get(endpoint)
        if streamed is not None:
            return await streamed(endpoint, request, deadline_s=deadline_s, bytes_max=bytes_max, feed=feed)
        return fed(await self.exchange(endpoint, request, deadline_s=deadline_s, bytes_max=bytes_max), feed)


@dataclass
class TestHome:
    """A home door and everything around it."""

    __test__ = False

    home: Home
    network: TestNetwork
    clock: Clock
    provider: FakeProvider
    transport: Routed
    app: FastAPI
    bundles: list[TrustedBundle]
    """The bundle in force is the first; a test puts another one there."""

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url=BASE_URL)

    async def sign_in(self, client: httpx.AsyncClient) -> str:
        """Return a session token, by the whole way of the command line."""
        begun = await client.get("/login/cli", params=cli_query())
        code = self.provider.authorize(begun.headers["location"])
        state = dict(parse_qsl(urlsplit(begun.headers["location"]).query))["state"]
        await client.get("/login/callback", params={"code": code, "state": state})
        back = await confirmed(client)
        answer = dict(parse_qsl(urlsplit(back.headers["location"]).query))
        opened = await client.post("/v1/session", json={"code": answer["code"], "code_verifier": CLI_VERIFIER})
        return str(opened.json()["session_token"])

    async def sign_in_browser(self, client: httpx.AsyncClient, *, next_path: str = "") -> httpx.Response:
        """Sign the provider's person in as a browser does; the client keeps the cookie. Return the last answer."""
        begun = await client.get("/portal/login", params={"next": next_path})
        location = begun.headers["location"]
        query = {"code": self.provider.authorize(location), "state": dict(parse_qsl(urlsplit(location).query))["state"]}
        return await client.get("/login/callback", params=query)


def form_of(page: httpx.Response) -> dict[str, str]:
    """Return the fields of the confirmation page's form."""
    return dict(re.findall(r'<input type="hidden" name="([a-z]+)" value="([A-Za-z0-9_-]+)">', page.text))


async def confirmed(client: httpx.AsyncClient) -> httpx.Response:
    """Return the answer to a person who reads the confirmation page and continues."""
    return await client.post("/login/confirm", data=form_of(await client.get("/login/confirm")))


def cli_query() -> dict[str, str]:
    challenge = sha256_b64u(CLI_VERIFIER.encode())
    return {"redirect_uri": CLI_REDIRECT, "code_challenge": challenge, "state": CLI_STATE}


@cache
def _network() -> TestNetwork:
    # Founding and verifying one takes longer than most tests, and nothing in it changes.
    return make_network()


def make_home(directory: Path, *, network: TestNetwork | None = None, settings: HomeSettings | None = None) -> TestHome:
    """Return an opened home door of `HOME`; the caller closes `home`."""
    network = network or _network()
    clock = Clock()
    provider = FakeProvider(clock)
    transport = Routed(provider)
    bundles = [network.bundle]
    keys = network.keys[HOME]
    home = open_home(
        settings=settings or parse_home_settings(home_settings_json()),
        organization=HOME,
        database=directory / "home.sqlite3",
        keys=HomeKeys(query_token=keys["query_token"], request=keys["request"], pseudonym=HOME_KEY),
        bundle=lambda: bundles[0],
        transport=transport,
        clock=clock,
        entropy=Entropy(),
        run_blocking=run_inline,
    )
    app = FastAPI()
    app.include_router(build_home_router(home))
    app.include_router(build_portal_router(home))
    return TestHome(home, network, clock, provider, transport, app, bundles)
