"""The pages of one record: opened from whatever shows it, asked for once, with its lineage when a person asks for it.

Rules of this file:

* A record opens from a stored job that shows it or names it: a search, a record, or a walked lineage.
* Opening asks once, under a name; what failed is asked again by a form alone. A lineage is asked for by a form alone.
* What was asked for is a stored job like any other: every page, reload and stream reads it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from fastapi import Request, Response

from concordat_node.home.errors import JobNotFound, PageNotFound
from concordat_node.home.home import Home
from concordat_node.home.job_runner import Asking, page_of
from concordat_node.home.jobs import Job, JobState
from concordat_node.home.lineage import parse_lineage
from concordat_node.home.requests import parse_assets
from concordat_node.home.sessions import Session
from concordat_node.portal.browser import Browsers, SignedInBrowser
from concordat_node.portal.guard import page_headers
from concordat_node.portal.lineage_view import HEADINGS, LineageView, lineage_view, shown_in
from concordat_node.portal.pages import Pages
from concordat_node.portal.problems import Problem
from concordat_node.portal.reading import Object, obj, objects, text
from concordat_node.portal.record_view import RecordView, record_view
from concordat_node.portal.search_view import names_in
from concordat_node.portal.stored import Stored, failure_of, question_of, result_of
from concordat_node.portal.stream import read_event
from concordat_trust.bundle.trusted import TrustedBundle
from concordat_trust.canonical import JsonObject, canonical_bytes
from concordat_trust.ids import AssetId

RECORD_WAIT_S = 1.0
"""How long opening a record waits for its owner, and asking for a lineage for its walk, before a page that waits."""
_LINEAGE = "lineage"
LINEAGE_PART = "#lineage"


@dataclass(frozen=True, slots=True)
class Walk:
    """One direction of a record's lineage; `state` None: nobody has asked for it. "ended": it may not be shown now."""

    direction: str
    heading: str
    job: str = ""
    state: JobState | Literal["ended"] | None = None
    view: LineageView | None = None
    failure: Problem | None = None

    @property
    def may_be_asked(self) -> bool:
        return self.state in (None, "failed")


