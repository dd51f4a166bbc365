"""Cursors: where a next page begins, sealed so that only the node that gave one can read it.

Rules of this file:

* Pure: AES-SIV (RFC 5297) takes no nonce, so that equal places give equal cursors and two node states that differ only
  in what the requester may not see give byte-identical ones. What is inside is nothing but what the requester was told:
  sort keys and ids of the candidates, and digests.
* A cursor is bound to organization, home, pseudonym and question: for anybody or anything else it does not open, and a
  changed one does not either (`cursor_invalid`).
* It holds only as long as its requester may see the same: the revision of the policy, and what was decided about the
  visible matches (level, hidden fields, agreements), must be what they were, else `cursor_stale`. Class ids are no part
  of it: two classes about which the same is decided are one to the requester.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from concordat_node.policy.engine import Decision
from concordat_trust.canonical import Json, canonical_bytes, parse_object
from concordat_trust.encoding import b64u, sha256_b64u, unb64u
from concordat_trust.errors import RefusedDocument, RequesterError
from concordat_trust.ids import AssetId, OrgId
from concordat_trust.question import CURSOR_LENGTH_MAX, PAGE_SIZE_MAX, PartCursor
from concordat_trust.shape import Shape

EACH_BYTES: Final = 384
"""Of a cursor for one candidate: two digests, an id of the longest organization and a sort key fit."""
_KEY_BYTES: Final = 64
_INFO: Final = b"concordat cursor 1"


class CursorInvalid(RequesterError):
    code = "cursor_invalid"
    sentence = "The cursor was not given by this node to this requester for this question."
    hint = "Ask the question again from its first page."


class CursorStale(RequesterError):
    code = "cursor_stale"
    sentence = "What the requester may see has changed since the page before."
    hint = "Ask the question again from its first page."


@dataclass(frozen=True, slots=True)
class Anchor:
    """One candidate's place in the order: its sort key as disclosed, and its id."""

    sort_key: int | None
    id: AssetId


@dataclass(frozen=True, slots=True)
class Place:
    """What a cursor stands for: the candidates it was given with, and the revisions under which they were."""

    policy: str
    view: str
    anchors: tuple[Anchor, ...]


@dataclass(frozen=True, slots=True)
class CursorBinding:
    """Who may use a cursor, for what, and whose it is."""

    organization: OrgId
    home: OrgId
    pseudonym: str
    question_hash: str

    def associated(self) -> list[bytes]:
        return [item.encode() for item in (self.organization, self.home, self.pseudonym, self.question_hash)]


class CursorSeal:
    """Seals and opens the cursors of one node. The key is derived from `secret`, which stays with the node."""

    def __init__(self, secret: bytes) -> None:
        derived = HKDF(algorithm=SHA256(), length=_KEY_BYTES, salt=None, info=_INFO).derive(secret)
        self._cipher = AESSIV(derived)

    def seal(self, place: Place, binding: CursorBinding) -> str:
        """Return the cursor, at most CURSOR_LENGTH_MAX characters."""
        text = b64u(self._cipher.encrypt(_content(place), binding.associated()))
        if len(text) > CURSOR_LENGTH_MAX:
            raise RuntimeError(f"a cursor has at most {CURSOR_LENGTH_MAX} characters")
        return text

    def seal_each(self, place: Place, binding: CursorBinding) -> tuple[str, ...]:
        """Return a cursor for each candidate, all of one length, so that using one shows no number."""
        places = (replace(place, anchors=(anchor,)) for anchor in place.anchors)
        contents = [_content(one).ljust(EACH_BYTES) for one in places]
        if any(len(content) != EACH_BYTES for content in contents):
            raise RuntimeError(f"a cursor for one candidate holds at most {EACH_BYTES} bytes")
        return tuple(b64u(self._cipher.encrypt(content, binding.associated())) for content in contents)

    def open(self, cursor: PartCursor, binding: CursorBinding) -> tuple[Place, Anchor]:
        """Return the place, and the candidate after which the next page begins. Raises: CursorInvalid."""
        try:
            content = self._cipher.decrypt(unb64u(cursor.sealed), binding.associated())
        except (InvalidTag, RefusedDocument, ValueError) as error:
            raise CursorInvalid from error
        place = _place(Shape(parse_object(content, bytes_max=CURSOR_LENGTH_MAX), "cursor"))
        if cursor.after > len(place.anchors):
            raise CursorInvalid
        return place, place.anchors[cursor.after - 1]


def view_digest(matched: Iterable[Decision]) -> str:
    """Return what stands for the decisions about all visible matches of a question, as their requester sees them."""
    seen = {(int(item.level), tuple(sorted(item.hidden)), tuple(sorted(item.agreement_ids))) for item in matched}
    told: list[Json] = [[level, list[Json](hidden), list[Json](cited)] for level, hidden, cited in sorted(seen)]
    return sha256_b64u(canonical_bytes(told))


def _content(place: Place) -> bytes:
    anchors: list[Json] = [[anchor.sort_key, str(anchor.id)] for anchor in place.anchors]
    return canonical_bytes({"anchors": anchors, "policy": place.policy, "view": place.view})


def _place(shape: Shape) -> Place:
    entries = shape.value("anchors")
    if not isinstance(entries, list) or len(entries) > PAGE_SIZE_MAX:
        raise CursorInvalid
    anchors = tuple(_anchor(entry) for entry in entries)
    return Place(shape.text("policy"), shape.text("view"), anchors)


def _anchor(entry: Json) -> Anchor:
    key, asset_id = entry if isinstance(entry, list) and len(entry) == 2 else (None, None)
    if not isinstance(asset_id, str) or not (key is None or isinstance(key, int)):
        raise CursorInvalid
    return Anchor(key, AssetId.parse(asset_id))
