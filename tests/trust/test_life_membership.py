"""The table of a membership is the only way: whatever is done in whatever order, the network follows it."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from concordat_trust.bundle.life.approval import Approval
from concordat_trust.bundle.life.invitation import Invitation
from concordat_trust.bundle.life.membership import (
    EVENTS,
    MEANING,
    STATES,
    TRANSITIONS,
    Event,
    MembershipTransitionRefused,
    State,
    diagram,
    find,
    require,
)
from concordat_trust.bundle.metadata import DAY_S
from concordat_trust.errors import ConcordatError
from concordat_trust.ids import OrgId
from tests.factories.life import World, living, own_keys

VITALIS = OrgId("vitalis")


class Life:
    """One organization's life, driven by events; `state` is what the table says."""

    def __init__(self) -> None:
        self.world = living("north-hospital")
        self.state: State = "stranger"
        self.invitation: Invitation | None = None
        self.application: bytes | None = None
        self.approvals: list[Approval] = []
        self.generation = 1
        self.entity = 1

    def do(self, event: Event) -> None:
        """Do what `event` says with whatever documents there are; raises what refuses it."""
        getattr(self, f"do_{event}")()

    def do_invite(self) -> None:
        self.invitation = self.world.invite(VITALIS)

    def do_apply(self) -> None:
        if self.invitation is None:
            self.invitation = Invitation(
                "pilot", self.world.root_sha256, VITALIS, "organization", "n" * 22, 1, (), 0, ""
            )
        self.generation += 1
        self.application = self.world.apply(
            VITALIS, self.invitation, keys=own_keys(VITALIS, generation=self.generation)
        )
        self.entity = self.generation

    def do_approve(self) -> None:
        application = self.application or b"{}"
        first = self.world.propose("admit", member=VITALIS, application=application)
        self.approvals = [first, self.world.approve(first, by="two-two")]

    def do_publish(self) -> None:
        self.world.publish(*self.approvals)

    def do_rotate(self) -> None:
        self.generation += 1
        self.world.rotate(VITALIS, generation=self.generation, entity=self.entity, retire=self.listed())

    def do_replace_key(self) -> None:
        self.generation += 1
        application = self.world.apply_for_key(VITALIS, generation=self.generation)
        self.world.by_quorum("replace_key", member=VITALIS, application=application)
        self.entity = self.generation

    def do_suspend(self) -> None:
        self.world.suspend(VITALIS)

    def do_reinstate(self) -> None:
        self.world.by_quorum("reinstate", member=VITALIS)

    def do_remove(self) -> None:
        self.world.by_quorum("remove", member=VITALIS)
        self.invitation, self.application, self.approvals = None, None, []

    def do_expire(self) -> None:
        for _ in range(4):
            self.world.at += 23 * DAY_S
            self.world.refresh()
            self.world.by_quorum("renew")
            self.world.rotate("north-hospital", generation=1, retire=self.listed("north-hospital"))

    def listed(self, member: str = "vitalis") -> list[str]:
        keys = self.world.bundle().members[OrgId(member)].keys if OrgId(member) in self.world.bundle().members else {}
        return [key_id for use in keys.values() for key_id in use]

    def observed(self) -> State:
        """Return what can be seen: the bundle, and the documents while it is not a member."""
        seen = self.world.state(VITALIS)
        if seen not in ("stranger", "removed"):
            return seen
        if len(self.approvals) >= 2:
            return "approved"
        return "applied" if self.application is not None else "invited" if self.invitation is not None else seen


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.sampled_from([event for event in EVENTS if event != "expire"]), min_size=4, max_size=14))
def test_no_path_leads_around_the_table(events: list[Event]) -> None:
    life = Life()
    for event in events:
        way, before = find(life.state, event), dict(life.world.files)
        kept = (life.invitation, life.application, list(life.approvals))
        if way is None:
            with pytest.raises(ConcordatError):
                life.do(event)
            assert life.world.files == before
            life.invitation, life.application, life.approvals = kept
            continue
        life.do(event)
        if way.next in ("active", "suspended", "removed"):
            life.invitation, life.application, life.approvals = None, None, []
        life.state = way.next
        assert life.observed() == life.state


def test_every_way_of_the_table_can_be_gone() -> None:
    path: list[Event] = [
        "invite",
        "invite",
        "apply",
        "apply",
        "invite",
        "approve",
        "approve",
        "invite",
        "apply",
        "publish",
    ]
    path += ["rotate", "replace_key", "suspend", "rotate", "replace_key", "reinstate", "expire", "rotate", "expire"]
    path += ["replace_key", "expire", "suspend", "remove", "invite", "apply", "approve", "publish", "remove"]
    path += ["invite", "apply", "approve", "publish", "expire", "remove"]
    life, gone = Life(), set()
    for event in path:
        way = require(VITALIS, life.state, event)
        if event == "apply" and life.state == "approved":
            life.application = life.world.apply(VITALIS, life.invitation or life.world.invite(VITALIS))
        else:
            life.do(event)
        if way.next in ("active", "suspended", "removed"):
            life.invitation, life.application, life.approvals = None, None, []
        life.state = way.next
        assert life.observed() == life.state, event
        gone.add(way)
    assert gone == set(TRANSITIONS)


def test_what_is_not_in_the_table_is_refused_with_its_name() -> None:
    with pytest.raises(MembershipTransitionRefused) as error:
        require(VITALIS, "removed", "reinstate")
    assert error.value.message == "vitalis is removed: reinstate does not apply."


@pytest.mark.parametrize("threshold", [2, 3])
def test_the_table_says_how_many_keyholders_sign(threshold: int) -> None:
    needed = {(way.state, way.event): way.keyholders_needed(threshold) for way in TRANSITIONS}
    assert needed["active", "suspend"] == 1
    assert needed["suspended", "reinstate"] == needed["applied", "approve"] == needed["active", "remove"] == threshold
    assert needed["active", "rotate"] == needed["invited", "apply"] == 0


def test_the_table_is_unambiguous_and_every_state_is_explained_and_reached() -> None:
    assert len({(way.state, way.event) for way in TRANSITIONS}) == len(TRANSITIONS)
    assert set(MEANING) == set(STATES) == {"stranger"} | {way.next for way in TRANSITIONS}
    assert {way.event for way in TRANSITIONS} == set(EVENTS)


def test_only_the_quorum_leads_out_of_a_suspension() -> None:
    out = [way for way in TRANSITIONS if way.state == "suspended" and way.next != "suspended"]
    assert {way.signatures for way in out} == {"threshold"}


def test_the_diagram_has_a_line_for_every_way() -> None:
    assert len(diagram().splitlines()) == 2 + len(TRANSITIONS)
    assert "  suspended --> active: reinstate (threshold of keyholders)" in diagram()


def test_a_member_that_was_removed_while_suspended_comes_back_only_by_the_quorum() -> None:
    world: World = living("north-hospital", "vitalis")
    world.suspend("vitalis")
    world.by_quorum("remove", member=VITALIS)
    assert world.bundle().memory.suspended == {VITALIS: 2}
    world.generation = 2
    world.admit("vitalis")
    assert world.state("vitalis") == "active"
    assert world.bundle().network.reinstated == {VITALIS: 2}
