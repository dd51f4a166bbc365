"""The pages of stored searches: answers as they come, the whole result, its next page, and the signed answer.

A page is made from the job as it is stored; making it again asks nobody.
"""

from __future__ import annotations

from fastapi import Request, Response

from concordat_node.home.errors import JobNotFound
from concordat_node.home.event_stream import event_stream, last_event_id
from concordat_node.home.home import Home
from concordat_node.home.job_runner import Asking, following_page, page_of
from concordat_node.home.requests import SearchRequest
from concordat_node.home.sentence import understand
from concordat_node.portal.browser import Browsers
from concordat_node.portal.guard import page_headers
from concordat_node.portal.pages import Pages
from concordat_node.portal.record_pages import RecordPages, is_lineage, is_own_page
from concordat_node.portal.search_view import finished_view, names_in, running_view
from concordat_node.portal.stored import Stored, failure_of, question_of, result_of
from concordat_node.portal.stream import fragment_writer, read_event

ASSET_PREFIX = "urn:concordat:"


class JobPages:
    """The routes of searches under `/portal/search/{job_id}`."""

    def __init__(self, home: Home, pages: Pages, browsers: Browsers, records: RecordPages) -> None:
        self._home = home
        self._pages = pages
        self._stored = Stored(home, browsers)
        self._records = records
        self._root = home.settings.portal_root

    async def search_page(self, request: Request) -> Response:
        browser, job = await self._stored.job(request)
        if not is_own_page(job):
            raise JobNotFound
        if question_of(job).get("operation") == "assets":
            return await self._records.page(job, browser)
        result, place = result_of(job), page_of(job)
        if result is not None:
            view = finished_view(result, names_in(result))
        else:
            events = await self._stored.events(job.job_id, browser.session)
            told = [read_event(event) for event in events if not event.is_last]
            understood = understand(job.label).to_json()
            view = running_view(told, self._stored.names(), understood, question_of(job))
        html = self._pages.page(
            "search",
            self._stored.frame(job, browser),
            job=job.job_id,
            place=place,
            state=job.state,
            view=view,
            failure=failure_of(job),
            until=job.ends_at,
            root_sha256=self._home.trusted_bundle().root_sha256,
        )
        return self._stored.browsers.page(html)

    async def next_page(self, request: Request) -> Response:
        browser, job, _ = await self._stored.posted(request)
        if question_of(job).get("operation") != "search":
            raise JobNotFound
        home = self._home
        job_id = await home.runner.start(following_page(job), browser.session, home.trusted_bundle())
        return self._stored.browsers.redirect(f"{self._root}/search/{job_id}")

    async def events(self, request: Request) -> Response:
        browser, job = await self._stored.job(request)
        after = last_event_id(request.headers)
        events = await self._stored.events(job.job_id, browser.session)
        earlier = [event for event in events if event.seq <= after and not event.is_last]
        writer = fragment_writer(self._pages, job.job_id, self._stored.names(), question_of(job), earlier)
        headers = {**page_headers(self._home.settings), "x-accel-buffering": "no"}
        runner = self._home.runner
        return await event_stream(runner, job.job_id, browser.session, after=after, write=writer, headers=headers)

    async def answer(self, request: Request) -> Response:
        _, job = await self._stored.job(request)
        if job.answer is None:
            raise JobNotFound
        name = "concordat-lineage.json" if is_lineage(job) else "concordat-answer.json"
        disposition = {"content-disposition": f'attachment; filename="{name}"'}
        headers = {**page_headers(self._home.settings), **disposition}
        return Response(job.answer, media_type="application/json", headers=headers)


def is_asset_id(sentence: str) -> bool:
    """Return whether somebody wrote a record's id in place of a sentence."""
    return sentence.strip().startswith(ASSET_PREFIX)


def search_asking(wanted: SearchRequest) -> Asking:
    """Return a search as it is asked."""
    return Asking(wanted.question, {}, wanted.understood, wanted.sentence)
