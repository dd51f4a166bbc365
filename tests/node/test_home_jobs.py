"""Stored searches: whose they are, when they are gone, one beginning and one end of a question, and their events."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine

from concordat_node.home.claims import PersonClaims
from concordat_node.home.database import open_home_database
from concordat_node.home.errors import JobNotFound, NotSignedIn, QuestionFailed, QuestionInterrupted
from concordat_node.home.jobs import JOB_ID_LENGTH_MAX, JOBS_PER_SESSION_MAX, JobStore, NewJob
from concordat_node.home.person import Person
from concordat_node.home.sessions import Session, SessionStore
from concordat_trust.question import Purpose
from tests.factories.home import Entropy
from tests.factories.network import NOW

PURPOSE = Purpose("HMB")
PERSON = Person("person-1", PersonClaims("staff", "researcher", 1))
ABSOLUTE_S = 5_000
NEW = NewJob(PURPOSE, b"{}", "models")


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    made = open_home_database(tmp_path / "home.sqlite3")
    yield made
    made.dispose()


@pytest.fixture
def sessions(engine: Engine) -> SessionStore:
    return SessionStore(engine, idle_s=1_000, absolute_s=ABSOLUTE_S, entropy=Entropy())


@pytest.fixture
def jobs(engine: Engine) -> JobStore:
    return JobStore(engine, entropy=Entropy("jobs"), still=tuple)


@pytest.fixture
def session(sessions: SessionStore) -> Session:
    return sessions.open(PERSON, now=NOW)[1]


def stored(jobs: JobStore, session: Session, *, now: int = NOW, ends_at: int = NOW + 100) -> str:
    """Return the id of a search that was asked and answered."""
    job_id, _ = jobs.begin(NEW, session, now=now)
    jobs.append(job_id, {"entry": 1})
    jobs.finish(job_id, result=b"{}", answer=b'{"saved":1}', ends_at=ends_at)
    return job_id


def test_a_stored_search_is_read_by_its_own_session_only(
    sessions: SessionStore, jobs: JobStore, session: Session
) -> None:
    job_id = stored(jobs, session)
    assert jobs.load(job_id, session, now=NOW).answer == b'{"saved":1}'
    same_person = sessions.open(PERSON, now=NOW)[1]
    stranger = Session(session.session_id, "person-2", session.claims, session.ends_at)
    for other in (same_person, stranger):
        with pytest.raises(JobNotFound):
            jobs.load(job_id, other, now=NOW)
        with pytest.raises(JobNotFound):
            jobs.events(job_id, other, after=0, now=NOW)
        assert jobs.recent(other, now=NOW, count=5) == ()


def test_a_stored_search_is_bound_to_its_purpose(jobs: JobStore, session: Session) -> None:
    job_id = stored(jobs, session)
    jobs.load(job_id, session, now=NOW, purpose=PURPOSE)
    with pytest.raises(JobNotFound):
        jobs.load(job_id, session, now=NOW, purpose=Purpose("HMB", commercial=True))


def test_a_stored_search_is_gone_when_what_it_shows_is_no_longer_valid(jobs: JobStore, session: Session) -> None:
    job_id = stored(jobs, session, ends_at=NOW + 100)
    jobs.load(job_id, session, now=NOW + 99)
    with pytest.raises(JobNotFound):
        jobs.load(job_id, session, now=NOW + 100)
    with pytest.raises(JobNotFound):
        jobs.events(job_id, session, after=0, now=NOW + 100)


def test_a_stored_search_never_outlives_its_session(sessions: SessionStore, jobs: JobStore, session: Session) -> None:
    job_id = stored(jobs, session, ends_at=NOW + 10 * ABSOLUTE_S)
    assert jobs.load(job_id, session, now=NOW).ends_at == session.ends_at


def test_signing_out_ends_stored_searches_and_their_events(sessions: SessionStore, jobs: JobStore) -> None:
    token, session = sessions.open(PERSON, now=NOW)
    job_id = stored(jobs, session)
    sessions.close(token)
    with pytest.raises(JobNotFound):
        jobs.load(job_id, session, now=NOW)
    with pytest.raises(JobNotFound):
        jobs.events(job_id, session, after=0, now=NOW)


def test_nothing_is_begun_for_a_session_that_has_ended(sessions: SessionStore, jobs: JobStore) -> None:
    token, session = sessions.open(PERSON, now=NOW)
    sessions.close(token)
    with pytest.raises(NotSignedIn):
        jobs.begin(NEW, session, now=NOW)


def test_nothing_is_kept_for_a_session_that_ended_meanwhile(sessions: SessionStore, jobs: JobStore) -> None:
    token, session = sessions.open(PERSON, now=NOW)
    job_id, _ = jobs.begin(NEW, session, now=NOW)
    sessions.close(token)
    with pytest.raises(JobNotFound):
        jobs.append(job_id, {"entry": 1})
    with pytest.raises(JobNotFound):
        jobs.finish(job_id, result=b"{}", answer=b"{}", ends_at=NOW + 1)
    with pytest.raises(JobNotFound):
        jobs.fail(job_id, QuestionFailed())


def test_the_oldest_stored_search_makes_room(jobs: JobStore, session: Session) -> None:
    ids = [stored(jobs, session, now=NOW + i, ends_at=NOW + 1_000) for i in range(JOBS_PER_SESSION_MAX + 1)]
    with pytest.raises(JobNotFound):
        jobs.load(ids[0], session, now=NOW + 60)
    jobs.load(ids[1], session, now=NOW + 60)


def test_what_was_opened_from_a_search_makes_room_before_the_search(jobs: JobStore, session: Session) -> None:
    search = stored(jobs, session, now=NOW, ends_at=NOW + 1_000)
    opened = [
        jobs.begin(replace(NEW, origin=f"{search}/{record}"), session, now=NOW + record)[0]
        for record in range(1, JOBS_PER_SESSION_MAX + 1)
    ]
    jobs.load(search, session, now=NOW + 60)
    with pytest.raises(JobNotFound):
        jobs.load(opened[0], session, now=NOW + 60)
    jobs.load(opened[1], session, now=NOW + 60)


def test_a_question_ends_once(jobs: JobStore, session: Session) -> None:
    job_id = stored(jobs, session)
    with pytest.raises(JobNotFound):
        jobs.finish(job_id, result=b'{"other":1}', answer=b"{}", ends_at=NOW + 1)
    with pytest.raises(JobNotFound):
        jobs.fail(job_id, QuestionFailed())
    with pytest.raises(JobNotFound):
        jobs.append(job_id, {"entry": 2})
    job = jobs.load(job_id, session, now=NOW)
    assert (job.state, job.result, job.failure) == ("done", b"{}", None)


def test_events_are_numbered_and_replayed_from_any_of_them(jobs: JobStore, session: Session) -> None:
    job_id, _ = jobs.begin(NEW, session, now=NOW)
    for entry in range(3):
        jobs.append(job_id, {"entry": entry})
    jobs.fail(job_id, QuestionFailed())
    events = jobs.events(job_id, session, after=0, now=NOW)
    assert [(event.seq, event.name) for event in events] == [
        (1, "organization"),
        (2, "organization"),
        (3, "organization"),
        (4, "failed"),
    ]
    assert [event.is_last for event in events] == [False, False, False, True]
    for after in range(6):
        assert jobs.events(job_id, session, after=after, now=NOW) == events[after:]


def test_an_origin_is_asked_once_in_a_session(sessions: SessionStore, jobs: JobStore, session: Session) -> None:
    new = NewJob(PURPOSE, b"{}", "a record", origin="search/record")
    first, is_new = jobs.begin(new, session, now=NOW)
    assert is_new
    assert jobs.begin(new, session, now=NOW) == (first, False)
    assert jobs.asked_before("search/record", session, now=NOW) == first
    other = sessions.open(PERSON, now=NOW)[1]
    assert jobs.asked_before("search/record", other, now=NOW) is None
    assert jobs.begin(new, other, now=NOW)[1]


OPENED = NewJob(PURPOSE, b"{}", "a record", origin="search/record")
AGAIN = replace(OPENED, is_again=True)


def test_one_that_failed_makes_room_for_a_person_who_asks_again(jobs: JobStore, session: Session) -> None:
    failed, _ = jobs.begin(OPENED, session, now=NOW)
    jobs.append(failed, {"entry": 1})
    jobs.fail(failed, QuestionFailed())
    assert jobs.begin(OPENED, session, now=NOW) == (failed, False)
    assert jobs.asked_before(OPENED.origin, session, now=NOW) == failed
    assert jobs.asked_before(AGAIN.origin, session, now=NOW, is_again=True) is None
    fresh, is_new = jobs.begin(AGAIN, session, now=NOW)
    assert is_new
    assert fresh != failed
    assert jobs.begin(AGAIN, session, now=NOW) == (fresh, False)
    with pytest.raises(JobNotFound):
        jobs.load(failed, session, now=NOW)
    assert jobs.events(fresh, session, after=0, now=NOW) == ()


@pytest.mark.parametrize("is_done", [False, True])
def test_one_that_runs_or_is_done_is_never_asked_again(jobs: JobStore, session: Session, is_done: bool) -> None:
    first, _ = jobs.begin(OPENED, session, now=NOW)
    if is_done:
        jobs.finish(first, result=b"{}", answer=b"{}", ends_at=NOW + 100)
    assert jobs.asked_before(AGAIN.origin, session, now=NOW, is_again=True) == first
    assert jobs.begin(AGAIN, session, now=NOW) == (first, False)
    assert jobs.load(first, session, now=NOW).state == ("done" if is_done else "running")


def test_asking_again_leaves_what_failed_for_others_alone(
    sessions: SessionStore, jobs: JobStore, session: Session
) -> None:
    other = sessions.open(PERSON, now=NOW)[1]
    theirs, _ = jobs.begin(OPENED, other, now=NOW)
    jobs.fail(theirs, QuestionFailed())
    plain, _ = jobs.begin(NEW, session, now=NOW)
    jobs.fail(plain, QuestionFailed())
    jobs.begin(AGAIN, session, now=NOW)
    assert jobs.load(theirs, other, now=NOW).state == "failed"
    assert jobs.load(plain, session, now=NOW).state == "failed"


def test_one_whose_time_is_over_is_asked_anew(jobs: JobStore, session: Session) -> None:
    first, _ = jobs.begin(OPENED, session, now=NOW)
    jobs.finish(first, result=b"{}", answer=b"{}", ends_at=NOW + 100)
    assert jobs.asked_before(OPENED.origin, session, now=NOW + 99) == first
    assert jobs.asked_before(OPENED.origin, session, now=NOW + 100) is None
    assert jobs.begin(OPENED, session, now=NOW + 100)[1]


def test_recent_searches_are_the_newest_and_no_records(jobs: JobStore, session: Session) -> None:
    ids = [jobs.begin(NEW, session, now=NOW + at)[0] for at in range(3)]
    jobs.begin(NewJob(PURPOSE, b"{}", "a record", origin="search/record"), session, now=NOW + 4)
    assert [job.job_id for job in jobs.recent(session, now=NOW + 5, count=2)] == [ids[2], ids[1]]


def test_what_an_earlier_process_left_running_has_failed(jobs: JobStore, session: Session) -> None:
    running, done = jobs.begin(NEW, session, now=NOW)[0], stored(jobs, session)
    jobs.interrupt_all()
    job = jobs.load(running, session, now=NOW)
    assert (job.state, QuestionInterrupted.code.encode() in (job.failure or b"")) == ("failed", True)
    assert jobs.load(done, session, now=NOW).state == "done"


@pytest.mark.parametrize("job_id", ["", "x", "x" * JOB_ID_LENGTH_MAX, "x" * (JOB_ID_LENGTH_MAX + 1)])
def test_an_unknown_id_is_as_absent_as_somebody_elses(jobs: JobStore, session: Session, job_id: str) -> None:
    with pytest.raises(JobNotFound):
        jobs.load(job_id, session, now=NOW)


def test_the_oldest_searches_of_a_person_make_room_over_all_sessions(
    engine: Engine, sessions: SessionStore, session: Session
) -> None:
    size = len(b"{}" * 2) + len(b"{}" + b"{}" + b'{"saved":1}') - 2 + len(b'{"entry":1}')
    jobs = JobStore(engine, entropy=Entropy("jobs"), still=tuple, bytes_max=2 * size)
    other_session = sessions.open(PERSON, now=NOW)[1]
    stranger = sessions.open(Person("person-2", PERSON.claims), now=NOW)[1]
    foreign = stored(jobs, stranger)
    first, second = stored(jobs, session), stored(jobs, other_session, now=NOW + 1)
    assert jobs.load(first, session, now=NOW).state == "done"
    third = stored(jobs, session, now=NOW + 2)
    with pytest.raises(JobNotFound):
        jobs.load(first, session, now=NOW)
    assert jobs.load(second, other_session, now=NOW).state == "done"
    assert jobs.load(third, session, now=NOW).state == "done"
    assert jobs.load(foreign, stranger, now=NOW).state == "done"


def test_neither_what_runs_nor_what_has_just_ended_makes_room(engine: Engine, session: Session) -> None:
    jobs = JobStore(engine, entropy=Entropy("jobs"), still=tuple, bytes_max=1)
    running, _ = jobs.begin(NEW, session, now=NOW)
    ended = stored(jobs, session, now=NOW + 1)
    assert jobs.load(running, session, now=NOW).state == "running"
    assert jobs.load(ended, session, now=NOW).state == "done"
    last = stored(jobs, session, now=NOW + 2)
    with pytest.raises(JobNotFound):
        jobs.load(ended, session, now=NOW)
    assert jobs.load(last, session, now=NOW).state == "done"
