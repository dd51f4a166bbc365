"""Who asks at a federation door and for what: the session behind the gateway, and the purpose of the request."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from concordat_node.doors.errors import PurposeMalformed, PurposeMissing
from concordat_node.home.errors import NotSignedIn
from concordat_node.home.sessions import Session
from concordat_trust.bundle.trusted import TrustedBundle
from concordat_trust.canonical import Json, JsonObject, parse_object
from concordat_trust.errors import RefusedDocument, RequesterError
from concordat_trust.question import parse_purpose

PURPOSE_HEADER = "concordat-purpose"
PURPOSE_BYTES_MAX = 1_024
_PLAIN: JsonObject = {"commercial": False, "disease": None, "method": None, "project": None}


@dataclass(frozen=True, slots=True)
class Caller:
    """One request's person, purpose and view of the network. Nothing is shared between two callers."""

    session: Session
    bundle: TrustedBundle
    purpose: JsonObject | None

    def purpose_json(self) -> JsonObject:
        """Return the purpose. Raises: PurposeMissing: there is no default, not even for one field."""
        if self.purpose is None:
            raise PurposeMissing
        return self.purpose


def bearer_of(headers: Mapping[str, str]) -> str:
    """Return the session token that the gateway forwards. Raises: NotSignedIn."""
    scheme, _, token = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise NotSignedIn
    return token


def purpose_of(headers: Mapping[str, str]) -> JsonObject | None:
    """Return the purpose of the header: a code, or JSON as in POST /v1/questions. Raises: PurposeMalformed."""
    text = headers.get(PURPOSE_HEADER)
    if text is None:
        return None
    given: dict[str, Json] = {"code": text.strip()}
    try:
        if text.lstrip().startswith("{"):
            given = parse_object(text.encode("latin-1", "replace"), bytes_max=PURPOSE_BYTES_MAX)
        return parse_purpose({**_PLAIN, **given}).to_json()
    except (RefusedDocument, RequesterError) as error:
        raise PurposeMalformed from error
