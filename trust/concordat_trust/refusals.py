"""The closed list of codes with which a node refuses a request before it answers, in the order of its checks.

A leaf whose own code is finer (`token_header_invalid`) is a subclass of the one that travels (`token_malformed`): logs
keep the finer one, the wire shows the other.
"""

from __future__ import annotations

from concordat_trust.errors import ConcordatError

NODE_REFUSALS = (
    "body_too_large",
    "content_digest_mismatch",
    "request_signature_invalid",
    "presenter_unknown",
    "token_malformed",
    "token_wrong_type",
    "token_issuer_unknown",
    "token_key_unknown",
    "token_signature_invalid",
    "token_audience",
    "token_expired",
    "token_not_yet_valid",
    "token_lifetime",
    "token_network",
    "token_presenter",
    "token_question_mismatch",
    "token_part_mismatch",
    "token_claim_not_allowed",
    "token_replayed",
    "organization_suspended",
    "bundle_stale",
    "log_unavailable",
)


def refusal_code(error: ConcordatError) -> str | None:
    """Return the code that travels for this error, or None when it is not a refusal before the answer."""
    for cls in type(error).__mro__:
        code = cls.__dict__.get("code")
        if isinstance(code, str) and code in NODE_REFUSALS:
            return code
    return None
