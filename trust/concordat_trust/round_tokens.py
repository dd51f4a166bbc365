"""The tokens of one round: one for everybody, or one for each organization with a pairwise pseudonym.

Rules of this file:

* Pure. With `minting` shared there is one query token, and every organization gets it.
* With `per_organization` each organization gets a token of its own: audience, part and pseudonym are its alone, so that
  two of them cannot tell from pseudonyms that one person asked both. (The question's hash they share: who asks several
  the same is seen by those who compare.) What the coordinator is shown is one more token, the round's: its audience is
  the coordinator, and its one part is the list of all others, so that none can be added, dropped or exchanged. No node
  answers it, because it is for none.
* Whoever reads a round, the relay now or a verifier later, gets the same `RoundTokens` in both modes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal, get_args

from concordat_trust import jose
from concordat_trust.canonical import canonical_bytes, parse_object
from concordat_trust.directory import KeyDirectory
from concordat_trust.errors import RefusedDocument
from concordat_trust.ids import KeyId, OrgId
from concordat_trust.query_token import (
    ORGANIZATIONS_MAX,
    QUERY_TOKEN_BYTES_MAX,
    VerifiedToken,
    verify_archived_token,
    verify_relayed_token,
)
from concordat_trust.token_errors import TokenAudience, TokenRefused

Minting = Literal["shared", "per_organization"]
MINTINGS: Final[tuple[Minting, ...]] = get_args(Minting)
TOKENS_BYTES_MAX = 1_000_000

Parts = Mapping[OrgId, bytes]
_Verify = Callable[[str, Parts], VerifiedToken]


class TokensMalformed(RefusedDocument):
    code = "tokens_malformed"
    sentence = "The tokens of a round are not one text for each organization, in canonical form."
    hint = "The home node does not follow the protocol; its operator must look at it."


class TokenRoundMismatch(TokenRefused):
    code = "token_round_mismatch"
    sentence = "The tokens of a round do not belong together: {organization}'s has another issuer, time or presenter."
    hint = "The home node must mint all tokens of a round at once."


@dataclass(frozen=True, slots=True)
class RoundTokens:
    """Verified tokens of one round; made only in this module.

    `presented` is the one that the presenter was handed; `by_organization` is what each organization gets, in order.
    """

    presented: VerifiedToken
    by_organization: Mapping[OrgId, VerifiedToken]
    texts: Mapping[OrgId, str]

    @property
    def audience(self) -> tuple[OrgId, ...]:
        return tuple(self.by_organization)


def tokens_text(tokens: Mapping[OrgId, str]) -> bytes:
    """Return the canonical list of a round's tokens: the part of whoever carries them."""
    return canonical_bytes({str(org): token for org, token in tokens.items()})


def parse_tokens(data: bytes) -> Mapping[OrgId, str]:
    """Return the tokens by organization. Raises: TokensMalformed."""
    try:
        obj = parse_object(data, bytes_max=TOKENS_BYTES_MAX)
        tokens = {OrgId.parse(org): token for org, token in sorted(obj.items()) if isinstance(token, str)}
    except RefusedDocument as error:
        raise TokensMalformed from error
    if not 1 <= len(tokens) == len(obj) <= ORGANIZATIONS_MAX or tokens_text(tokens) != data:
        raise TokensMalformed
    return tokens


def verify_relayed_round(
    token: str, *, me: OrgId, bundle: KeyDirectory, question: bytes, parts: Parts, relay: KeyId, now: int
) -> RoundTokens:
    """Return the round as the coordinator `me`, whose request key is `relay`, may carry it.

    A part of its own makes it a round with one token for each organization. Raises: TokensMalformed,
    TokenRoundMismatch, and what `verify_relayed_token` raises of any token.
    """

    def verify(text: str, own: Parts) -> VerifiedToken:
        return verify_relayed_token(text, bundle=bundle, question=question, parts=own, relay=relay, now=now)

    carried = parts.get(me)
    if carried is None:
        return _shared(token, verify(token, parts))
    return _each(token, carried, me, {org: part for org, part in parts.items() if org != me}, verify)


def verify_archived_round(
    token: str, tokens: Mapping[OrgId, str] | None, *, bundle: KeyDirectory, question: bytes, parts: Parts
) -> RoundTokens:
    """Return a round that is read again later; `tokens` is None when one token was for everybody.

    Raises: as `verify_relayed_round`, without presenter and clock; MemberUnknown.
    """

    def verify(text: str, own: Parts) -> VerifiedToken:
        return verify_archived_token(text, bundle=bundle, question=question, parts=own)

    if tokens is None:
        return _shared(token, verify(token, parts))
    return _each(token, tokens_text(tokens), _coordinator(token, bundle), parts, verify)


def _coordinator(token: str, bundle: KeyDirectory) -> OrgId:
    """Return the one coordinator that a token names as its audience; the token is not verified yet."""
    named = jose.audience_of(jose.unverified_claims(token, bytes_max=QUERY_TOKEN_BYTES_MAX))
    if len(named) != 1 or bundle.member(OrgId.parse(named[0])).kind != "coordinator":
        raise TokenAudience
    return OrgId.parse(named[0])


def _shared(text: str, token: VerifiedToken) -> RoundTokens:
    return RoundTokens(token, dict.fromkeys(token.audience, token), dict.fromkeys(token.audience, text))


def _each(token: str, carried: bytes, carrier: OrgId, parts: Parts, verify: _Verify) -> RoundTokens:
    presented = verify(token, {carrier: carried})
    texts = parse_tokens(carried)
    if set(texts) != set(parts):
        raise TokenAudience
    verified = {org: verify(text, {org: parts[org]}) for org, text in texts.items()}
    for org, own in verified.items():
        if (own.issuer, own.issued_at, own.presenter) != (presented.issuer, presented.issued_at, presented.presenter):
            raise TokenRoundMismatch(organization=org)
    return RoundTokens(presented, MappingProxyType(verified), texts)
