"""The finding of `node doctor` about what runs out; the log is told by `concordat_trust.bundle.deadline_watch`."""

from __future__ import annotations

from concordat_node.errors import SignatureRunsOut
from concordat_trust.bundle.deadlines import deadlines, due
from concordat_trust.bundle.trusted import TrustedBundle
from concordat_trust.ids import OrgId


def deadline_finding(bundle: TrustedBundle, organization: OrgId, at: int) -> str:
    """Return what runs out first. Raises: SignatureRunsOut when it is soon and this organization's own to sign."""
    warned = due(bundle, at, members=(organization,))
    own = [deadline for deadline in warned if deadline.member is not None]
    if own:
        raise SignatureRunsOut(what=own[0].words(at), organization=organization)
    if warned:
        return "; ".join(f"{deadline.words(at)}: {deadline.remedy}" for deadline in warned)
    nearest = next(d for d in deadlines(bundle) if d.member in (None, organization))
    return f"nothing runs out soon; first {nearest.words(at)}"
