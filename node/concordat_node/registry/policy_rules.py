"""The `policy` object of an import line: read whole or refused, never filled in towards more access.

Rules of this file:

* What can only tighten must be written (permission, modifiers, agreements, approvals, embargo, status, sensitivity), so
  that leaving it out is an error and not an opening; what can only widen is closed when it is left out.
* DUO codes are numbers, never labels. A code outside the tables of `vocabulary.py` but of the right form is kept: the
  policy answers it with *review*. Anything else is refused here.
* Every list has a limit: each class is decided for every requester, so a large one would be a cost that others notice.
* A DUO permission among the modifiers would be a second permission, and is refused.
"""

from __future__ import annotations

import datetime
import re

from concordat_node.registry.errors import (
    DuoCodeUnknown,
    DuoDiseaseMismatch,
    DuoModifierRepeated,
    DuoPermissionCount,
)
from concordat_node.registry.records import (
    ASSET_STATUSES,
    DISCOVERABLE,
    LINEAGE_SHOWN,
    NO_EMBARGO,
    AssetStatus,
    Discoverable,
    LineageShown,
    Modifier,
    PolicyAttributes,
)
from concordat_trust.ids import AssetKind
from concordat_trust.shape import Shape
from concordat_trust.vocabulary import DUO_MODIFIERS, DUO_PERMISSIONS, Clearance

MODIFIERS_MAX = 10
PARAMETERS_MAX = 32
"""Of one modifier: a region of 30 countries, as large as the European Economic Area, can still be written."""
CLASS_PARAMETERS_MAX = 64
"""Of all modifiers of a class together: deciding costs most for parameters."""
PARAMETER_LENGTH_MAX = 80
AGREEMENTS_MAX = 50
APPROVALS_MAX = 20
DISEASE_LENGTH_MAX = 60

DISEASE_SPECIFIC = "DUO:0000007"
_DUO = re.compile(r"DUO:[0-9]{7}")
_GRANT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,79}")
_DISEASE = re.compile(r"[A-Za-z][A-Za-z0-9_.]*:[A-Za-z0-9_.-]+")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def read_policy(shape: Shape, kind: AssetKind) -> PolicyAttributes:
    """Return the policy attributes, lists in their one order. Raises: DocumentMalformed and the DUO refusals."""
    permission = read_permission(shape)
    attributes = PolicyAttributes(
        kind=kind,
        sensitivity=shape.integer("sensitivity", minimum=min(Clearance), maximum=max(Clearance)),
        permission=permission,
        disease=_disease(shape, permission),
        modifiers=_modifiers(shape),
        agreements=_grant_ids(shape, "agreements", AGREEMENTS_MAX),
        approvals=_grant_ids(shape, "approvals", APPROVALS_MAX),
        discoverable=_discoverable(shape),
        summary_metrics=_closed_unless_true(shape, "summary_metrics"),
        relay_may_read=_closed_unless_true(shape, "relay_may_read"),
        embargo_until=NO_EMBARGO if shape.value("embargo_until") is None else read_day(shape, "embargo_until"),
        status=_status(shape),
        lineage=_lineage(shape),
    )
    shape.finish()
    return attributes.in_order()


def read_permission(shape: Shape) -> str:
    """Return the one DUO permission code. Raises: DuoPermissionCount, DuoCodeUnknown, DocumentMalformed."""
    value = shape.value("permission")
    if isinstance(value, list):
        raise DuoPermissionCount(field="policy.permission")
    code = shape.text("permission")
    if not _DUO.fullmatch(code):
        raise DuoCodeUnknown(field="policy.permission")
    if code in DUO_MODIFIERS:
        raise DuoPermissionCount(field="policy.permission")
    return code


def read_day(shape: Shape, name: str) -> str:
    """Return a calendar day as "YYYY-MM-DD". Raises: DocumentMalformed."""
    value = shape.text(name)
    try:
        if _DAY.fullmatch(value):
            datetime.date.fromisoformat(value)
            return value
    except ValueError:
        pass
    raise shape.refuse(name, "is not a day such as 2026-01-31")


