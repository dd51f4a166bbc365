"""The answer attestation: what one node answered to one question, so that it can be proved years later.

Rules of this file:

* Every answer has one, also with no hits and for a refusal by policy. It says nothing that the answer itself does not
  disclose, apart from what `NON_INTERFERENCE_EXCLUDED` names.
* A record is committed to as SHA-256(salt ‖ canonical record), and every candidate is listed: a record can be neither
  altered nor invented nor withheld on the way, and a short record cannot be guessed from its commitment.
* It is verified against the trust bundle as it was at its `iat`. For which question, token and organization it must be
  is compared by the caller, who knows (`answer`).
* Unknown members are kept (`extra`): a newer node may say more than this reader understands.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from types import MappingProxyType

from concordat_trust import jose
from concordat_trust.attestation_form import (
    CANDIDATES_MAX,
    FACET_VALUES_MAX,
    Attestation,
    AttestationMalformed,
    AttestedNotice,
    AttestedView,
    Candidate,
    CitedAgreement,
    PolicyRevisions,
    parse_claims,
)
from concordat_trust.canonical import Json, JsonObject, canonical_bytes, parse_object
from concordat_trust.directory import KeyDirectory
from concordat_trust.encoding import b64u, unb64u
from concordat_trust.errors import RefusedDocument
from concordat_trust.signed_statement import Translation, verified_statement
from concordat_trust.token_errors import (
    TokenIssuerUnknown,
    TokenKeyUnknown,
    TokenRefused,
    TokenSignatureInvalid,
    TokenWrongType,
)

__all__ = [
    "AGE_MAX_S",
    "ATTESTATION_BYTES_MAX",
    "CANDIDATES_MAX",
    "FACET_VALUES_MAX",
    "NON_INTERFERENCE_EXCLUDED",
    "SALT_BYTES",
    "TYP",
    "Attestation",
    "AttestationIssuerUnknown",
    "AttestationKeyUnknown",
    "AttestationMalformed",
    "AttestationSignatureInvalid",
    "AttestationTime",
    "AttestationWrongType",
    "AttestedNotice",
    "AttestedView",
    "Candidate",
    "CitedAgreement",
    "PolicyRevisions",
    "SaltInvalid",
    "comparable_answer",
    "record_commitment",
    "sign_attestation",
    "verify_attestation",
]

TYP = "concordat-attestation+jwt"
ATTESTATION_BYTES_MAX = 131_072
AGE_MAX_S = 300
SALT_BYTES = 16

NON_INTERFERENCE_EXCLUDED: tuple[str, ...] = (
    "signature",
    "iat",
    "jti",
    "tid",
    "decision_id",
    "commitment",
    "salt",
    "fresh",
    "log",
    "sealed",
    "request_id",
    "leaf",
    "index",
    "size",
    "path",
    "checkpoint",
)
"""Everything that may differ between two answers of node states that differ only in what the requester may not see.

