"""The query token: one question, signed at home, for named organizations, through one presenter, for two minutes.

Rules of this file:

* The token binds the hash of the question and of each organization's part over the bytes as received; nobody after the
  home node can change the question, its purpose or who is asked.
* What a home organization says of its own person counts only within its `may_assert`, set by keyholders.
* Unknown claims are refused. Single use of (iss, jti) is the receiver's ledger's matter and not checked here.
* Three readers, one core: the answering node, the coordinator that relays, and whoever re-reads an old token.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from concordat_trust import jose
from concordat_trust.canonical import Json, JsonObject
from concordat_trust.directory import DirectoryMember, KeyDirectory, OrganizationSuspended, keys_for
from concordat_trust.encoding import sha256_b64u
from concordat_trust.errors import RefusedDocument, RequesterError
from concordat_trust.ids import KeyId, OrgId
from concordat_trust.patterns import DIGEST, matching
from concordat_trust.sealing import SealKeyInvalid, parse_sealing_key
from concordat_trust.shape import DocumentMalformed, Shape
from concordat_trust.token_errors import (
    TokenAudience,
    TokenClaimInvalid,
    TokenClaimNotAllowed,
    TokenIssuerUnknown,
    TokenLifetime,
    TokenNetwork,
    TokenPartMismatch,
    TokenPresenter,
    TokenQuestionMismatch,
)
from concordat_trust.vocabulary import Clearance

TYP = "concordat-query+jwt"
LIFETIME_MAX_S = 120
ORGANIZATIONS_MAX = 200
QUERY_TOKEN_BYTES_MAX = 49_152  # 200 organizations with ids of 40 characters fit
CLAIM_CHARS_MAX = 64
ACR_CHARS_MAX = 200
REQUIRED = ("iss", "sub", "aud", "iat", "exp", "jti", "net", "qh", "parts", "claims", "cnf", "enc")

_PSEUDONYM = re.compile(r"[A-Za-z0-9._:-]{1,128}")


class AudienceTooLarge(RequesterError):
    code = "audience_too_large"
    sentence = "A question was to go to {count} organizations; 1 to {count_max} can be asked at once."
    hint = "Ask fewer organizations at once."


@dataclass(frozen=True, slots=True)
class RequesterClaims:
    """What the home organization vouches for about its person.

    `auth_time` and `acr` (OpenID Connect Core §2) say when and how the person proved who they are; None: not said.
    """

    affiliation: str
    role: str
    clearance: Clearance
    auth_time: int | None = None
    acr: str | None = None

    def to_json(self) -> JsonObject:
        told: JsonObject = {"affiliation": self.affiliation, "clearance": int(self.clearance), "role": self.role}
        sign_in: JsonObject = {"acr": self.acr, "auth_time": self.auth_time}
        return told | {name: value for name, value in sign_in.items() if value is not None}


@dataclass(frozen=True, slots=True)
class VerifiedToken:
    """A query token that passed every check of its reader; made only in this module."""

    issuer: OrgId
    subject: str
    audience: tuple[OrgId, ...]
    issued_at: int
    expires_at: int
    token_id: str
    network: str
    question_hash: str
    parts: Mapping[OrgId, str]
    claims: RequesterClaims
    presenter: KeyId
    enc: str


def mint_query_token(
    *,
    key: jose.Signer,
    issuer: OrgId,
    subject: str,
    network: str,
    question: bytes,
    parts: Mapping[OrgId, bytes],
    claims: RequesterClaims,
    presenter: KeyId,
    enc: str,
    token_id: str,
    now: int,
    lifetime_s: int = LIFETIME_MAX_S,
) -> str:
    """Return a signed query token for the organizations that `parts` names.

    `question` and each part are canonical bytes; `presenter` is the key id of whoever will carry it; `enc` the public
    key for sealed answers; `token_id` at least 22 characters of base64url, fresh for each token.
    Raises: AudienceTooLarge, TokenLifetime.
    """
    if not 1 <= len(parts) <= ORGANIZATIONS_MAX:
        raise AudienceTooLarge(count=len(parts), count_max=ORGANIZATIONS_MAX)
    if not 0 < lifetime_s <= LIFETIME_MAX_S:
        raise TokenLifetime(lifetime_s=lifetime_s, lifetime_max_s=LIFETIME_MAX_S)
    body: JsonObject = {
        "aud": list[Json](sorted(parts)),
        "claims": claims.to_json(),
        "cnf": {"jkt": presenter},
        "enc": enc,
        "exp": now + lifetime_s,
        "iat": now,
        "iss": issuer,
        "jti": token_id,
        "net": network,
        "parts": {org: sha256_b64u(part) for org, part in parts.items()},
        "qh": sha256_b64u(question),
        "sub": subject,
    }
    return jose.sign(body, key=key, typ=TYP)


def verify_query_token(
    token: str,
    *,
    me: OrgId,
    bundle: KeyDirectory,
    question: bytes,
    part: bytes,
    presenter: KeyId,
    now: int,
) -> VerifiedToken:
    """Return the token as the answering node `me` may act on it.

    After the nine checks of `jose.verify` (form, kind, key, signature, audience, times, lifetime): 10 claims of this
    kind and no others · 11 network · 12 presenter · 13 question · 14 own part · 15 caps of the issuer · 16 issuer not
    suspended. A bundle that gives out no key of a suspended organization refuses it at the third check already.
    What the caller does: signature of the request before, single use of (issuer, token id) after.

    Raises: leaves of TokenRefused, OrganizationSuspended.
    """
    verified = _verify(token, bundle=bundle, audience=me, now=now)
    _check_binding(verified, bundle, presenter)
    _check_hashes(verified, question, {me: part})
    _check_issuer(verified, bundle)
    return verified


def verify_relayed_token(
    token: str,
    *,
    bundle: KeyDirectory,
    question: bytes,
    parts: Mapping[OrgId, bytes],
    relay: KeyId,
    now: int,
) -> VerifiedToken:
    """Return the token as the coordinator whose request key is `relay` may carry it.

    The same checks, but for no audience of its own, and for every part instead of one: `parts` must name exactly the
    organizations of the token. Raises: as `verify_query_token`.
    """
    verified = _verify(token, bundle=bundle, audience=None, now=now)
    _check_binding(verified, bundle, relay)
    if set(parts) != set(verified.audience):
        raise TokenAudience
    _check_hashes(verified, question, parts)
    _check_issuer(verified, bundle)
    return verified


def verify_archived_token(
    token: str, *, bundle: KeyDirectory, question: bytes, parts: Mapping[OrgId, bytes]
) -> VerifiedToken:
    """Return a token that is read again later: valid at its own issue time, for this question and these parts.

    `bundle` is the network's state at `jose.claimed_issue_time(token)`. It gives no right to anything any more.
    Raises: as `verify_query_token`, without the presenter and the clock.
    """
    verified = _verify(token, bundle=bundle, audience=None, now=None)
    if verified.network != bundle.network.id:
        raise TokenNetwork
    if set(parts) != set(verified.audience):
        raise TokenAudience
    _check_hashes(verified, question, parts)
    _check_issuer(verified, bundle)
    return verified


def _verify(token: str, *, bundle: KeyDirectory, audience: OrgId | None, now: int | None) -> VerifiedToken:
    claims = jose.verify(
        token,
        typ=TYP,
        resolve=keys_for(bundle, "query_token"),
        now=now,
        leeway_s=jose.LEEWAY_S,
        lifetime_max_s=LIFETIME_MAX_S,
        required=REQUIRED,
        audience=audience,
        bytes_max=QUERY_TOKEN_BYTES_MAX,
    )
    try:
        return _parse(claims)
    except DocumentMalformed as error:
        raise TokenClaimInvalid(claim=error.fields.get("field")) from error
    except SealKeyInvalid as error:
        raise TokenClaimInvalid(claim="enc") from error
    except RefusedDocument as error:
        raise TokenClaimInvalid(claim=error.code) from error


def _parse(claims: JsonObject) -> VerifiedToken:
    shape = Shape(claims, "token")
    cnf = shape.object("cnf")
    verified = VerifiedToken(
        issuer=OrgId.parse(shape.text("iss")),
        subject=matching(shape, "sub", _PSEUDONYM),
        audience=tuple(OrgId.parse(org) for org in shape.texts("aud", count_max=ORGANIZATIONS_MAX)),
        issued_at=shape.integer("iat", minimum=0),
        expires_at=shape.integer("exp", minimum=0),
        token_id=shape.text("jti"),
        network=shape.text("net", length_max=CLAIM_CHARS_MAX),
        question_hash=matching(shape, "qh", DIGEST),
        parts=_parts(shape),
        claims=_claims(shape.object("claims")),
        presenter=matching(cnf, "jkt", DIGEST),
        enc=shape.text("enc", length_max=CLAIM_CHARS_MAX),
    )
    cnf.finish()
    shape.finish()
    parse_sealing_key(verified.enc)
    if verified.claims.auth_time is not None and verified.claims.auth_time > verified.issued_at + jose.LEEWAY_S:
        raise shape.refuse("auth_time", "is after the token was made")
    if sorted(verified.parts) != sorted(verified.audience):
        raise shape.refuse("parts", "does not name exactly the audience")
    return verified


def _claims(shape: Shape) -> RequesterClaims:
    claims = RequesterClaims(
        affiliation=shape.text("affiliation", length_max=CLAIM_CHARS_MAX),
        role=shape.text("role", length_max=CLAIM_CHARS_MAX),
        clearance=Clearance(shape.integer("clearance", minimum=min(Clearance), maximum=max(Clearance))),
        auth_time=shape.integer("auth_time", minimum=0) if shape.has("auth_time") else None,
        acr=shape.text("acr", length_min=1, length_max=ACR_CHARS_MAX) if shape.has("acr") else None,
    )
    shape.finish()
    return claims


def _parts(shape: Shape) -> Mapping[OrgId, str]:
    inner = shape.object("parts")
    names = inner.unknown()
    return MappingProxyType({OrgId.parse(name): matching(inner, name, DIGEST) for name in names})


def _check_binding(token: VerifiedToken, bundle: KeyDirectory, presenter: KeyId) -> None:
    if token.network != bundle.network.id:
        raise TokenNetwork
    if token.presenter != presenter:
        raise TokenPresenter


def _check_hashes(token: VerifiedToken, question: bytes, parts: Mapping[OrgId, bytes]) -> None:
    if token.question_hash != sha256_b64u(question):
        raise TokenQuestionMismatch
    for org, part in parts.items():
        if token.parts[org] != sha256_b64u(part):
            raise TokenPartMismatch


def _check_issuer(token: VerifiedToken, bundle: KeyDirectory) -> None:
    member = bundle.member(token.issuer)
    if member.kind != "organization":
        raise TokenIssuerUnknown
    _check_caps(token.claims, member)
    if member.suspended:
        raise OrganizationSuspended(organization=token.issuer)


def _check_caps(claims: RequesterClaims, member: DirectoryMember) -> None:
    caps = member.may_assert
    if claims.affiliation not in caps.affiliations:
        raise TokenClaimNotAllowed(claim="affiliation")
    if claims.role not in caps.roles:
        raise TokenClaimNotAllowed(claim="role")
    if claims.clearance > caps.clearance_max:
        raise TokenClaimNotAllowed(claim="clearance")
    if claims.acr is not None and claims.acr not in caps.acr_values:
        raise TokenClaimNotAllowed(claim="acr")
