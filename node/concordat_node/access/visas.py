"""The visas that came with a question, opened and verified here, against the issuers of this node's own bundle.

Rules of this file:

* They were sealed to this node for this token and question; the token binds the part that holds them.
* Whatever does not open or verify counts for nothing and refuses nothing: a question without visas is a good question.
  What was refused is written to this node's own log, as codes.
* What is found depends on what the requester sent and on the bundle, never on what the node holds.
"""

from __future__ import annotations

import logging

from concordat_node.access.request_check import Admitted
from concordat_trust.ids import OrgId
from concordat_trust.question import Part
from concordat_trust.sealed_visas import VisasContext, open_visas
from concordat_trust.sealing import SealBroken, SealingKey
from concordat_trust.visa_issuer import own_first
from concordat_trust.visas import VisaFact, verify_visas

_log = logging.getLogger("concordat.node.access")


def visa_facts(
    admitted: Admitted, part: Part, *, organization: OrgId, key: SealingKey, now: int
) -> tuple[VisaFact, ...]:
    """Return what the requester's visas say, in a fixed order."""
    if part.visas is None:
        return ()
    context = VisasContext(organization, admitted.token.token_id, admitted.token.question_hash)
    try:
        carried = open_visas(part.visas, key=key, context=context)
    except SealBroken as error:
        _log.info("visas of %s: %s", admitted.token.issuer, error.code)
        return ()
    issuers = own_first(admitted.bundle.visa_issuers, organization)
    passport = verify_visas(carried.visas, issuers=issuers, person=carried.person, now=now)
    for code in sorted({error.code for error in passport.refused}):
        _log.info("visas of %s: %s", admitted.token.issuer, code)
    return passport.facts
