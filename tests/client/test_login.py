"""Signing in from end to end on real sockets: command line, home node, identity provider, and a browser."""

from __future__ import annotations

import json
import socket
import struct
import threading
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from concordat_client import cli
from concordat_client.config import SavedSession, load_session, session_path, store_session
from concordat_client.demo.scripted_browser import ScriptedLoginFailed
from concordat_client.demo.scripted_browser import sign_in as browse
from concordat_client.errors import HomeAddressInvalid, HomeRefused, HomeUnreachable, LoginFailed, LoginTimedOut
from concordat_client.exits import Exit
from concordat_client.home_client import HomeClient, parse_home_address
from concordat_client.login import sign_in
from concordat_client.loopback import LoopbackReceiver
from tests.client.running import PASSWORD, Running, running_home


def test_a_person_signs_in_with_a_browser(running: Running) -> None:
    session = sign_in(running.address, open_url=running.browser(), timeout_s=20)
    assert (session.subject, session.organization) == ("trial-analyst", "alma-university")
    with HomeClient.of(session) as client:
        assert client.whoami()["subject"] == "trial-analyst"


def test_an_rs256_provider_works_as_well(tmp_path: Path) -> None:
    with running_home(tmp_path, algorithm="RS256") as running:
        assert sign_in(running.address, open_url=running.browser(), timeout_s=20).subject == "trial-analyst"


def test_a_person_the_mapping_does_not_know_is_told_why(running: Running) -> None:
    with pytest.raises(LoginFailed, match="person_not_mapped") as failed:
        sign_in(running.address, open_url=running.browser("nobody"), timeout_s=20)
    assert failed.value.exit == Exit.NOT_SIGNED_IN


def test_a_wrong_password_signs_nobody_in(running: Running) -> None:
    with pytest.raises(LoginTimedOut):
        sign_in(running.address, open_url=running.browser(password="wrong"), timeout_s=1.0)


def test_a_code_taken_from_the_address_is_useless_without_the_verifier(running: Running) -> None:
    seen: list[str] = []

    def eavesdrop(url: str) -> None:
        """Take the code off the redirect before the command line gets it."""
        with httpx.Client(trust_env=False) as client:
            page = client.get(url, follow_redirects=True)
            login = page.text.split('name="login" value="')[1].split('"')[0]
            form = {"login": login, "username": "trial-analyst", "password": PASSWORD}
            back = client.post(str(page.url.join("/authorize")), data=form)
            page = client.get(back.headers["location"], follow_redirects=True)
            token = page.text.split('name="confirmation" value="')[1].split('"')[0]
            seen.append(client.post(str(page.url), data={"confirmation": token}).headers["location"])

    with pytest.raises(LoginTimedOut):
        sign_in(running.address, open_url=eavesdrop, timeout_s=0.2)
    code = dict(parse_qsl(urlsplit(seen[0]).query))["code"]
    with HomeClient(running.address) as thief:
        with pytest.raises(HomeRefused) as refused:
            thief.redeem(code, "t" * 64)
        assert refused.value.remote_code == "login_verifier_mismatch"
        with pytest.raises(HomeRefused) as again:
            thief.redeem(code, "t" * 64)
        assert again.value.remote_code == "login_code_invalid"


def test_the_loopback_address_waits_over_wrong_states_and_paths() -> None:
    with LoopbackReceiver("the-right-state-0123") as receiver:
        statuses: list[int] = []

        def visit() -> None:
            base = receiver.redirect_uri
            for address in (
                f"{base}?code=stolen&state=wrong",
                f"{base}?code=stolen",
                f"{base}?code=a&code=b&state=the-right-state-0123",
                base.replace("/callback", "/other") + "?code=x&state=the-right-state-0123",
                f"{base}?code=right&state=the-right-state-0123",
            ):
                statuses.append(httpx.get(address, trust_env=False).status_code)

        visitor = threading.Thread(target=visit)
        visitor.start()
        assert receiver.wait(10)["code"] == "right"
        visitor.join()
    assert statuses == [400, 400, 404, 404, 200]


def test_a_browser_that_is_gone_before_its_answer_leaves_no_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    with LoopbackReceiver("state-0123456789") as receiver:
        host, port = str(receiver.server_address[0]), int(receiver.server_address[1])
        gone = socket.create_connection((host, port))
        gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        gone.close()
        with pytest.raises(LoginTimedOut):
            receiver.wait(0.2)
    assert capsys.readouterr().err == ""