def read_text(shape: Shape, name: str, *, length_max: int, length_min: int = 0) -> str:
    """Return a text that can be shown in a terminal and stored anywhere. Raises: DocumentMalformed."""
    value = shape.text(name, length_max=length_max, length_min=length_min)
    if _CONTROL.search(value):
        raise shape.refuse(name, "has a control character")
    return value


def read_grant_id(shape: Shape, name: str) -> str:
    """Return the id of an agreement or approval. Raises: DocumentMalformed."""
    value = shape.text(name)
    if not _GRANT_ID.fullmatch(value):
        raise shape.refuse(name, "is not 1 to 80 letters, digits and . _ : / -, beginning with a letter or digit")
    return value


def _disease(shape: Shape, permission: str) -> str | None:
    value = shape.optional_text("disease", length_max=DISEASE_LENGTH_MAX)
    is_needed = permission == DISEASE_SPECIFIC
    if (is_needed and value is None) or (value is not None and not is_needed and permission in DUO_PERMISSIONS):
        raise DuoDiseaseMismatch(field="policy.disease")
    if value is not None and not _DISEASE.fullmatch(value):
        raise shape.refuse("disease", "is not a term id such as MONDO:0007254")
    return value


def _modifiers(shape: Shape) -> tuple[Modifier, ...]:
    modifiers = tuple(_modifier(item) for item in shape.objects("modifiers", count_max=MODIFIERS_MAX))
    if len({modifier.code for modifier in modifiers}) != len(modifiers):
        raise DuoModifierRepeated(field="policy.modifiers")
    if sum(len(modifier.parameters) for modifier in modifiers) > CLASS_PARAMETERS_MAX:
        raise shape.refuse("modifiers", f"has more than {CLASS_PARAMETERS_MAX} parameters altogether")
    return modifiers


def _modifier(shape: Shape) -> Modifier:
    code = shape.text("code")
    if not _DUO.fullmatch(code):
        raise DuoCodeUnknown(field="policy.modifiers")
    if code in DUO_PERMISSIONS:
        raise DuoPermissionCount(field="policy.modifiers")
    items = shape.objects("parameters", count_max=PARAMETERS_MAX) if shape.has("parameters") else ()
    parameters = tuple(_parameter(item) for item in items)
    shape.finish()
    return Modifier(code, parameters)


def _parameter(shape: Shape) -> tuple[str, str]:
    name = read_text(shape, "name", length_min=1, length_max=PARAMETER_LENGTH_MAX)
    value = read_text(shape, "value", length_min=1, length_max=PARAMETER_LENGTH_MAX)
    shape.finish()
    return name, value


def _grant_ids(shape: Shape, name: str, count_max: int) -> tuple[str, ...]:
    ids = shape.texts(name, count_max=count_max)
    if not all(_GRANT_ID.fullmatch(item) for item in ids):
        raise shape.refuse(name, "names something that is not the id of an agreement or approval")
    return ids


def _discoverable(shape: Shape) -> Discoverable:
    if not shape.has("discoverable"):
        return "none"
    return "summary" if shape.one_of("discoverable", DISCOVERABLE) == "summary" else "none"


def _lineage(shape: Shape) -> LineageShown:
    value = shape.one_of("lineage", LINEAGE_SHOWN) if shape.has("lineage") else "closed"
    return next(shown for shown in LINEAGE_SHOWN if shown == value)


def _closed_unless_true(shape: Shape, name: str) -> bool:
    return shape.boolean(name) if shape.has(name) else False


def _status(shape: Shape) -> AssetStatus:
    value = shape.one_of("status", ASSET_STATUSES)
    for status in ASSET_STATUSES:
        if value == status:
            return status
    raise shape.refuse("status", "is not known")
