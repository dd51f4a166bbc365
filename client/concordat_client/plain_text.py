"""Printing: text from elsewhere passes `plain`; what is printed as JSON is escaped to ASCII instead."""

from __future__ import annotations

import json

from concordat_trust.canonical import Json
from concordat_trust.plain_text import LENGTH_MAX, MARKS_MAX, REPLACEMENT, plain

__all__ = ["LENGTH_MAX", "MARKS_MAX", "REPLACEMENT", "as_json", "plain"]


def as_json(value: Json) -> str:
    """Return one line of JSON in ASCII, so that nothing in it reaches the terminal as it is."""
    return json.dumps(value, ensure_ascii=True, sort_keys=True)
