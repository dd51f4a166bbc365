"""The one decision who may change the registry: what the session's verified claims were mapped to, and nothing else.

Fail closed: without a rule in the settings nobody is a registrar. The provider's word is believed for
`REGISTRAR_SIGN_IN_S`: whoever it no longer calls a registrar is none after that, however long the session lasts.
Everything that reads or changes the registry for a person takes a `Registrar`, which is made here alone, so that a
forgotten decision is a type error.
"""

from __future__ import annotations

from typing import Final, final

from concordat_node.home.sessions import Session
from concordat_node.registration.errors import NotRegistrar, RegistrarSignInOld

REGISTRAR_SIGN_IN_S: Final = 3_600


class _Witness:
    """Shown to the constructor below; there is one, and it does not leave this module."""


_WITNESS: Final = _Witness()


@final
class Registrar:
    """A person of this organization who may change its registry; `actor` is how the list of changes names them."""

    __slots__ = ("actor",)

    def __init__(self, witness: _Witness, subject: str) -> None:
        if witness is not _WITNESS:
            raise RuntimeError("only decide_registrar makes a registrar")
        self.actor = f"person:{subject}"


def decide_registrar(session: Session, *, now: int) -> Registrar:
    """Return the person of the session as a registrar. Raises: NotRegistrar, RegistrarSignInOld."""
    if session.claims.is_registrar is not True:
        raise NotRegistrar
    if not 0 <= now - session.sign_in.at <= REGISTRAR_SIGN_IN_S:
        raise RegistrarSignInOld(minutes=REGISTRAR_SIGN_IN_S // 60)
    return Registrar(_WITNESS, session.subject)
