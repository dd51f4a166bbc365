"""The settings of the home door, read from one JSON object, every field named and bounded.

`parse_home_settings` takes the object `home` of the node's settings. A field that is missing has the default written
here; a field that is unknown is refused. No default widens access: there is no provider, client or mapping by default.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast
from urllib.parse import urlsplit

from concordat_node.home.claims import ClaimsMapping, parse_claims_mapping, read_claims_mapping
from concordat_node.home.errors import ClaimsMappingUnreadable, HomeSettingsInvalid
from concordat_node.home.id_token import ALGORITHMS
from concordat_trust.canonical import JsonObject
from concordat_trust.round_tokens import MINTINGS, Minting
from concordat_trust.shape import DocumentMalformed, Shape

SESSION_IDLE_S = 3_600
SESSION_ABSOLUTE_S = 12 * 3_600
LIFETIME_MAX_S = 7 * 24 * 3_600
QUESTION_DEADLINE_MS = 8_000
QUESTION_DEADLINE_MAX_MS = 60_000
PASSPORT_SCOPE = "ga4gh_passport_v1"
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


@dataclass(frozen=True, slots=True)
class ProviderSettings:
    """The organization's own identity provider, and how it knows this node."""

    issuer: str
    client_id: str
    client_secret: str | None
    scope: str
    algorithm: str | None = None
    """The one algorithm of its ID tokens; None: RS256, ES256 or EdDSA, whichever the published key is for."""
    userinfo: bool = False
    """Whether claims are also read from its userinfo endpoint."""

    @property
    def has_passport(self) -> bool:
        """Whether GA4GH visas are asked for (GA4GH Passport, "Passport Scope")."""
        return PASSPORT_SCOPE in self.scope.split()


@dataclass(frozen=True, slots=True)
class HomeSettings:
    """Everything the operator decides about the home door."""

    base_url: str
    """Where people reach this node; the redirect address registered at the provider is `{base_url}/login/callback`."""
    provider: ProviderSettings
    claims: ClaimsMapping
    coordinators: tuple[str, ...]
    """Ids of coordinators, asked in this order until one answers."""
    session_idle_s: int = SESSION_IDLE_S
    session_absolute_s: int = SESSION_ABSOLUTE_S
    question_deadline_ms: int = QUESTION_DEADLINE_MS
    minting: Minting = "shared"
    """`per_organization`: every organization knows a person under another pseudonym."""
    exchange_audience: str | None = None
    """The audience of tokens that scripts exchange for a session (RFC 8693); None: none are exchanged."""

    @property
    def redirect_uri(self) -> str:
        return f"{self.base_url}/login/callback"

    @property
    def portal_root(self) -> str:
        """The path of the portal on its host; behind a reverse proxy it begins with the path of `base_url`."""
        return f"{urlsplit(self.base_url).path}/portal"

    @property
    def origin(self) -> str:
        """The origin from which the portal's own pages send forms (RFC 6454 §6.1)."""
        parts = urlsplit(self.base_url)
        return f"{parts.scheme}://{parts.netloc}"

    @property
    def is_https(self) -> bool:
        return self.base_url.startswith("https:")


def read_no_file(name: str) -> bytes:
    """Refuse to read a claims mapping: for whoever reads settings without their files."""
    raise ClaimsMappingUnreadable(path=name, problem="no file is read here")


def parse_home_settings(obj: JsonObject, *, read: Callable[[str], bytes] = read_no_file) -> HomeSettings:
    """Return the settings; `read` returns the bytes of the file named by `claims_file`.

    Raises: HomeSettingsInvalid with the setting's name, ClaimsMappingInvalid, what `read` raises.
    """
    try:
        return _parse(Shape(obj, "home"), read)
    except DocumentMalformed as error:
        setting = f"{error.fields['where']}.{error.fields['field']}"
        raise HomeSettingsInvalid(setting=setting, problem=error.fields["problem"]) from error


def _parse(shape: Shape, read: Callable[[str], bytes]) -> HomeSettings:
    settings = HomeSettings(
        base_url=_url(shape, "base_url"),
        provider=_provider(shape.object("provider")),
        claims=_claims(shape, read),
        coordinators=shape.texts("coordinators", count_max=10, length_max=40),
        session_idle_s=_seconds(shape, "session_idle_s", SESSION_IDLE_S),
        session_absolute_s=_seconds(shape, "session_absolute_s", SESSION_ABSOLUTE_S),
        question_deadline_ms=_or_default(
            shape.optional_integer("question_deadline_ms", minimum=100, maximum=QUESTION_DEADLINE_MAX_MS),
            QUESTION_DEADLINE_MS,
        ),
        minting=_minting(shape),
        exchange_audience=_exchange_audience(shape),
    )
    shape.finish()
    if settings.exchange_audience == settings.provider.client_id:
        # Every ID token of a login has this audience: a stolen one could be exchanged for a session.
        raise shape.refuse("token_exchange.audience", "is the client_id of the login, and scripts need their own")
    return settings


def _claims(shape: Shape, read: Callable[[str], bytes]) -> ClaimsMapping:
    if shape.has("claims") == shape.has("claims_file"):
        raise shape.refuse("claims", "or claims_file must be there, and not both")
    if shape.has("claims"):
        return parse_claims_mapping(shape.object("claims"))
    return read_claims_mapping(read(shape.text("claims_file", length_min=1, length_max=1_000)))


def _exchange_audience(shape: Shape) -> str | None:
    if not shape.has("token_exchange"):
        return None
    exchange = shape.object("token_exchange")
    audience = exchange.text("audience", length_min=1, length_max=200)
    exchange.finish()
    return audience


def _provider(shape: Shape) -> ProviderSettings:
    scope = shape.optional_text("scope", length_max=200)
    provider = ProviderSettings(
        issuer=_url(shape, "issuer"),
        client_id=shape.text("client_id", length_min=1, length_max=200),
        client_secret=shape.optional_text("client_secret", length_max=200),
        scope="openid" if scope is None else scope,
        algorithm=shape.one_of("algorithm", tuple(ALGORITHMS)) if shape.has("algorithm") else None,
        userinfo=shape.boolean("userinfo") if shape.has("userinfo") else False,
    )
    if "openid" not in provider.scope.split():
        raise shape.refuse("scope", "does not contain openid")
    shape.finish()
    return provider


def _minting(shape: Shape) -> Minting:
    if not shape.has("minting"):
        return "shared"
    return cast("Minting", shape.one_of("minting", MINTINGS))


def _seconds(shape: Shape, name: str, default: int) -> int:
    return _or_default(shape.optional_integer(name, minimum=60, maximum=LIFETIME_MAX_S), default)


def _or_default(value: int | None, default: int) -> int:
    return default if value is None else value


def _url(shape: Shape, name: str) -> str:
    value = shape.text(name, length_min=1, length_max=300)
    if not is_trustworthy_url(value) or value.endswith("/"):
        raise shape.refuse(name, "is not an https address (http only on loopback) without a slash at its end")
    return value


def is_trustworthy_url(value: str) -> bool:
    """Return whether the address is https, or http on this machine, and has neither user, query nor fragment."""
    try:
        parts = urlsplit(value)
        port_is_valid = parts.port is None or parts.port > 0
    except ValueError:
        return False
    if "@" in parts.netloc or parts.query or parts.fragment or not parts.hostname or not port_is_valid:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in _LOOPBACK)
