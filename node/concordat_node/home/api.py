"""The home door's routes. Nothing is decided here: a route reads, calls, and answers.

Rules of this file:

* Bodies are read up to a limit, as strict JSON (the one page's form apart), with every field known. Errors are
  {"error": {code, message, hint}}.
* Everything but signing in needs a session: 401 `not_signed_in` otherwise. The token travels in `authorization` only,
  never in a cookie or an address, so another site cannot make a browser ask. The cookie of a sign-in under way is of
  use at /login alone, that of a browser's session in the portal alone.
* Nothing is cached: answers differ from person to person.
"""

from __future__ import annotations

import contextlib
import logging

from fastapi import APIRouter, Request, Response

from concordat_node.home.browser_cookies import (
    BROWSER_LOGIN_COOKIE,
    begin_browser_session,
    browser_token,
    end_browser_login,
)
from concordat_node.home.carried_visas import visas_json
from concordat_node.home.confirm_page import FIELD as CONFIRM_FIELD
from concordat_node.home.confirm_page import ConfirmPage
from concordat_node.home.errors import (
    JobNotFound,
    LoginRequestMalformed,
    NotSignedIn,
)
from concordat_node.home.event_stream import event_stream, last_event_id
from concordat_node.home.home import Home
from concordat_node.home.http_answers import FORM, HEADERS, bearer, body_of, json_answer, oauth_refusal, told
from concordat_node.home.http_status import status_of_code
from concordat_node.home.job_runner import Asking, following_page
from concordat_node.home.lineage import parse_lineage
from concordat_node.home.login import Redirect
from concordat_node.home.mint import purposes_of, told_claims
from concordat_node.home.pending import PENDING_S
from concordat_node.home.pseudonym import pseudonym
from concordat_node.home.requests import (
    SEARCH_PARAMETERS,
    parse_assets,
    parse_exchange,
    parse_form,
    parse_redeem,
    parse_search,
    parse_search_query,
    single_query,
)
from concordat_node.home.result import job_json
from concordat_node.home.sessions import Session
from concordat_node.registration.openapi import query_parameters
from concordat_trust.canonical import JsonObject, parse_object
from concordat_trust.errors import ConcordatError

COOKIE = "concordat_login"
LABEL_MAX = 500
FAILURE_BYTES_MAX = 65_536
_log = logging.getLogger("concordat.node.home")


def build_home_router(home: Home) -> APIRouter:
    """Return the routes of the home door."""
    router = APIRouter()
    routes = _Routes(home)
    router.add_api_route("/login/cli", routes.login_cli, methods=["GET"])
    router.add_api_route("/login/callback", routes.login_callback, methods=["GET"])
    router.add_api_route("/login/confirm", routes.login_page, methods=["GET"])
    router.add_api_route("/login/confirm", routes.login_confirm, methods=["POST"])
    router.add_api_route("/v1/session", routes.open_session, methods=["POST"])
    router.add_api_route("/v1/session", routes.close_session, methods=["DELETE"])
    router.add_api_route("/v1/token", routes.exchange_token, methods=["POST"])
    router.add_api_route("/v1/whoami", routes.whoami, methods=["GET"])
    router.add_api_route("/v1/questions", routes.ask, methods=["POST"])
    router.add_api_route("/v1/questions/{job_id}", routes.question, methods=["GET"])
    router.add_api_route("/v1/questions/{job_id}/events", routes.question_events, methods=["GET"])
    router.add_api_route("/v1/questions/{job_id}/answer", routes.answer, methods=["GET"])
    router.add_api_route(
        "/v1/search",
        routes.search,
        methods=["GET"],
        summary="Ask the network: the sentence `q` for a purpose, as POST /v1/questions does.",
        openapi_extra={"parameters": query_parameters(SEARCH_PARAMETERS, required=("q", "purpose"))},
    )
    router.add_api_route("/v1/questions/{job_id}/next", routes.next_page, methods=["POST"])
    router.add_api_route("/v1/assets", routes.assets, methods=["POST"])
    router.add_api_route("/v1/lineage", routes.lineage, methods=["POST"])
    return router


