"""Walks over verified answers: exactly what is reachable inside what may be seen, and honest about the rest."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from concordat_trust.ids import AssetId, OrgId
from concordat_trust.lineage_walk import (
    ENDED,
    HALVINGS_MAX,
    HALVINGS_PER_MEMBER_MAX,
    Ended,
    Frontier,
    Heard,
    Walk,
)
from concordat_trust.question import Direction
from tests.factories.lineage_worlds import ORGANIZATIONS, World, a_model, a_vertex, came_from, shown, walked, worlds

ALMA, NORTH, VITALIS = ORGANIZATIONS
A, B, C, D = (a_model(number) for number in range(4))
directions: st.SearchStrategy[Direction] = st.sampled_from(["up", "down"])


def chain(*hidden: int, length: int = 3, silent: frozenset[OrgId] = frozenset()) -> World:
    """Model 0 came from 1, which came from 2 …, each asserted by the owner of the younger one."""
    edges = [came_from(number, number + 1) for number in range(length - 1)]
    asserted = frozenset((edge, edge.source.org) for edge in edges)
    return World(length, asserted, frozenset(a_model(item) for item in hidden), silent)


def states(world: World, direction: Direction, start: int = 0) -> dict[object, str]:
    picture, _ = walked(a_model(start), direction, world.heard)
    return {vertex.id: vertex.state for vertex in picture.vertices}


@given(worlds(), st.integers(0, 8), directions)
def test_a_walk_finds_exactly_what_is_reachable_inside_what_may_be_seen(
    world: World, number: int, direction: Direction
) -> None:
    start = a_model(number % world.size)
    picture, asked = walked(start, direction, world.heard)
    assert shown(picture) == world.reachable(start, direction)
    assert picture.is_whole
    every = [(org, item) for frontier in asked for org in ORGANIZATIONS for item in frontier.ids_for(org)]
    assert len(set(every)) == len(every)


@given(worlds(), st.integers(0, 8), directions)
def test_nobody_but_its_owner_is_asked_about_what_is_closed_or_not_yet_shown(
    world: World, number: int, direction: Direction
) -> None:
    shown_by_owner = set[AssetId]()

    def heard(frontier: Frontier) -> dict[OrgId, Heard]:
        for org in ORGANIZATIONS:
            told = {item for item in frontier.ids if str(item) in frontier.ids_for(org) and item.org != org}
            assert told <= shown_by_owner - world.closed
        answers = world.heard(frontier)
        shown_by_owner.update(item for answer in answers.values() for item in answer.vertices)
        return answers

    walked(a_model(number % world.size), direction, heard)


@given(worlds(), st.integers(0, 8), directions)
def test_a_walk_shows_only_edges_that_somebody_visible_asserts_and_leaves_only_what_is_shown(
    world: World, number: int, direction: Direction
) -> None:
    picture, _ = walked(a_model(number % world.size), direction, world.heard)
    found = shown(picture)
    for item in picture.edges:
        here = item.edge.source if direction == "up" else item.edge.target
        assert here in found
        assert {(item.edge, org) for org in item.asserted} <= world.asserted
        assert item.asserted


@given(worlds(), st.integers(0, 8), directions, st.data())
def test_what_is_hidden_changes_no_byte_of_the_picture(
    world: World, number: int, direction: Direction, data: st.DataObject
) -> None:
    """Everything that hidden assets say is taken away: the picture is the same."""
    kept = frozenset(
        (edge, org)
        for edge, org in world.asserted
        if (edge.source if edge.source.org == org else edge.target) not in world.hidden
    )
    said_by_hidden = sorted(world.asserted - kept)
    extra = data.draw(st.frozensets(st.sampled_from(said_by_hidden))) if said_by_hidden else frozenset()
    other = replace(world, asserted=kept | extra)
    start = a_model(number % world.size)
    one, two = (walked(start, direction, each.heard)[0].to_json() for each in (world, other))
    assert one == two


def test_a_hidden_asset_is_never_bridged() -> None:
    assert states(chain(1), "up") == {A: "shown", B: "not_shown"}
    assert states(chain(1), "down", start=2) == {C: "shown"}
    picture, _ = walked(A, "up", chain(1).heard)
    assert [(item.edge.source, item.edge.target) for item in picture.edges] == [(A, B)]


def test_a_claim_about_a_hidden_asset_leads_nowhere() -> None:
    """North says that Vitalis' model came from its own, and Vitalis does not show it: nobody speaks for it."""
    claims = frozenset({(came_from(2, 1), NORTH), (came_from(0, 2), ALMA)})
    assert states(World(3, claims, frozenset({C})), "down", start=1) == {B: "shown", C: "not_shown"}
    # Alma's model is met in another way in the very round in which the hidden one is asked for.
    picture, _ = walked(B, "down", World(3, claims | {(came_from(0, 1), ALMA)}, frozenset({C})).heard)
    assert {(item.edge.source, item.edge.target) for item in picture.edges} == {(C, B), (A, B)}


def test_a_start_that_is_not_shown_is_all_there_is() -> None:
    assert states(chain(0), "up") == {A: "not_shown"}
    assert states(World(1, frozenset(), frozenset()), "up", start=3) == {D: "not_shown"}


