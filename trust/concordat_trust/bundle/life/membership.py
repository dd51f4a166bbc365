"""The life of a membership as one table: from which state which event leads where, who makes it, how many sign it.

Rules of this file:

* `TRANSITIONS` is the only list of ways. Whatever signs or publishes something about a member asks `require` first, and
  what is not in the table is refused (`membership_transition_refused`).
* A state is observed, never stored: from a verified bundle (`standing`), and before that from the documents that are
  on the table (an invitation, an application, enough approvals).
* The page docs/reference/membership.md, with its diagram, is made from here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Literal, get_args

from concordat_trust.bundle.trusted import TrustedBundle
from concordat_trust.errors import OperatorError
from concordat_trust.ids import OrgId

State = Literal["stranger", "invited", "applied", "approved", "active", "suspended", "expired", "removed"]
Event = Literal[
    "invite", "apply", "approve", "publish", "rotate", "replace_key", "suspend", "reinstate", "expire", "remove"
]
Who = Literal["one keyholder", "the keyholders", "the organization", "who serves the repository", "the clock"]
Signatures = Literal["none", "own", "one", "threshold"]
STATES: Final[tuple[State, ...]] = get_args(State)
EVENTS: Final[tuple[Event, ...]] = get_args(Event)

MEANING: Final[Mapping[State, str]] = {
    "stranger": "not known to the network",
    "invited": "a keyholder has signed an invitation for it, which is not spent and has not run out",
    "applied": "it has made its keys and signed an application under the invitation",
    "approved": "as many keyholders as the threshold says have signed its admission; nothing is published yet",
    "active": "listed by the keyholders, and what it says of itself holds",
    "suspended": "listed, and one keyholder has suspended it: nobody asks it or answers it",
    "expired": "listed, but its statement has run out or cannot be believed: nobody can ask it",
    "removed": "no longer listed; its name stays known, so that no old state of it can come back",
}


@dataclass(frozen=True, slots=True)
class Transition:
    """One way. `signatures` are those of keyholders: one, or the threshold; `own` is the organization's own."""

    state: State
    event: Event
    next: State
    who: Who
    signatures: Signatures

    def keyholders_needed(self, threshold: int) -> int:
        """Return how many keyholders sign."""
        return {"none": 0, "own": 0, "one": 1, "threshold": threshold}[self.signatures]


TRANSITIONS: Final[tuple[Transition, ...]] = (
    Transition("stranger", "invite", "invited", "one keyholder", "one"),
    Transition("removed", "invite", "invited", "one keyholder", "one"),
    Transition("invited", "apply", "applied", "the organization", "own"),
    Transition("applied", "approve", "approved", "the keyholders", "threshold"),
    # Documents are not stored by the network: another one of the same kind takes nothing back.
    Transition("invited", "invite", "invited", "one keyholder", "one"),
    Transition("applied", "invite", "applied", "one keyholder", "one"),
    Transition("applied", "apply", "applied", "the organization", "own"),
    Transition("approved", "invite", "approved", "one keyholder", "one"),
    Transition("approved", "apply", "approved", "the organization", "own"),
    Transition("approved", "approve", "approved", "the keyholders", "threshold"),
    Transition("approved", "publish", "active", "who serves the repository", "none"),
    Transition("active", "rotate", "active", "the organization", "own"),
    Transition("suspended", "rotate", "suspended", "the organization", "own"),
    Transition("expired", "rotate", "active", "the organization", "own"),
    Transition("active", "replace_key", "active", "the keyholders", "threshold"),
    Transition("suspended", "replace_key", "suspended", "the keyholders", "threshold"),
    Transition("expired", "replace_key", "active", "the keyholders", "threshold"),
    Transition("active", "suspend", "suspended", "one keyholder", "one"),
    Transition("expired", "suspend", "suspended", "one keyholder", "one"),
    Transition("suspended", "reinstate", "active", "the keyholders", "threshold"),
    Transition("active", "expire", "expired", "the clock", "none"),
    Transition("active", "remove", "removed", "the keyholders", "threshold"),
    Transition("suspended", "remove", "removed", "the keyholders", "threshold"),
    Transition("expired", "remove", "removed", "the keyholders", "threshold"),
)
_BY_EVENT: Final = {(way.state, way.event): way for way in TRANSITIONS}


class MembershipTransitionRefused(OperatorError):
    code = "membership_transition_refused"
    sentence = "{organization} is {state}: {event} does not apply."
    hint = "Nothing was signed. docs/reference/membership.md shows which step comes from where."


def find(state: State, event: Event) -> Transition | None:
    """Return the way of `event` out of `state`, if there is one."""
    return _BY_EVENT.get((state, event))


def require(organization: OrgId, state: State, event: Event) -> Transition:
    """Return the way of `event` out of `state`. Raises: MembershipTransitionRefused."""
    way = find(state, event)
    if way is None:
        raise MembershipTransitionRefused(organization=organization, state=state, event=event.replace("_", " "))
    return way


def standing(bundle: TrustedBundle, organization: OrgId) -> State:
    """Return the state of `organization` in a verified bundle."""
    member = bundle.members.get(organization)
    if member is None:
        # An entry never leaves the snapshot (TUF specification 5.5.5): who was a member once stays known.
        return "removed" if organization in bundle.memory.roles else "stranger"
    if member.suspended:
        return "suspended"
    return "expired" if organization in bundle.unusable else "active"


def diagram() -> str:
    """Return the table as a Mermaid state diagram."""
    lines = ["stateDiagram-v2", "  [*] --> stranger"]
    lines += [f"  {way.state} --> {way.next}: {way.event.replace('_', ' ')} ({_by(way)})" for way in TRANSITIONS]
    return "\n".join(lines)


def _by(way: Transition) -> str:
    return {
        "none": way.who,
        "own": "the organization's own key",
        "one": "one keyholder",
        "threshold": "threshold of keyholders",
    }[way.signatures]
