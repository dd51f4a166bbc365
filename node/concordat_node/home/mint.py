"""Making one round: the exact bytes of question and parts, a fresh key for sealed answers, and the query token.

A round is used once. Another coordinator, the direct way, the next page or the next frontier is a new round with a new
token and a new key, because a token is bound to who presents it and is consumed by every node it reaches.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from concordat_node.home.claims import within_caps
from concordat_node.home.errors import PurposeNotInNetwork
from concordat_node.home.pseudonym import pseudonym
from concordat_node.home.sessions import Session
from concordat_trust.bundle.trusted import TrustedBundle
from concordat_trust.encoding import b64u
from concordat_trust.ids import KeyId, OrgId
from concordat_trust.jose import Signer
from concordat_trust.query_token import RequesterClaims, mint_query_token
from concordat_trust.question import Part, Question
from concordat_trust.sealing import OpenedRecord, SealContext, SealingKey, open_record
from concordat_trust.token_use import MintedToken, token_digest
from concordat_trust.vocabulary import Clearance

TOKEN_ID_BYTES = 16


@dataclass(frozen=True, slots=True)
class HomeKeys:
    """The home organization's own keys; `pseudonym` is the secret of the home key file."""

    query_token: Signer
    request: Signer
    pseudonym: bytes


@dataclass(frozen=True, slots=True)
class Round:
    """One question on its way: what was signed, and the private key that opens its sealed answers."""

    question: Question
    question_bytes: bytes
    parts: Mapping[OrgId, Part]
    token: str
    token_id: str
    minted_at: int
    sealing: SealingKey

    def minted(self) -> tuple[tuple[str, MintedToken], ...]:
        """Return what home must remember of this round: each token's id, hash and audience."""
        return ((self.token_id, MintedToken(token_digest(self.token), frozenset(self.parts))),)

    def part_texts(self) -> dict[str, str]:
        """Return every organization's part exactly as it was hashed into the token."""
        return {str(org): part.canonical().decode("utf-8") for org, part in self.parts.items()}

    def open_sealed(self, sealed: str, place: SealContext) -> OpenedRecord:
        """Return a sealed result in the clear. Raises: SealBroken."""
        return open_record(sealed, key=self.sealing, context=place)


def mint_round(
    question: Question,
    parts: Mapping[OrgId, Part],
    *,
    session: Session,
    organization: OrgId,
    presenter: KeyId,
    keys: HomeKeys,
    bundle: TrustedBundle,
    now: int,
    entropy: Callable[[int], bytes],
) -> Round:
    """Return a round for the organizations that `parts` names, to be carried by the holder of key `presenter`.

    Raises: ClaimNotAssertable, PurposeNotInNetwork, AudienceTooLarge.
    """
    if question.purpose.code not in bundle.network.purposes:
        raise PurposeNotInNetwork(purpose=question.purpose.code)
    claims = within_caps(session.claims, bundle.member(organization).may_assert)
    sealing = SealingKey.from_seed(entropy(32))
    token_id = b64u(entropy(TOKEN_ID_BYTES))
    question_bytes = question.canonical()
    token = mint_query_token(
        key=keys.query_token,
        issuer=organization,
        subject=pseudonym(keys.pseudonym, bundle.network.id, session.subject),
        network=bundle.network.id,
        question=question_bytes,
        parts={org: part.canonical() for org, part in parts.items()},
        claims=RequesterClaims(claims.affiliation, claims.role, Clearance(claims.clearance)),
        presenter=presenter,
        enc=sealing.public,
        token_id=token_id,
        now=now,
    )
    return Round(question, question_bytes, dict(parts), token, token_id, now, sealing)