def test_up_an_asset_is_asked_at_its_own_organization_alone() -> None:
    _, asked = walked(A, "up", chain().heard)
    assert [[frontier.ids_for(org) for org in ORGANIZATIONS] for frontier in asked] == [
        [(str(A),), (), ()],
        [(), (str(B),), ()],
        [(), (), (str(C),)],
    ]


def test_down_everybody_is_asked_once_its_owner_has_shown_it() -> None:
    _, asked = walked(C, "down", chain().heard)
    first, second, *_ = ([frontier.ids_for(org) for org in ORGANIZATIONS] for frontier in asked)
    assert first == [(), (), (str(C),)]
    assert second == [(str(C),), (str(C),), ()]


def test_down_from_what_is_closed_its_owner_alone_is_asked_and_the_picture_says_that_it_ends_there() -> None:
    inside = (came_from(3, 0), ALMA)
    world = World(4, frozenset({inside, (came_from(1, 0), NORTH)}), frozenset(), closed=frozenset({A}))
    picture, asked = walked(A, "down", world.heard)
    assert [[len(frontier.ids_for(org)) for org in ORGANIZATIONS] for frontier in asked] == [[1, 0, 0], [1, 1, 1]]
    assert {vertex.id: vertex.ends_here for vertex in picture.vertices} == {A: "closed", D: None}
    assert asked[1].ids == (D,)
    up, _ = walked(B, "up", world.heard)
    assert {vertex.id: vertex.ends_here for vertex in up.vertices} == {B: None, A: None}


def test_an_edge_says_who_asserts_it_and_whether_the_other_side_does() -> None:
    edge = came_from(0, 1)
    one_sided, _ = walked(A, "up", chain(length=2).heard)
    both = World(2, frozenset({(edge, ALMA), (edge, NORTH)}), frozenset())
    confirmed, _ = walked(A, "up", both.heard)
    assert [(sorted(item.asserted), item.is_confirmed) for item in one_sided.edges] == [([ALMA], False)]
    assert [(sorted(item.asserted), item.is_confirmed) for item in confirmed.edges] == [([ALMA, NORTH], True)]
    inside = World(4, frozenset({(came_from(0, 3), ALMA)}), frozenset())
    assert [item.is_confirmed for item in walked(A, "up", inside.heard)[0].edges] == [True]


def test_the_owner_of_a_target_alone_can_say_what_was_made_of_it() -> None:
    world = World(2, frozenset({(came_from(0, 1), NORTH)}), frozenset())
    assert states(world, "down", start=1) == {B: "shown", A: "shown"}
    assert states(world, "up") == {A: "shown"}


def test_an_organization_that_does_not_answer_leaves_the_picture_open() -> None:
    world = chain(silent=frozenset({NORTH}))
    picture, _ = walked(A, "up", world.heard)
    assert {vertex.id: vertex.state for vertex in picture.vertices} == {A: "shown", B: "no_answer"}
    assert (picture.missing, picture.is_whole) == ((NORTH,), False)
    down, _ = walked(A, "down", chain(silent=frozenset({VITALIS})).heard)
    assert (down.missing, down.is_whole) == ((VITALIS,), False)


def test_up_who_was_not_concerned_is_not_missed() -> None:
    picture, _ = walked(A, "up", chain(length=1, silent=frozenset({VITALIS})).heard)
    assert picture.is_whole


def test_an_asset_of_somebody_outside_the_network_is_said_to_be_that() -> None:
    picture, _ = walked(A, "up", chain().heard, roster=(ALMA, VITALIS))
    assert {vertex.id: vertex.state for vertex in picture.vertices} == {A: "shown", B: "not_a_member"}


@pytest.mark.parametrize(("depth", "found", "whole"), [(1, 2, False), (2, 3, True), (0, 1, False)])
def test_a_walk_goes_so_deep_and_says_where_it_was_cut_off(depth: int, found: int, whole: bool) -> None:
    both: tuple[tuple[Direction, AssetId], ...] = (("up", A), ("down", C))
    for direction, start in both:
        picture, _ = walked(start, direction, chain().heard, depth_max=depth)
        assert len(shown(picture)) == found
        assert picture.stopped_by == (() if whole else ("depth",))


@pytest.mark.parametrize(("vertices", "stopped"), [(3, ()), (2, ("vertices",))])
def test_a_walk_meets_so_many_assets(vertices: int, stopped: tuple[str, ...]) -> None:
    picture, _ = walked(A, "up", chain().heard, vertices_max=vertices)
    assert len(picture.vertices) == vertices
    assert picture.stopped_by == stopped


def test_a_circle_across_organizations_ends() -> None:
    circle = World(3, chain().asserted | {(came_from(2, 0), VITALIS)}, frozenset())
    both: tuple[Direction, ...] = ("up", "down")
    for direction in both:
        picture, asked = walked(A, direction, circle.heard)
        assert (len(shown(picture)), len(picture.edges), len(asked)) == (3, 3, 3 if direction == "up" else 4)


