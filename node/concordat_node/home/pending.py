"""Sign-ins under way: from the first redirect to the one-time code of the command line.

Both halves can be used once. They are deleted in the transaction that reads them, also when what follows fails, so a
replayed state or code finds nothing.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, Engine, delete, func, insert, select

from concordat_node.home.claims import PersonClaims
from concordat_node.home.database import hashed, login_codes, pending_logins
from concordat_node.home.errors import LoginCodeInvalid, LoginStateInvalid, LoginsTooMany, LoginVerifierMismatch
from concordat_node.home.sessions import Person
from concordat_trust.encoding import b64u, sha256_b64u

PENDING_MAX = 300
PENDING_S = 600
CODE_S = 60
_SECRET_BYTES = 32


@dataclass(frozen=True, slots=True)
class ClientRequest:
    """What the command line asked for: where to send the code, and what it must later prove (RFC 7636)."""

    redirect_uri: str
    challenge: str
    state: str


@dataclass(frozen=True, slots=True)
class PendingLogin:
    """One sign-in between the redirect to the provider and its callback."""

    nonce: str
    provider_verifier: str
    client: ClientRequest


@dataclass(frozen=True, slots=True)
class BegunLogin:
    """The secrets of a new sign-in: `state` goes to the provider, `browser` into a cookie."""

    state: str
    browser: str
    pending: PendingLogin


class PendingStore:
    """The tables of sign-ins. Every method is one transaction and blocks; call it off the event loop."""

    def __init__(self, engine: Engine, *, entropy: Callable[[int], bytes]) -> None:
        self._engine = engine
        self._entropy = entropy

    def begin(self, client: ClientRequest, *, now: int) -> BegunLogin:
        """Store a new sign-in. Raises: LoginsTooMany."""
        begun = BegunLogin(self._secret(), self._secret(), PendingLogin(self._secret(), self._secret(), client))
        with self._engine.begin() as connection:
            connection.execute(delete(pending_logins).where(pending_logins.c.ends_at <= now))
            if connection.execute(select(func.count()).select_from(pending_logins)).scalar_one() >= PENDING_MAX:
                raise LoginsTooMany(pending_max=PENDING_MAX)
            connection.execute(
                insert(pending_logins).values(
                    state_hash=hashed(begun.state),
                    browser_hash=hashed(begun.browser),
                    nonce=begun.pending.nonce,
                    provider_verifier=begun.pending.provider_verifier,
                    client_redirect=client.redirect_uri,
                    client_challenge=client.challenge,
                    client_state=client.state,
                    ends_at=now + PENDING_S,
                )
            )
        return begun

    def take(self, state: str, browser: str, *, now: int) -> PendingLogin:
        """Return and forget the sign-in of a state begun in this browser. Raises: LoginStateInvalid."""
        with self._engine.begin() as connection:
            wanted = pending_logins.c.state_hash == hashed(state)
            row = connection.execute(select(pending_logins).where(wanted)).one_or_none()
            connection.execute(delete(pending_logins).where(wanted))
        if row is None or now >= row.ends_at or not hmac.compare_digest(row.browser_hash, hashed(browser)):
            raise LoginStateInvalid
        client = ClientRequest(row.client_redirect, row.client_challenge, row.client_state)
        return PendingLogin(row.nonce, row.provider_verifier, client)

    def issue_code(self, person: Person, client: ClientRequest, *, now: int) -> str:
        """Return a one-time code with which the command line gets its session."""
        code = self._secret()
        with self._engine.begin() as connection:
            connection.execute(delete(login_codes).where(login_codes.c.ends_at <= now))
            _insert_code(connection, code, person, client, now + CODE_S)
        return code

    def redeem(self, code: str, verifier: str, *, now: int) -> Person:
        """Return and forget the person of a code. Raises: LoginCodeInvalid, LoginVerifierMismatch."""
        with self._engine.begin() as connection:
            wanted = login_codes.c.code_hash == hashed(code)
            row = connection.execute(select(login_codes).where(wanted)).one_or_none()
            connection.execute(delete(login_codes).where(wanted))
        if row is None or now >= row.ends_at:
            raise LoginCodeInvalid
        if not hmac.compare_digest(sha256_b64u(verifier.encode("utf-8")), row.client_challenge):
            raise LoginVerifierMismatch
        return Person(row.subject, PersonClaims(row.affiliation, row.role, row.clearance))

    def _secret(self) -> str:
        return b64u(self._entropy(_SECRET_BYTES))


def _insert_code(connection: Connection, code: str, person: Person, client: ClientRequest, ends_at: int) -> None:
    connection.execute(
        insert(login_codes).values(
            code_hash=hashed(code),
            client_challenge=client.challenge,
            subject=person.subject,
            affiliation=person.claims.affiliation,
            role=person.claims.role,
            clearance=person.claims.clearance,
            ends_at=ends_at,
        )
    )
