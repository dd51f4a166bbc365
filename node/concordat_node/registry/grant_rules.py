"""Agreements and approvals in an import: who may use what, for which purposes, and until when.

Membership is the data owner's own record (DESIGN section 5), so these lines decide who gets in: every list is explicit,
and an empty list of purposes, parties or holders is refused instead of being read as "all".
"""

from __future__ import annotations

import re

from concordat_node.registry.policy_rules import read_grant_id, read_text
from concordat_node.registry.records import GRANT_STATUSES, Agreement, Approval, GrantStatus, Subject
from concordat_trust.ids import OrganizationIdInvalid, OrgId
from concordat_trust.shape import Shape
from concordat_trust.vocabulary import PURPOSES

PARTIES_MAX = 200
SUBJECTS_MAX = 1_000
NAME_LENGTH_MAX = 300
PSEUDONYM_LENGTH_MAX = 120
TIME_MAX = 253_402_300_799  # The last second of the year 9999.

_DIGEST = re.compile(r"[0-9a-f]{64}")


def read_agreement(shape: Shape) -> Agreement:
    """Return an agreement, lists in order. Raises: DocumentMalformed, OrganizationIdInvalid."""
    parties = _organizations(shape, "parties")
    agreement = Agreement(
        id=read_grant_id(shape, "id"),
        title=read_text(shape, "title", length_min=1, length_max=NAME_LENGTH_MAX),
        parties=parties,
        members=_members(shape, parties),
        purposes=_purposes(shape),
        valid_from=shape.integer("valid_from", minimum=0, maximum=TIME_MAX),
        valid_until=shape.integer("valid_until", minimum=0, maximum=TIME_MAX),
        status=_status(shape),
        document_digest=_digest(shape),
        contact=read_text(shape, "contact", length_max=NAME_LENGTH_MAX) if shape.has("contact") else "",
    )
    shape.finish()
    if agreement.valid_from >= agreement.valid_until:
        raise shape.refuse("valid_until", "is not after valid_from")
    return agreement


def read_approval(shape: Shape) -> Approval:
    """Return an approval, lists in order. Raises: DocumentMalformed, OrganizationIdInvalid."""
    approval = Approval(
        id=read_grant_id(shape, "id"),
        board=read_text(shape, "board", length_min=1, length_max=NAME_LENGTH_MAX),
        protocol=read_text(shape, "protocol", length_min=1, length_max=NAME_LENGTH_MAX),
        holders=_subjects(shape, "holders"),
        purposes=_purposes(shape),
        approved_at=shape.integer("approved_at", minimum=0, maximum=TIME_MAX),
        expires_at=shape.integer("expires_at", minimum=0, maximum=TIME_MAX),
        status=_status(shape),
        document_digest=_digest(shape),
    )
    shape.finish()
    if approval.approved_at >= approval.expires_at:
        raise shape.refuse("expires_at", "is not after approved_at")
    return approval


def _organizations(shape: Shape, name: str) -> tuple[OrgId, ...]:
    texts = shape.texts(name, count_max=PARTIES_MAX)
    if not texts:
        raise shape.refuse(name, "is empty")
    return tuple(sorted({_organization(text, name) for text in texts}))


def _organization(text: str, field: str) -> OrgId:
    try:
        return OrgId.parse(text)
    except OrganizationIdInvalid as error:
        raise OrganizationIdInvalid(field=field) from error


def _members(shape: Shape, parties: tuple[OrgId, ...]) -> tuple[Subject, ...]:
    members = _subjects(shape, "members")
    if any(organization not in parties for organization, _ in members):
        raise shape.refuse("members", "names an organization that is not a party")
    return members


def _subjects(shape: Shape, name: str) -> tuple[Subject, ...]:
    items = shape.objects(name, count_max=SUBJECTS_MAX)
    if not items:
        raise shape.refuse(name, "is empty")
    return tuple(sorted({_subject(item, name) for item in items}, key=lambda pair: (pair[0], pair[1] or "")))


def _subject(shape: Shape, field: str) -> Subject:
    organization = _organization(shape.text("organization"), f"{field}.organization")
    # Written out, null included: leaving the pseudonym out must not open the agreement to a whole organization.
    if shape.value("pseudonym") is None:
        pseudonym = None
    else:
        pseudonym = read_text(shape, "pseudonym", length_min=1, length_max=PSEUDONYM_LENGTH_MAX)
    shape.finish()
    return organization, pseudonym


def _purposes(shape: Shape) -> tuple[str, ...]:
    purposes = shape.texts("purposes", count_max=len(PURPOSES))
    if not purposes or any(purpose not in PURPOSES for purpose in purposes):
        raise shape.refuse("purposes", "is not a list of one or more of " + ", ".join(PURPOSES))
    return tuple(sorted(set(purposes)))


def _status(shape: Shape) -> GrantStatus:
    return "active" if shape.one_of("status", GRANT_STATUSES) == "active" else "revoked"


def _digest(shape: Shape) -> str:
    value = shape.text("document_digest")
    if not _DIGEST.fullmatch(value):
        raise shape.refuse("document_digest", "is not a SHA-256 as 64 lower-case hex characters")
    return value
