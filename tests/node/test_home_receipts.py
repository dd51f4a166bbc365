"""Receipts at home: an answer counts only with the proof that its node has logged it, in a log that nobody rewrote."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from concordat_node.home.checkpoints import CHECKPOINTS_MAX, ORGANIZATIONS_MAX, SeenCheckpoints
from concordat_trust.canonical import JsonObject
from concordat_trust.checkpoint import Checkpoint
from concordat_trust.encoding import sha256_b64u
from concordat_trust.ids import OrgId
from tests.factories.answers import HOME, NORTH, VITALIS
from tests.factories.network import NOW
from tests.factories.relay import FakeCoordinator, FakeNode, Handed, Says
from tests.node.test_home_ask import NETWORK, QUESTION, SESSION, ask, asker, hit_ids, statuses, verify_again


def _of_north(change: Callable[[JsonObject], None]) -> Callable[[JsonObject], None]:
    def lie(sent: JsonObject) -> None:
        answers = sent["answers"]
        assert isinstance(answers, list)
        for answer in answers:
            if isinstance(answer, dict) and answer["organization"] == NORTH:
                change(answer)

    return lie


async def test_an_answer_whose_receipt_was_withheld_does_not_count_and_is_named() -> None:
    asked = await ask(FakeCoordinator(NETWORK, lie_late=_of_north(lambda answer: answer.update(receipt=None))))
    assert statuses(asked)[NORTH] == ("INVALID", "receipt_missing", False)
    assert [finding.to_json() for finding in asked.judged.findings if finding.organization == NORTH] == [
        {"code": "receipt_missing", "organization": NORTH}
    ]
    assert not any(f":{NORTH}:" in hit for hit in hit_ids(asked))


async def test_a_receipt_of_another_organization_does_not_count() -> None:
    def exchange(handed: Handed) -> None:
        other = handed.answers[VITALIS].receipt
        handed.answers[NORTH] = replace(handed.answers[NORTH], receipt=other)

    asked = await ask(FakeCoordinator(NETWORK, lie=exchange))
    assert statuses(asked)[NORTH] == ("INVALID", "receipt_wrong_leaf", False)
    assert statuses(asked)[VITALIS][0] == "OK"


async def test_the_own_nodes_answer_needs_its_receipt_as_well() -> None:
    node = FakeNode(NETWORK, lie=lambda given: given.update(receipt=None))
    asked = await ask(Says(500), node)
    assert statuses(asked)[HOME] == ("INVALID", "receipt_missing", False)


async def test_the_saved_answer_keeps_its_receipts_and_verifies() -> None:
    asked = await ask(FakeCoordinator(NETWORK))
    assert all(raw.receipt for raw in asked.judged.raw.values())
    verify_again(asked)


async def test_a_log_that_was_rewritten_between_two_questions_is_found() -> None:
    coordinator = FakeCoordinator(NETWORK)
    home = asker(coordinator)
    first = await home.ask(QUESTION, {}, session=SESSION, bundle=NETWORK.bundle)
    assert statuses(first)[NORTH][0] == "OK"
    # The same size again, over another entry: what a node restored from an older copy signs.
    coordinator.attested = {NORTH: {"log_leaf": sha256_b64u(b"another entry")}}
    second = await home.ask(QUESTION, {}, session=SESSION, bundle=NETWORK.bundle)
    assert statuses(second)[NORTH] == ("INVALID", "log_split_view", False)
    assert statuses(second)[VITALIS][0] == "OK"


def _checkpoint(size: int, root: bytes = bytes(32), organization: OrgId = NORTH) -> Checkpoint:
    return Checkpoint(organization, "net", size, root, NOW)


def test_the_same_checkpoint_again_and_other_logs_are_no_split_view() -> None:
    seen = SeenCheckpoints()
    assert not seen.is_split(_checkpoint(4))
    assert not seen.is_split(_checkpoint(4))
    assert not seen.is_split(_checkpoint(5, b"r" * 32))
    assert not seen.is_split(_checkpoint(4, b"r" * 32, VITALIS))
    assert seen.is_split(_checkpoint(4, b"r" * 32))
    assert not seen.is_split(_checkpoint(4))


@pytest.mark.parametrize(("others", "is_split"), [(CHECKPOINTS_MAX - 1, True), (CHECKPOINTS_MAX, False)])
def test_the_latest_checkpoints_of_an_organization_are_remembered(others: int, is_split: bool) -> None:
    seen = SeenCheckpoints()
    for size in range(1, others + 2):
        seen.is_split(_checkpoint(size))
    assert seen.is_split(_checkpoint(1, b"r" * 32)) is is_split


@pytest.mark.parametrize(("others", "is_split"), [(ORGANIZATIONS_MAX - 1, True), (ORGANIZATIONS_MAX, False)])
def test_so_many_organizations_are_remembered(others: int, is_split: bool) -> None:
    seen = SeenCheckpoints()
    seen.is_split(_checkpoint(1))
    for number in range(others):
        seen.is_split(_checkpoint(1, organization=OrgId.parse(f"organization-{number}")))
    assert seen.is_split(_checkpoint(1, b"r" * 32)) is is_split
