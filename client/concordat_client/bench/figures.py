"""A figure beside its reference, and whether what is committed is met.

`ratio` is value over reference, both measured in the same run. What is committed to is a ratio, or the value itself
where the figure is an absolute one (`is_absolute`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from concordat_client.exits import Exit
from concordat_trust.canonical import Json


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table of DESIGN section 11."""

    name: str
    value: float
    unit: str
    reference: float
    committed: float
    aim: float
    is_absolute: bool = False

    @property
    def ratio(self) -> float:
        return self.value / self.reference

    @property
    def ok(self) -> bool:
        return (self.value if self.is_absolute else self.ratio) <= self.committed

    def to_json(self) -> dict[str, float | str | bool]:
        return {
            "value": round(self.value, 3),
            "unit": self.unit,
            "reference": round(self.reference, 3),
            "ratio": round(self.ratio, 4),
            "committed": round(self.committed, 4),
            "aim": round(self.aim, 4),
            "ok": self.ok,
        }


def exit_of(figures: Sequence[Figure]) -> Exit:
    """Return 7 when a committed figure is missed."""
    return Exit.DONE if all(figure.ok for figure in figures) else Exit.FINDING


def to_json(figures: Sequence[Figure]) -> Mapping[str, Json | Mapping[str, object]]:
    """Return what `--json` prints."""
    return {"figures": {figure.name: figure.to_json() for figure in figures}}


_COLUMNS = ("figure", "value", "unit", "reference", "ratio", "committed", "aim", "")


def table(figures: Sequence[Figure]) -> str:
    """Return the figures as text, one line each."""
    rows = [_COLUMNS, *(_row(figure) for figure in figures)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    lines = []
    for row in rows:
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def _row(figure: Figure) -> tuple[str, ...]:
    unit = f" {figure.unit}" if figure.is_absolute else " ×"
    return (
        figure.name,
        f"{figure.value:.1f}",
        figure.unit,
        f"{figure.reference:.1f}",
        f"{figure.ratio:.3g}",
        f"≤ {figure.committed:.3g}{unit}",
        f"≤ {figure.aim:.3g}{unit}",
        "met" if figure.ok else "MISSED",
    )
