"""Asking a lineage round by round: the driver around the pure walk of `trust.lineage_walk`.

Rules of this file:

* Each round is a new question with a new token, minted after the round before it was verified and in the trust bundle
  that is valid then. The ids come from the walk; coordinator and nodes choose none.
* A walk has a time, a size and a number of rounds of its own, looked at between rounds: what it could not ask is said
  to be open, and which of them ended it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from concordat_node.home.ask import Asked, Asker
from concordat_node.home.errors import AssetForeign
from concordat_node.home.requests import BODY_BYTES_MAX, purpose_of
from concordat_node.home.result import ShownJob
from concordat_node.home.saving import saved_answer
from concordat_node.home.sessions import Session
from concordat_trust.bundle.trusted import TrustedBundle
from concordat_trust.canonical import Json, JsonObject, canonical_bytes, parse_object
from concordat_trust.ids import AssetId
from concordat_trust.lineage_walk import (
    DEPTH_DEFAULT,
    DEPTH_MAX,
    ENDED,
    Ended,
    Frontier,
    Picture,
    Walk,
    heard_of,
)
from concordat_trust.question import PROJECTION_OF, Direction, Purpose, Question
from concordat_trust.saved_walk import ROUNDS_MAX, SavedWalk
from concordat_trust.shape import Shape

WALK_MS_MAX = 45_000
"""After this time no further round begins; the caller waits for the last one as for any question."""
WALK_BYTES_MAX = 24_000_000
"""Of saved rounds; with one more, the largest that a coordinator may hand over, a saved walk can still be read."""
RESULT_VERSION = 1


@dataclass(frozen=True, slots=True)
class LineageRequest:
    """What a person asks: whence, which way, for what, how far."""

    start: AssetId
    direction: Direction
    purpose: Purpose
    depth_max: int

    def canonical(self) -> bytes:
        """Return what a stored job remembers of the request."""
        return canonical_bytes(
            {
                "depth": self.depth_max,
                "direction": self.direction,
                "id": str(self.start),
                "purpose": self.purpose.to_json(),
            }
        )


@dataclass(frozen=True, slots=True)
class WalkedRound:
    """One round that was judged, with the trust bundle it was judged in, and as it is saved."""

    frontier: Frontier
    asked: Asked
    bundle: TrustedBundle
    saved: bytes


@dataclass(frozen=True, slots=True)
class Walked:
    """A whole walk. `valid_until` is the first end among its answers."""

    request: LineageRequest
    rounds: tuple[WalkedRound, ...]
    picture: Picture

    @property
    def valid_until(self) -> int | None:
        ends = [item.asked.judged.valid_until for item in self.rounds]
        return min((end for end in ends if end is not None), default=None)

    def saved(self) -> bytes:
        """Return the file that a person can keep and verify offline."""
        request, picture = self.request, self.picture
        return SavedWalk(
            start=request.start,
            direction=request.direction,
            depth_max=request.depth_max,
            ended=next((ended for ended in ENDED if ended in picture.stopped_by), None),
            rounds=tuple(item.saved for item in self.rounds),
            picture=picture.to_json(),
        ).to_bytes()


def parse_lineage(body: bytes, bundle: TrustedBundle) -> LineageRequest:
    """Return the request of POST /v1/lineage: {id, direction, purpose {code, …}, depth?}.

    Raises: AssetIdInvalid, AssetForeign, DocumentMalformed, QuestionMalformed, the JSON refusals.
    """
    shape = Shape(parse_object(body, bytes_max=BODY_BYTES_MAX), "request")
    start = AssetId.parse(shape.text("id", length_max=120))
    direction: Direction = "up" if shape.one_of("direction", ("up", "down")) == "up" else "down"
    depth = shape.integer("depth", minimum=1, maximum=DEPTH_MAX) if shape.has("depth") else DEPTH_DEFAULT
    purpose = purpose_of(shape)
    shape.finish()
    if start.org not in bundle.roster:
        raise AssetForeign
    return LineageRequest(start, direction, purpose, depth)


async def walk_lineage(
    request: LineageRequest,
    *,
    asker: Asker,
    session: Session,
    bundle: Callable[[], TrustedBundle],
    clock: Callable[[], int],
    walk_ms_max: int = WALK_MS_MAX,
    walk_bytes_max: int = WALK_BYTES_MAX,
    rounds_max: int = ROUNDS_MAX,
) -> Walked:
    """Return the walk. Raises: what `Asker.ask` and `bundle` raise."""
    loop = asyncio.get_running_loop()
    limits = _Limits(loop.time() + walk_ms_max / 1_000, walk_bytes_max, rounds_max)
    walk = Walk(request.start, request.direction, depth_max=request.depth_max)
    rounds: list[WalkedRound] = []
    while (frontier := walk.frontier()) is not None:
        ended = limits.reached(rounds, loop.time())
        if ended is not None:
            walk.stop(ended)
            break
        current = bundle()
        asked = await asker.ask(
            _question(request, current),
            {org: frontier.ids_for(org) for org in current.organizations},
            session=session,
            bundle=current,
        )
        rounds.append(WalkedRound(frontier, asked, current, saved_answer(asked, current, now=clock())))
        verified = tuple(asked.judged.verified[org] for org in sorted(asked.judged.verified))
        walk.take(heard_of(verified), current.roster)
    return Walked(request, tuple(rounds), walk.picture())


@dataclass(frozen=True, slots=True)
class _Limits:
    """What a walk may take; the first round is asked whatever they are."""

    ends_at: float
    bytes_max: int
    rounds_max: int

    def reached(self, rounds: Sequence[WalkedRound], now: float) -> Ended | None:
        """Return why no further round begins, None when one may."""
        if not rounds:
            return None
        if len(rounds) >= self.rounds_max:
            return "rounds"
        if sum(len(item.saved) for item in rounds) > self.bytes_max:
            return "size"
        return "time" if now >= self.ends_at else None


def _question(request: LineageRequest, bundle: TrustedBundle) -> Question:
    return Question(
        network=bundle.network.id,
        operation="lineage",
        purpose=request.purpose,
        stats_revision=bundle.statistics.revision,
        projection=PROJECTION_OF["lineage"],
        direction=request.direction,
    )


def walk_json(walked: Walked, job: ShownJob) -> JsonObject:
    """Return the body of POST /v1/lineage; `completeness` is that of all rounds together, each also has its own."""
    rounds: list[Json] = [_round_json(item) for item in walked.rounds]
    last = walked.rounds[-1]
    return {
        "completeness": _completeness(walked),
        "job": job.to_json(),
        "network": last.bundle.network.id,
        "picture": walked.picture.to_json(),
        "purpose": walked.request.purpose.to_json(),
        "result_version": RESULT_VERSION,
        "rounds": rounds,
    }


def _round_json(item: WalkedRound) -> JsonObject:
    asked = item.asked
    return {
        "asked": [str(asset_id) for asset_id in item.frontier.ids],
        "completeness": asked.judged.merged.completeness.to_json(),
        "coordinator": asked.coordinator,
        "findings": [finding.to_json() for finding in asked.findings],
        "question_hash": asked.round.question.hash(),
    }


def _completeness(walked: Walked) -> JsonObject:
    """Return the worst that was said of each organization in any round: complete means in every one of them."""
    worst: dict[str, JsonObject] = {}
    for item in walked.rounds:
        for entry in item.asked.judged.merged.completeness.entries:
            known = worst.get(entry.organization)
            if known is None or (known["status"] == "OK" and entry.status != "OK"):
                worst[entry.organization] = entry.to_json()
    entries: list[Json] = [worst[org] for org in sorted(worst)]
    parts = [item.asked.judged.merged.completeness for item in walked.rounds]
    is_complete = walked.picture.is_whole and all(part.complete for part in parts)
    missing = {entry.organization for part in parts for entry in part.missing}
    return {
        "answered": len(worst) - len(missing),
        "asked": len(worst),
        "complete": is_complete,
        "entries": entries,
    }
