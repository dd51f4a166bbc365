"""A saved walk: every round of a lineage with its signatures, and the picture, to be verified again years later.

The document (canonical JSON; unknown fields are refused):

    {"walk_version": 2, "start": ID, "direction", "depth_max",
     "ended": null, "time", "size" or "rounds",
     "rounds": [a saved answer, …], "picture": {…}}

Each round is a whole saved answer (`saved_answer`) and is verified as one. Then the walk is walked again over what was
verified: every round must ask exactly what follows from the rounds before it, none may be left out, and the picture
must be the one that comes out. So neither a round nor an edge can be added, removed or exchanged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from concordat_trust.answer import BundleAt, VerifiedSavedAnswer, verify_saved_answer
from concordat_trust.answer_errors import SavedWalkMalformed, WalkMismatch
from concordat_trust.canonical import Json, JsonObject, canonical_bytes, parse_object
from concordat_trust.errors import RefusedDocument
from concordat_trust.ids import AssetId
from concordat_trust.lineage_walk import DEPTH_MAX, ENDED, Ended, Frontier, Picture, Walk, heard_of
from concordat_trust.merge import first_difference
from concordat_trust.question import Direction
from concordat_trust.saved_answer import SAVED_BYTES_MAX
from concordat_trust.shape import Shape

WALK_VERSION = 2
ROUNDS_MAX = 100


@dataclass(frozen=True, slots=True)
class SavedWalk:
    """The parts of a saved walk as they were written down; nothing of it is believed."""

    start: AssetId
    direction: Direction
    depth_max: int
    ended: Ended | None
    rounds: tuple[bytes, ...]
    picture: JsonObject

    def to_bytes(self) -> bytes:
        """Return the file."""
        rounds: list[Json] = [parse_object(item, bytes_max=SAVED_BYTES_MAX) for item in self.rounds]
        return canonical_bytes(
            {
                "depth_max": self.depth_max,
                "direction": self.direction,
                "ended": self.ended,
                "picture": self.picture,
                "rounds": rounds,
                "start": str(self.start),
                "walk_version": WALK_VERSION,
            }
        )

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Return the parts of a file. Raises: SavedWalkMalformed."""
        try:
            return cls._read(Shape(parse_object(data, bytes_max=SAVED_BYTES_MAX), "walk"))
        except RefusedDocument as error:
            raise SavedWalkMalformed(problem=error.message) from error

    @classmethod
    def _read(cls, shape: Shape) -> Self:
        shape.integer("walk_version", minimum=WALK_VERSION, maximum=WALK_VERSION)
        rounds = shape.value("rounds")
        if not isinstance(rounds, list) or not 0 < len(rounds) <= ROUNDS_MAX:
            raise shape.refuse("rounds", f"is not a list of 1 to {ROUNDS_MAX} saved answers")
        walk = cls(
            start=AssetId.parse(shape.text("start")),
            direction="up" if shape.one_of("direction", ("up", "down")) == "up" else "down",
            depth_max=shape.integer("depth_max", minimum=0, maximum=DEPTH_MAX),
            ended=_ended(shape),
            rounds=tuple(canonical_bytes(item) for item in rounds),
            picture=shape.raw_object("picture"),
        )
        shape.finish()
        return walk


def _ended(shape: Shape) -> Ended | None:
    said = None if shape.value("ended") is None else shape.one_of("ended", ENDED)
    return next((ended for ended in ENDED if ended == said), None)


@dataclass(frozen=True, slots=True)
class VerifiedSavedWalk:
    """A saved walk in which every round was verified, and that was walked again."""

    rounds: tuple[VerifiedSavedAnswer, ...]
    picture: Picture


def is_saved_walk(data: bytes) -> bool:
    """Say whether a file calls itself a saved walk; what is no JSON object does not."""
    try:
        return "walk_version" in parse_object(data, bytes_max=SAVED_BYTES_MAX)
    except RefusedDocument:
        return False


def first_answer(data: bytes) -> bytes:
    """Return the first round of a saved walk, and a saved answer as it is; nothing of it is believed.

    Raises: SavedWalkMalformed.
    """
    return SavedWalk.parse(data).rounds[0] if is_saved_walk(data) else data


def verify_saved_walk(data: bytes, *, bundle_at: BundleAt) -> VerifiedSavedWalk:
    """Return the saved walk if everything in it holds together and is signed by members of the network.

    1 form · 2 each round (`verify_saved_answer`) · 3 all of one person, purpose, network and direction, in time ·
    4 each asks what follows from those before it · 5 nothing is left to ask · 6 the picture.

    Raises: SavedWalkMalformed, WalkMismatch, and what `verify_saved_answer` refuses a round with.
    """
    saved = SavedWalk.parse(data)
    rounds = tuple(verify_saved_answer(item, bundle_at=bundle_at) for item in saved.rounds)
    _check_same(rounds, saved.direction)
    walk = Walk(saved.start, saved.direction, depth_max=saved.depth_max)
    for number, answered in enumerate(rounds):
        frontier = walk.frontier()
        if frontier is None or not _is_asked(answered, frontier):
            raise WalkMismatch(where=f"rounds[{number}]")
        roster = {entry.organization for entry in answered.merged.completeness.entries}
        walk.take(heard_of(answered.answers), roster)
    if saved.ended is not None:
        walk.stop(saved.ended)
    if walk.frontier() is not None:
        raise WalkMismatch(where=f"rounds[{len(rounds)}]")
    picture = walk.picture()
    where = first_difference(saved.picture, picture.to_json(), "picture")
    if where is not None:
        raise WalkMismatch(where=where)
    return VerifiedSavedWalk(rounds, picture)


def _check_same(rounds: Sequence[VerifiedSavedAnswer], direction: Direction) -> None:
    first = rounds[0]
    for number, answered in enumerate(rounds):
        question, token = answered.saved.question, answered.token
        is_same = (
            question.direction == direction
            and question.purpose == first.saved.question.purpose
            and (answered.saved.network, token.issuer, token.subject)
            == (first.saved.network, first.token.issuer, first.token.subject)
            and token.issued_at >= rounds[max(0, number - 1)].token.issued_at
        )
        if not is_same:
            raise WalkMismatch(where=f"rounds[{number}]")


def _is_asked(answered: VerifiedSavedAnswer, frontier: Frontier) -> bool:
    return all(part.ids == frontier.ids_for(org) for org, part in answered.saved.parts.items())
