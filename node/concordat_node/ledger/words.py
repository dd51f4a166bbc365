"""One entry of the disclosure log on one line, for an operator; `--json` has all of it."""

from __future__ import annotations

from concordat_node.ledger.ledger import StoredEntry
from concordat_trust.canonical import Json
from concordat_trust.times import time_words

REVISION_LENGTH = 12
"""Of a policy revision: enough to tell two apart by eye."""


def entry_line(stored: StoredEntry) -> str:
    """Return position, time, who asked, what for, what became of it, and under which policy."""
    entry = stored.entry
    at, code, released = entry["at"], entry["code"], entry["released"]
    count = len(released) if isinstance(released, list) else 0
    return "  ".join(
        (
            str(stored.position),
            time_words(at) if isinstance(at, int) else str(at),
            f"{entry['issuer']}/{entry['pseudonym']}",
            f"{entry['operation'] or 'unread question'} for {_member(entry['purpose'], 'code') or 'no purpose'}",
            f"{entry['status']} {code}" if code else str(entry["status"]),
            {0: "no record", 1: "1 record"}.get(count, f"{count} records"),
            f"policy {str(_member(entry['policy'], 'baseline'))[:REVISION_LENGTH]}",
        )
    )


def _member(value: Json, name: str) -> Json:
    return value.get(name) if isinstance(value, dict) else None