def test_a_browser_in_the_foreground_does_not_keep_the_sign_in_waiting(
    running: Running, config_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed, browse_there = threading.Event(), running.browser()
    ended: list[bool] = []

    def in_the_foreground(url: str) -> None:
        browse_there(url)
        ended.append(closed.wait(10))

    monkeypatch.setattr("webbrowser.open", in_the_foreground)
    try:
        assert cli.main(["login", "--home", running.address, "--timeout", "10"]) == Exit.DONE
        assert ended == []
    finally:
        closed.set()


def test_nobody_signing_in_ends_after_the_time_given() -> None:
    started = time.monotonic()
    with LoopbackReceiver("state-0123456789") as receiver, pytest.raises(LoginTimedOut):
        receiver.wait(0.1)
    assert time.monotonic() - started < 5


@pytest.mark.parametrize(
    "address",
    ["", "home.example", "http://home.example", "ftp://127.0.0.1", "https://u@home.example", "https://home.example/x"],
)
def test_an_address_that_is_no_home_node_is_refused(address: str) -> None:
    with pytest.raises(HomeAddressInvalid):
        parse_home_address(address)


def test_a_home_node_that_is_away_is_unreachable() -> None:
    with HomeClient("http://127.0.0.1:9") as client, pytest.raises(HomeUnreachable):
        client.whoami()


def test_the_scripted_browser_never_leaves_this_machine() -> None:
    with pytest.raises(ScriptedLoginFailed):
        browse("https://idp.example/authorize", "x", "y")


@pytest.fixture
def signed_in(running: Running, config_home: Path) -> SavedSession:
    session = sign_in(running.address, open_url=running.browser(), timeout_s=20)
    store_session(config_home, session)
    return session


def test_login_stores_a_session_that_only_its_owner_reads(
    running: Running, config_home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    open_url: Callable[[str], None] = running.browser()
    monkeypatch.setattr("webbrowser.open", open_url)
    assert cli.main(["login", "--home", running.address, "--timeout", "20"]) == Exit.DONE
    assert session_path(config_home).stat().st_mode & 0o777 == 0o600
    assert config_home.stat().st_mode & 0o077 == 0
    session = load_session(config_home)
    printed = capsys.readouterr()
    assert "trial-analyst" in printed.out
    assert session.token not in printed.out + printed.err


def test_whoami_says_what_the_network_is_told(signed_in: SavedSession, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["whoami"]) == Exit.DONE
    said = capsys.readouterr().out
    assert "trial-analyst of alma-university" in said
    assert "clearance controlled" in said


def test_logout_ends_the_session_at_home_and_here(
    signed_in: SavedSession, config_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["logout"]) == Exit.DONE
    assert not session_path(config_home).exists()
    with HomeClient.of(signed_in) as client, pytest.raises(HomeRefused) as refused:
        client.whoami()
    assert refused.value.exit == Exit.NOT_SIGNED_IN
    capsys.readouterr()
    assert cli.main(["whoami", "--json"]) == Exit.NOT_SIGNED_IN
    assert '"signed_out"' in capsys.readouterr().out


def test_login_at_a_dead_home_node_fails_at_once(config_home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    started = time.monotonic()
    assert cli.main(["login", "--home", "http://127.0.0.1:9", "--no-browser"]) == Exit.UNREACHABLE
    assert time.monotonic() - started < 30
    shown = capsys.readouterr().err
    assert shown.startswith("home_unreachable")
    assert "Open this address" not in shown


def test_login_at_something_else_fails_before_anybody_waits(
    running: Running, config_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["login", "--home", running.issuer, "--no-browser"]) == Exit.UNREACHABLE
    assert capsys.readouterr().err.startswith("home_answer_invalid")


def test_logout_without_its_home_node_removes_the_session_and_says_so(
    config_home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lost = SavedSession("http://127.0.0.1:9", "token", "ada", "vitalis", "pilot", 1_900_000_000)
    store_session(config_home, lost)
    assert cli.main(["logout"]) == Exit.UNREACHABLE
    assert not session_path(config_home).exists()
    shown = capsys.readouterr()
    assert "on this machine only" in shown.out
    assert "does not answer" in shown.err
    assert "2030-03-17" in shown.err
    store_session(config_home, lost)
    assert cli.main(["logout", "--json"]) == Exit.UNREACHABLE
    assert json.loads(capsys.readouterr().out) == {"ended_at_home": False, "signed_out": True}


def test_login_without_a_home_node_is_a_usage_error(config_home: Path) -> None:
    assert cli.main(["login"]) == Exit.USAGE
