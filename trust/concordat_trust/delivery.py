"""The delivery: what the coordinator says it handed over, so that blame can be placed.

Rules of this file:

* Every organization of the token appears exactly once, with a status. A proved status comes with the hash of the
  attestation that was handed over; a reported one has none, and is only the coordinator's word.
* Nobody's authority depends on a delivery: records, order and completeness are recomputed at home. It proves, later,
  that a coordinator reported or withheld something.
* Times are buckets, so that nobody measures another organization through a coordinator.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, cast, get_args

from concordat_trust import jose
from concordat_trust.canonical import JsonObject
from concordat_trust.directory import KeyDirectory
from concordat_trust.errors import RefusedDocument
from concordat_trust.ids import OrgId
from concordat_trust.patterns import CODE, DIGEST, FRESH_ID, matching, optional_matching
from concordat_trust.query_token import ORGANIZATIONS_MAX
from concordat_trust.shape import DocumentMalformed, Shape
from concordat_trust.signed_statement import Translation, verified_statement
from concordat_trust.token_errors import (
    TokenIssuerUnknown,
    TokenKeyUnknown,
    TokenRefused,
    TokenSignatureInvalid,
    TokenWrongType,
)
from concordat_trust.vocabulary import PROVED, REPORTED, ProvedStatus, ReportedStatus

TYP = "concordat-delivery+jwt"
DELIVERY_BYTES_MAX = 131_072
AGE_MAX_S = 300

Took = Literal["<100ms", "<250ms", "<1s", "<5s", ">=5s"]
TOOK: tuple[Took, ...] = get_args(Took)
_TOOK_BELOW_MS: tuple[tuple[int, Took], ...] = ((100, "<100ms"), (250, "<250ms"), (1_000, "<1s"), (5_000, "<5s"))
_STATUSES = (*PROVED, *REPORTED)
_REQUIRED = ("iss", "aud", "iat", "jti", "tid", "qh", "answers")


class DeliveryMalformed(RefusedDocument):
    code = "delivery_malformed"
    sentence = "A delivery breaks a rule of its form: {problem}."
    hint = "The coordinator does not follow the protocol; its operator must look at it."


class DeliveryWrongType(RefusedDocument):
    code = "delivery_wrong_type"
    sentence = "Another kind of token was sent where a delivery is expected."
    hint = "The coordinator does not follow the protocol; its operator must look at it."


class DeliveryIssuerUnknown(RefusedDocument):
    code = "delivery_issuer_unknown"
    sentence = "A delivery comes from nobody in this network."
    hint = "Verify with the trust bundle of the time when the answer was given."


class DeliveryKeyUnknown(RefusedDocument):
    code = "delivery_key_unknown"
    sentence = "The key of a delivery is not in the trust bundle."
    hint = "Verify with the trust bundle of the time when the answer was given."


class DeliverySignatureInvalid(RefusedDocument):
    code = "delivery_signature_invalid"
    sentence = "The signature of a delivery does not match."
    hint = "The delivery was changed after its coordinator signed it."


class DeliveryTime(RefusedDocument):
    code = "delivery_time"
    sentence = "A delivery was issued at {issued_at}; it is {at}."
    hint = "The answer is an old one, or the clocks differ: compare the clocks of both machines."


class DeliveryWrongCoordinator(RefusedDocument):
    code = "delivery_wrong_coordinator"
    sentence = "A delivery comes from another coordinator than the one that was asked."
    hint = "Do not use this answer; ask again."


class DeliveryWrongAudience(RefusedDocument):
    code = "delivery_wrong_audience"
    sentence = "A delivery is for another home organization."
    hint = "Do not use this answer; ask again."


class DeliveryWrongToken(RefusedDocument):
    code = "delivery_wrong_token"
    sentence = "A delivery is for another query token."
    hint = "Do not use this answer; ask again."


class DeliveryWrongQuestion(RefusedDocument):
    code = "delivery_wrong_question"
    sentence = "A delivery is for another question."
    hint = "Do not use this answer; ask again."


class DeliveryOrganizations(RefusedDocument):
    code = "delivery_organizations"
    sentence = "A delivery does not account for exactly the organizations that were asked."
    hint = "The coordinator leaves something out or adds something; its operator must look at it."


@dataclass(frozen=True, slots=True)
class DeliveredAnswer:
    """What became of one organization; `attestation_sha256` is base64url over the attestation's text."""

    organization: OrgId
    status: ProvedStatus | ReportedStatus
    code: str | None
    attestation_sha256: str | None
    took: Took


