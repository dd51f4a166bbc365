"""Ids as types, compared by their parsed labels and never by prefix or suffix.

* Organization id: `^[a-z][a-z0-9-]{2,39}$`, ASCII only, so that no look-alike can be registered.
* Asset id: `urn:concordat:<organization>:<kind>:<local>`; `local` is 128 random bits in lower-case base32, so that an
  id says nothing about order, time or title.
* The tie key of an asset is the first 8 bytes of SHA-256 over the id: it orders equal scores the same way everywhere.
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from typing import Literal, Self, get_args

from concordat_trust.errors import RefusedDocument

AssetKind = Literal["model", "dataset"]
ASSET_KINDS: tuple[AssetKind, ...] = get_args(AssetKind)
KeyId = str

_ORGANIZATION = re.compile(r"[a-z][a-z0-9-]{2,39}")
_LOCAL = re.compile(r"[a-z2-7]{26}")
_LOCAL_BYTES = 16
_TIE_BYTES = 8


class OrganizationIdInvalid(RefusedDocument):
    code = "organization_id_invalid"
    sentence = "An organization id is not of the form [a-z][a-z0-9-]{{2,39}}."
    hint = "Use 3 to 40 lower-case ASCII letters, digits and hyphens, beginning with a letter."


class AssetIdInvalid(RefusedDocument):
    code = "asset_id_invalid"
    sentence = "An asset id is not of the form urn:concordat:ORGANIZATION:KIND:LOCAL."
    hint = "Copy the id as it was shown; it ends in 26 lower-case letters and digits."


class OrgId(str):
    """The id of an organization or coordinator; made only by `parse`."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the id. Raises: OrganizationIdInvalid."""
        if not _ORGANIZATION.fullmatch(text):
            raise OrganizationIdInvalid
        return cls(text)


@dataclass(frozen=True, slots=True, order=True)
class AssetId:
    """The network-wide id of a model or data set."""

    org: OrgId
    kind: AssetKind
    local: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the id. Raises: AssetIdInvalid, also for an impossible organization."""
        parts = text.split(":")
        if len(parts) != 5 or parts[:2] != ["urn", "concordat"] or not _LOCAL.fullmatch(parts[4]):
            raise AssetIdInvalid
        kind = parts[3]
        if kind not in ASSET_KINDS or not _ORGANIZATION.fullmatch(parts[2]):
            raise AssetIdInvalid
        return cls(OrgId(parts[2]), "model" if kind == "model" else "dataset", parts[4])

    @classmethod
    def new(cls, org: OrgId, kind: AssetKind, random16: bytes) -> Self:
        """Return an id from 16 random bytes (or 16 bytes of a keyed hash)."""
        if len(random16) != _LOCAL_BYTES:
            raise RuntimeError("an asset id takes exactly 16 bytes")
        return cls(org, kind, base64.b32encode(random16).decode("ascii").rstrip("=").lower())

    def __str__(self) -> str:
        return f"urn:concordat:{self.org}:{self.kind}:{self.local}"


def tie_key(asset_id: str) -> str:
    """Return the first 8 bytes of SHA-256(id) as 16 hex characters; smaller comes first."""
    return hashlib.sha256(asset_id.encode("utf-8")).digest()[:_TIE_BYTES].hex()
