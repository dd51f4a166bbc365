"""A moment in words. Pure: the moment comes from the caller."""

from __future__ import annotations

from datetime import UTC, datetime


def time_words(at: int) -> str:
    """Return Unix seconds as a time in UTC; a number that no calendar has stays a number."""
    try:
        return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (OverflowError, OSError, ValueError):
        return str(at)
