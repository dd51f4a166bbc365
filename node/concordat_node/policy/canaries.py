"""Known decisions: what an OPA must answer before it is asked anything that counts. PURE.

One class that everybody may see must be permitted and one that nobody may see must be denied, by the same rule and for
the same person. An OPA that loaded nothing, or the wrong text, fails one of the two.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from concordat_node.policy.decision import CANARY, CANARY_ID, parse_decisions, parse_scope
from concordat_node.policy.engine import DecisionRequest, NodePolicy, PolicyUnavailable, Requester
from concordat_node.policy.opa_engine import CLASSES_RULE, SCOPE_RULE
from concordat_trust.canonical import JsonObject
from concordat_trust.ids import OrgId
from concordat_trust.question import Purpose
from concordat_trust.vocabulary import Clearance, Level

_NOW = 1_800_000_000
_PERMITTED_ID = "canary-permitted"
_NOT_ASKED = frozenset({"timeout", "unreachable"})


async def canaries_hold(evaluate: Callable[[str, JsonObject], Awaitable[object]]) -> bool:
    """Return whether a known-permit and a known-deny come out as they must, in scope and in decisions.

    Raises: PolicyUnavailable when OPA could not be asked; a slow start is not a wrong decision.
    """
    request = _request().to_json()
    permitted: JsonObject = {**CANARY, "status": "active"}
    classes: JsonObject = {CANARY_ID: dict(CANARY), _PERMITTED_ID: permitted}
    try:
        scope = parse_scope(await evaluate(SCOPE_RULE, request))
        outside = parse_scope(await evaluate(SCOPE_RULE, {**request, "purpose": Purpose("CC").to_json()}))
        document = await evaluate(CLASSES_RULE, {**request, "classes": classes})
        decision = parse_decisions(document, [_PERMITTED_ID], _NOW)[_PERMITTED_ID]
    except PolicyUnavailable as error:
        if error.fields["cause"] in _NOT_ASKED:
            raise
        return False
    return scope.admitted and not outside.admitted and decision.level is Level.FULL


def _request() -> DecisionRequest:
    return DecisionRequest(
        requester=Requester(
            organization=OrgId.parse("canary"),
            pseudonym="canary",
            affiliation="canary",
            role="canary",
            clearance=Clearance.PUBLIC,
            country="",
            organization_type="public",
        ),
        purpose=Purpose("GRU"),
        now=_NOW,
        organization=OrgId.parse("canary"),
        node_policy=NodePolicy(purposes_admitted=("GRU",)),
        agreements={},
        approvals={},
    )
