"""The pages of stored searches: answers as they come, the whole result, and one record of it.

A page is made from the job as it is stored; making it again asks nobody.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from fastapi import Request, Response

from concordat_node.home.errors import JobNotFound
from concordat_node.home.event_stream import event_stream, last_event_id
from concordat_node.home.home import Home
from concordat_node.home.job_runner import Asking, following_page, page_of
from concordat_node.home.jobs import Job, JobEvent
from concordat_node.home.requests import SearchRequest, parse_assets
from concordat_node.home.result import RESULT_BYTES_MAX
from concordat_node.home.sentence import understand
from concordat_node.home.sessions import Session
from concordat_node.portal.browser import Browsers, SignedInBrowser
from concordat_node.portal.forms import form_of_question
from concordat_node.portal.guard import page_headers
from concordat_node.portal.pages import Frame, Pages
from concordat_node.portal.problems import Problem
from concordat_node.portal.reading import Object, obj, objects, text
from concordat_node.portal.record_view import RecordView, record_view
from concordat_node.portal.search_view import finished_view, names_in, running_view
from concordat_node.portal.stream import fragment_writer, read_event
from concordat_trust.bundle.trusted import TrustedBundle
from concordat_trust.canonical import JsonObject, canonical_bytes, parse_object
from concordat_trust.ids import AssetId
from concordat_trust.words import purpose_words

RECORD_WAIT_S = 1.0
"""How long opening a record waits for its owner before it shows a page that waits."""
ASSET_PREFIX = "urn:concordat:"


class JobPages:
    """The routes under `/portal/search/{job_id}`."""

    def __init__(self, home: Home, pages: Pages, browsers: Browsers) -> None:
        self._home = home
        self._pages = pages
        self._browsers = browsers
        self._root = home.settings.portal_root

    async def search_page(self, request: Request) -> Response:
        browser, job = await self._job(request)
        place = page_of(job)
        if job.origin and not place.before:
            raise JobNotFound  # a record that was opened from a search: it has its own address
        if _question(job).get("operation") == "assets":
            return await self._record(job, browser, job.label, f"{self._root}/")
        frame = self._frame(job, browser)
        if job.result is not None:
            result = _read(job.result)
            view = finished_view(result, names_in(result))
        else:
            events = await self._events(job.job_id, browser.session)
            told = [read_event(event) for event in events if not event.is_last]
            view = running_view(told, self._names(), understand(job.label).to_json(), _question(job))
        html = self._pages.page(
            "search",
            frame,
            job=job.job_id,
            place=place,
            state=job.state,
            view=view,
            failure=_failure(job),
            until=job.ends_at,
            root_sha256=self._home.trusted_bundle().root_sha256,
        )
        return self._browsers.page(html)

    async def next_page(self, request: Request) -> Response:
        browser, _ = await self._browsers.form(request)
        home = self._home
        job = await home.job(request.path_params["job_id"], browser.session)
        job_id = await home.runner.start(following_page(job), browser.session, home.trusted_bundle())
        return self._browsers.redirect(f"{self._root}/search/{job_id}")

    async def record_page(self, request: Request) -> Response:
        if "prefetch" in request.headers.get("sec-purpose", ""):
            return Response(status_code=503, headers=page_headers(self._home.settings))
        browser, parent = await self._job(request)
        asset_id = request.path_params["asset_id"]
        job_id = await self._opened(parent, asset_id, browser.session)
        await self._home.runner.settled(job_id, timeout_s=RECORD_WAIT_S)
        job = await self._home.job(job_id, browser.session)
        back = f"{self._root}/search/{parent.job_id}"
        return await self._record(job, browser, asset_id, back, again=f"{back}/record/{asset_id}")

    async def record_again(self, request: Request) -> Response:
        browser, _ = await self._browsers.form(request)
        parent = await self._home.job(request.path_params["job_id"], browser.session)
        asset_id = request.path_params["asset_id"]
        await self._opened(parent, asset_id, browser.session, is_again=True)
        return self._browsers.redirect(f"{self._root}/search/{parent.job_id}/record/{asset_id}")

    async def events(self, request: Request) -> Response:
        browser, job = await self._job(request)
        after = last_event_id(request.headers)
        events = await self._events(job.job_id, browser.session)
        earlier = [event for event in events if event.seq <= after and not event.is_last]
        writer = fragment_writer(self._pages, job.job_id, self._names(), _question(job), earlier)
        headers = {**page_headers(self._home.settings), "x-accel-buffering": "no"}
        runner = self._home.runner
        return await event_stream(runner, job.job_id, browser.session, after=after, write=writer, headers=headers)

    async def answer(self, request: Request) -> Response:
        _, job = await self._job(request)
        if job.answer is None:
            raise JobNotFound
        name = {"content-disposition": 'attachment; filename="concordat-answer.json"'}
        headers = {**page_headers(self._home.settings), **name}
        return Response(job.answer, media_type="application/json", headers=headers)

    async def _job(self, request: Request) -> tuple[SignedInBrowser, Job]:
        browser = await self._browsers.signed_in(request)
        return browser, await self._home.job(request.path_params["job_id"], browser.session)

    async def _record(self, job: Job, browser: SignedInBrowser, asset_id: str, back: str, again: str = "") -> Response:
        view: RecordView | None = None
        if job.result is not None:
            result = _read(job.result)
            view = record_view(result, AssetId.parse(asset_id).org, names_in(result))
        html = self._pages.page(
            "record",
            self._frame(job, browser),
            job=job.job_id,
            state=job.state,
            view=view,
            failure=_failure(job),
            back=back,
            again=again,
            asset_id=asset_id,
            root_sha256=self._home.trusted_bundle().root_sha256,
        )
        return self._browsers.page(html)

    async def _opened(self, parent: Job, asset_id: str, session: Session, *, is_again: bool = False) -> str:
        """Return the job of a record that a search shows; it is asked once. Raises: JobNotFound."""
        if asset_id not in await self._shown(parent, session):
            raise JobNotFound
        bundle, purpose = self._home.trusted_bundle(), obj(_question(parent).get("purpose"))
        asking = asset_asking(asset_id, purpose, bundle, origin=f"{parent.job_id}/{asset_id}")
        return await self._home.runner.start(replace(asking, is_again=is_again), session, bundle)

    async def _events(self, job_id: str, session: Session) -> tuple[JobEvent, ...]:
        home, now = self._home, self._home.clock()
        return await home.run_blocking(partial(home.jobs.events, job_id, session, after=0, now=now))

    async def _shown(self, job: Job, session: Session) -> set[str]:
        """Return the ids of the records that a search shows."""
        if job.result is not None:
            return {text(obj(hit.get("record")).get("id")) for hit in objects(_read(job.result).get("hits"))}
        events = [read_event(event) for event in await self._events(job.job_id, session)]
        return {text(record.get("id")) for event in events for record in objects(event.get("records"))}

    def _frame(self, job: Job, browser: SignedInBrowser) -> Frame:
        question = _question(job)
        return self._browsers.frame(
            browser, form_of_question(job.label, question), purpose_words(obj(question.get("purpose")))
        )

    def _names(self) -> dict[str, str]:
        bundle = self._home.trusted_bundle()
        return {org: bundle.member(org).legal_name for org in bundle.roster}


def is_asset_id(sentence: str) -> bool:
    """Return whether somebody wrote a record's id in place of a sentence."""
    return sentence.strip().startswith(ASSET_PREFIX)


def search_asking(wanted: SearchRequest) -> Asking:
    """Return a search as it is asked."""
    return Asking(wanted.question, {}, wanted.understood, wanted.sentence)


def asset_asking(asset_id: str, purpose: Object, bundle: TrustedBundle, *, origin: str = "") -> Asking:
    """Return the question for one record. Raises: AssetIdInvalid, AssetForeign, and what a purpose is refused with."""
    given: JsonObject = {"ids": [asset_id], "purpose": dict(purpose)}
    wanted = parse_assets(canonical_bytes(given), bundle)
    return Asking(wanted.question, wanted.ids, None, asset_id, origin)


def _question(job: Job) -> Object:
    return _read(job.question)


def _read(data: bytes) -> JsonObject:
    return parse_object(data, bytes_max=RESULT_BYTES_MAX)


def _failure(job: Job) -> Problem | None:
    if job.failure is None:
        return None
    told = _read(job.failure)
    return Problem(text(told.get("message")), text(told.get("hint")), text(told.get("code")))
