"""Telling the log of a party what runs out, once a day and when it changes.

A poll every few seconds must not bury the other lines.
"""

from __future__ import annotations

import logging

from concordat_trust.bundle.countdown import DAY_S
from concordat_trust.bundle.deadlines import due
from concordat_trust.bundle.trusted import TrustedBundle
from concordat_trust.ids import OrgId


class DeadlineWatch:
    """The warnings that concern one party: its own, and what the keyholders must sign for everybody."""

    def __init__(self, organization: OrgId, log: logging.Logger) -> None:
        self._organization = organization
        self._log = log
        self._told: object = None

    def look(self, bundle: TrustedBundle, at: int) -> None:
        """Log the warnings of this state, unless they were logged today."""
        warned = due(bundle, at, members=(self._organization,))
        told = (at // DAY_S, tuple((deadline.kind, deadline.member, deadline.expires_at) for deadline in warned))
        if told == self._told:
            return
        self._told = told
        for deadline in warned:
            self._log.warning("%s: %s", deadline.words(at), deadline.remedy)
