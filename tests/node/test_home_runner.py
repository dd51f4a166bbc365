"""Questions in the background: one task each, bounded, and ended with their session or their node."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest

from concordat_node.home.claims import PersonClaims
from concordat_node.home.errors import JobNotFound, QuestionInterrupted, QuestionsTooMany
from concordat_node.home.job_runner import RUNNING_MAX, RUNNING_PER_PERSON_MAX, Asking, JobRunner
from concordat_node.home.person import Person
from concordat_node.home.sessions import Session
from tests.factories.answers import demo_network, make_question
from tests.factories.home import TestHome, make_home
from tests.factories.portal import RELAY_ENDPOINT, Relay

T = TypeVar("T")


@pytest.fixture
def relay() -> Relay:
    return Relay(demo_network(), delay_s=0.05)


@pytest.fixture
def at_home(tmp_path: Path, relay: Relay) -> Iterator[TestHome]:
    made = make_home(tmp_path, network=demo_network())
    made.transport.by_endpoint[RELAY_ENDPOINT] = relay
    yield made
    made.home.close()


def signed_in(at_home: TestHome, subject: str = "person-1") -> tuple[str, Session]:
    person = Person(subject, PersonClaims("staff", "researcher", 2))
    return at_home.home.sessions.open(person, now=at_home.clock(), kind="browser")


async def begun(at_home: TestHome, session: Session, origin: str = "") -> str:
    asking = Asking(make_question(), {}, None, "clinical trial", origin)
    return await at_home.home.runner.start(asking, session, at_home.network.bundle)


async def names(at_home: TestHome, job_id: str, session: Session, after: int = 0) -> list[str]:
    return [event.name async for event in at_home.home.runner.follow(job_id, session, after=after)]


async def test_many_followers_see_the_same_events_of_one_question(at_home: TestHome, relay: Relay) -> None:
    _, session = signed_in(at_home)
    job_id = await begun(at_home, session)
    seen = await asyncio.gather(*(names(at_home, job_id, session) for _ in range(3)))
    assert seen == [["organization"] * 3 + ["done"]] * 3
    assert await names(at_home, job_id, session, after=3) == ["done"]
    assert await names(at_home, job_id, session, after=4) == []
    assert relay.asked == 1


async def test_one_session_has_so_many_questions_under_way_and_no_more(at_home: TestHome, relay: Relay) -> None:
    _, session = signed_in(at_home)
    outcomes = await asyncio.gather(
        *(begun(at_home, session) for _ in range(RUNNING_PER_PERSON_MAX + 3)), return_exceptions=True
    )
    refused = [outcome for outcome in outcomes if isinstance(outcome, QuestionsTooMany)]
    assert len(refused) == 3
    _, other = signed_in(at_home, "person-2")
    last = await begun(at_home, other)
    await at_home.home.runner.finished(last)
    assert relay.asked == RUNNING_PER_PERSON_MAX + 1
    await begun(at_home, session)
    await at_home.home.stop()


async def test_more_sessions_give_a_person_no_more_questions(at_home: TestHome, relay: Relay) -> None:
    relay.delay_s = 30
    for _ in range(RUNNING_PER_PERSON_MAX):
        await begun(at_home, signed_in(at_home)[1])
    with pytest.raises(QuestionsTooMany):
        await begun(at_home, signed_in(at_home)[1])
    await begun(at_home, signed_in(at_home, "person-2")[1])
    await at_home.home.stop()


async def test_a_node_has_so_many_questions_under_way_and_no_more(at_home: TestHome, relay: Relay) -> None:
    relay.delay_s = 30
    for number in range(RUNNING_MAX // RUNNING_PER_PERSON_MAX):
        _, session = signed_in(at_home, f"person-{number}")
        await asyncio.gather(*(begun(at_home, session) for _ in range(RUNNING_PER_PERSON_MAX)))
    _, another = signed_in(at_home, "one-too-many")
    with pytest.raises(QuestionsTooMany):
        await begun(at_home, another)
    await at_home.home.stop()


async def interrupted(function: Callable[[], T]) -> T:
    """Run something as a thread does: others go on meanwhile."""
    await asyncio.sleep(0)
    return function()


async def test_two_that_open_the_same_at_once_ask_once(at_home: TestHome, relay: Relay) -> None:
    _, session = signed_in(at_home)
    home = at_home.home
    runner = JobRunner(asker=home.asker, jobs=home.jobs, clock=at_home.clock, run_blocking=interrupted)
    asking = Asking(make_question(), {}, None, "clinical trial", "search/record")
    first, second = await asyncio.gather(*(runner.start(asking, session, at_home.network.bundle) for _ in range(2)))
    assert first == second
    await runner.finished(first)
    assert await runner.start(asking, session, at_home.network.bundle) == first
    await runner.close()
    assert relay.asked == 1


async def test_signing_out_ends_questions_under_way_and_whoever_follows_them(at_home: TestHome, relay: Relay) -> None:
    relay.delay_s = 30
    token, session = signed_in(at_home)
    job_id = await begun(at_home, session)
    following = asyncio.create_task(names(at_home, job_id, session))
    await asyncio.sleep(0.01)
    await at_home.home.end_session(token, kind="browser")
    assert await asyncio.wait_for(following, 5) == []
    with pytest.raises(JobNotFound):
        await at_home.home.job(job_id, session)
    assert [task for task in asyncio.all_tasks() if task.get_name().startswith("question-")] == []


async def test_a_node_that_stops_ends_its_questions_and_says_so_when_it_starts_again(
    at_home: TestHome, relay: Relay
) -> None:
    relay.delay_s = 30
    _, session = signed_in(at_home)
    job_id = await begun(at_home, session)
    await asyncio.sleep(0.01)
    await at_home.home.stop()
    assert [task for task in asyncio.all_tasks() if task.get_name().startswith("question-")] == []
    at_home.home.jobs.interrupt_all()
    job = await at_home.home.job(job_id, session)
    assert QuestionInterrupted.code.encode() in (job.failure or b"")
    assert await names(at_home, job_id, session) == ["failed"]
