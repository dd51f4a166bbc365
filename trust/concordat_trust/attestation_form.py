"""The members of an attestation: their types, how they are written, and the strict way back.

Unknown members are kept in `extra`; unknown members further down stay in the signed text. Belief is `attestation`'s
matter: what is parsed here may come from anybody.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self, cast

from concordat_trust.canonical import Json, JsonObject
from concordat_trust.directory import DirectoryView
from concordat_trust.errors import RefusedDocument
from concordat_trust.ids import OrgId
from concordat_trust.patterns import CODE, DIGEST, FRESH_ID, HEX_DIGEST, OPAQUE_ID, matching, optional_matching
from concordat_trust.question import CANDIDATES_MIN, PAGE_SIZE_MAX
from concordat_trust.shape import DocumentMalformed, Shape
from concordat_trust.vocabulary import FACET_FIELDS, NOTICE_MODES, PROVED, NoticeMode, ProvedStatus

CANDIDATES_MAX = max(CANDIDATES_MIN, PAGE_SIZE_MAX)
AGREEMENTS_MAX = 200
FACET_VALUES_MAX = 500
UNKNOWN_FIELDS_MAX = 50

_TIE = re.compile(r"[0-9a-f]{16}")


class AttestationMalformed(RefusedDocument):
    code = "attestation_malformed"
    sentence = "An attestation breaks a rule of its form: {problem}."
    hint = "The node does not follow the protocol; its operator must look at it."


@dataclass(frozen=True, slots=True)
class Candidate:
    """One visible match in the order of the answer; `sort_key` as disclosed, `tie` from `ids.tie_key`."""

    commitment: str
    sort_key: int | None
    tie: str


@dataclass(frozen=True, slots=True)
class PolicyRevisions:
    """Which texts decided: the network's baseline and the organization's own overlay."""

    baseline: str
    overlay: str | None


@dataclass(frozen=True, slots=True)
class AttestedView:
    """The state of the network that the node believed when it answered."""

    root: int
    targets: int
    snapshot: int
    snapshot_sha256: str

    @classmethod
    def of(cls, view: DirectoryView) -> Self:
        return cls(view.root, view.targets, view.snapshot, view.snapshot_sha256)


@dataclass(frozen=True, slots=True)
class CitedAgreement:
    """An agreement that a released record cites, with the digest of its document."""

    id: str
    digest: str


@dataclass(frozen=True, slots=True)
class AttestedNotice:
    """What the node's policy says about withheld things, the same for every question."""

    mode: NoticeMode
    code: str | None = None
    contact: str | None = None


@dataclass(frozen=True, slots=True)
class Attestation:
    """The statement of one organization about its answer. Times are Unix seconds, hashes base64url SHA-256."""

    organization: OrgId
    home: OrgId
    issued_at: int
    attestation_id: str
    token_id: str
    question_hash: str
    part_hash: str
    status: ProvedStatus
    code: str | None
    decision_id: str
    policy: PolicyRevisions
    bundle: AttestedView
    agreements: tuple[CitedAgreement, ...]
    stats_revision: str
    total: int | None
    facets: Mapping[str, Mapping[str, int]]
    candidates: tuple[Candidate, ...]
    notice: AttestedNotice
    unknown_fields: tuple[str, ...]
    valid_until: int | None
    log_leaf: str
    cursor: str | None = None
    """SHA-256 of the cursor that comes with the answer; None where nothing can follow."""
    sealed: str | None = None
    """SHA-256 of the part that only home can read (`sealed_part`); None where everything stands in the open."""
    extra: JsonObject = field(default_factory=dict)

    def claims(self) -> JsonObject:
        """Return the members as they are signed."""
        view, notice = self.bundle, self.notice
        return {
            **self.extra,
            "agreements": [{"digest": a.digest, "id": a.id} for a in self.agreements],
            "aud": self.home,
            "bundle": {
                "root": view.root,
                "snapshot": view.snapshot,
                "snapshot_sha256": view.snapshot_sha256,
                "targets": view.targets,
            },
            "candidates": [[c.commitment, c.sort_key, c.tie] for c in self.candidates],
            "code": self.code,
            "cursor": self.cursor,
            "decision_id": self.decision_id,
            "facets": {name: dict(cells) for name, cells in self.facets.items()},
            "iat": self.issued_at,
            "iss": self.organization,
            "jti": self.attestation_id,
            "log": {"leaf": self.log_leaf},
            "notice": {"code": notice.code, "contact": notice.contact, "mode": notice.mode},
            "ph": self.part_hash,
            "policy": {"baseline": self.policy.baseline, "overlay": self.policy.overlay},
            "qh": self.question_hash,
            "sealed": self.sealed,
            "stats_revision": self.stats_revision,
            "status": self.status,
            "tid": self.token_id,
            "total": self.total,
            "unknown_fields": list(self.unknown_fields),
            "valid_until": self.valid_until,
        }