`commitment` and `salt` because each record is salted afresh, `sealed` because the sealed part begins with `fresh`
bytes and HPKE is randomized; whether there is one, and what it says, is compared in the clear. `leaf` to `checkpoint`
are the members of a receipt: where in the log an answer stands depends on how many others were given before.
"""

_REQUIRED = (
    "iss",
    "aud",
    "iat",
    "jti",
    "tid",
    "qh",
    "ph",
    "status",
    "code",
    "decision_id",
    "policy",
    "bundle",
    "agreements",
    "stats_revision",
    "total",
    "facets",
    "candidates",
    "notice",
    "unknown_fields",
    "valid_until",
    "log",
    "cursor",
    "sealed",
)


class AttestationWrongType(RefusedDocument):
    code = "attestation_wrong_type"
    sentence = "Another kind of token was sent where an attestation is expected."
    hint = "The node does not follow the protocol; its operator must look at it."


class AttestationIssuerUnknown(RefusedDocument):
    code = "attestation_issuer_unknown"
    sentence = "An attestation comes from nobody in this network."
    hint = "Verify with the trust bundle of the time when the answer was given."


class AttestationKeyUnknown(RefusedDocument):
    code = "attestation_key_unknown"
    sentence = "The key of an attestation is not in the trust bundle."
    hint = "Verify with the trust bundle of the time when the answer was given."


class AttestationSignatureInvalid(RefusedDocument):
    code = "attestation_signature_invalid"
    sentence = "The signature of an attestation does not match."
    hint = "The attestation was changed after its organization signed it; do not use this answer."


class AttestationTime(RefusedDocument):
    code = "attestation_time"
    sentence = "An attestation was issued at {issued_at}; it is {at}."
    hint = "The answer is an old one, or the clocks differ: compare the clocks of both machines."


class SaltInvalid(RefusedDocument):
    code = "salt_invalid"
    sentence = "The salt of a record is not 16 bytes in base64url."
    hint = "The node does not follow the protocol; its operator must look at it."


def record_commitment(record: JsonObject, salt: str) -> str:
    """Return base64url(SHA-256(salt bytes ‖ canonical record)). `salt` is 16 bytes as base64url.

    Raises: SaltInvalid, and the refusals of `canonical_bytes`.
    """
    try:
        salt_bytes = unb64u(salt)
    except RefusedDocument as error:
        raise SaltInvalid from error
    if len(salt_bytes) != SALT_BYTES:
        raise SaltInvalid
    return b64u(hashlib.sha256(salt_bytes + canonical_bytes(record)).digest())


def sign_attestation(attestation: Attestation, *, key: jose.Signer) -> str:
    """Return the attestation as a compact JWS.

    Raises: AttestationMalformed for one that no reader would accept, so that a node notices first.
    """
    claims = attestation.claims()
    parse_claims(claims)
    jws = jose.sign(claims, key=key, typ=TYP)
    if len(jws) > ATTESTATION_BYTES_MAX:
        raise AttestationMalformed(problem="it is too large")
    return jws


def verify_attestation(jws: str, *, bundle: KeyDirectory, at: int | None = None) -> Attestation:
    """Return the attestation if its organization signed it.

    1 form · 2 kind · 3 key of (organization, key id) in `bundle` · 4 signature · 5 members · 6 with `at`, the clock of
    somebody who receives it now: not from the future and not older than AGE_MAX_S. For a later reading `bundle` is the
    network's state at `jose.claimed_issue_time(jws)` and `at` is None.

    Raises: the leaves above, OrganizationSuspended.
    """
    claims = verified_statement(
        jws,
        typ=TYP,
        use="attestation",
        bundle=bundle,
        required=_REQUIRED,
        bytes_max=ATTESTATION_BYTES_MAX,
        translation=_TRANSLATION,
    )
    attestation = parse_claims(claims)
    if at is not None and not at - AGE_MAX_S <= attestation.issued_at <= at + jose.LEEWAY_S:
        raise AttestationTime(issued_at=attestation.issued_at, at=at)
    return attestation


_TRANSLATION: Translation = MappingProxyType(
    {
        TokenWrongType: AttestationWrongType,
        TokenIssuerUnknown: AttestationIssuerUnknown,
        TokenKeyUnknown: AttestationKeyUnknown,
        TokenSignatureInvalid: AttestationSignatureInvalid,
        TokenRefused: AttestationMalformed,
    }
)


def comparable_answer(
    attestation: str,
    results: Sequence[JsonObject],
    receipt: str | None = None,
    *,
    sealed: str | None = None,
    opened: JsonObject | None = None,
) -> bytes:
    """Return the canonical bytes of an answer without what `NON_INTERFERENCE_EXCLUDED` names.

    For the non-interference tests: equal bytes say that two answers disclose the same. Names are dropped only where
    they are members of the attestation, of a candidate, of a result or of the receipt, never inside facets or records.
    Of a sealed part its length counts, and with `opened`, its content, what it says.
    Nothing is verified. Raises: TokenMalformed.
    """
    claims = dict(jose.unverified_claims(attestation, bytes_max=ATTESTATION_BYTES_MAX))
    is_sealed = parse_claims(claims).sealed is not None
    claims["candidates"] = [_disclosed(c) for c in parse_claims(claims).candidates]
    kept = None if receipt is None else _without_excluded(parse_object(receipt.encode(), bytes_max=len(receipt)))
    return canonical_bytes(
        {
            "attestation": _without_excluded(claims),
            "opened": None if opened is None else _comparable_part(claims, opened),
            "receipt": kept,
            "results": list[Json](_without_excluded(result) for result in results),
            "sealed": {"attested": is_sealed, "length": None if sealed is None else len(sealed)},
        }
    )


def _comparable_part(claims: JsonObject, opened: JsonObject) -> JsonObject:
    inside = parse_claims({**claims, "candidates": opened["candidates"]}).candidates
    results = opened["results"] if isinstance(opened["results"], list) else []
    shown: list[Json] = [_without_excluded(result) for result in results if isinstance(result, dict)]
    return {**_without_excluded(opened), "candidates": [_disclosed(c) for c in inside], "results": shown}


def _disclosed(candidate: Candidate) -> JsonObject:
    named: JsonObject = {"commitment": candidate.commitment, "sort_key": candidate.sort_key, "tie": candidate.tie}
    return _without_excluded(named)


def _without_excluded(members: JsonObject) -> JsonObject:
    return {name: value for name, value in members.items() if name not in NON_INTERFERENCE_EXCLUDED}
