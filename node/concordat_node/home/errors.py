"""What can go wrong between a person, the identity provider and the home node, each under its own code.

Texts never say whether a person, a session or a job exists: what is expired, foreign and unknown reads the same.
"""

from __future__ import annotations

from concordat_trust.errors import OperatorError, PeerFailure, RefusedDocument, RequesterError
from concordat_trust.vocabulary import PURPOSE_WORDS


class NotSignedIn(RequesterError):
    code = "not_signed_in"
    sentence = "There is no valid session for this request."
    hint = "Sign in again: concordat login."


class LoginRedirectRefused(RequesterError):
    code = "login_redirect_refused"
    sentence = "The redirect address is not http://127.0.0.1:PORT/callback."
    hint = "Use the sign-in of the command line on this machine (RFC 8252 §7.3)."


class LoginRequestMalformed(RequesterError):
    code = "login_request_malformed"
    sentence = "The sign-in request has no valid {field}."
    hint = "Start the sign-in again: concordat login."


class LoginStateInvalid(RequesterError):
    code = "login_state_invalid"
    sentence = "This sign-in was not begun in this browser, is too old, or has already been completed."
    hint = "Start the sign-in again: concordat login."


class LoginRefusedByProvider(RequesterError):
    code = "login_refused_by_provider"
    sentence = "The identity provider did not sign this person in."
    hint = "Try again, or ask the organization that runs the identity provider."


class LoginCodeInvalid(RequesterError):
    code = "login_code_invalid"
    sentence = "The one-time code is unknown, too old, or has already been used."
    hint = "Start the sign-in again: concordat login."


class LoginVerifierMismatch(RequesterError):
    code = "login_verifier_mismatch"
    sentence = "The code verifier does not belong to this sign-in (RFC 7636 §4.6)."
    hint = "Start the sign-in again in the program that began it."


class LoginsTooMany(RequesterError):
    code = "logins_too_many"
    sentence = "This person has signed in {logins_max} times within {minutes} minutes."
    hint = "Wait some minutes and try again; nobody else is affected."


class PersonNotMapped(RequesterError):
    code = "person_not_mapped"
    sentence = "The organization's claims mapping gives this person no {claim}."
    hint = "Ask the operator of the home node to map the identity provider's claims."


class ClaimNotAssertable(RequesterError):
    code = "claim_not_assertable"
    sentence = "The network does not let this organization state the {claim} of this person."
    hint = "The keyholders set what an organization may state; ask the operator of the home node."


class PurposeUnknown(RequesterError):
    code = "purpose_unknown"
    sentence = "There is no purpose {purpose!r}."
    hint = "Give one of these: " + ", ".join(f"{code} ({words})" for code, words in PURPOSE_WORDS.items()) + "."


class SortUnknown(RequesterError):
    code = "sort_unknown"
    sentence = "Records cannot be sorted by {by!r}."
    hint = "Sort by relevance, created, or metric:NAME, such as metric:accuracy."


class PageSizeInvalid(RequesterError):
    code = "page_size_invalid"
    sentence = "A page has 1 to {page_size_max} records, not {page_size}."
    hint = "Ask for a smaller page; what does not fit is counted, and narrower conditions bring it forward."


class PurposeNotInNetwork(RequesterError):
    code = "purpose_not_in_network"
    sentence = "The network has no purpose {purpose}."
    hint = "Ask for one of the purposes that the network policy lists."


class PurposeNotMapped(RequesterError):
    code = "purpose_not_mapped"
    sentence = "Your organization lets you ask for other purposes, not for {purpose}."
    hint = "concordat whoami lists your purposes; the operator of the home node maps the provider's claims to them."


class AssetForeign(RequesterError):
    code = "asset_organization_unknown"
    sentence = "The id names an organization that is not in this network."
    hint = "Copy the id as it was shown in an answer of this network."


class JobNotFound(RequesterError):
    code = "job_not_found"
    sentence = "There is no such stored search in this session."
    hint = "Ask again: a stored search ends with its session and with the validity of what it shows."


class AnswerSuspended(RequesterError):
    code = "answer_suspended"
    sentence = "{organization}, whose word is in this answer, has been suspended from the network since."
    hint = "Ask again: a new answer accounts for it, and comes from those who may speak now."


class NextPageMissing(RequesterError):
    code = "next_page_missing"
    sentence = "Nothing follows this page, or its question has not been answered yet."
    hint = "Wait for the answer; its has_next says whether there is more."


class QuestionsTooMany(RequesterError):
    code = "questions_too_many"
    sentence = "{running} questions are under way already, and no more than that are asked at once."
    hint = "Wait until one of them has been answered; nothing was asked this time."


class QuestionInterrupted(OperatorError):
    code = "question_interrupted"
    sentence = "The home node stopped before all of this question's answers had arrived."
    hint = "Ask again; other organizations may have noted the first question in their logs."


class QuestionFailed(OperatorError):
    code = "home_question_failed"
    sentence = "The home node failed while it asked this question."
    hint = "Ask again; the operator of the home node finds the place in its log."


class FormNotOurs(RequesterError):
    code = "form_not_ours"
    sentence = "This form was not sent from a page of this portal in your session."
    hint = "Open the portal again and send the form from there."


class PageNotFound(RequesterError):
    code = "page_not_found"
    sentence = "There is no such page."
    hint = "Begin at the portal's first page."


class QueryMalformed(RequesterError):
    code = "query_malformed"
    sentence = "The parameter {parameter!r} of the address is missing, not known here, there twice, or not valid."
    hint = "The document at /v1/openapi.json lists the parameters of every address."