def parse_claims(claims: JsonObject) -> Attestation:
    """Return the attestation that these members state, believed or not. Raises: AttestationMalformed."""
    try:
        return _attestation(Shape(claims, "attestation"))
    except DocumentMalformed as error:
        raise AttestationMalformed(problem=error.message) from error
    except RefusedDocument as error:
        raise AttestationMalformed(problem=error.code) from error


def _attestation(shape: Shape) -> Attestation:
    log = shape.object("log")
    known = Attestation(
        organization=OrgId.parse(shape.text("iss")),
        home=OrgId.parse(shape.text("aud")),
        issued_at=shape.integer("iat", minimum=0),
        attestation_id=matching(shape, "jti", FRESH_ID),
        token_id=matching(shape, "tid", FRESH_ID),
        question_hash=matching(shape, "qh", DIGEST),
        part_hash=matching(shape, "ph", DIGEST),
        status=cast("ProvedStatus", shape.one_of("status", PROVED)),
        code=optional_matching(shape, "code", CODE),
        decision_id=matching(shape, "decision_id", OPAQUE_ID),
        policy=_policy(shape.object("policy")),
        bundle=_view(shape.object("bundle")),
        agreements=agreements_of(shape),
        stats_revision=matching(shape, "stats_revision", HEX_DIGEST),
        total=shape.optional_integer("total", minimum=0),
        facets=facets_of(shape),
        candidates=candidates_of(shape),
        notice=_notice(shape.object("notice")),
        unknown_fields=shape.texts("unknown_fields", count_max=UNKNOWN_FIELDS_MAX, length_max=100),
        valid_until=shape.optional_integer("valid_until", minimum=0),
        log_leaf=matching(log, "leaf", DIGEST),
        cursor=optional_matching(shape, "cursor", DIGEST),
        sealed=optional_matching(shape, "sealed", DIGEST),
    )
    known.extra.update({name: shape.value(name) for name in shape.unknown()})
    return known


def _policy(shape: Shape) -> PolicyRevisions:
    return PolicyRevisions(
        shape.text("baseline", length_min=1, length_max=128), shape.optional_text("overlay", length_max=128)
    )


def _view(shape: Shape) -> AttestedView:
    return AttestedView(
        root=shape.integer("root", minimum=1),
        targets=shape.integer("targets", minimum=1),
        snapshot=shape.integer("snapshot", minimum=1),
        snapshot_sha256=matching(shape, "snapshot_sha256", HEX_DIGEST),
    )


def agreements_of(shape: Shape) -> tuple[CitedAgreement, ...]:
    """Return the member `agreements`. Raises: DocumentMalformed."""
    return tuple(_agreement(item) for item in shape.objects("agreements", count_max=AGREEMENTS_MAX))


def _agreement(shape: Shape) -> CitedAgreement:
    return CitedAgreement(
        shape.text("id", length_min=1, length_max=200), shape.text("digest", length_min=1, length_max=128)
    )


def _notice(shape: Shape) -> AttestedNotice:
    mode = cast("NoticeMode", shape.one_of("mode", NOTICE_MODES))
    return AttestedNotice(mode, optional_matching(shape, "code", CODE), shape.optional_text("contact", length_max=300))


def facets_of(shape: Shape) -> Mapping[str, Mapping[str, int]]:
    """Return the member `facets`. Raises: DocumentMalformed."""
    facets: dict[str, Mapping[str, int]] = {}
    outer = shape.object("facets")
    for name in outer.unknown():
        if name not in FACET_FIELDS:
            raise outer.refuse(name, "is not a facet")
        cells = outer.object(name)
        values = cells.unknown()
        if len(values) > FACET_VALUES_MAX:
            raise outer.refuse(name, f"has more than {FACET_VALUES_MAX} values")
        facets[name] = {value: cells.integer(value, minimum=0) for value in values}
    return facets


def candidates_of(shape: Shape) -> tuple[Candidate, ...]:
    """Return the member `candidates`. Raises: DocumentMalformed."""
    values = shape.value("candidates")
    if not isinstance(values, list) or len(values) > CANDIDATES_MAX:
        raise shape.refuse("candidates", f"is not a list of at most {CANDIDATES_MAX}")
    return tuple(_candidate(shape, value) for value in values)


def _candidate(shape: Shape, value: Json) -> Candidate:
    if not isinstance(value, list) or len(value) != 3:
        raise shape.refuse("candidates", "has an entry that is not [commitment, sort key, tie]")
    commitment, sort_key, tie = value
    if not isinstance(commitment, str) or not DIGEST.fullmatch(commitment):
        raise shape.refuse("candidates", "has a commitment that is not a SHA-256")
    if isinstance(sort_key, bool) or not (sort_key is None or isinstance(sort_key, int)):
        raise shape.refuse("candidates", "has a sort key that is not an integer")
    if not isinstance(tie, str) or not _TIE.fullmatch(tie):
        raise shape.refuse("candidates", "has a tie key that is not 8 bytes of hex")
    return Candidate(commitment, sort_key, tie)
