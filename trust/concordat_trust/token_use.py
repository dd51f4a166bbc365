"""What an answering node tells the organization that issued a token: it was used here. And what that one makes of it.

Rules of this file:

* Pure. A use says which token, by id and by hash, with which proved status, and when: nothing that its own attestation
  does not say, and nothing about content, so that it cannot depend on what the requester may not see.
* The issuer knows every token it minted. A use of one that it never minted, or minted for others, or minted with other
  content, is a finding: somebody else holds a query-token key, or the reporting node does not tell the truth. Which of
  the two a use alone cannot say; the disclosure log of the node holds the whole entry.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from concordat_trust.canonical import Json, JsonObject, canonical_bytes, parse_object
from concordat_trust.encoding import sha256_b64u
from concordat_trust.errors import OperatorError, RefusedDocument
from concordat_trust.ids import OrgId
from concordat_trust.patterns import DIGEST, FRESH_ID, matching
from concordat_trust.peer_message import BODY_BYTES_MAX
from concordat_trust.shape import Shape
from concordat_trust.vocabulary import PROVED, ProvedStatus

USES_MAX = 100
"""In one message."""


class TokenUsesMalformed(RefusedDocument):
    code = "token_uses_malformed"
    sentence = "A report of token uses breaks a rule of its form: {problem}."
    hint = "The node that sent it does not follow the protocol; its operator must look at it."


class TokenNeverMinted(OperatorError):
    code = "token_never_minted"
    sentence = "{organization} answered a token of this organization at {at} that was never minted here ({token_id})."
    hint = (
        "Somebody else may hold the query-token key: rotate it now, or have the organization suspended. If every such "
        "report comes from one node, its operator must explain it: the entry stands in its disclosure log."
    )


class TokenMintedForOthers(OperatorError):
    code = "token_minted_for_others"
    sentence = "{organization} answered a token at {at} that was minted here for other organizations ({token_id})."
    hint = "As for token_never_minted: a token that names this organization was made with the own key elsewhere."


class TokenMintedDifferently(OperatorError):
    code = "token_minted_differently"
    sentence = "{organization} answered a token at {at} under an id that was given here to another one ({token_id})."
    hint = "As for token_never_minted: a second token with this id was made with the own key elsewhere."


TokenFinding = TokenNeverMinted | TokenMintedForOthers | TokenMintedDifferently


@dataclass(frozen=True, slots=True)
class TokenUse:
    """One answer that was given to a token; `at` is when, in Unix seconds."""

    token_id: str
    token_sha256: str
    status: ProvedStatus
    at: int

    def to_json(self) -> JsonObject:
        return {"at": self.at, "status": self.status, "token_id": self.token_id, "token_sha256": self.token_sha256}


@dataclass(frozen=True, slots=True)
class MintedToken:
    """What the issuer remembers of a token: its hash and whom it is for."""

    token_sha256: str
    audience: frozenset[OrgId]


def token_digest(token: str) -> str:
    """Return what stands for a token as it was presented: base64url(SHA-256) of its only spelling."""
    return sha256_b64u(token.encode("utf-8"))


def token_uses_body(uses: Sequence[TokenUse]) -> bytes:
    """Return the body of a message of kind `token_uses`, of 1 to USES_MAX of them."""
    if not 1 <= len(uses) <= USES_MAX:
        raise RuntimeError(f"a report has 1 to {USES_MAX} uses")
    return canonical_bytes({"uses": list[Json](use.to_json() for use in uses)})


def parse_token_uses(body: bytes) -> tuple[TokenUse, ...]:
    """Return the uses that a body reports. Raises: TokenUsesMalformed."""
    try:
        shape = Shape(parse_object(body, bytes_max=BODY_BYTES_MAX), "report")
        uses = tuple(_use(item) for item in shape.objects("uses", count_max=USES_MAX))
        shape.finish()
    except RefusedDocument as error:
        raise TokenUsesMalformed(problem=error.message) from error
    if not uses or token_uses_body(uses) != body:
        raise TokenUsesMalformed(problem="it is empty or not in canonical form")
    return uses


def _use(shape: Shape) -> TokenUse:
    use = TokenUse(
        token_id=matching(shape, "token_id", FRESH_ID),
        token_sha256=matching(shape, "token_sha256", DIGEST),
        status=cast("ProvedStatus", shape.one_of("status", PROVED)),
        at=shape.integer("at", minimum=0),
    )
    shape.finish()
    return use


def finding_of(use: TokenUse, *, by: OrgId, minted: MintedToken | None) -> TokenFinding | None:
    """Return what is wrong with a use that `by` reports, None when the issuer minted this token for it."""
    fields: dict[str, str | int | bool | None] = {"organization": by, "at": use.at, "token_id": use.token_id}
    if minted is None:
        return TokenNeverMinted(**fields)
    if minted.token_sha256 != use.token_sha256:
        return TokenMintedDifferently(**fields)
    if by not in minted.audience:
        return TokenMintedForOthers(**fields)
    return None
