"""The subject of a decision: verified, flattened claims only.

Rules of this file:

* Pure. Affiliation, role, clearance and sign-in come from the token, whose verification already refused what its
  issuer may not assert. Visas were verified against the bundle's issuers. Country and kind of organization come from
  the trust bundle, never from the token.
* Nothing else of the token reaches a policy: no header, no presenter, no audience.
"""

from __future__ import annotations

from concordat_node.policy.engine import Requester
from concordat_trust.bundle.trusted import TrustedBundle
from concordat_trust.query_token import VerifiedToken
from concordat_trust.visas import VisaFact
from concordat_trust.vocabulary import OrganizationType


def requester_of(token: VerifiedToken, bundle: TrustedBundle, visas: tuple[VisaFact, ...] = ()) -> Requester:
    """Return the subject a policy decides about; `visas` are verified.

    Raises: the bundle's refusals for an issuer that is not a member.
    """
    member = bundle.member(token.issuer)
    return Requester(
        organization=token.issuer,
        pseudonym=token.subject,
        affiliation=token.claims.affiliation,
        role=token.claims.role,
        clearance=token.claims.clearance,
        country=member.country,
        organization_type=_organization_type(member.organization_type),
        auth_time=token.claims.auth_time,
        acr=token.claims.acr,
        visas=visas,
    )


def _organization_type(value: str) -> OrganizationType:
    # The bundle's parser admits these three only; anything else would be treated as the one with the fewest rights.
    match value:
        case "nonprofit" | "public":
            return value
        case _:
            return "commercial"
