"""A sentence as a typed filter, shown back as chips, and the text that was not understood.

Rules of this file:

* Deterministic patterns, no guessing: the parts that are recognised are joined by AND and each becomes a chip with what
  it was taken to mean; everything else stays text, in its order, and is shown as text.
* No word is dropped: every token of the sentence stands either in a chip or in the remaining text. Words that only join
  ("with", "and", "that are") belong to the chip they introduce.
* What a filter cannot say is said so: `warnings` names words of exclusion or alternative that stayed text.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import assert_never

from concordat_node.home.sentence_parts import (
    Part,
    PartKind,
    Tokens,
    conditions_at,
    kind_at,
    metric_at,
    trained_on_at,
)
from concordat_node.home.sentence_tokens import tokens_of
from concordat_node.home.sentence_words import (
    ALTERNATIVES,
    COMPARISON_WORDS,
    CONNECTORS,
    LEADS,
    NEGATORS,
    OTHER_NEGATIONS,
    TOPIC,
)
from concordat_trust.canonical import JsonObject
from concordat_trust.errors import RequesterError
from concordat_trust.filters import (
    And,
    Compare,
    Equals,
    Filter,
    In,
    MetricIs,
    Not,
    Or,
    TrainedOn,
    parse_filter,
    to_json,
)

SENTENCE_MAX = 500
EXCLUSION = "exclusion_not_understood"
ALTERNATIVE = "alternative_not_understood"


class SentenceTooLong(RequesterError):
    code = "sentence_too_long"
    sentence = "The sentence has {length} characters; at most {length_max} are read."
    hint = "Ask in fewer words, or send a typed filter."


@dataclass(frozen=True, slots=True)
class Chip:
    """One understood part: its words, what they mean, and the filter they became."""

    kind: PartKind
    text: str
    meaning: str
    filter: Filter

    def to_json(self) -> JsonObject:
        return {"filter": to_json(self.filter), "kind": self.kind, "meaning": self.meaning, "text": self.text}


@dataclass(frozen=True, slots=True)
class Understood:
    """What a sentence was taken to mean."""

    chips: tuple[Chip, ...]
    text: str
    warnings: tuple[str, ...] = ()

    @property
    def filter(self) -> Filter | None:
        """The chips joined by AND; None when there are none."""
        filters = tuple(chip.filter for chip in self.chips)
        if len(filters) > 1:
            return And(filters)
        return filters[0] if filters else None

    def to_json(self) -> JsonObject:
        return {
            "chips": [chip.to_json() for chip in self.chips],
            "text": self.text,
            "warnings": list(self.warnings),
        }


def understand(sentence: str) -> Understood:
    """Return the chips and the remaining text of a sentence.

    Raises: SentenceTooLong, FilterFieldUnknown, FilterValueInvalid, FilterMalformed, FilterTooLarge, DocumentMalformed.
    """
    if len(sentence) > SENTENCE_MAX:
        raise SentenceTooLong(length=len(sentence), length_max=SENTENCE_MAX)
    tokens = tokens_of(sentence)
    parts = _joined_alternatives(tokens, _parts(tokens, sentence))
    owner = _owners(tokens, parts)
    chips = tuple(_chip(sentence, tokens, part, owner, index) for index, part in enumerate(parts))
    left = [index for index in range(len(tokens)) if owner[index] is None]
    understood = Understood(chips, _cut(sentence, tokens, left), _warnings(tokens, owner))
    if understood.filter is not None:
        parse_filter(to_json(understood.filter))
    return understood


def _parts(tokens: Tokens, sentence: str) -> list[Part]:
    parts: list[Part] = []
    at = 0
    while at < len(tokens):
        part = _part_at(tokens, at, sentence, has_kind=any(part.kind == "kind" for part in parts))
        if part is None:
            at += 1
            continue
        at = part.end
        previous_end = parts[-1].end if parts else 0
        widened = _widened(tokens, part, previous_end)
        if widened is not None:
            parts.append(widened)
    return parts


def _part_at(tokens: Tokens, at: int, sentence: str, *, has_kind: bool) -> Part | None:
    part = conditions_at(tokens, at, sentence) or metric_at(tokens, at) or trained_on_at(tokens, at, sentence)
    if part is None and not has_kind:
        return kind_at(tokens, at)
    return part


def _widened(tokens: Tokens, part: Part, floor: int) -> Part | None:
    # Backwards over the words that join and one negation; None when a negation stands there that no filter can say.
    first, node = part.first, part.filter
    before = _back(tokens, first, floor)
    word = tokens[before - 1].lower if before > floor else ""
    if part.kind != "kind" and word in NEGATORS:
        node, first = Not(node), before - 1
        before = _back(tokens, first, floor)
        word = tokens[before - 1].lower if before > floor else ""
        if word in NEGATORS:
            return None
    if part.kind != "kind" and word in OTHER_NEGATIONS:
        return None
    return replace(part, filter=node, first=_back(tokens, first, floor))


def _back(tokens: Tokens, at: int, floor: int) -> int:
    while at > floor and tokens[at - 1].lower in CONNECTORS:
        at -= 1
    return at


def _joined_alternatives(tokens: Tokens, parts: list[Part]) -> list[Part]:
    # "accuracy above 90% or license:MIT": two parts with nothing but "or" between them are one alternative.
    joined: list[Part] = []
    for part in parts:
        last = joined[-1] if joined else None
        gap = [] if last is None else [token.lower for token in tokens[last.end : part.first]]
        if last is not None and gap and set(gap) <= ALTERNATIVES and "kind" not in (last.kind, part.kind):
            earlier = last.filter.args if isinstance(last.filter, Or) and last.kind == "condition" else (last.filter,)
            joined[-1] = Part("condition", Or((*earlier, part.filter)), last.first, part.end)
        else:
            joined.append(part)
    return joined


def _owners(tokens: Tokens, parts: list[Part]) -> list[int | None]:
    owner: list[int | None] = [None] * len(tokens)
    for index, part in enumerate(parts):
        for at in range(part.first, part.end):
            owner[at] = index
        if part.kind == "kind":
            _take_lead_and_topic(tokens, owner, part, index)
    last = len(tokens) - 1
    while last >= 0 and tokens[last].text in ".?!":
        last -= 1
    if 0 <= last < len(tokens) - 1 and owner[last] is not None:
        owner[last + 1 :] = [owner[last]] * (len(tokens) - last - 1)
    return owner


def _take_lead_and_topic(tokens: Tokens, owner: list[int | None], part: Part, index: int) -> None:
    for at in range(part.first):
        if tokens[at].lower not in LEADS or owner[at] is not None:
            break
        owner[at] = index
    if part.end < len(tokens) and tokens[part.end].lower in TOPIC and owner[part.end] is None:
        owner[part.end] = index


def _chip(sentence: str, tokens: Tokens, part: Part, owner: list[int | None], index: int) -> Chip:
    mine = [at for at in range(len(tokens)) if owner[at] == index]
    return Chip(part.kind, _cut(sentence, tokens, mine, gap=" … "), describe(part.filter), part.filter)


def _cut(sentence: str, tokens: Tokens, kept: list[int], *, gap: str = " ") -> str:
    pieces: list[str] = []
    start = 0
    for position, at in enumerate(kept):
        is_last = position + 1 == len(kept)
        if is_last or kept[position + 1] != at + 1:
            pieces.append(sentence[tokens[kept[start]].start : tokens[at].end])
            start = position + 1
    return gap.join(pieces)


def _warnings(tokens: Tokens, owner: list[int | None]) -> tuple[str, ...]:
    left = {token.lower for token, owned in zip(tokens, owner, strict=True) if owned is None}
    found = []
    if left & (NEGATORS | OTHER_NEGATIONS):
        found.append(EXCLUSION)
    if left & ALTERNATIVES:
        found.append(ALTERNATIVE)
    return tuple(found)


def describe(node: Filter) -> str:
    """Return a filter in words."""
    match node:
        case And(args):
            return " and ".join(_nested(arg) for arg in args)
        case Or(args):
            return " or ".join(_nested(arg) for arg in args)
        case Not(arg):
            return f"not ({describe(arg)})"
        case Equals(field, value):
            return f"{field} is {value}"
        case In(field, values):
            return f"{field} is {' or '.join(values)}"
        case Compare(field, cmp, value):
            return f"{field} {COMPARISON_WORDS[cmp]} {value}"
        case MetricIs(metric, cmp, value):
            return f"{metric} {COMPARISON_WORDS[cmp]} {value}"
        case TrainedOn(text):
            return f"trained on “{text}”"
        case _:
            assert_never(node)


def _nested(node: Filter) -> str:
    return f"({describe(node)})" if isinstance(node, And | Or) else describe(node)
