"""What a filter may read of a card or asset as disclosed: the same three values its owner's index works with.

A masked field is *unknown*. What a projection does not carry (trained on, cohort size of a card) is unknown too, so a
reader can only ever be sure that a record does not match, never claim that it does.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from concordat_trust.canonical import JsonObject


@dataclass(frozen=True, slots=True)
class CardReader:
    """A `filters.FieldReader` over a record that passed `validate_record`."""

    card: JsonObject

    def exact(self, field: str) -> tuple[str, ...] | None:
        value = self.card.get("keywords" if field == "keyword" else field)
        if isinstance(value, list):
            return tuple(str(item) for item in value)
        if isinstance(value, str):
            return (value,) if value else ()
        return None

    def ordered(self, field: str) -> str | Decimal | None:
        value = self.card.get(field)
        if isinstance(value, int):
            return Decimal(value)
        return value if isinstance(value, str) and value else None

    def evaluations(self) -> tuple[tuple[str, Decimal, str], ...] | None:
        entries = self.card["evaluations"]
        if not isinstance(entries, list):
            return None
        found = [(e.get("metric"), e.get("value"), e.get("split")) for e in entries if isinstance(e, dict)]
        return tuple(
            (metric, Decimal(value), split)
            for metric, value, split in found
            if isinstance(metric, str) and isinstance(value, str) and isinstance(split, str)
        )

    def trained_on(self, text: str) -> bool | None:
        """Unknown: edges are not on a card, and the titles on an asset are not all the text that was matched."""
        return None
