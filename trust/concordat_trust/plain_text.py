"""Making text from elsewhere safe to show: it can neither move the cursor, nor hide, nor turn the line around.

Titles, names, notices and even error texts come from other organizations. Control characters (ANSI sequences begin with
one), invisible and bidirectional format characters, surrogates and private characters become U+FFFD; line breaks become
spaces; long runs of combining marks are cut. A page escapes what comes out of here as well.
"""

from __future__ import annotations

import unicodedata

LENGTH_MAX = 2_000
MARKS_MAX = 3
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})
_BREAKS = frozenset({"Zl", "Zp"})
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def plain(value: object, *, length_max: int = LENGTH_MAX) -> str:
    """Return text that prints as itself on one line; longer text ends in an ellipsis."""
    text = value if isinstance(value, str) else str(value)
    shown: list[str] = []
    marks = 0
    for character in text[: length_max + 1]:
        category = unicodedata.category(character)
        marks = marks + 1 if category in ("Mn", "Me") else 0
        if character in "\t\n\r" or category in _BREAKS:
            shown.append(" ")
        elif category in _HIDDEN:
            shown.append(REPLACEMENT)
        elif marks <= MARKS_MAX:
            shown.append(character)
    return "".join(shown) if len(text) <= length_max else "".join(shown[:length_max]) + "…"
