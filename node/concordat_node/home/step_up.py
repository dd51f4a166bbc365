"""Signing in again, to prove anew who one is: what a person's program or page may ask for, and what must come of it.

A step-up demands a sign-in at the provider after it was begun (`prompt=login`, and `auth_time` in the ID token), and,
if it names values of `acr`, one of these. It can only make a sign-in stricter, so anybody may ask for one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from concordat_node.home.errors import LoginRequestMalformed

ACR_VALUES_MAX = 5
_ACR = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]{1,200}")


@dataclass(frozen=True, slots=True)
class StepUp:
    """What is demanded: a sign-in not before `since`, in one of the ways `acr_values`; None and () demand nothing."""

    since: int | None = None
    acr_values: tuple[str, ...] = ()

    def parameters(self) -> dict[str, str]:
        """Return what is added to the authorization request (OpenID Connect Core §3.1.2.1)."""
        prompt = {} if self.since is None else {"prompt": "login"}
        return prompt | ({"acr_values": " ".join(self.acr_values)} if self.acr_values else {})


NO_STEP_UP = StepUp()


def parse_step_up(query: Mapping[str, str], *, now: int) -> StepUp:
    """Return what `fresh=1` and `acr_values` of a sign-in request demand. Raises: LoginRequestMalformed."""
    if query.get("fresh", "1") != "1":
        raise LoginRequestMalformed(field="fresh")
    acr_values = tuple(query.get("acr_values", "").split())
    if len(acr_values) > ACR_VALUES_MAX or not all(_ACR.fullmatch(value) for value in acr_values):
        raise LoginRequestMalformed(field="acr_values")
    return StepUp(now if "fresh" in query or acr_values else None, acr_values)
