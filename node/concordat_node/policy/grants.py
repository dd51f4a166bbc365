"""Whom an agreement or approval names, and what of it a policy is given: nothing about anybody else. PURE.

Rules of this file:

* A grant that does not name the requester decides nothing about them. It never reaches a policy, because the records of
  strangers must not make a decision slower, and so must not decide whether there is one.
* Who is named is decided by the Rego (`agreement._covers`, `approval._held`). It is repeated here only to bound what is
  sent: a grant left out by mistake denies, and one that is sent is still decided there.
* An agreement is also given to whom a visa of the node's own organization makes a member of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from concordat_node.policy.engine import DecisionRequest, Requester
from concordat_trust.ids import OrgId

if TYPE_CHECKING:
    from concordat_node.registry.records import Subject


def with_own_grants(request: DecisionRequest) -> DecisionRequest:
    """Return the request with the agreements and approvals that name its requester, and no other party of them."""
    requester = request.requester
    granted = {visa.value for visa in requester.visas if visa.organization == request.organization}
    agreements = {
        key: replace(
            agreement,
            members=members,
            parties=tuple(party for party in agreement.parties if party == requester.organization),
        )
        for key, agreement in request.agreements.items()
        if (members := _naming(agreement.members, requester)) or agreement_urn(request.organization, key) in granted
    }
    approvals = {
        key: replace(approval, holders=holders)
        for key, approval in request.approvals.items()
        if (holders := _naming(approval.holders, requester))
    }
    return replace(request, agreements=agreements, approvals=approvals)


def turning_points(request: DecisionRequest) -> tuple[int, ...]:
    """Return the seconds at which a grant, visa or recent sign-in of the requester begins or ends."""
    agreements = [time for item in request.agreements.values() for time in (item.valid_from, item.valid_until)]
    approvals = [time for item in request.approvals.values() for time in (item.approved_at, item.expires_at)]
    visas = [visa.expires_at for visa in request.requester.visas]
    auth_time = request.requester.auth_time
    recent = [] if auth_time is None else [auth_time + request.node_policy.sign_in.age_max_s]
    return (*agreements, *approvals, *visas, *recent)


def agreement_urn(organization: OrgId, agreement_id: str) -> str:
    """Return the `value` of the ControlledAccessGrants visa that makes its holder a member of an agreement."""
    return f"urn:concordat:{organization}:agreement:{agreement_id}"


def _naming(subjects: Iterable[Subject], requester: Requester) -> tuple[Subject, ...]:
    return tuple(
        (organization, pseudonym)
        for organization, pseudonym in subjects
        if organization == requester.organization and pseudonym in {None, requester.pseudonym}
    )
