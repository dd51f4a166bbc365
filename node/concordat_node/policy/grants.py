"""Whom an agreement or approval names, and what of it a policy is given: nothing about anybody else. PURE.

Rules of this file:

* A grant that does not name the requester decides nothing about them. It never reaches a policy, because the records of
  strangers must not make a decision slower, and so must not decide whether there is one.
* Who is named is decided by the Rego (`agreement._covers`, `approval._held`). It is repeated here only to bound what is
  sent: a grant left out by mistake denies, and one that is sent is still decided there.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from concordat_node.policy.engine import DecisionRequest, Requester

if TYPE_CHECKING:
    from concordat_node.registry.records import Subject


def with_own_grants(request: DecisionRequest) -> DecisionRequest:
    """Return the request with the agreements and approvals that name its requester, and no other party of them."""
    requester = request.requester
    agreements = {
        key: replace(
            agreement,
            members=members,
            parties=tuple(party for party in agreement.parties if party == requester.organization),
        )
        for key, agreement in request.agreements.items()
        if (members := _naming(agreement.members, requester))
    }
    approvals = {
        key: replace(approval, holders=holders)
        for key, approval in request.approvals.items()
        if (holders := _naming(approval.holders, requester))
    }
    return replace(request, agreements=agreements, approvals=approvals)


def turning_points(request: DecisionRequest) -> tuple[int, ...]:
    """Return the seconds at which an agreement or approval of the requester begins or ends; a decision may change."""
    agreements = [time for item in request.agreements.values() for time in (item.valid_from, item.valid_until)]
    approvals = [time for item in request.approvals.values() for time in (item.approved_at, item.expires_at)]
    return (*agreements, *approvals)


def _naming(subjects: Iterable[Subject], requester: Requester) -> tuple[Subject, ...]:
    return tuple(
        (organization, pseudonym)
        for organization, pseudonym in subjects
        if organization == requester.organization and pseudonym in {None, requester.pseudonym}
    )
