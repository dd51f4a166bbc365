"""A browser for scripts: signs a fictional person in at the demonstration's identity provider, and follows to the end.

Used by the demonstration and the tests in place of a person. It speaks to loopback only, keeps cookies, and reads two
forms: the provider's, and the home node's page that asks before a command line is signed in. It says yes to that page
because it started the command line; it is not for any other provider.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from concordat_client.demo.provider_state import LOOPBACK
from concordat_trust.canonical import parse_object
from concordat_trust.errors import PeerFailure
from concordat_trust.shape import Shape

PERSON_FILE = "CONCORDAT_DEMO_PERSON"
"""The variable that names a person's file (username, password) when this runs as a program, as a browser does."""
PERSON_BYTES_MAX = 10_000
REDIRECTS_MAX = 10
TIMEOUT_S = 10.0
_CONFIRMATION = re.compile(r'name="confirmation" value="([A-Za-z0-9_-]+)"')
_LOGIN = re.compile(r'name="login" value="([A-Za-z0-9_-]+)"')


class ScriptedLoginFailed(PeerFailure):
    code = "scripted_login_failed"
    sentence = "The scripted sign-in ended at {place} with status {status}."
    hint = "Look at the identity provider's and the home node's output."


def sign_in(url: str, username: str, password: str, *, client: httpx.Client | None = None) -> httpx.Response:
    """Open `url`, sign in at the form it leads to, follow to the end, and return the last answer.

    Raises: ScriptedLoginFailed for an address off loopback, no form, or a refusal; httpx.HTTPError.
    """
    if client is None:
        with httpx.Client(trust_env=False, timeout=TIMEOUT_S) as fresh:
            return sign_in(url, username, password, client=fresh)
    page = _follow(client, client.build_request("GET", url))
    found = _LOGIN.search(page.text)
    if page.status_code != 200 or found is None:
        raise ScriptedLoginFailed(place=page.url.path, status=page.status_code)
    form = {"login": found[1], "username": username, "password": password}
    answer = _follow(client, client.build_request("POST", page.url.join("/authorize"), data=form))
    asked = _CONFIRMATION.search(answer.text)
    if answer.status_code == 200 and asked is not None:
        consent = {"confirmation": asked[1]}
        answer = _follow(client, client.build_request("POST", answer.url.join("confirm"), data=consent))
    if answer.status_code != 200:
        raise ScriptedLoginFailed(place=answer.url.path, status=answer.status_code)
    return answer


def _follow(client: httpx.Client, request: httpx.Request) -> httpx.Response:
    for _ in range(REDIRECTS_MAX):
        if urlsplit(str(request.url)).hostname not in LOOPBACK:
            raise ScriptedLoginFailed(place=str(request.url.host), status=0)
        response = client.send(request, follow_redirects=False)
        if response.next_request is None:
            return response
        request = response.next_request
    raise ScriptedLoginFailed(place=request.url.path, status=310)


def main() -> None:
    """Sign in as the person of PERSON_FILE at the address given: `python -m … URL`, for the variable BROWSER."""
    person = Shape(parse_object(Path(os.environ[PERSON_FILE]).read_bytes(), bytes_max=PERSON_BYTES_MAX), "person")
    sign_in(sys.argv[1], person.text("username"), person.text("password"))


if __name__ == "__main__":
    main()
