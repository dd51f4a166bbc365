"""What the browser's requests have in common: whose session it is, the form it sent, and how a page goes back."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import Request, Response

from concordat_node.home.browser_cookies import browser_token
from concordat_node.home.claims import within_caps
from concordat_node.home.home import Home
from concordat_node.home.http_answers import FORM, body_of
from concordat_node.home.sessions import Session
from concordat_node.portal.forms import AskForm, read_form
from concordat_node.portal.guard import CSRF_FIELD, check_form, check_sender, csrf_of, page_headers
from concordat_node.portal.pages import Frame, Person, claims_words
from concordat_trust.bundle.trusted import TrustedBundle
from concordat_trust.vocabulary import Clearance

CLEARANCES = tuple(clearance.name.lower() for clearance in Clearance)


@dataclass(frozen=True, slots=True)
class SignedInBrowser:
    """A browser with a session: its token, which never goes into a page, and its session."""

    token: str
    session: Session


@dataclass(frozen=True, slots=True)
class Browsers:
    """Reads the portal's requests for one home node."""

    home: Home

    async def signed_in(self, request: Request) -> SignedInBrowser:
        """Return the session of the browser's cookie. Raises: NotSignedIn."""
        token = browser_token(request.cookies, self.home.settings)
        return SignedInBrowser(token, await self.home.session(token, kind="browser"))

    async def form(self, request: Request) -> tuple[SignedInBrowser, dict[str, str]]:
        """Return who sent a form of ours, and its fields.

        Raises: FormNotOurs, NotSignedIn, ContentTypeUnsupported, JsonTooLarge, LoginRequestMalformed.
        """
        check_sender(request.headers, self.home.settings)
        browser = await self.signed_in(request)
        fields = read_form(await body_of(request, FORM))
        check_form(fields.get(CSRF_FIELD, ""), browser.token)
        return browser, fields

    def frame(self, browser: SignedInBrowser | None, form: AskForm, purpose: str = "") -> Frame:
        """Return what stands around a page. Raises: HomeBundleUnusable, ClaimNotAssertable."""
        bundle = self.home.trusted_bundle()
        person = None if browser is None else self._person(browser, bundle)
        return Frame(bundle.network.name, tuple(bundle.network.purposes), person, form, purpose)

    def bare_frame(self) -> Frame:
        """Return what stands around a page that must work whatever is wrong."""
        bundle = self.home.bundle()
        return Frame("" if bundle is None else bundle.network.name, (), None, AskForm())

    def page(self, html: str, status: int = 200) -> Response:
        return Response(html, status, media_type="text/html", headers=page_headers(self.home.settings))

    def redirect(self, location: str) -> Response:
        return Response(status_code=303, headers={**page_headers(self.home.settings), "location": location})

    def _person(self, browser: SignedInBrowser, bundle: TrustedBundle) -> Person:
        member = bundle.member(self.home.organization)
        claims = within_caps(browser.session.claims, member.may_assert)
        words = claims_words(claims.to_json(), CLEARANCES)
        return Person(browser.session.subject, member.legal_name, words, csrf_of(browser.token))