class _Routes:
    def __init__(self, home: Home) -> None:
        self._home = home

    @told
    async def login_cli(self, request: Request) -> Response:
        redirect = await self._home.login.begin(_single(request), now=self._home.clock())
        return self._redirected(redirect)

    @told
    async def login_callback(self, request: Request) -> Response:
        query, now = _single(request), self._home.clock()
        browser_cookie = request.cookies.get(BROWSER_LOGIN_COOKIE, "")
        if self._home.browser_login.began(query, browser_cookie, now=now):
            return await self._browser_callback(query, browser_cookie, request)
        redirect = await self._home.login.complete(query, request.cookies.get(COOKIE, ""), now=now)
        return self._redirected(redirect)

    async def _browser_callback(self, query: dict[str, str], cookie: str, request: Request) -> Response:
        settings, login = self._home.settings, self._home.browser_login
        try:
            signed_in = await login.complete(query, cookie, now=self._home.clock())
        except ConcordatError as error:
            _log.warning("sign-in refused: %s", error.code)
            failed = Response(status_code=303, headers={**HEADERS, "location": login.failed_path(error.code)})
            end_browser_login(failed, settings)
            return failed
        await self._end_earlier(request)
        response = Response(status_code=303, headers={**HEADERS, "location": signed_in.next_path})
        end_browser_login(response, settings)
        begin_browser_session(response, settings, signed_in.token)
        return response

    async def _end_earlier(self, request: Request) -> None:
        """End what this browser was signed in as before: a new sign-in never goes on in an old session."""
        with contextlib.suppress(NotSignedIn):
            await self._home.end_session(browser_token(request.cookies, self._home.settings), kind="browser")

    @told
    async def login_page(self, request: Request) -> Response:
        waiting = await self._home.login.waiting(request.cookies.get(COOKIE, ""), now=self._home.clock())
        page = ConfirmPage(waiting.redirect_uri, waiting.subject, self._home.organization, waiting.form)
        headers = {**HEADERS, "content-security-policy": page.security_policy(), "x-frame-options": "DENY"}
        return Response(page.html(), media_type="text/html", headers=headers)

    @told
    async def login_confirm(self, request: Request) -> Response:
        form = parse_form(await body_of(request, FORM), CONFIRM_FIELD)
        cookie = request.cookies.get(COOKIE, "")
        return self._redirected(await self._home.login.confirm(form, cookie, now=self._home.clock()))

    @told
    async def open_session(self, request: Request) -> Response:
        code, verifier = parse_redeem(await body_of(request))
        self._home.trusted_bundle()  # without one nobody could be told who they are in the network
        token, session = await self._home.login.redeem(code, verifier, now=self._home.clock())
        return json_answer({**self._person(session), "session_token": token})

    @told
    async def exchange_token(self, request: Request) -> Response:
        home = self._home
        try:
            exchanged = await home.exchange.exchange(parse_exchange(await body_of(request, FORM)), clock=home.clock)
        except ConcordatError as error:
            return json_answer(*oauth_refusal(error))
        return json_answer(exchanged.to_json(home.clock()))

    @told
    async def close_session(self, request: Request) -> Response:
        await self._home.end_session(bearer(request), kind="program")
        return Response(status_code=204, headers=HEADERS)

    @told
    async def whoami(self, request: Request) -> Response:
        return json_answer(self._person(await self._session(request)))

    @told
    async def ask(self, request: Request) -> Response:
        session = await self._session(request)
        wanted = parse_search(await body_of(request), self._home.trusted_bundle())
        label = "" if wanted.understood is None else wanted.sentence
        return await self._asked(Asking(wanted.question, {}, wanted.understood, label), session, request)

    @told
    async def search(self, request: Request) -> Response:
        session = await self._session(request)
        query = single_query(request.query_params.multi_items())
        wanted = parse_search_query(query, self._home.trusted_bundle())
        return await self._asked(Asking(wanted.question, {}, wanted.understood, wanted.sentence), session, request)

    @told
    async def assets(self, request: Request) -> Response:
        session = await self._session(request)
        wanted = parse_assets(await body_of(request), self._home.trusted_bundle())
        label = " ".join(asset for ids in wanted.ids.values() for asset in ids)[:LABEL_MAX]
        return await self._asked(Asking(wanted.question, wanted.ids, None, label), session, request)

    @told
    async def lineage(self, request: Request) -> Response:
        session, home = await self._session(request), self._home
        wanted = parse_lineage(await body_of(request), home.trusted_bundle())
        return await self._begun(await home.runner.start_walk(wanted, session, home.trusted_bundle), session, request)

    @told
    async def answer(self, request: Request, job_id: str) -> Response:
        session = await self._session(request)
        job = await self._home.job(job_id, session)
        if job.answer is None:
            raise JobNotFound
        name = 'attachment; filename="concordat-answer.json"'
        headers = {**HEADERS, "content-disposition": name}
        return Response(job.answer, media_type="application/json", headers=headers)

    @told
    async def next_page(self, request: Request, job_id: str) -> Response:
        session = await self._session(request)
        return await self._asked(following_page(await self._home.job(job_id, session)), session, request)

    @told
    async def question(self, request: Request, job_id: str) -> Response:
        session = await self._session(request)
        return json_answer(job_json(await self._home.job(job_id, session)))

    @told
    async def question_events(self, request: Request, job_id: str) -> Response:
        session = await self._session(request)
        await self._home.job(job_id, session)
        return await event_stream(self._home.runner, job_id, session, after=last_event_id(request.headers))

    async def _asked(self, asking: Asking, session: Session, request: Request) -> Response:
        home = self._home
        return await self._begun(await home.runner.start(asking, session, home.trusted_bundle()), session, request)

    async def _begun(self, job_id: str, session: Session, request: Request) -> Response:
        """Return what came of a job, or at once where it is asked."""
        home = self._home
        if "respond-async" in request.headers.get("prefer", ""):
            # RFC 7240 §4.1: the question goes on by itself; the place says where to look, and its events come there.
            started: JsonObject = {"id": job_id, "state": "running"}
            accepted = json_answer({"job": started}, 202)
            accepted.headers["location"] = f"questions/{job_id}"
            return accepted
        await home.runner.finished(job_id)
        job = await home.job(job_id, session)
        if job.failure is not None:  # it was asked before, under the same origin
            failure = parse_object(job.failure, bytes_max=FAILURE_BYTES_MAX)
            return json_answer({"error": failure}, status_of_code(str(failure["code"])))
        return Response(job.result, media_type="application/json", headers=HEADERS)

    async def _session(self, request: Request) -> Session:
        return await self._home.session(bearer(request), kind="program")

    def _person(self, session: Session) -> JsonObject:
        home, bundle = self._home, self._home.trusted_bundle()
        is_pairwise = home.settings.minting == "per_organization"

        def known(receiver: str | None) -> str:
            return pseudonym(home.keys.pseudonym, bundle.network.id, session.subject, receiver)

        return {
            "claims": told_claims(session, bundle, home.organization).to_json(),
            "expires_at": session.ends_at,
            "network": bundle.network.id,
            "organization": home.organization,
            "pseudonym": known(None),
            "pseudonyms": {org: known(org) for org in bundle.organizations} if is_pairwise else {},
            "purposes": list(purposes_of(session, bundle)),
            "subject": session.subject,
            "visas": list(visas_json(session, bundle, now=home.clock())),
        }

    def _redirected(self, redirect: Redirect) -> Response:
        response = Response(status_code=303, headers={**HEADERS, "location": redirect.location})
        is_secure = self._home.settings.is_https
        if redirect.cookie is not None:
            response.set_cookie(
                COOKIE,
                redirect.cookie,
                max_age=PENDING_S,
                path="/login",
                httponly=True,
                samesite="lax",
                secure=is_secure,
            )
        else:
            response.delete_cookie(COOKIE, path="/login", httponly=True, samesite="lax", secure=is_secure)
        return response


def _single(request: Request) -> dict[str, str]:
    pairs = request.query_params.multi_items()
    query = dict(pairs)
    if len(query) != len(pairs):
        raise LoginRequestMalformed(field="query: a parameter is there twice")
    return query
