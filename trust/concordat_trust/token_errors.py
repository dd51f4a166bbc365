"""Why a token is refused: one leaf per check.

The codes of TokenMalformed, TokenWrongType and their siblings are the closed list that travels (`refusals`). A finer
code is a subclass of the one that travels, so that a log can say more than the wire.
"""

from __future__ import annotations

from collections.abc import Mapping

from concordat_trust.errors import RefusedDocument


class TokenRefused(RefusedDocument):
    """Family of everything `verify` raises; other kinds of documents translate it into their own codes."""


class TokenMalformed(TokenRefused):
    code = "token_malformed"
    sentence = "A token is not a compact JWS in its only valid spelling: {problem}."
    hint = "Send the token exactly as it was issued."


class TokenTooLarge(TokenMalformed):
    code = "token_too_large"
    sentence = "A token has {size} characters; at most {bytes_max} are read."
    hint = "Ask fewer organizations at once."


class TokenHeaderInvalid(TokenMalformed):
    code = "token_header_invalid"
    sentence = "The header of a token is not exactly alg, typ and kid."
    hint = "Leave out jku, x5u, x5c, jwk, crit and everything else; keys come from the trust bundle."


class TokenAlgorithm(TokenMalformed):
    code = "token_algorithm"
    sentence = "A token is not signed with EdDSA."
    hint = "Sign with the organization's Ed25519 key; no other algorithm exists here."


class TokenClaimMissing(TokenMalformed):
    code = "token_claim_missing"
    sentence = "A token lacks the claim {claim}."
    hint = "Issue the token with all claims of its kind."


class TokenClaimInvalid(TokenMalformed):
    code = "token_claim_invalid"
    sentence = "The claim {claim} of a token is not of its kind."
    hint = "Issue the token with the claims of its kind and no others."


class TokenWrongType(TokenRefused):
    code = "token_wrong_type"
    sentence = "A token of another kind was sent where {typ} is expected."
    hint = "Send the kind of token that this place takes."


class TokenIssuerUnknown(TokenRefused):
    code = "token_issuer_unknown"
    sentence = "The issuer of a token is not an organization of this network."
    hint = "Compare the organization id and the version of the trust bundle on both sides."


class TokenKeyUnknown(TokenRefused):
    code = "token_key_unknown"
    sentence = "The key of a token is not in the trust bundle for this use."
    hint = "The key may be new or withdrawn: compare the versions of the trust bundle on both sides."


class TokenSignatureInvalid(TokenRefused):
    code = "token_signature_invalid"
    sentence = "The signature of a token does not match."
    hint = "The token was changed on its way, or was not signed by its issuer."


class TokenAudience(TokenRefused):
    code = "token_audience"
    sentence = "A token is not addressed to this party."
    hint = "Ask only the organizations that the token names."


class TokenExpired(TokenRefused):
    code = "token_expired"
    sentence = "A token expired at {expires_at}; it is {now}."
    hint = "Ask again; if this repeats, compare the clocks of both machines."


class TokenNotYetValid(TokenRefused):
    code = "token_not_yet_valid"
    sentence = "A token was issued at {issued_at}, in the future; it is {now}."
    hint = "Compare the clocks of both machines."


class TokenLifetime(TokenRefused):
    code = "token_lifetime"
    sentence = "A token is valid for {lifetime_s} s; more than 0 and at most {lifetime_max_s} are allowed."
    hint = "Issue tokens for a shorter time."


class TokenNetwork(TokenRefused):
    code = "token_network"
    sentence = "A token is for another network."
    hint = "Ask with a token of this network; the network id stands in its trust bundle."


class TokenPresenter(TokenRefused):
    code = "token_presenter"
    sentence = "A token was presented by another key than the one it is bound to."
    hint = "Only the party named in cnf may present a token."


class TokenQuestionMismatch(TokenRefused):
    code = "token_question_mismatch"
    sentence = "The question is not the one that the token was issued for."
    hint = "Send the question byte for byte as it was signed at home."


class TokenPartMismatch(TokenRefused):
    code = "token_part_mismatch"
    sentence = "The part is not the one that the token was issued for."
    hint = "Send each organization its own part, byte for byte as it was signed at home."


class TokenClaimNotAllowed(TokenRefused):
    code = "token_claim_not_allowed"
    sentence = "The issuer may not claim this {claim} for its people."
    hint = "The keyholders decide what an organization may assert; claim less, or ask them."


def translated(error: TokenRefused, table: Mapping[type[TokenRefused], type[RefusedDocument]]) -> RefusedDocument:
    """Return the leaf that another kind of document has for `error`; the nearest class of `table` decides.

    `table` has an entry for TokenRefused. The leaf gets the finer code as its field `problem`.
    """
    for cls in type(error).__mro__:
        leaf = table.get(cls)
        if leaf is not None:
            return leaf(problem=error.code)
    raise RuntimeError("the table has no entry for TokenRefused")
