"""What a picture of a lineage says, in words, the same in every interface. Pure.

An edge is told with whose word it is. What is not shown may not exist or may not be for the person who asks: one phrase
stands for both.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from concordat_trust.canonical import Json
from concordat_trust.plain_text import plain

STATES = {
    "not_shown": "not shown: there is no such record, or it is not for you; the walk stops here",
    "no_answer": "its organization did not answer",
    "not_a_member": "its organization is not in this network",
    "not_asked": "not asked any more",
}
STOPPED = {
    "depth": "the depth that was asked for",
    "vertices": "the largest number of records",
    "time": "its time",
    "size": "the size that a walk may have",
    "rounds": "the number of rounds that a walk may have",
}
CAME_FROM = {
    "fine_tuned_from": "was fine-tuned from",
    "derived_from": "was derived from",
    "trained_on": "was trained on",
    "evaluated_on": "was evaluated on",
}
CAVEAT = "Organizations tell as much of a lineage as their policies let them; what is not told is not counted."
UNCONFIRMED = "the other side does not confirm it"


def state_words(state: str) -> str:
    """Return why a record of a lineage is not shown; a state that no table knows as it is."""
    return STATES.get(state, plain(state, length_max=40))


def open_ends(picture: Mapping[str, Json], names: Mapping[str, str] | None = None) -> Iterator[str]:
    """Yield a sentence for everything that the walk left open; `names` are what organizations are called."""
    for field, said in (
        ("missing", "Incomplete: no answer from {}; there may be more."),
        ("cut", "Incomplete: the list of {} was cut; it knows of more records than one answer carries."),
    ):
        organizations = texts(picture.get(field))
        if organizations:
            yield said.format(", ".join(plain((names or {}).get(org, org), length_max=200) for org in organizations))
    for reason in texts(picture.get("stopped_by")):
        yield f"The walk ended at {STOPPED.get(reason, 'a limit')}; there may be more."


def texts(value: Json) -> list[str]:
    """Return a list's items as texts; anything else in its place is nothing."""
    return [str(item) for item in value] if isinstance(value, list) else []
