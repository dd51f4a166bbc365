"""Token exchange for scripts and notebooks (RFC 8693): a fresh token of the organization's own provider for a session.

Rules of this file:

* The provider issues the subject token for this node's own audience (`home.token_exchange.audience`); a token for
  anybody else is refused, and so is one that is older than `SUBJECT_TOKEN_AGE_MAX_S`.
* A subject token is exchanged once. That it was is remembered for longer than it could be believed.
* What comes of it is a session of `EXCHANGED_SESSION_S` that asks questions: it makes nobody a registrar, carries no
  visas, and says of the sign-in what the token says.
* No actor, no delegation, no other kind of token: what is not known here is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial

from concordat_node.home.errors import (
    ExchangeDisabled,
    ExchangeRequestInvalid,
    IdTokenAudience,
    IdTokenIssuer,
    LoginStateInvalid,
    SubjectTokenTime,
    SubjectTokenUsed,
)
from concordat_node.home.id_token import LEEWAY_S, TOKEN_CHARACTERS_MAX, check_subject, time_of
from concordat_node.home.login import Login, RunBlocking
from concordat_node.home.login_store import LoginStore
from concordat_node.home.person import NO_PASSPORT, Person
from concordat_node.home.provider import Identified, IdentityProvider
from concordat_node.home.sessions import Session, SessionStore
from concordat_trust.canonical import JsonObject
from concordat_trust.encoding import sha256_b64u

GRANT_TYPE = "urn:ietf:params:oauth:grant-type:token-exchange"
_TOKEN_TYPE = "urn:ietf:params:oauth:token-type:"  # noqa: S105  # a name of RFC 8693 §3
ACCESS_TOKEN = f"{_TOKEN_TYPE}access_token"
SUBJECT_TYPES = (f"{_TOKEN_TYPE}id_token", ACCESS_TOKEN, f"{_TOKEN_TYPE}jwt")
SCOPE = "questions"
SUBJECT_TOKEN_AGE_MAX_S = 300
EXCHANGED_SESSION_S = 900
_KNOWN = frozenset({"grant_type", "subject_token", "subject_token_type", "requested_token_type", "scope", "audience"})


@dataclass(frozen=True, slots=True)
class Exchanged:
    """A new session and its token, shown once."""

    token: str
    session: Session

    def to_json(self, now: int) -> JsonObject:
        """Return the answer of RFC 8693 §2.2.1."""
        return {
            "access_token": self.token,
            "expires_in": self.session.ends_at - now,
            "issued_token_type": ACCESS_TOKEN,
            "scope": SCOPE,
            "token_type": "Bearer",
        }


class TokenExchange:
    """The exchange of one home node; `audience` None exchanges nothing."""

    def __init__(
        self,
        *,
        audience: str | None,
        issuer: str,
        provider: IdentityProvider,
        login: Login,
        logins: LoginStore,
        sessions: SessionStore,
        run_blocking: RunBlocking,
    ) -> None:
        self._audience = audience
        self._issuer = issuer
        self._provider = provider
        self._login = login
        self._logins = logins
        self._sessions = sessions
        self._run_blocking = run_blocking

    async def exchange(self, form: Mapping[str, str], *, clock: Callable[[], int]) -> Exchanged:
        """Return a new session for the subject of the token.

        Raises: ExchangeDisabled, ExchangeRequestInvalid, the refusals of `IdentityProvider.verified`, IdTokenIssuer,
        IdTokenAudience, SubjectTokenTime, SubjectTokenUsed, PersonNotMapped, LoginsTooMany.
        """
        if self._audience is None:
            raise ExchangeDisabled
        token, now = _subject_token(form), clock()
        claims = await self._provider.verified(token, now=now)
        self._check(claims, now)
        person = _bounded(self._login.mapped(Identified(claims, {}), now=now))
        await self._use(token, person, now)
        opened = await self._run_blocking(partial(self._sessions.open, person, now=now, lifetime_s=EXCHANGED_SESSION_S))
        return Exchanged(*opened)

    def _check(self, claims: Mapping[str, object], now: int) -> None:
        if claims.get("iss") != self._issuer:
            raise IdTokenIssuer
        audience = claims.get("aud")
        if self._audience not in (audience if isinstance(audience, list) else [audience]):
            raise IdTokenAudience
        issued_at, expires_at = time_of(claims, "iat"), time_of(claims, "exp")
        if not issued_at - LEEWAY_S <= now < expires_at or now - issued_at > SUBJECT_TOKEN_AGE_MAX_S:
            raise SubjectTokenTime(age_max_s=SUBJECT_TOKEN_AGE_MAX_S)
        check_subject(claims)

    async def _use(self, token: str, person: Person, now: int) -> None:
        # The signed part names the token: one signature can have several spellings, what it signs has one.
        name = f"exchange {sha256_b64u(token.rpartition('.')[0].encode('utf-8'))}"
        try:
            await self._run_blocking(partial(self._logins.use, name, person, now=now))
        except LoginStateInvalid as error:
            raise SubjectTokenUsed from error


def _subject_token(form: Mapping[str, str]) -> str:
    unknown = sorted(set(form) - _KNOWN)
    if unknown:
        raise ExchangeRequestInvalid(field=unknown[0][:60])
    if form.get("grant_type") != GRANT_TYPE:
        raise ExchangeRequestInvalid(field="grant_type")
    if form.get("subject_token_type") not in SUBJECT_TYPES:
        raise ExchangeRequestInvalid(field="subject_token_type")
    if form.get("requested_token_type", ACCESS_TOKEN) != ACCESS_TOKEN:
        raise ExchangeRequestInvalid(field="requested_token_type")
    if form.get("scope", SCOPE) != SCOPE:
        raise ExchangeRequestInvalid(field="scope")
    token = form.get("subject_token", "")
    if not 0 < len(token) <= TOKEN_CHARACTERS_MAX:
        raise ExchangeRequestInvalid(field="subject_token")
    return token


def _bounded(person: Person) -> Person:
    return replace(person, claims=replace(person.claims, is_registrar=False), passport=NO_PASSPORT)
