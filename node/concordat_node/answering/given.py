"""The answer as it stands when everything is decided, logged and signed."""

from __future__ import annotations

from dataclasses import dataclass

from concordat_node.access.gate import Released


@dataclass(frozen=True, slots=True)
class GivenAnswer:
    """An attested answer; `results` in the order of the attestation's candidates, `receipt` of its log entry.

    With `sealed` everything that follows from records is in it, and nothing of it beside.
    """

    attestation: str
    results: tuple[Released, ...]
    receipt: str
    cursor: str | None = None
    sealed: str | None = None
