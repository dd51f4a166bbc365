"""The conditions of a visa: alternatives of clauses, each to be met by one other visa (GA4GH Passport, "conditions").

Rules of this file:

* A clause has a `type`, compared as it is, and at least one of `value`, `source`, `by`, each `const:`, `pattern:` or
  `split_pattern:`. Another field or prefix makes the clause one that nothing meets, never one that is skipped.
* In a pattern `?` is one character and `*` any number; there is no escape. Matching takes time in proportion to the
  product of the lengths, whatever the pattern; how much of it a passport may ask for is bounded by who compares.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from concordat_trust.visa_errors import VisaMalformed

ALTERNATIVES_MAX: Final = 20
CLAUSES_MAX: Final = 20
PATTERN_MAX: Final = 500
FIELDS: Final = ("by", "source", "value")

Clause = Mapping[str, str]
Conditions = tuple[tuple[Clause, ...], ...]


def read_conditions(value: object) -> Conditions:
    """Return the alternatives of a `conditions` member. Raises: VisaMalformed."""
    if not isinstance(value, list) or not 0 < len(value) <= ALTERNATIVES_MAX:
        raise VisaMalformed(field="conditions")
    return tuple(_clauses(alternative) for alternative in value)


def _clauses(alternative: object) -> tuple[Clause, ...]:
    # An alternative without clauses would be met by nothing at all, which is: always.
    if not isinstance(alternative, list) or not 0 < len(alternative) <= CLAUSES_MAX:
        raise VisaMalformed(field="conditions")
    return tuple(_clause(clause) for clause in alternative)


def _clause(clause: object) -> Clause:
    if not isinstance(clause, dict) or not isinstance(clause.get("type"), str) or len(clause) < 2:
        raise VisaMalformed(field="conditions")
    if not all(isinstance(text, str) and len(text) <= PATTERN_MAX for text in clause.values()):
        raise VisaMalformed(field="conditions")
    return clause


def is_met_by(clause: Clause, visa: Mapping[str, str]) -> bool:
    """Return whether one visa meets every field of the clause."""
    if clause["type"] != visa["type"]:
        return False
    return all(name in FIELDS and _matches(text, visa[name]) for name, text in clause.items() if name != "type")


def _matches(wanted: str, text: str) -> bool:
    prefix, _, suffix = wanted.partition(":")
    match prefix:
        case "const":
            return suffix == text
        case "pattern":
            return matches_pattern(suffix, text)
        case "split_pattern":
            return any(matches_pattern(suffix, piece) for piece in text.split(";"))
        case _:
            return False


def matches_pattern(pattern: str, text: str) -> bool:
    """Return whether the whole text fits the pattern."""
    return _compiled(pattern).fullmatch(text) is not None


@lru_cache(maxsize=128)
def _compiled(pattern: str) -> re.Pattern[str]:
    # What stands between two stars is taken where it comes first, and never again elsewhere: (?>…) does not go back.
    pieces = [re.escape(piece).replace(r"\?", ".") for piece in re.sub(r"\*+", "*", pattern).split("*")]
    first, between, last = pieces[0], pieces[1:-1], pieces[-1]
    if len(pieces) == 1:
        return re.compile(first, re.DOTALL)
    return re.compile(f"{first}{''.join(f'(?>.*?{piece})' for piece in between)}.*{last}", re.DOTALL)


def size_of(conditions: Conditions) -> int:
    """Return how many characters there are to be compared with each visa."""
    return sum(len(text) for clauses in conditions for clause in clauses for text in clause.values())
