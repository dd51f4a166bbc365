"""A sign-in under way, before anything of it is stored: what its browser carries for us, sealed, in one cookie.

For a command line two forms, one after the other: `PendingLogin` on the way to the identity provider and back,
`Confirmation` while the person reads the page that names the command line's port. For a browser one: `BrowserLogin`.
"""

from __future__ import annotations

from dataclasses import dataclass

from concordat_node.home.step_up import NO_STEP_UP, StepUp

PENDING_S = 600
CONFIRM_S = 300


@dataclass(frozen=True, slots=True)
class ClientRequest:
    """What the command line asked for: where to send the code, and what it must later prove (RFC 7636)."""

    redirect_uri: str
    challenge: str
    state: str


@dataclass(frozen=True, slots=True)
class PendingLogin:
    """One sign-in between the redirect to the provider and its callback."""

    state: str
    nonce: str
    provider_verifier: str
    client: ClientRequest
    ends_at: int
    step_up: StepUp = NO_STEP_UP


@dataclass(frozen=True, slots=True)
class Confirmation:
    """One sign-in between the provider's callback and the person's consent; `form` is what the page's form repeats."""

    state: str
    form: str
    client: ClientRequest
    ends_at: int


@dataclass(frozen=True, slots=True)
class BrowserLogin:
    """One sign-in of a person who will go on in this same browser, at `next_path` of the portal."""

    state: str
    nonce: str
    provider_verifier: str
    next_path: str
    ends_at: int
    step_up: StepUp = NO_STEP_UP
