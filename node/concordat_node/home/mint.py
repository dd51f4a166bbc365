"""Making one round: the exact bytes of question and parts, a fresh key for sealed answers, and the query token.

A round is used once. Another coordinator, the direct way, the next page or the next frontier is a new round with a new
token and a new key, because a token is bound to who presents it and is consumed by every node it reaches.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from concordat_node.home.carried_visas import passport_of, with_visas
from concordat_node.home.claims import within_caps
from concordat_node.home.errors import PurposeNotInNetwork, PurposeNotMapped
from concordat_node.home.pseudonym import pseudonym
from concordat_node.home.sessions import Session
from concordat_trust.bundle.trusted import TrustedBundle
from concordat_trust.encoding import b64u, sha256_b64u
from concordat_trust.ids import KeyId, OrgId
from concordat_trust.jose import Signer
from concordat_trust.query_token import RequesterClaims, mint_query_token
from concordat_trust.question import Part, Question
from concordat_trust.round_tokens import Minting, tokens_text
from concordat_trust.sealing import SealContext, SealingKey, open_text
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
class OwnToken:
    """The token of one organization."""

    token: str
    token_id: str


@dataclass(frozen=True, slots=True)
class Round:
    """One question on its way: what was signed, and the private key that opens its sealed answers."""

    question: Question
    question_bytes: bytes
    parts: Mapping[OrgId, Part]
    token: str
    """What the presenter gets: the token for everybody, or the one that names those for each."""
    token_id: str
    minted_at: int
    sealing: SealingKey
    carrier: OrgId
    each: Mapping[OrgId, OwnToken] | None = None
    """With a token for each organization: these; None when there is one for everybody."""

    def token_id_of(self, org: OrgId) -> str:
        """Return the id of the token that an organization answers to."""
        return self.token_id if self.each is None else self.each[org].token_id

    def tokens(self) -> Mapping[OrgId, str] | None:
        """Return the tokens of the organizations; None when there is one for everybody."""
        return None if self.each is None else {org: own.token for org, own in self.each.items()}

    def minted(self) -> tuple[tuple[str, MintedToken], ...]:
        """Return what home must remember of this round: each token's id, hash and audience."""
        if self.each is None:
            return ((self.token_id, MintedToken(token_digest(self.token), frozenset(self.parts))),)
        owns = (
            (own.token_id, MintedToken(token_digest(own.token), frozenset({org}))) for org, own in self.each.items()
        )
        return ((self.token_id, MintedToken(token_digest(self.token), frozenset({self.carrier}))), *owns)

    def part_texts(self) -> dict[str, str]:
        """Return every organization's part exactly as it was hashed into its token; the carrier's are the tokens."""
        texts = {str(org): part.canonical().decode("utf-8") for org, part in self.parts.items()}
        tokens = self.tokens()
        return texts if tokens is None else {**texts, self.carrier: tokens_text(tokens).decode("utf-8")}

    def open_sealed(self, sealed: str, place: SealContext) -> bytes:
        """Return the sealed part of an answer in the clear. Raises: SealBroken."""
        return open_text(sealed, key=self.sealing, context=place)


def mint_round(
    question: Question,
    parts: Mapping[OrgId, Part],
    *,
    session: Session,
    organization: OrgId,
    carrier: OrgId,
    presenter: KeyId,
    keys: HomeKeys,
    bundle: TrustedBundle,
    now: int,
    entropy: Callable[[int], bytes],
    minting: Minting = "shared",
) -> Round:
    """Return a round for the organizations that `parts` names, carried by `carrier`, the holder of key `presenter`.

    Raises: ClaimNotAssertable, PurposeNotInNetwork, PurposeNotMapped, AudienceTooLarge.
    """
    _refuse_purpose(question.purpose.code, session, bundle)
    claims, passport = told_claims(session, bundle, organization), passport_of(session, bundle, now)
    sealing = SealingKey.from_seed(entropy(32))
    question_bytes = question.canonical()
    network = bundle.network.id

    def mint(own: Mapping[OrgId, bytes], receiver: OrgId | None, token_id: str) -> OwnToken:
        token = mint_query_token(
            key=keys.query_token,
            issuer=organization,
            subject=pseudonym(keys.pseudonym, network, session.subject, receiver),
            network=network,
            question=question_bytes,
            parts=own,
            claims=claims,
            presenter=presenter,
            enc=sealing.public,
            token_id=token_id,
            now=now,
        )
        return OwnToken(token, token_id)

    def mint_with_visas(own: Mapping[OrgId, Part], receiver: OrgId | None) -> tuple[OwnToken, Mapping[OrgId, Part]]:
        token_id = b64u(entropy(TOKEN_ID_BYTES))
        own = with_visas(own, passport, bundle, token_id=token_id, question_hash=sha256_b64u(question_bytes))
        return mint({org: part.canonical() for org, part in own.items()}, receiver, token_id), own

    if minting == "shared" or carrier in parts:
        # Without anybody in between the one token is already for one organization.
        each, (shown, parts) = None, mint_with_visas(parts, None if minting == "shared" else carrier)
    else:
        minted = {org: mint_with_visas({org: part}, org) for org, part in parts.items()}
        each, parts = (
            {org: own for org, (own, _) in minted.items()},
            {org: part[org] for org, (_, part) in minted.items()},
        )
        tokens = tokens_text({org: own.token for org, own in each.items()})
        shown = mint({carrier: tokens}, carrier, b64u(entropy(TOKEN_ID_BYTES)))
    return Round(question, question_bytes, dict(parts), shown.token, shown.token_id, now, sealing, carrier, each)


def told_claims(session: Session, bundle: TrustedBundle, organization: OrgId) -> RequesterClaims:
    """Return what the network is told of a person, within the caps. Raises: ClaimNotAssertable."""
    caps, sign_in = bundle.member(organization).may_assert, session.sign_in
    claims = within_caps(session.claims, caps)
    return RequesterClaims(
        affiliation=claims.affiliation,
        role=claims.role,
        clearance=Clearance(claims.clearance),
        auth_time=sign_in.auth_time,
        # Like a clearance, what the network does not believe this organization is not said.
        acr=sign_in.acr if sign_in.acr in caps.acr_values else None,
    )


def purposes_of(session: Session, bundle: TrustedBundle) -> tuple[str, ...]:
    """Return the purposes for which a person may ask, in the network's order."""
    allowed = session.claims.purposes
    return tuple(code for code in bundle.network.purposes if allowed is None or code in allowed)


def _refuse_purpose(code: str, session: Session, bundle: TrustedBundle) -> None:
    if code not in bundle.network.purposes:
        raise PurposeNotInNetwork(purpose=code)
    if code not in purposes_of(session, bundle):
        raise PurposeNotMapped(purpose=code)
