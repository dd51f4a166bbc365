"""The operator of a node is warned in time, once a day, of what is the own organization's to sign."""

from __future__ import annotations

import logging

import pytest

from concordat_node.deadline_finding import deadline_finding
from concordat_node.errors import SignatureRunsOut
from concordat_trust.bundle import TrustedBundle
from concordat_trust.bundle.deadline_watch import DeadlineWatch
from concordat_trust.bundle.metadata import DAY_S
from concordat_trust.ids import OrgId
from tests.factories.network import NOW, make_network
from tests.factories.repository import Repository, expires

NORTH, VITALIS = OrgId("north-hospital"), OrgId("vitalis")
FRESH = make_network().bundle


def soon() -> TrustedBundle:
    """Return a network in which one member's role runs out in nine days."""
    repo = Repository()
    repo.edit("1.north-hospital.json", expires(NOW + 9 * DAY_S), signers=[repo.entity("north-hospital")])
    repo.renew(NOW + 1)
    return repo.verify(at=NOW + 1)


def test_doctor_finds_what_is_the_own_organizations_to_sign() -> None:
    with pytest.raises(SignatureRunsOut) as error:
        deadline_finding(soon(), NORTH, NOW + 1)
    assert "the role of north-hospital runs out in 8 days" in error.value.message
    assert "--renew" in error.value.hint


def test_doctor_names_what_others_must_sign_and_blames_nobody() -> None:
    assert "nothing runs out soon; first the list of" in deadline_finding(FRESH, NORTH, NOW)
    assert deadline_finding(soon(), VITALIS, NOW + 1).startswith("nothing runs out soon")
    late = deadline_finding(FRESH, NORTH, NOW + 25 * DAY_S)
    assert "the list of members runs out in 5 days" in late
    assert "concordat trust renew" in late


def test_the_log_is_told_once_a_day_and_when_it_changes(caplog: pytest.LogCaptureFixture) -> None:
    watch, bundle = DeadlineWatch(NORTH, logging.getLogger("concordat.node")), soon()
    day = (NOW // DAY_S + 1) * DAY_S
    with caplog.at_level(logging.WARNING, logger="concordat.node"):
        watch.look(FRESH, day)
        assert caplog.records == []
        for at in (day, day + 20, day + DAY_S - 1):
            watch.look(bundle, at)
        assert [record.getMessage().partition(" runs")[0] for record in caplog.records] == [
            "the role of north-hospital"
        ]
        watch.look(bundle, day + DAY_S)
        assert len(caplog.records) == 2
