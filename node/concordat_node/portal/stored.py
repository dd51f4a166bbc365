"""What the pages of stored searches have in common: whose job it is, what it asked, what came of it.

Everything is read from the job; nothing here asks anybody.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from fastapi import Request

from concordat_node.home.home import Home
from concordat_node.home.jobs import Job, JobEvent
from concordat_node.home.result import RESULT_BYTES_MAX
from concordat_node.home.sessions import Session
from concordat_node.portal.browser import Browsers, SignedInBrowser
from concordat_node.portal.forms import form_of_question
from concordat_node.portal.pages import Frame
from concordat_node.portal.problems import Problem
from concordat_node.portal.reading import Object, obj, text
from concordat_trust.canonical import parse_object
from concordat_trust.words import purpose_words


@dataclass(frozen=True, slots=True)
class Stored:
    """Reads stored searches for the portal's pages."""

    home: Home
    browsers: Browsers

    async def job(self, request: Request) -> tuple[SignedInBrowser, Job]:
        """Return who looks, and the job of the address. Raises: NotSignedIn, JobNotFound."""
        browser = await self.browsers.signed_in(request)
        return browser, await self.home.job(request.path_params["job_id"], browser.session)

    async def posted(self, request: Request) -> tuple[SignedInBrowser, Job, dict[str, str]]:
        """Return who sent a form of ours, the job of the address, and the fields. Raises: as `Browsers.form`."""
        browser, fields = await self.browsers.form(request)
        return browser, await self.home.job(request.path_params["job_id"], browser.session), fields

    async def events(self, job_id: str, session: Session) -> tuple[JobEvent, ...]:
        """Return every event there is of a job. Raises: JobNotFound."""
        home, now = self.home, self.home.clock()
        return await home.run_blocking(partial(home.jobs.events, job_id, session, after=0, now=now))

    def frame(self, job: Job, browser: SignedInBrowser) -> Frame:
        """Return what stands around the page of a job."""
        question = question_of(job)
        form = form_of_question(job.label, question)
        return self.browsers.frame(browser, form, purpose_words(obj(question.get("purpose"))))

    def names(self) -> dict[str, str]:
        """Return the legal names of the organizations that would be asked now."""
        bundle = self.home.trusted_bundle()
        return {org: bundle.member(org).legal_name for org in bundle.roster}


def question_of(job: Job) -> Object:
    """Return what a job asked."""
    return _read(job.question)


def result_of(job: Job) -> Object | None:
    """Return what came of a job, None while nothing has."""
    return None if job.result is None else _read(job.result)


def failure_of(job: Job) -> Problem | None:
    """Return why a job failed, None when it has not."""
    if job.failure is None:
        return None
    told = _read(job.failure)
    return Problem(text(told.get("message")), text(told.get("hint")), text(told.get("code")))


def _read(data: bytes) -> Object:
    return parse_object(data, bytes_max=RESULT_BYTES_MAX)
