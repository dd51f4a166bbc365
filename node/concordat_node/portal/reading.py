"""Reading results that this node wrote and records that others wrote: what has an unexpected shape is nothing."""

from __future__ import annotations

from collections.abc import Mapping

from concordat_trust.canonical import Json

Object = Mapping[str, Json]


def obj(value: Json) -> dict[str, Json]:
    """Return the object, or an empty one."""
    return value if isinstance(value, dict) else {}


def objects(value: Json) -> list[dict[str, Json]]:
    """Return the objects of a list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def texts(value: Json) -> tuple[str, ...]:
    """Return the texts of a list."""
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()


def text(value: Json) -> str:
    """Return the text, or an empty one."""
    return value if isinstance(value, str) else ""


def number(value: Json) -> int | None:
    """Return the whole number, or None."""
    return value if isinstance(value, int) and not isinstance(value, bool) else None
