"""The visas that an identity provider hands over at a sign-in: the claim `ga4gh_passport_v1` (GA4GH Passport 1.2).

Nothing is verified here: each visa is, whenever it is used, against the issuers of the bundle in force then. A claim of
another form or size is no reason to refuse the sign-in; the person just has no visas, and the node's log says so.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

from concordat_node.home.settings import PASSPORT_SCOPE
from concordat_trust.visa_errors import PassportTooLarge, VisaMalformed
from concordat_trust.visas import VISA_CHARS_MAX, VISAS_MAX

_log = logging.getLogger("concordat.node.home")


def visas_handed_over(claims: Mapping[str, object]) -> tuple[str, ...]:
    """Return the visas of a sign-in, as they came."""
    passport = claims.get(PASSPORT_SCOPE)
    if passport is None:
        return ()
    if not isinstance(passport, list) or not all(isinstance(visa, str) and visa.isascii() for visa in passport):
        _log.warning("passport left out: %s", VisaMalformed.code)
        return ()
    if len(passport) > VISAS_MAX or any(len(visa) > VISA_CHARS_MAX for visa in passport):
        _log.warning("passport left out: %s", PassportTooLarge.code)
        return ()
    return tuple(passport)
