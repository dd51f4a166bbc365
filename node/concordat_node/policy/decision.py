"""Reading what OPA said: a literal, valid decision, or a denial. PURE.

Rules of this file (DESIGN section 5):

* Only a literal, schema-valid document counts (policies/schemas/decision.json). A missing field, an extra one, a wrong
  type, a code outside its list: denied.
* `deny` allows NONE or EXISTS, `review` EXISTS or SUMMARY, `permit` SUMMARY or FULL. Any other pair is denied.
* A mask operation that this version does not carry out hides. A mask on a field it does not know denies, because the
  misspelt field would otherwise be shown.
* One class that is not decided is denied alone, because the status of an answer must not depend on classes that the
  requester may not see. Whether OPA answers at all is told by the canary, a class that belongs to nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import TypeVar, get_args

from concordat_node.policy.engine import (
    Decision,
    Grantor,
    Mask,
    Missing,
    Notice,
    Obligation,
    PolicyUnavailable,
    Reason,
    Scope,
    Verdict,
    denied,
)
from concordat_trust.canonical import INTEGER_MAX, Json
from concordat_trust.vocabulary import MASKABLE_FIELDS, NOTICE_MODES, Level

MISSING_DECISION = "decision_missing"
INVALID_DECISION = "decision_invalid"
TEXT_MAX = 1_000
CODE_MAX = 64
LIST_MAX = 100

LEVELS_OF: Mapping[Verdict, frozenset[Level]] = MappingProxyType(
    {
        "deny": frozenset({Level.NONE, Level.EXISTS}),
        "review": frozenset({Level.EXISTS, Level.SUMMARY}),
        "permit": frozenset({Level.SUMMARY, Level.FULL}),
    }
)
CANARY_ID = "canary"
CANARY: Mapping[str, Json] = MappingProxyType(
    {
        "agreements": [],
        "approvals": [],
        "discoverable": "summary",
        "disease": None,
        "embargo_until": "0001-01-01",
        "kind": "dataset",
        "lineage": "complete",
        "modifiers": [],
        "permission": "DUO:0000004",
        "relay_may_read": True,
        "sensitivity": 0,
        "status": "withdrawn",
        "summary_metrics": True,
    }
)
"""A class that no policy may open: withdrawn. It is decided with every request, and must come back denied."""

_FIELDS = frozenset(
    {
        "verdict",
        "level",
        "masks",
        "obligations",
        "reasons",
        "missing",
        "agreement_ids",
        "relay_may_read",
        "valid_until",
    }
)
_T = TypeVar("_T")


class _Invalid(Exception):
    """The document is not a decision; becomes a denial in this file."""


def parse_scope(document: object) -> Scope:
    """Return the scope that a document states. Raises: PolicyUnavailable for anything else."""
    try:
        fields = _object(document, {"admitted", "code", "notice"})
        notice = _object(fields["notice"], {"mode", "code", "contact"})
        admitted = _boolean(fields["admitted"])
        code = None if fields["code"] is None else _text(fields["code"], CODE_MAX)
        if admitted != (code is None):
            raise _Invalid
        return Scope(admitted, code, _notice(notice))
    except _Invalid:
        raise PolicyUnavailable(cause="malformed") from None


def parse_decisions(document: object, class_ids: Iterable[str], now: int) -> dict[str, Decision]:
    """Return one decision per class id; a class without a valid one is denied.

    Raises: PolicyUnavailable when the document is no object or does not deny the canary.
    """
    if not isinstance(document, dict):
        raise PolicyUnavailable(cause="malformed")
    _check_canary(document.get(CANARY_ID), now)
    return {
        class_id: parse_decision(document[class_id], now) if class_id in document else denied(MISSING_DECISION)
        for class_id in class_ids
    }


def parse_page(document: object, size: int, now: int) -> tuple[Decision, ...]:
    """Return the decisions of a page of `size` records; OPA was given the canary after them.

    Raises: PolicyUnavailable when the document is no list of that length or does not deny the canary.
    """
    if not isinstance(document, list) or len(document) != size + 1:
        raise PolicyUnavailable(cause="malformed")
    _check_canary(document[size], now)
    return tuple(parse_decision(item, now) for item in document[:size])


def parse_decision(document: object, now: int) -> Decision:
    """Return the decision that a document states, or a denial when it is not valid literally."""
    try:
        return _decision(_object(document, _FIELDS), now)
    except _Invalid:
        return denied(INVALID_DECISION)


def _check_canary(document: object, now: int) -> None:
    decision = parse_decision(document, now)
    if decision.level is not Level.NONE or INVALID_DECISION in {reason.code for reason in decision.reasons}:
        raise PolicyUnavailable(cause="canary")


def _decision(fields: Mapping[str, object], now: int) -> Decision:
    verdict = _one_of(fields["verdict"], LEVELS_OF)
    level = Level[_one_of(fields["level"], Level.__members__)]
    decision = Decision(
        verdict=verdict,
        level=level,
        masks=_masks(fields["masks"]),
        obligations=_items(fields["obligations"], _obligation),
        reasons=_items(fields["reasons"], _reason),
        missing=_items(fields["missing"], _missing),
        agreement_ids=_items(fields["agreement_ids"], lambda value: _text(value, TEXT_MAX)),
        relay_may_read=_boolean(fields["relay_may_read"]),
        valid_until=None if fields["valid_until"] is None else _seconds(fields["valid_until"]),
    )
    if level not in LEVELS_OF[verdict] or (decision.valid_until is not None and decision.valid_until <= now):
        raise _Invalid
    if verdict == "permit" and decision.missing:
        raise _Invalid
    return decision


def _masks(value: object) -> Mapping[str, Mask]:
    if not isinstance(value, dict) or not value.keys() <= set(MASKABLE_FIELDS):
        raise _Invalid
    for mask in value.values():
        # Other members are parameters of operations that are not carried out; whatever they say, the field is hidden.
        if not isinstance(mask, dict) or not isinstance(mask.get("op"), str):
            raise _Invalid
    return {field: Mask() for field in sorted(value)}


def _obligation(value: object) -> Obligation:
    fields = _object(value, {"code", "text"})
    return Obligation(_text(fields["code"], CODE_MAX), _text(fields["text"], TEXT_MAX))


def _reason(value: object) -> Reason:
    fields = _object(value, {"code", "public"})
    return Reason(_text(fields["code"], CODE_MAX), _boolean(fields["public"]))


def _missing(value: object) -> Missing:
    fields = _object(value, {"code", "who_can_grant"})
    return Missing(_text(fields["code"], CODE_MAX), _one_of(fields["who_can_grant"], get_args(Grantor)))


def _notice(fields: Mapping[str, object]) -> Notice:
    mode = _one_of(fields["mode"], NOTICE_MODES)
    code = None if fields["code"] is None else _text(fields["code"], CODE_MAX)
    contact = None if fields["contact"] is None else _text(fields["contact"], TEXT_MAX)
    if mode == "none" and (code, contact) != (None, None):
        raise _Invalid
    return Notice(mode, code, contact)


def _items(value: object, parse: Callable[[object], _T]) -> tuple[_T, ...]:
    if not isinstance(value, list) or len(value) > LIST_MAX:
        raise _Invalid
    return tuple(parse(item) for item in value)


def _object(value: object, names: Iterable[str]) -> Mapping[str, object]:
    if not isinstance(value, dict) or value.keys() != set(names):
        raise _Invalid
    return value


def _text(value: object, length_max: int) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= length_max:
        raise _Invalid
    return value


def _one_of(value: object, allowed: Iterable[_T]) -> _T:
    for item in allowed:
        if isinstance(value, str) and item == value:
            return item
    raise _Invalid


def _boolean(value: object) -> bool:
    if not isinstance(value, bool):
        raise _Invalid
    return value


def _seconds(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= INTEGER_MAX:
        raise _Invalid
    return value