def test_a_cut_list_is_asked_again_in_halves_and_said_where_that_does_not_help() -> None:
    asserted = frozenset((came_from(number, 0), a_model(number).org) for number in range(3, 12, 3))
    world = World(12, asserted | {(came_from(1, 0), NORTH), (came_from(2, 1), VITALIS)}, frozenset())
    picture, _ = walked(A, "down", lambda frontier: world.heard(frontier, answer_max=2))
    assert picture.cut == (ALMA,)
    assert not picture.is_whole
    wide = World(8, frozenset((came_from(number, 1), a_model(number).org) for number in (3, 6)), frozenset())
    first, pair = Walk(B, "down"), tuple(sorted((a_model(3), a_model(6))))
    for asked in (Frontier("down", (B,)), Frontier("down", (), (B,))):
        assert first.frontier() == asked
        first.take(wide.heard(asked), ORGANIZATIONS)
    assert first.frontier() == Frontier("down", pair, pair)
    first.take({**wide.heard(Frontier("down", ())), ALMA: LONG}, ORGANIZATIONS)
    assert first.frontier() == Frontier("down", pair[:1], pair[:1])


LONG = Heard({}, 1)
"""An answer that claims to be cut."""


def crowded(count: int) -> World:
    """Return a world in which the first model has so many children, of every organization."""
    asserted = frozenset((came_from(number, 0), a_model(number).org) for number in range(1, count + 1))
    return World(count + 1, asserted, frozenset())


@pytest.mark.parametrize("liars", [(NORTH,), (NORTH, VITALIS)])
def test_a_member_that_always_claims_longer_lists_costs_so_many_rounds_and_no_more(liars: tuple[OrgId, ...]) -> None:
    world, lied = crowded(60), Counter[OrgId]()

    def heard(frontier: Frontier, lies_max: int) -> dict[OrgId, Heard]:
        answers = world.heard(frontier, answer_max=100)
        # The liars speak one after the other, the next one when the one before is not listened to any more.
        lies = next((org for org in liars if lied[org] < lies_max and len(frontier.ids) > 1), None)
        if lies is not None:
            lied[lies] += 1
            answers[lies] = replace(answers[lies], total=1_000)
        return answers

    honest, without = walked(A, "down", world.heard)
    assert honest.is_whole
    at_limit, asked = walked(A, "down", lambda frontier: heard(frontier, HALVINGS_PER_MEMBER_MAX))
    assert len(asked) == len(without) + 2 * HALVINGS_PER_MEMBER_MAX * len(liars)
    assert at_limit.is_whole
    lied.clear()
    beyond, asked = walked(A, "down", lambda frontier: heard(frontier, HALVINGS_PER_MEMBER_MAX + 1))
    assert len(asked) == len(without) + 2 * HALVINGS_PER_MEMBER_MAX * len(liars)
    assert (beyond.cut, beyond.is_whole) == (liars, False)


@pytest.mark.parametrize(("members", "whole"), [(4, True), (5, False)])
def test_many_members_that_claim_longer_lists_cost_a_walk_so_many_rounds_and_no_more(members: int, whole: bool) -> None:
    """Each of them stays within what one member may cost; together they reach the limit of the walk, or pass it."""
    crowd = tuple(OrgId.parse(f"member-{number}") for number in range(members))
    world, lies = crowded(60), [org for org in crowd for _ in range(HALVINGS_PER_MEMBER_MAX)]
    told = iter(lies)

    def heard(frontier: Frontier) -> dict[OrgId, Heard]:
        lie = next(told, None) if len(frontier.ids) > 1 else None
        return world.heard(frontier, answer_max=100) | dict.fromkeys(crowd, Heard({}, 0)) | ({lie: LONG} if lie else {})

    _, without = walked(A, "down", lambda frontier: world.heard(frontier, answer_max=100))
    picture, asked = walked(A, "down", heard, (*ORGANIZATIONS, *crowd))
    assert len(asked) == len(without) + 2 * HALVINGS_MAX
    assert HALVINGS_MAX == 4 * HALVINGS_PER_MEMBER_MAX
    assert picture.is_whole is whole
    assert picture.cut == (() if whole else crowd[4:])


@pytest.mark.parametrize("ended", ENDED)
def test_a_walk_that_is_ended_from_outside_says_by_what(ended: Ended) -> None:
    walk = Walk(A, "up")
    walk.take(chain().heard(Frontier("up", (A,))), ORGANIZATIONS)
    walk.stop(ended)
    assert walk.frontier() is None
    picture = walk.picture()
    assert (picture.stopped_by, [vertex.state for vertex in picture.vertices]) == ((ended,), ["shown", "not_asked"])


def test_the_picture_says_what_the_owner_lets_be_said_of_completeness() -> None:
    for said in (True, None):
        heard = {ALMA: Heard({A: a_vertex(A, (), complete=said)}, 1)}
        walk = Walk(A, "up")
        walk.take(heard, ORGANIZATIONS)
        vertices = walk.picture().to_json()["vertices"]
        assert isinstance(vertices, list)
        assert isinstance(vertices[0], dict)
        assert vertices[0]["owner_says_complete"] is said