class RecordPages:
    """The routes of records under `/portal/search/{job_id}`."""

    def __init__(self, home: Home, pages: Pages, browsers: Browsers) -> None:
        self._home = home
        self._pages = pages
        self._stored = Stored(home, browsers)
        self._root = home.settings.portal_root

    async def record_page(self, request: Request) -> Response:
        if "prefetch" in request.headers.get("sec-purpose", ""):
            return Response(status_code=503, headers=page_headers(self._home.settings))
        browser, parent = await self._stored.job(request)
        job_id = await self._opened(parent, request.path_params["asset_id"], browser.session)
        await self._home.runner.settled(job_id, timeout_s=RECORD_WAIT_S)
        return await self.page(await self._home.job(job_id, browser.session), browser)

    async def record_again(self, request: Request) -> Response:
        browser, parent, _ = await self._stored.posted(request)
        asset_id = request.path_params["asset_id"]
        await self._opened(parent, asset_id, browser.session, is_again=True)
        return self._stored.browsers.redirect(f"{self._root}/search/{parent.job_id}/record/{asset_id}")

    async def walk(self, request: Request) -> Response:
        """Walk the lineage of the record of the address, one way, once."""
        browser, job, fields = await self._stored.posted(request)
        direction, asset_id = fields.get("direction", ""), _record_id(job)
        if direction not in HEADINGS or not asset_id:
            raise PageNotFound
        wanted: JsonObject = {"direction": direction, "id": asset_id, "purpose": dict(_purpose(job))}
        home = self._home
        walk = parse_lineage(canonical_bytes(wanted), home.trusted_bundle())
        job_id = await home.runner.start_walk(
            walk, browser.session, home.trusted_bundle, origin=_walk_name(direction, job.job_id)
        )
        await home.runner.settled(job_id, timeout_s=RECORD_WAIT_S)
        return self._stored.browsers.redirect(await self._address(job, browser.session) + LINEAGE_PART)

    async def page(self, job: Job, browser: SignedInBrowser) -> Response:
        """Return the page of a record's job."""
        result, session = result_of(job), browser.session
        here, (back, words) = await self._address(job, session), await self._back(job, session)
        walks = [await self._walk(direction, job, session) for direction in HEADINGS] if _record_id(job) else []
        html = self._pages.page(
            "record",
            self._stored.frame(job, browser),
            job=job.job_id,
            state=job.state,
            view=None if result is None else _view(result, job),
            failure=failure_of(job),
            here=here,
            again=here if job.origin else "",
            back=back,
            back_words=words,
            walks=walks,
            is_walking=any(walk.state == "running" for walk in walks),
            root_sha256=self._home.trusted_bundle().root_sha256,
        )
        return self._stored.browsers.page(html)

    async def _opened(self, parent: Job, asset_id: str, session: Session, *, is_again: bool = False) -> str:
        """Return the job of a record that another job shows; it is asked once. Raises: JobNotFound."""
        if asset_id not in await self._shown(parent, session):
            raise JobNotFound
        bundle = self._home.trusted_bundle()
        asking = asset_asking(asset_id, _purpose(parent), bundle, origin=f"{parent.job_id}/{asset_id}")
        return await self._home.runner.start(replace(asking, is_again=is_again), session, bundle)

    async def _shown(self, job: Job, session: Session) -> set[str]:
        """Return the ids of the records that a job shows, or that those name."""
        result = result_of(job)
        if result is None:
            events = [read_event(event) for event in await self._stored.events(job.job_id, session)]
            records = [record for event in events for record in objects(event.get("records"))]
            return {text(record.get("id")) for record in records}
        if "picture" in result:
            return shown_in(result)
        return {asset_id for hit in objects(result.get("hits")) for asset_id in _named(obj(hit.get("record")))}

    async def _walk(self, direction: str, job: Job, session: Session) -> Walk:
        home, now, name = self._home, self._home.clock(), _walk_name(direction, job.job_id)
        walk = Walk(direction, HEADINGS[direction])
        job_id = await home.run_blocking(lambda: home.jobs.asked_before(name, session, now=now))
        if job_id is None:
            return walk
        try:
            walked = await home.job(job_id, session)
        except JobNotFound:
            return replace(walk, state="ended")
        result = result_of(walked)
        view = None if result is None else lineage_view(result, self._stored.names())
        return replace(walk, job=job_id, state=walked.state, view=view, failure=failure_of(walked))

    async def _back(self, job: Job, session: Session) -> tuple[str, str]:
        """Return where a record was opened from, and what that is called."""
        parent, slash, _ = job.origin.partition("/")
        if not slash:
            return f"{self._root}/", "Back to the first page"
        opened_from = await self._home.job(parent, session)
        is_search = question_of(opened_from).get("operation") == "search"
        return await self._address(opened_from, session), f"Back to the {'answers' if is_search else 'record before'}"

    async def _address(self, job: Job, session: Session) -> str:
        """Return the address of the page on which a job is shown."""
        parent, slash, asset_id = job.origin.partition("/")
        if slash:
            return f"{self._root}/search/{parent}/record/{asset_id}"
        word, _, name = job.origin.partition(" ")
        if word == _LINEAGE:
            try:
                record = await self._home.job(name.rpartition(" ")[2], session)
            except JobNotFound:  # it made room for newer ones
                return f"{self._root}/"
            return await self._address(record, session) + LINEAGE_PART
        return f"{self._root}/search/{job.job_id}"


def is_own_page(job: Job) -> bool:
    """Whether a job has an address of its own, and is not shown under what it was opened from."""
    return not job.origin or bool(page_of(job).before)


def is_lineage(job: Job) -> bool:
    """Whether a job walked a lineage."""
    return job.origin.partition(" ")[0] == _LINEAGE


def asset_asking(asset_id: str, purpose: Object, bundle: TrustedBundle, *, origin: str = "") -> Asking:
    """Return the question for one record. Raises: AssetIdInvalid, AssetForeign, and what a purpose is refused with."""
    given: JsonObject = {"ids": [asset_id], "purpose": dict(purpose)}
    wanted = parse_assets(canonical_bytes(given), bundle)
    return Asking(wanted.question, wanted.ids, None, asset_id, origin)


def _walk_name(direction: str, record_job: str) -> str:
    return f"{_LINEAGE} {direction} {record_job}"


def _purpose(job: Job) -> Object:
    return obj(question_of(job).get("purpose"))


def _view(result: Object, job: Job) -> RecordView:
    return record_view(result, AssetId.parse(job.label).org, names_in(result))


def _record_id(job: Job) -> str:
    """Return the id of the record that a job shows, "" for any other job and while it shows none."""
    result = result_of(job)
    if result is None or question_of(job).get("operation") != "assets":
        return ""
    hits = objects(result.get("hits"))
    return text(obj(hits[0].get("record")).get("id")) if hits else ""


def _named(record: Object) -> set[str]:
    """Return the ids of a record and of the data sets that it names."""
    linked = [text(item.get("id")) for item in objects(record.get("trained_on"))]
    linked += [text(item.get("dataset_id")) for item in objects(record.get("evaluations"))]
    return {text(record.get("id")), *filter(None, linked)}
