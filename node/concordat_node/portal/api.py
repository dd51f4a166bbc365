"""The portal's routes. Nothing is decided here: a route reads, calls, and shows.

Rules of this file:

* A search is asked by `POST /portal/search` and by nothing else; it becomes a stored job, and every page, reload and
  event stream reads the job. Its next page is asked for by a form too (`POST /portal/search/{id}/next`), and a record
  when it is first opened from what shows it; its lineage by a form (`POST /portal/search/{id}/lineage`); each once.
  What failed is asked again by a form alone.
* Pages need the cookie of a browser's session; a bearer token opens none, and the cookie opens no `/v1`.
* An error is a page with its code and what to try. Who is not signed in gets the way to sign in.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from urllib.parse import urlencode

from fastapi import APIRouter, Request, Response
from sqlalchemy.exc import SQLAlchemyError

from concordat_node.home.browser_cookies import begin_browser_login, end_browser_session, session_cookie
from concordat_node.home.errors import HomeStorageFailed, NotSignedIn, PageNotFound
from concordat_node.home.home import Home
from concordat_node.home.http_status import status_of
from concordat_node.home.jobs import Job
from concordat_node.home.requests import parse_search
from concordat_node.portal.browser import Browsers, SignedInBrowser
from concordat_node.portal.forms import AskForm, ask_form, form_of_question, read_form
from concordat_node.portal.guard import static_headers
from concordat_node.portal.job_pages import JobPages, is_asset_id, search_asking
from concordat_node.portal.pages import Pages
from concordat_node.portal.problems import Problem, problem_of, signin_problem
from concordat_node.portal.reading import obj
from concordat_node.portal.record_pages import RecordPages, asset_asking
from concordat_node.portal.static_files import StaticFiles
from concordat_node.portal.stored import question_of
from concordat_trust.errors import ConcordatError, RefusedDocument, RequesterError
from concordat_trust.failure_log import without_texts
from concordat_trust.words import purpose_words

ROOT = "/portal"
RECENT_MAX = 8
_log = logging.getLogger("concordat.node.portal")
Route = Callable[[Request], Awaitable[Response]]


def build_portal_router(home: Home) -> APIRouter:
    """Return the routes of the portal."""
    files = StaticFiles()
    pages = Pages(home.settings.portal_root)
    portal, records = _Portal(home, pages, files), RecordPages(home, pages, Browsers(home))
    jobs = JobPages(home, pages, Browsers(home), records)
    router = APIRouter()
    routes: tuple[tuple[str, str, Route], ...] = (
        ("GET", "/", portal.front),
        ("GET", ROOT, portal.front),
        ("GET", f"{ROOT}/", portal.first_page),
        ("GET", f"{ROOT}/login", portal.login),
        ("GET", f"{ROOT}/signin-failed", portal.signin_failed),
        ("POST", f"{ROOT}/logout", portal.logout),
        ("GET", f"{ROOT}/logout/provider", portal.provider_logout),
        ("POST", f"{ROOT}/search", portal.search),
        ("GET", f"{ROOT}/search/{{job_id}}", jobs.search_page),
        ("GET", f"{ROOT}/search/{{job_id}}/events", jobs.events),
        ("GET", f"{ROOT}/search/{{job_id}}/answer", jobs.answer),
        ("POST", f"{ROOT}/search/{{job_id}}/next", jobs.next_page),
        ("GET", f"{ROOT}/search/{{job_id}}/record/{{asset_id}}", records.record_page),
        ("POST", f"{ROOT}/search/{{job_id}}/record/{{asset_id}}", records.record_again),
        ("POST", f"{ROOT}/search/{{job_id}}/lineage", records.walk),
        ("GET", f"{ROOT}/static/{{name}}", portal.static),
        ("GET", f"{ROOT}/{{rest:path}}", portal.nowhere),
    )
    for method, path, route in routes:
        router.add_route(path, portal.showing(route, path), methods=[method])
    return router


class _Portal:
    def __init__(self, home: Home, pages: Pages, files: StaticFiles) -> None:
        self._home = home
        self._pages = pages
        self._files = files
        self._browsers = Browsers(home)
        self._root = home.settings.portal_root

    def showing(self, route: Route, pattern: str) -> Route:
        """Return the route with every error turned into a page.

        A log line names the route's `pattern`, never the path that somebody sent: it can hold line breaks and more.
        """

        async def shown(request: Request) -> Response:
            try:
                return await route(request)
            except SQLAlchemyError as error:
                _log.error("portal, %s %s: %s", request.method, pattern, without_texts(error))
                return self._refused(HomeStorageFailed())
            except NotSignedIn:
                return self._not_signed_in(request, self._place(request), status=401)
            except ConcordatError as error:
                _log.log(logging.ERROR if status_of(error) >= 500 else logging.INFO, "portal: %s", error.code)
                return self._refused(error)

        return shown

    async def front(self, request: Request) -> Response:
        return self._browsers.redirect(f"{self._root}/")

    async def nowhere(self, request: Request) -> Response:
        raise PageNotFound

    async def static(self, request: Request) -> Response:
        file = self._files.file(request.path_params["name"])
        return Response(file.content, media_type=file.media_type, headers=static_headers(self._home.settings))

    async def first_page(self, request: Request) -> Response:
        try:
            browser = await self._browsers.signed_in(request)
        except NotSignedIn:
            return self._not_signed_in(request, self._place(request) if "q" in request.query_params else "", status=200)
        return await self._home_page(browser, await self._prefilled(browser, request))

    async def login(self, request: Request) -> Response:
        home = self._home
        redirect = await home.browser_login.begin(dict(request.query_params), now=home.clock())
        response = self._browsers.redirect(redirect.location)
        begin_browser_login(response, home.settings, redirect.cookie or "")
        return response

    async def signin_failed(self, request: Request) -> Response:
        problem = signin_problem(request.query_params.get("code", ""))
        return self._message("You are not signed in", problem, 403, f"{self._root}/login", "Try again")

    async def logout(self, request: Request) -> Response:
        browser, _ = await self._browsers.form(request)
        await self._home.end_session(browser.token, kind="browser")
        where = "here" if await self._provider_logout() else "yes"
        response = self._browsers.redirect(f"{self._root}/?signed-out={where}")
        end_browser_session(response, self._home.settings)
        return response

    async def provider_logout(self, request: Request) -> Response:
        """Send the browser on to sign out of the provider too; a link, because a form of ours goes to ourselves."""
        return self._browsers.redirect(await self._provider_logout() or f"{self._root}/?signed-out=yes")

    async def _provider_logout(self) -> str | None:
        home, back_to = self._home, f"{self._home.settings.base_url}/portal/?signed-out=yes"
        try:
            return await home.provider.end_session_url(back_to, now=home.clock())
        except ConcordatError as error:  # signing out here must not depend on anybody
            _log.warning("provider's sign-out: %s", error.code)
            return None

    async def search(self, request: Request) -> Response:
        try:
            browser, fields = await self._browsers.form(request)
        except NotSignedIn:
            form = ask_form(read_form(await request.body()))
            return self._not_signed_in(request, f"{self._root}/?{urlencode({'q': form.sentence})}", status=401)
        form = ask_form(fields).narrowed(fields.get("also", ""))
        try:
            job_id = await self._asked(form, browser)
        except (RequesterError, RefusedDocument) as error:
            return await self._home_page(browser, form, problem_of(error), status_of(error))
        return self._browsers.redirect(f"{self._root}/search/{job_id}")

    async def _asked(self, form: AskForm, browser: SignedInBrowser) -> str:
        bundle = self._home.trusted_bundle()
        if is_asset_id(form.sentence):
            asking = asset_asking(form.sentence.strip(), form.purpose_json(), bundle)
        else:
            asking = search_asking(parse_search(form.body(), bundle))
        return await self._home.runner.start(asking, browser.session, bundle)

    async def _home_page(
        self, browser: SignedInBrowser, form: AskForm, problem: Problem | None = None, status: int = 200
    ) -> Response:
        bundle = self._home.trusted_bundle()
        members = [(bundle.member(org).legal_name, org, bundle.member(org).country) for org in bundle.roster]
        recent = [
            {
                "job_id": job.job_id,
                "label": job.label,
                "purpose": purpose_words(obj(question_of(job).get("purpose"))),
                "created_at": job.created_at,
                "state": job.state,
            }
            for job in await self._recent(browser)
        ]
        frame = self._browsers.frame(browser, form)
        return self._browsers.page(
            self._pages.page("home", frame, members=members, recent=recent, problem=problem), status
        )

    async def _prefilled(self, browser: SignedInBrowser, request: Request) -> AskForm:
        """Return the form with the purpose and the page size of the newest search: nobody is asked the same twice."""
        wanted = ask_form({"q": request.query_params.get("q", "")})
        recent = await self._recent(browser)
        if not recent:
            return wanted
        before = form_of_question("", question_of(recent[0]))
        return replace(before, sentence=wanted.sentence, sort=wanted.sort)

    async def _recent(self, browser: SignedInBrowser) -> tuple[Job, ...]:
        home, now = self._home, self._home.clock()
        return await home.run_blocking(lambda: home.jobs.recent(browser.session, now=now, count=RECENT_MAX))

    def _not_signed_in(self, request: Request, place: str, *, status: int) -> Response:
        has_cookie = session_cookie(self._home.settings) in request.cookies
        bundle, organization = self._home.bundle(), self._home.organization
        page = self._pages.page(
            "welcome",
            self._browsers.bare_frame(),
            organization=organization if bundle is None else bundle.member(organization).legal_name,
            is_signed_out="signed-out" in request.query_params,
            is_signed_in_there=request.query_params.get("signed-out") == "here",
            has_ended=has_cookie,
            next=place,
        )
        response = self._browsers.page(page, status)
        if has_cookie:
            end_browser_session(response, self._home.settings)
        return response

    def _refused(self, error: ConcordatError) -> Response:
        heading = "There is no such page" if status_of(error) == 404 else "This did not work"
        return self._message(heading, problem_of(error), status_of(error), f"{self._root}/", "Go to the first page")

    def _message(self, heading: str, problem: Problem, status: int, link: str, words: str) -> Response:
        frame = self._browsers.bare_frame()
        values = {"heading": heading, "problem": problem, "link": link, "link_words": words}
        return self._browsers.page(self._pages.page("message", frame, **values), status)

    def _place(self, request: Request) -> str:
        """Return where to go on after signing in: this page, if opening it changes nothing."""
        path = self._root + request.url.path.removeprefix(ROOT)
        query = f"?{request.url.query}" if request.url.query else ""
        return f"{path}{query}" if request.method == "GET" else f"{self._root}/"
