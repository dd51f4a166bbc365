"""Warning the node's operator of what runs out: a finding of doctor, a line of the log."""

from __future__ import annotations

import logging

from concordat_node.errors import SignatureRunsOut
from concordat_trust.bundle.countdown import DAY_S
from concordat_trust.bundle.deadlines import deadlines, due
from concordat_trust.bundle.trusted import TrustedBundle
from concordat_trust.ids import OrgId

_log = logging.getLogger("concordat.node")


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


class DeadlineWatch:
    """Logs what runs out, once a day and when it changes: a poll every few seconds must not bury the other lines."""

    def __init__(self, organization: OrgId) -> None:
        self._organization = organization
        self._told: object = None

    def look(self, bundle: TrustedBundle, at: int) -> None:
        """Log the warnings of this state, unless they were logged today."""
        warned = due(bundle, at, members=(self._organization,))
        told = (at // DAY_S, tuple((deadline.kind, deadline.member, deadline.expires_at) for deadline in warned))
        if told == self._told:
            return
        self._told = told
        for deadline in warned:
            _log.warning("%s: %s", deadline.words(at), deadline.remedy)
