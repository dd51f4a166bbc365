"""What an answer tells of records: in the open, or sealed for home as a whole.

Rules of this file:

* One or the other, never a mixture: totals and keys in the open would tell a relay about records that it may not read.
* What is sealed is padded, and its cursors are one for each candidate, all of one length: neither the answer nor the
  question for its next page shows a number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from concordat_node.access.gate import Release, Released
from concordat_trust.attestation import Candidate, CitedAgreement
from concordat_trust.encoding import sha256_b64u
from concordat_trust.result_checks import OpenResult
from concordat_trust.sealed_part import CURSOR_SEPARATOR, SealedPart
from concordat_trust.sealing import SealContext, seal_text


@dataclass(frozen=True, slots=True)
class Told:
    """What stands outside, and the sealed part as it travels; of a sealed answer nothing else is said outside."""

    items: tuple[Released, ...] = ()
    total: int | None = None
    facets: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    candidates: tuple[Candidate, ...] = ()
    agreements: tuple[CitedAgreement, ...] = ()
    valid_until: int | None = None
    cursor: str | None = None
    sealed: str | None = None
    sealed_sha256: str | None = None


def told_openly(release: Release, total: int | None, cursor: str | None) -> Told:
    """Return what everybody on the way may read."""
    return Told(
        items=release.items,
        total=total,
        facets=release.facets,
        candidates=_candidates(release),
        agreements=_agreements(release),
        valid_until=release.valid_until,
        cursor=cursor,
    )


def told_to_home(
    release: Release, total: int | None, cursors: Sequence[str] | None, *, fresh: str, to: str, place: SealContext
) -> Told:
    """Return the same for the holder of the key `to` alone; `fresh` are random bytes. Raises: SealTooLarge."""
    part = SealedPart(
        fresh=fresh,
        total=total,
        facets=release.facets,
        candidates=_candidates(release),
        agreements=_agreements(release),
        valid_until=release.valid_until,
        cursor=None if cursors is None else CURSOR_SEPARATOR.join(cursors),
        results=tuple(OpenResult(item.salt, dict(item.record.fields)) for item in release.items),
    )
    text = part.to_text()
    return Told(sealed=seal_text(text, to=to, context=place), sealed_sha256=sha256_b64u(text))


def _candidates(release: Release) -> tuple[Candidate, ...]:
    return tuple(Candidate(item.commitment, item.sort_key, item.tie) for item in release.items)


def _agreements(release: Release) -> tuple[CitedAgreement, ...]:
    return tuple(CitedAgreement(item, digest) for item, digest in release.agreements)