class ContentTypeUnsupported(RequesterError):
    code = "content_type_unsupported"
    sentence = "The body of this request must be {media_type}."
    hint = "Send the content-type that the documentation names for this address."


class ProviderUnreachable(PeerFailure):
    code = "identity_provider_unreachable"
    sentence = "The identity provider did not answer."
    hint = "Ask the organization that runs the identity provider; the session store is not affected."


class ProviderAnswerInvalid(PeerFailure):
    code = "identity_provider_invalid"
    sentence = "The identity provider's {document} is not valid: {problem}."
    hint = "Compare the issuer in the home node's settings with the provider's discovery document."


class IdTokenMalformed(RefusedDocument):
    code = "id_token_malformed"
    sentence = "The ID token is not a compact JWS with the required claims ({field})."
    hint = "The identity provider must issue ID tokens as OpenID Connect Core §2 says."


class IdTokenAlgorithm(RefusedDocument):
    code = "id_token_algorithm"
    sentence = "The ID token is signed with an algorithm that is not accepted."
    hint = "Configure the identity provider for RS256, ES256 or EdDSA; HS* and none do not exist here."


class IdTokenKeyUnknown(RefusedDocument):
    code = "id_token_key_unknown"
    sentence = "The identity provider publishes no key for this ID token."
    hint = "The provider's key set must contain the signing key under the token's key id."


class IdTokenSignatureInvalid(RefusedDocument):
    code = "id_token_signature_invalid"
    sentence = "The signature of the ID token does not verify."
    hint = "Somebody changed the token, or the provider signs with a key it does not publish."


class IdTokenIssuer(RefusedDocument):
    code = "id_token_issuer"
    sentence = "The ID token, or the answer it came with, is from another issuer."
    hint = "Compare the issuer in the home node's settings with the provider's discovery document."


class IdTokenAudience(RefusedDocument):
    code = "id_token_audience"
    sentence = "The ID token was issued for another client."
    hint = "Compare the client id in the home node's settings with the provider's registration."


class IdTokenTime(RefusedDocument):
    code = "id_token_time"
    sentence = "The ID token has expired or is from the future."
    hint = "Compare the clocks of the identity provider and the home node."


class IdTokenNonce(RefusedDocument):
    code = "id_token_nonce"
    sentence = "The ID token does not answer this sign-in (nonce)."
    hint = "Start the sign-in again; if this repeats, a token is being replayed."


class IdTokenAuthTime(RefusedDocument):
    code = "id_token_auth_time"
    sentence = "The identity provider does not say that the person signed in as recently as was asked for."
    hint = "Sign in again; the provider must honour max_age and prompt=login (OpenID Connect Core §3.1.2.1)."


class IdTokenAcr(RefusedDocument):
    code = "id_token_acr"
    sentence = "The identity provider does not say that the person was recognised in the way that was asked for (acr)."
    hint = "Ask for a value of acr that the provider supports, or ask its operator for a second factor."


class UserinfoInvalid(RefusedDocument):
    code = "userinfo_invalid"
    sentence = "The identity provider's userinfo answer is not about the person who signed in."
    hint = "The provider must answer with the subject of the ID token (OpenID Connect Core §5.3.2)."


class ExchangeDisabled(RequesterError):
    code = "token_exchange_disabled"
    sentence = "This home node exchanges no tokens."
    hint = "Its operator names an audience in the setting home.token_exchange, or people sign in with concordat login."


class ExchangeRequestInvalid(RequesterError):
    code = "token_exchange_invalid"
    sentence = "The token exchange request has no valid {field} (RFC 8693 §2.1)."
    hint = "docs/identity.md shows the request: grant_type, subject_token, subject_token_type, and no actor."


class SubjectTokenTime(RefusedDocument):
    code = "subject_token_time"
    sentence = "The subject token has expired, is from the future, or is more than {age_max_s} seconds old."
    hint = "Get a new token from the identity provider right before the exchange."


class SubjectTokenUsed(RefusedDocument):
    code = "subject_token_used"
    sentence = "This subject token has already been exchanged."
    hint = "Get a new token from the identity provider for each exchange."


class ClaimsMappingUnreadable(OperatorError):
    code = "claims_mapping_unreadable"
    sentence = "The claims mapping {path} cannot be read: {problem}."
    hint = "Name the file in home.claims_file, relative to data_dir; the node must be able to read it."


class ClaimsMappingInvalid(OperatorError):
    code = "claims_mapping_invalid"
    sentence = "The claims mapping is not valid: {place} {problem}."
    hint = "Correct the file; docs/identity.md lists its fields, and concordat node doctor tries it on a sample."


class ClaimsSampleInvalid(OperatorError):
    code = "claims_sample_invalid"
    sentence = "The claims sample {path} is not a JSON object: {problem}."
    hint = "Save the payload of an ID token, or the provider's userinfo answer, as one JSON object."


class HomeSettingsInvalid(OperatorError):
    code = "home_settings_invalid"
    sentence = "The setting {setting} of the home node is not valid: {problem}."
    hint = "Correct the setting; the documentation lists all of them."


class HomeStorageFailed(OperatorError):
    code = "home_storage_failed"
    sentence = "The home node's own database failed."
    hint = "Check free space and home.sqlite in data_dir; without that file everybody only has to sign in again."


class HomeBundleUnusable(OperatorError):
    code = "home_bundle_unusable"
    sentence = "The home node has no trust bundle that is valid now."
    hint = "Check the bundle's mirrors: concordat node doctor."
