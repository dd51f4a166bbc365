"""What runs out is told in time, to whom it concerns, and with what to do; a suspension is shown with its reason."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from concordat_client.cli import main
from concordat_trust.bundle.deadlines import (
    WARN_BEFORE_S,
    Kind,
    deadline_words,
    deadlines,
    due,
    suspension_reasons,
)
from concordat_trust.bundle.metadata import DAY_S, LIFETIME_MAX_S
from concordat_trust.bundle.repository import (
    MEMBER_LIFETIME_S,
    ROOT_LIFETIME_S,
    SUSPENDED_LIFETIME_S,
    TARGETS_LIFETIME_S,
)
from concordat_trust.bundle.store import publish
from concordat_trust.bundle.suspension import suspend
from concordat_trust.ids import OrgId
from tests.factories.network import NOW, make_network
from tests.factories.repository import Repository, expires

NORTH, VITALIS = OrgId("north-hospital"), OrgId("vitalis")
BUNDLE = make_network().bundle


def test_everything_that_people_sign_has_a_deadline() -> None:
    found = {(d.kind, d.member): d.expires_at for d in deadlines(BUNDLE)}
    assert found.pop(("root", None)) == NOW + ROOT_LIFETIME_S
    assert found.pop(("targets", None)) == NOW + TARGETS_LIFETIME_S
    assert found.pop(("suspended", None)) == NOW + SUSPENDED_LIFETIME_S
    assert set(found) == {(kind, member) for kind in ("role", "statement") for member in BUNDLE.members}
    assert set(found.values()) == {NOW + MEMBER_LIFETIME_S}
    times = [d.expires_at for d in deadlines(BUNDLE)]
    assert times == sorted(times)


@pytest.mark.parametrize("kind", [*WARN_BEFORE_S])
def test_a_warning_begins_with_its_second_and_stays(kind: Kind) -> None:
    deadline = next(d for d in deadlines(BUNDLE) if d.kind == kind)
    begins = deadline.expires_at - WARN_BEFORE_S[kind]
    assert not deadline.is_due(begins - 1)
    assert deadline.is_due(begins)
    assert deadline.is_due(deadline.expires_at + DAY_S)
    assert " runs out in " in deadline.words(begins)
    assert " ran out 2 days ago" in deadline.words(deadline.expires_at + 2 * DAY_S)


def test_nobody_is_warned_of_what_was_just_signed() -> None:
    assert due(BUNDLE, NOW) == ()
    assert all(before < LIFETIME_MAX_S.get(kind, MEMBER_LIFETIME_S) for kind, before in WARN_BEFORE_S.items())


def test_an_organization_is_warned_of_its_own_and_of_what_concerns_all() -> None:
    later = NOW + MEMBER_LIFETIME_S - DAY_S
    own = due(BUNDLE, later, members=(NORTH,))
    assert {(d.kind, d.member) for d in own} == {
        ("targets", None), ("suspended", None), ("role", NORTH), ("statement", NORTH),
    }  # fmt: skip
    assert {d.member for d in due(BUNDLE, later)} == {None, *BUNDLE.members}
    assert own[-1].remedy == "north-hospital signs again with `concordat trust rotate north-hospital --renew`"
    words = deadline_words(BUNDLE, NORTH, later)
    assert words.count("warning: ") == len(own)
    assert deadline_words(BUNDLE, NORTH, NOW) == deadline_words(None, NORTH, NOW) == ""


def test_a_member_that_ran_out_is_warned_of_its_role() -> None:
    repo = Repository()
    repo.edit("1.north-hospital.json", expires(NOW + 60), signers=[repo.entity("north-hospital")])
    repo.renew(NOW + 61)
    bundle = repo.verify(at=NOW + 61)
    assert bundle.unusable[NORTH].code == "statement_expired"
    assert [(d.kind, d.member) for d in due(bundle, NOW + 61)] == [("role", NORTH)]


def suspended() -> Repository:
    repo = Repository()
    told = {"organization": VITALIS, "reason": "Its keys leaked.", "keyholder": repo.keys.keyholders[1], "at": NOW}
    repo.files |= suspend(repo.files, root_sha256=repo.root_sha256, **told).files  # type: ignore[arg-type]  # named facts
    repo.renew(NOW + 1)
    return repo


def test_a_suspension_has_its_reason_and_one_that_was_dropped_has_none() -> None:
    repo = suspended()
    bundle = repo.verify(at=NOW + 1)
    assert suspension_reasons(bundle) == {VITALIS: "Its keys leaked."}
    repo.publish_suspended({}, 3)
    repo.renew(NOW + 2)
    assert suspension_reasons(repo.verify(at=NOW + 2, memory=bundle.memory)) == {VITALIS: ""}
    assert suspension_reasons(BUNDLE) == {}


def test_show_prints_the_reason_and_what_runs_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    repo = suspended()
    late = NOW + 25 * DAY_S
    repo.renew(late)
    publish(tmp_path / "repository", repo.files)
    shown = ["trust", "show", "--bundle", str(tmp_path / "repository"), "--root-sha256", repo.root_sha256]
    assert main([*shown, "--at", str(late)]) == 0
    text = capsys.readouterr().out
    assert "SUSPENDED: Its keys leaked." in text
    assert "! the list of members runs out in 5 days" in text
    assert "`concordat trust renew`" in text
    assert main([*shown, "--at", str(late), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    members = {member["id"]: member["suspension"] for member in told["members"]}
    assert members["vitalis"] == {"version": 2, "reason": "Its keys leaked."}
    assert members["north-hospital"] is None
    assert [d["kind"] for d in told["deadlines"] if d["is_due"]] == ["suspended", "targets"] or [
        d["kind"] for d in told["deadlines"] if d["is_due"]
    ] == ["targets", "suspended"]
