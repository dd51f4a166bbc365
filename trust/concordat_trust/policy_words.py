"""What the codes of the baseline policy mean, in words for a person: one table for every interface and the documents.

A test compares it with the codes that the Rego can give. Another network's policy may have further codes: an unknown
one is shown as it is.
"""

from __future__ import annotations

from collections.abc import Mapping

MISSING_WORDS: Mapping[str, str] = {
    "agreement_missing": "a data use agreement that names you",
    "agreement_expired": "a data use agreement that has not expired, as yours has",
    "agreement_not_yet_valid": "a data use agreement that is already in force; yours is not yet",
    "agreement_purpose": "a data use agreement for this purpose; yours is for another one",
    "agreement_revoked": "a data use agreement that has not been revoked, as yours was",
    "approval_missing": "an ethics approval that names you",
    "approval_expired": "an ethics approval that has not expired, as yours has",
    "approval_not_yet_valid": "an ethics approval that is already in force; yours is not yet",
    "approval_purpose": "an ethics approval for this purpose; yours is for another one",
    "approval_revoked": "an ethics approval that has not been revoked, as yours was",
    "modifier_review": "a decision on conditions that no rule decides by itself",
    "sign_in_old": "a more recent sign-in at your own organization",
    "sign_in_weak": "a stronger sign-in at your own organization",
}
"""What a requester lacks and somebody can grant. These codes travel with a record that is shown in summary."""

GRANTOR_WORDS: Mapping[str, str] = {
    "data_owner": "the organization that owns the data",
    "ethics_board": "an ethics board",
    "data_access_committee": "the owner's data access committee",
    "requester": "yourself, by signing in again",
}

SCOPE_WORDS: Mapping[str, str] = {
    "purpose_not_admitted": "it answers nothing for this purpose",
    "requester_incomplete": "what your organization says of you is not complete",
}
"""Why an organization refuses a whole question. These codes travel with its answer."""

GROUND_WORDS: Mapping[str, str] = {
    "agreement_covers": "a data use agreement covers this use",
    "approval_covers": "an ethics approval covers this use",
    "open_use": "the conditions of use need neither agreement nor approval",
}

REFUSAL_WORDS: Mapping[str, str] = {
    "class_malformed": "the policy attributes of the record cannot be read",
    "clearance_too_low": "the record is more sensitive than the requester is cleared for",
    "country_not_allowed": "the record may not be used from the requester's country",
    "not_active": "the record is not active",
    "organization_not_allowed": "the record is not for organizations of this type",
    "purpose_not_admitted": "the organization answers nothing for this purpose",
    "purpose_not_permitted": "the record's permission does not cover this purpose",
    "time_limit_passed": "the time in which the record may be used is over",
    "under_embargo": "the record is under embargo",
    "undecided": "the policy has no decision",
    "use_not_allowed": "the record is not for commercial use",
}
"""Why a record is not shown at all. These codes stay in the node: what is refused looks like what does not exist."""


def missing_words(code: str) -> str:
    return MISSING_WORDS.get(code, code)


def grantor_words(code: str) -> str:
    return GRANTOR_WORDS.get(code, code)