@dataclass(frozen=True, slots=True)
class Delivery:
    """The statement of one coordinator about one question."""

    coordinator: OrgId
    home: OrgId
    issued_at: int
    delivery_id: str
    token_id: str
    question_hash: str
    answers: tuple[DeliveredAnswer, ...]
    extra: JsonObject = field(default_factory=dict)

    def claims(self) -> JsonObject:
        """Return the members as they are signed."""
        return {
            **self.extra,
            "answers": [
                {
                    "attestation_sha256": a.attestation_sha256,
                    "code": a.code,
                    "org": a.organization,
                    "status": a.status,
                    "took": a.took,
                }
                for a in self.answers
            ],
            "aud": self.home,
            "iat": self.issued_at,
            "iss": self.coordinator,
            "jti": self.delivery_id,
            "qh": self.question_hash,
            "tid": self.token_id,
        }


def took_bucket(duration_ms: int) -> Took:
    """Return the bucket of a duration."""
    for below_ms, bucket in _TOOK_BELOW_MS:
        if duration_ms < below_ms:
            return bucket
    return ">=5s"


def sign_delivery(delivery: Delivery, *, key: jose.Signer) -> str:
    """Return the delivery as a compact JWS. Raises: DeliveryMalformed for one that no reader would accept."""
    claims = delivery.claims()
    _parse(claims)
    return jose.sign(claims, key=key, typ=TYP)


def verify_delivery(
    jws: str,
    *,
    bundle: KeyDirectory,
    coordinator: OrgId,
    home: OrgId,
    token_id: str,
    question_hash: str,
    organizations: Collection[OrgId],
    at: int | None,
) -> Delivery:
    """Return the delivery if it is this coordinator's, for this question, and complete.

    1 form · 2 kind · 3 key in `bundle` · 4 signature · 5 members · 6 coordinator · 7 home · 8 token · 9 question ·
    10 exactly `organizations`, those of the token · 11 with `at`, not from the future and not older than AGE_MAX_S.
    Raises: the leaves above, OrganizationSuspended.
    """
    delivery = _parse(_verified_claims(jws, bundle))
    if delivery.coordinator != coordinator:
        raise DeliveryWrongCoordinator
    if delivery.home != home:
        raise DeliveryWrongAudience
    if delivery.token_id != token_id:
        raise DeliveryWrongToken
    if delivery.question_hash != question_hash:
        raise DeliveryWrongQuestion
    if {answer.organization for answer in delivery.answers} != set(organizations):
        raise DeliveryOrganizations
    if at is not None and not at - AGE_MAX_S <= delivery.issued_at <= at + jose.LEEWAY_S:
        raise DeliveryTime(issued_at=delivery.issued_at, at=at)
    return delivery


def _verified_claims(jws: str, bundle: KeyDirectory) -> JsonObject:
    return verified_statement(
        jws,
        typ=TYP,
        use="delivery",
        bundle=bundle,
        required=_REQUIRED,
        bytes_max=DELIVERY_BYTES_MAX,
        translation=_TRANSLATION,
    )


_TRANSLATION: Translation = MappingProxyType(
    {
        TokenWrongType: DeliveryWrongType,
        TokenIssuerUnknown: DeliveryIssuerUnknown,
        TokenKeyUnknown: DeliveryKeyUnknown,
        TokenSignatureInvalid: DeliverySignatureInvalid,
        TokenRefused: DeliveryMalformed,
    }
)


def _parse(claims: JsonObject) -> Delivery:
    try:
        return _delivery(Shape(claims, "delivery"))
    except DocumentMalformed as error:
        raise DeliveryMalformed(problem=error.message) from error
    except RefusedDocument as error:
        raise DeliveryMalformed(problem=error.code) from error


def _delivery(shape: Shape) -> Delivery:
    delivery = Delivery(
        coordinator=OrgId.parse(shape.text("iss")),
        home=OrgId.parse(shape.text("aud")),
        issued_at=shape.integer("iat", minimum=0),
        delivery_id=matching(shape, "jti", FRESH_ID),
        token_id=matching(shape, "tid", FRESH_ID),
        question_hash=matching(shape, "qh", DIGEST),
        answers=tuple(_answer(item) for item in shape.objects("answers", count_max=ORGANIZATIONS_MAX)),
    )
    if len({answer.organization for answer in delivery.answers}) != len(delivery.answers):
        raise shape.refuse("answers", "names an organization twice")
    delivery.extra.update({name: shape.value(name) for name in shape.unknown()})
    return delivery


def _answer(shape: Shape) -> DeliveredAnswer:
    answer = DeliveredAnswer(
        organization=OrgId.parse(shape.text("org")),
        status=cast("ProvedStatus | ReportedStatus", shape.one_of("status", _STATUSES)),
        code=optional_matching(shape, "code", CODE),
        attestation_sha256=optional_matching(shape, "attestation_sha256", DIGEST),
        took=cast("Took", shape.one_of("took", TOOK)),
    )
    if (answer.status in PROVED) != (answer.attestation_sha256 is not None):
        raise shape.refuse("attestation_sha256", "does not fit the status")
    return answer
