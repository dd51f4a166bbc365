"""Asking in the background: every job is asked once, by one task, whoever looks at it and however often.

Rules of this file:

* A question survives the request that began it: closing a page, a broken connection or a reload changes nothing.
* What runs is bounded, for the node and for each person over all their sessions; one more is refused before anything is
  stored or sent.
* A task ends when its session ends (`end_session`), when nobody keeps its job any more, when the own organization may
  no longer ask (`Asker` raises), and when the node stops (`close`).
* Whoever waits is woken after an event has been stored, and reads it from there.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from concordat_node.home.arrivals import OrganizationAnswered
from concordat_node.home.ask import Asker, Finished
from concordat_node.home.errors import (
    JobNotFound,
    NextPageMissing,
    NotSignedIn,
    QuestionFailed,
    QuestionInterrupted,
    QuestionsTooMany,
)
from concordat_node.home.jobs import Job, JobEvent, JobStore, NewJob
from concordat_node.home.lineage import LineageRequest, walk_json, walk_lineage
from concordat_node.home.login import RunBlocking
from concordat_node.home.paging import next_cursors
from concordat_node.home.result import ShownJob, result_json
from concordat_node.home.saving import saved_answer
from concordat_node.home.sentence import Understood, understand
from concordat_node.home.sessions import Session
from concordat_trust.bundle.trusted import TrustedBundle
from concordat_trust.canonical import JsonObject, canonical_bytes, parse_object
from concordat_trust.errors import ConcordatError
from concordat_trust.failure_log import without_texts
from concordat_trust.ids import OrgId
from concordat_trust.question import QUESTION_BYTES_MAX, PartCursor, Question
from concordat_trust.saved_answer import SavedAnswer

RUNNING_MAX = 64
RUNNING_PER_PERSON_MAX = 8
_NEXT = "next"
_log = logging.getLogger("concordat.node.home")


@dataclass(frozen=True, slots=True)
class Asking:
    """What is to be asked, and what its person wrote; `origin` and `is_again` as in `NewJob`."""

    question: Question
    ids: Mapping[OrgId, tuple[str, ...]]
    understood: Understood | None
    label: str
    origin: str = ""
    cursors: Mapping[OrgId, PartCursor] = field(default_factory=dict)
    is_again: bool = False

    def new_job(self) -> NewJob:
        """Return what is stored of it before it is asked."""
        question = self.question
        return NewJob(question.purpose, question.canonical(), self.label, self.origin, self.is_again)


def following_page(job: Job) -> Asking:
    """Return what asks for the page after a stored one; it is asked once, and again only when that failed.

    Raises: NextPageMissing.
    """
    # A walk is no question and has no operation; only what a search finds comes in pages.
    if job.answer is None or parse_object(job.question, bytes_max=QUESTION_BYTES_MAX).get("operation") != "search":
        raise NextPageMissing
    saved = SavedAnswer.parse(job.answer)
    understood = understand(job.label) if job.label else None
    origin = f"{_NEXT} {page_of(job).number + 1} {job.job_id}"
    return Asking(saved.question, {}, understood, job.label, origin, next_cursors(saved), is_again=True)


@dataclass(frozen=True, slots=True)
class PagePlace:
    """Which page of its search a job is, from 1, and the job of the page before; "" before the first."""

    number: int
    before: str


def page_of(job: Job) -> PagePlace:
    """Return the place of a job among the pages of its search."""
    word, _, place = job.origin.partition(" ")
    number, _, before = place.partition(" ")
    return PagePlace(int(number), before) if word == _NEXT else PagePlace(1, "")


@dataclass(slots=True)
class _Running:
    session_id: str
    subject: str
    job_id: str = ""
    task: asyncio.Task[None] | None = None
    failure: ConcordatError | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def wake(self) -> None:
        self.changed, woken = asyncio.Event(), self.changed
        woken.set()


Work = Callable[[_Running], Awaitable[None]]
"""What one task does for its job."""


class JobRunner:
    """Begins jobs, runs them to their end, and lets others follow."""

    def __init__(self, *, asker: Asker, jobs: JobStore, clock: Callable[[], int], run_blocking: RunBlocking) -> None:
        self._asker = asker
        self._jobs = jobs
        self._clock = clock
        self._run_blocking = run_blocking
        self._running: list[_Running] = []

    async def start(self, asking: Asking, session: Session, bundle: TrustedBundle) -> str:
        """Return the id of a job that is being asked, or was asked before under the same origin.

        Raises: QuestionsTooMany, NotSignedIn.
        """
        return await self._begin(asking.new_job(), session, lambda running: self._ask(running, asking, session, bundle))

    async def start_walk(
        self, request: LineageRequest, session: Session, bundle: Callable[[], TrustedBundle], *, origin: str = ""
    ) -> str:
        """Return the id of a job in which a lineage is walked, or was walked before under the same origin.

        Raises: QuestionsTooMany, NotSignedIn.
        """
        new = NewJob(request.purpose, request.canonical(), str(request.start), origin, is_again=True)
        return await self._begin(new, session, lambda running: self._walk(running, request, session, bundle))

    async def _begin(self, new: NewJob, session: Session, work: Work) -> str:
        now, again = self._clock(), new.is_again
        known = await self._run_blocking(lambda: self._jobs.asked_before(new.origin, session, now=now, is_again=again))
        if known is not None:
            return known
        place = self._place(session)
        try:
            place.job_id, is_new = await self._run_blocking(lambda: self._jobs.begin(new, session, now=now))
        except BaseException:
            self._running.remove(place)
            raise
        if not is_new:
            self._running.remove(place)
            return place.job_id
        place.task = asyncio.create_task(self._run(place, work), name=f"question-{place.job_id}")
        return place.job_id

    async def finished(self, job_id: str) -> None:
        """Return when the job is not running. Raises: what ended it, when it ran until now."""
        running = self._find(job_id)
        if running is None or running.task is None:
            return
        await asyncio.wait({running.task})
        if running.failure is not None:
            raise running.failure

    async def settled(self, job_id: str, *, timeout_s: float) -> None:
        """Return when the job is not running, or after `timeout_s`."""
        running = self._find(job_id)
        if running is not None and running.task is not None:
            await asyncio.wait({running.task}, timeout=timeout_s)

    async def follow(self, job_id: str, session: Session, *, after: int = 0) -> AsyncIterator[JobEvent]:
        """Yield the events of a job after number `after`, those to come as well, up to the last one.

        Ends early when nobody keeps the job any more. Raises: JobNotFound at the beginning.
        """
        is_first = True
        while True:
            running = self._find(job_id)
            changed = None if running is None else running.changed
            try:
                events = await self._events(job_id, session, after)
            except JobNotFound:
                if is_first:
                    raise
                return
            is_first = False
            for event in events:
                after = event.seq
                yield event
                if event.is_last:
                    return
            if changed is None:
                return
            await changed.wait()

    async def end_session(self, session_id: str) -> None:
        """End the questions of a session that has ended."""
        await self._cancel([running for running in self._running if running.session_id == session_id])

    async def close(self) -> None:
        """End every question; the next process says of them that they were interrupted."""
        await self._cancel(list(self._running))

    def _place(self, session: Session) -> _Running:
        # Taken before anything is awaited, so that many at once cannot pass one limit together.
        mine = sum(running.subject == session.subject for running in self._running)
        if mine >= RUNNING_PER_PERSON_MAX or len(self._running) >= RUNNING_MAX:
            raise QuestionsTooMany(running=min(mine, RUNNING_PER_PERSON_MAX) or RUNNING_MAX)
        place = _Running(session.session_id, session.subject)
        self._running.append(place)
        return place

    def _find(self, job_id: str) -> _Running | None:
        return next((running for running in self._running if running.job_id == job_id), None)

    async def _events(self, job_id: str, session: Session, after: int) -> tuple[JobEvent, ...]:
        now = self._clock()
        return await self._run_blocking(lambda: self._jobs.events(job_id, session, after=after, now=now))

    async def _run(self, running: _Running, work: Work) -> None:
        try:
            await work(running)
        except (JobNotFound, NotSignedIn):
            running.failure = NotSignedIn()  # the session ended meanwhile: nothing is kept
        except asyncio.CancelledError:
            running.failure = QuestionInterrupted()
            raise
        except ConcordatError as error:
            await self._failed(running, error)
        except Exception as error:  # noqa: BLE001 - a task has no caller: its failure becomes the job's, with a code
            _log.error("question failed: %s", without_texts(error))
            await self._failed(running, QuestionFailed())
        finally:
            self._running.remove(running)
            running.wake()

    async def _ask(self, running: _Running, asking: Asking, session: Session, bundle: TrustedBundle) -> None:
        events = self._asker.ask_events(
            asking.question, asking.ids, session=session, bundle=bundle, cursors=asking.cursors
        )
        async with contextlib.aclosing(events):
            async for event in events:
                if isinstance(event, OrganizationAnswered):
                    await self._answered(running, event)
                else:
                    await self._done(running, event, asking, session, bundle)

    async def _walk(
        self, running: _Running, request: LineageRequest, session: Session, bundle: Callable[[], TrustedBundle]
    ) -> None:
        walked = await walk_lineage(request, asker=self._asker, session=session, bundle=bundle, clock=self._clock)
        ends_at = _ends_at(walked.valid_until, session)
        result = canonical_bytes(walk_json(walked, ShownJob(running.job_id, ends_at)))
        await self._finish(running, result, walked.saved(), ends_at)

    async def _answered(self, running: _Running, event: OrganizationAnswered) -> None:
        data: JsonObject = {"entry": event.entry.to_json(), "records": list(event.records)}
        await self._run_blocking(lambda: self._jobs.append(running.job_id, data))
        running.wake()

    async def _done(
        self, running: _Running, event: Finished, asking: Asking, session: Session, bundle: TrustedBundle
    ) -> None:
        asked, now = event.asked, self._clock()
        ends_at = _ends_at(asked.judged.valid_until, session)
        result = canonical_bytes(result_json(asked, asking.understood, ShownJob(running.job_id, ends_at), bundle))
        await self._finish(running, result, saved_answer(asked, bundle, now=now), ends_at)

    async def _finish(self, running: _Running, result: bytes, answer: bytes, ends_at: int) -> None:
        await self._run_blocking(
            lambda: self._jobs.finish(running.job_id, result=result, answer=answer, ends_at=ends_at)
        )

    async def _failed(self, running: _Running, error: ConcordatError) -> None:
        running.failure = error
        try:
            await self._run_blocking(lambda: self._jobs.fail(running.job_id, error))
        except JobNotFound:
            running.failure = NotSignedIn()

    async def _cancel(self, ended: list[_Running]) -> None:
        tasks = {running.task for running in ended if running.task is not None}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _ends_at(valid_until: int | None, session: Session) -> int:
    return session.ends_at if valid_until is None else min(valid_until, session.ends_at)
