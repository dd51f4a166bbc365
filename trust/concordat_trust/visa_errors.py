"""Why a GA4GH visa counts for nothing. One visa's refusal takes nothing away from the others."""

from __future__ import annotations

from concordat_trust.errors import RefusedDocument


class VisaRefused(RefusedDocument):
    """The family of refused visas."""


class VisaMalformed(VisaRefused):
    code = "visa_malformed"
    sentence = "A visa is not a compact JWS with the claims of a GA4GH visa ({field})."
    hint = "Its issuer must follow GA4GH Passport 1.2: iss, sub, iat, exp and ga4gh_visa_v1."


class VisaAlgorithm(VisaRefused):
    code = "visa_algorithm"
    sentence = "A visa is signed with an algorithm that visas do not have."
    hint = "Visas are signed with ES256 or RS256 and nothing else (GA4GH AAI profile)."


class VisaIssuerUnknown(VisaRefused):
    code = "visa_issuer_unknown"
    sentence = "The issuer of a visa is not in the trust bundle."
    hint = "An organization publishes its visa issuer in its entity statement; an address in the visa is never fetched."


class VisaKeyUnknown(VisaRefused):
    code = "visa_key_unknown"
    sentence = "The issuer of a visa publishes no such key in the trust bundle."
    hint = "The issuer's organization must publish the key, under the same kid, in its entity statement."


class VisaSignatureInvalid(VisaRefused):
    code = "visa_signature_invalid"
    sentence = "The signature of a visa does not verify."
    hint = "It was changed, or signed with a key that its issuer does not publish."


class VisaExpired(VisaRefused):
    code = "visa_expired"
    sentence = "A visa has expired."
    hint = "Ask its issuer for a new one, then sign in again."


class VisaNotYetValid(VisaRefused):
    code = "visa_not_yet_valid"
    sentence = "A visa says that it was made in the future."
    hint = "Compare the clocks of its issuer and of this node."


class VisaOtherSubject(VisaRefused):
    code = "visa_other_subject"
    sentence = "A visa is about another identity than the person's."
    hint = "A LinkedIdentities visa of an issuer in the bundle must join the two identities."


class VisaConditionUnmet(VisaRefused):
    code = "visa_condition_unmet"
    sentence = "The conditions of a visa are not met by the person's other visas."
    hint = "The visas that its conditions name must be there, valid, and have no conditions themselves."


class PassportTooLarge(VisaRefused):
    code = "passport_too_large"
    sentence = "A passport has more than {visas_max} visas, or one of more than {chars_max} characters."
    hint = "Ask the identity provider for the visas that are needed here."
