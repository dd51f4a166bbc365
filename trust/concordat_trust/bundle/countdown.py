"""How long the bundle in hand still holds, in words: what an operator reads while every mirror is away. Pure."""

from __future__ import annotations

from typing import Protocol

from concordat_trust.bundle.errors import BundleExpired, BundleUnavailable
from concordat_trust.bundle.trusted import AGE_UNKNOWN_S, TrustedBundle

MINUTE_S, HOUR_S, DAY_S = 60, 3_600, 86_400


class HasBundle(Protocol):
    """A poller, or whoever else keeps a bundle. `bundle` raises BundleUnavailable or BundleExpired."""

    def bundle(self) -> TrustedBundle: ...


def duration_words(seconds: int) -> str:
    """Return a duration, rounded down to its largest unit from the second on."""
    for unit_s, unit in ((DAY_S, "days"), (HOUR_S, "h"), (MINUTE_S, "min")):
        if seconds >= 2 * unit_s:
            return f"{seconds // unit_s} {unit}"
    return f"{max(0, seconds)} s"


def countdown(bundle: TrustedBundle, now: int) -> str:
    """Return when the bundle was confirmed, until when it holds, and whether controlled classes are closed already."""
    age_s, age_max_s = bundle.age_s(now), bundle.network.bundle_age_max_s
    left = duration_words(bundle.expires_at - now)
    if age_s == AGE_UNKNOWN_S:
        return f"confirmed after this moment, in force for {left}; controlled classes closed"
    controlled = (
        f"controlled classes closed since {duration_words(age_s - age_max_s)}"
        if age_s > age_max_s
        else f"controlled classes close in {duration_words(age_max_s - age_s)} without a newer one"
    )
    return f"confirmed {duration_words(age_s)} ago, in force for {left}; {controlled}"


def bundle_words(poller: HasBundle, now: int) -> str:
    """Return one line about the bundle of a party, for its health page and its log."""
    try:
        return f"bundle: {countdown(poller.bundle(), now)}\n"
    except BundleUnavailable:
        return "bundle: none yet; questions of others are refused\n"
    except BundleExpired as error:
        since = duration_words(now - int(error.fields["expires_at"] or 0))
        return f"bundle: expired {since} ago; questions of others are refused, local use goes on\n"
