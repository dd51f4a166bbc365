"""Cutting a sentence into tokens that remember where they stood, so that nothing can get lost.

A token is a typed condition (`license:MIT`, `accuracy>=0.9`), a quoted text, a number with its unit, a word, or one
character of anything else. Between tokens there is only white space.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

TokenKind = Literal["condition", "quoted", "number", "word", "mark"]

_ITEM = r"""[^\s()",;]*[^\s()",;.?!]"""
_COMPARE = r"(?:>=|<=|=|>|<|≥|≤)"
_CONDITION = rf"""
      [A-Za-z][A-Za-z_-]*:(?!//) [A-Za-z0-9_]* \s* {_COMPARE} \s* {_ITEM}
    | [A-Za-z][A-Za-z_-]*:(?!//) (?: "[^"]*" | {_ITEM} (?: ,{_ITEM} )* )
    | [A-Za-z][A-Za-z0-9_]* {_COMPARE} {_ITEM}
"""
CONDITION = re.compile(_CONDITION, re.VERBOSE)
_TOKEN = re.compile(
    rf"""
      (?P<condition> {_CONDITION} )
    | (?P<quoted> "[^"]*" )
    | (?P<number> (?<![\w.]) (?: \d+ (?: \.\d+ )? | \.\d+ ) (?: \s?% )? (?! [\w.-]*\w | ,\d ) )
    | (?P<word> \w+ (?: [-'’./+\#]\w+ )* )
    | (?P<mark> >= | <= | \S )
    """,
    re.VERBOSE,
)


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of the sentence: `text` is exactly `sentence[start:end]`."""

    kind: TokenKind
    text: str
    start: int
    end: int

    @property
    def lower(self) -> str:
        return self.text.casefold()


def tokens_of(sentence: str) -> tuple[Token, ...]:
    """Return the tokens of a sentence in order; together they hold every character that is not white space."""
    found: list[Token] = []
    for match in _TOKEN.finditer(sentence):
        kind: TokenKind = match.lastgroup  # type: ignore[assignment]  # the pattern's groups are the literals of TokenKind
        found.append(Token(kind, match.group(), match.start(), match.end()))
    return tuple(found)
