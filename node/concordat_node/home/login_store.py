"""What is stored of signing in: states that an identity provider has completed, and one-time codes. Each works once.

Rules of this file:

* Nothing anonymous is stored. A row needs a person whom the organization's identity provider has just named, so a
  visitor can neither fill a table nor keep anybody out; and one person has `LOGINS_PER_PERSON_MAX` of them at a time.
* A state is used, confirmed and forgotten: `use` stores it, `confirm` gives its one code, and its row outlives every
  cookie that names it, so that none of them works a second time.
* A code is deleted in the transaction that reads it, also when what follows fails.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable

from sqlalchemy import Connection, Engine, delete, func, insert, select, update
from sqlalchemy.dialects.sqlite import insert as insert_or_not

from concordat_node.home.database import hashed, login_codes, used_logins
from concordat_node.home.errors import LoginCodeInvalid, LoginStateInvalid, LoginsTooMany, LoginVerifierMismatch
from concordat_node.home.pending import CONFIRM_S, PENDING_S, ClientRequest
from concordat_node.home.person import Person, person_bytes, read_person
from concordat_trust.encoding import b64u, sha256_b64u

LOGINS_PER_PERSON_MAX = 30
CODE_S = 60
_USED_S = max(PENDING_S, CONFIRM_S)
_CODE_BYTES = 32


class LoginStore:
    """The tables of sign-ins. Every method is one transaction and blocks; call it off the event loop."""

    def __init__(self, engine: Engine, *, entropy: Callable[[int], bytes]) -> None:
        self._engine = engine
        self._entropy = entropy

    def use(self, state: str, person: Person, *, now: int) -> None:
        """Note that the provider has completed this state with this person.

        Raises: LoginStateInvalid for a state that is noted already; LoginsTooMany.
        """
        with self._engine.begin() as connection:
            connection.execute(delete(used_logins).where(used_logins.c.ends_at <= now))
            mine = select(func.count()).select_from(used_logins).where(used_logins.c.subject == person.subject)
            if connection.execute(mine).scalar_one() >= LOGINS_PER_PERSON_MAX:
                raise LoginsTooMany(logins_max=LOGINS_PER_PERSON_MAX, minutes=_USED_S // 60)
            row = {"state_hash": hashed(state), "is_confirmed": 0, "ends_at": now + _USED_S, **_columns(person)}
            if connection.execute(insert_or_not(used_logins).values(row).on_conflict_do_nothing()).rowcount != 1:
                raise LoginStateInvalid

    def person(self, state: str, *, now: int) -> Person:
        """Return who has not confirmed this state yet. Raises: LoginStateInvalid."""
        with self._engine.connect() as connection:
            return _unconfirmed(connection, state, now)

    def confirm(self, state: str, client: ClientRequest, *, now: int) -> str:
        """Return the one-time code with which the command line gets its session. Raises: LoginStateInvalid."""
        code = b64u(self._entropy(_CODE_BYTES))
        with self._engine.begin() as connection:
            connection.execute(delete(login_codes).where(login_codes.c.ends_at <= now))
            person = _unconfirmed(connection, state, now)
            wanted = (used_logins.c.state_hash == hashed(state)) & (used_logins.c.is_confirmed == 0)
            if connection.execute(update(used_logins).where(wanted).values(is_confirmed=1)).rowcount != 1:
                raise LoginStateInvalid
            row = {"code_hash": hashed(code), "client_challenge": client.challenge, "ends_at": now + CODE_S}
            connection.execute(insert(login_codes).values(row | _columns(person)))
        return code

    def redeem(self, code: str, verifier: str, *, now: int) -> Person:
        """Return and forget the person of a code. Raises: LoginCodeInvalid, LoginVerifierMismatch."""
        with self._engine.begin() as connection:
            # One statement: of two that bring the same code at the same moment, one gets a row.
            taken = delete(login_codes).where(login_codes.c.code_hash == hashed(code)).returning(login_codes)
            row = connection.execute(taken).one_or_none()
        if row is None or now >= row.ends_at:
            raise LoginCodeInvalid
        if not hmac.compare_digest(sha256_b64u(verifier.encode("utf-8")), row.client_challenge):
            raise LoginVerifierMismatch
        return read_person(row.person)


def _unconfirmed(connection: Connection, state: str, now: int) -> Person:
    wanted = (used_logins.c.state_hash == hashed(state)) & (used_logins.c.is_confirmed == 0)
    row = connection.execute(select(used_logins).where(wanted)).one_or_none()
    if row is None or now >= row.ends_at:
        raise LoginStateInvalid
    return read_person(row.person)


def _columns(person: Person) -> dict[str, str | bytes]:
    return {"subject": person.subject, "person": person_bytes(person)}
