"""The lineage of the demonstration's trial arm, walked by each person: what each may see, and where the walk stops."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from concordat_client.config import SavedSession
from concordat_client.demo.named import ARM_OF_NORTH, SHARED_MODEL, Named
from concordat_client.demo.network import id_of
from concordat_client.demo.story import Say, Story
from concordat_client.home_client import HomeClient
from concordat_client.lineage import picture_lines
from concordat_client.render import obj, objects
from concordat_trust.canonical import JsonObject

TOLD_IN_FULL = "trial-analyst"
NORTH_LOGISTIC = Named("north-hospital", "model", "response-logistic")
NORTH_FOREST = Named("north-hospital", "model", "response-forest")
TUNED = Named("vitalis", "model", "response-logistic")
# The catalogue's policies, worked out by hand: vitalis lists nothing to a guest, so the walk stops at alma-university's
# model; north-hospital's second model is for who has agreement and valid approval.
SEEN: dict[str, frozenset[Named]] = {
    "guest-researcher": frozenset({ARM_OF_NORTH, SHARED_MODEL, NORTH_LOGISTIC}),
    "trial-analyst": frozenset({ARM_OF_NORTH, SHARED_MODEL, NORTH_LOGISTIC, NORTH_FOREST, TUNED}),
    "lapsed-investigator": frozenset({ARM_OF_NORTH, SHARED_MODEL, NORTH_LOGISTIC, TUNED}),
}


def walk_as_everybody(story: Story, sessions: dict[str, SavedSession], say: Say) -> None:
    """Walk down from north-hospital's arm as each person, print it, and check who sees what and on whose word."""
    say("\n=== what came of north-hospital's trial arm, across the three organizations")
    with ThreadPoolExecutor(len(SEEN)) as pool:
        # Three people at once, as they would be.
        pictures = list(pool.map(lambda person: _walked(story, sessions[person]), SEEN))
    for (person, expected), picture in zip(SEEN.items(), pictures, strict=True):
        say(f"\nas {person}:")
        for line in picture_lines(picture):
            say(f"  {line}")
        shown = {vertex.get("id") for vertex in objects(picture.get("vertices")) if vertex.get("state") == "shown"}
        story.expect(
            shown == {id_of(story.layout, item) for item in expected}, f"{person} sees {len(expected)} records of it"
        )
        story.expect(picture.get("whole") is True, f"{person}: everybody who is asked for the lineage answers")
        if person == TOLD_IN_FULL:
            _check_words(story, picture)


def _walked(story: Story, session: SavedSession) -> JsonObject:
    asked: JsonObject = {
        "depth": 2,
        "direction": "down",
        "id": id_of(story.layout, ARM_OF_NORTH),
        "purpose": story.layout.topology.purpose,
    }
    with HomeClient.of(session) as client:
        return obj(client.lineage(asked).get("picture"))


def _check_words(story: Story, picture: JsonObject) -> None:
    said = {(edge.get("source"), edge.get("target")): edge.get("confirmed") for edge in objects(picture.get("edges"))}
    measured = (id_of(story.layout, SHARED_MODEL), id_of(story.layout, ARM_OF_NORTH))
    tuned = (id_of(story.layout, TUNED), id_of(story.layout, SHARED_MODEL))
    story.expect(said.get(measured) is True, "both sides say that the shared model was measured on the arm")
    story.expect(said.get(tuned) is False, "only vitalis says that its model was tuned from the shared one")
