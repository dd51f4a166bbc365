"""`concordat login`, `logout` and `whoami`."""

from __future__ import annotations

import argparse
import hashlib
import secrets
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING
from urllib.parse import urlencode

if TYPE_CHECKING:
    from concordat_client.config import SavedSession
    from concordat_trust.canonical import Json, JsonObject

TOKEN_FILE_MAX = 16_384
TIMEOUT_S = 300
_CODE_PATTERN = r"[a-z][a-z0-9_]{2,63}"


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the three commands."""
    login = subparsers.add_parser("login", help="sign in at your home node", description=_LOGIN)
    login.add_argument("--home", metavar="URL", help="address of the home node (default: the one of the last session)")
    login.add_argument("--fresh", action="store_true", help="prove anew who you are, for records that ask for it")
    login.add_argument("--acr", action="append", default=[], metavar="VALUE", help="sign in in this way (with --fresh)")
    login.add_argument(
        "--exchange", type=Path, metavar="FILE", help="without a browser: exchange a provider's token (- is stdin)"
    )
    login.add_argument("--no-browser", action="store_true", help="print the address instead of opening a browser")
    login.add_argument("--timeout", type=int, default=TIMEOUT_S, metavar="S", help="longest wait (default 300 s)")
    login.add_argument("--json", action="store_true", help="one JSON object on standard output")
    login.set_defaults(run=run_login)
    logout = subparsers.add_parser("logout", help="sign out; stored searches are gone", description=_LOGOUT)
    logout.add_argument("--json", action="store_true", help="one JSON object on standard output")
    logout.set_defaults(run=run_logout)
    whoami = subparsers.add_parser("whoami", help="say who you are to the network", description=_WHOAMI)
    whoami.add_argument("--json", action="store_true", help="one JSON object on standard output")
    whoami.set_defaults(run=run_whoami)


_LOGIN = "Sign in at your home node with your organization's identity provider, in a browser on this machine."
_LOGOUT = "End the session at the home node and forget it here."
_WHOAMI = "Say what your home node tells the network about you."


def run_login(arguments: argparse.Namespace) -> int:
    """Sign in and store the session."""
    from concordat_client.config import config_dir, load_session, store_session
    from concordat_client.errors import SignedOut
    from concordat_client.exits import Exit
    from concordat_client.plain_text import as_json, plain

    directory = config_dir()
    home = arguments.home
    if home is None:
        try:
            home = load_session(directory).home
        except SignedOut:
            print("concordat login: give the address of your home node with --home", file=sys.stderr)
            return Exit.USAGE
    if arguments.exchange is not None:
        session = exchange(home, _token_in(arguments.exchange))
    else:
        session = sign_in(
            home,
            open_url=_printed if arguments.no_browser else _opened,
            timeout_s=arguments.timeout,
            step_up=step_up_query(fresh=arguments.fresh, acr_values=arguments.acr),
        )
    path = store_session(directory, session)
    if arguments.json:
        public = {name: value for name, value in session.to_json().items() if name != "token"}
        print(as_json({**public, "session_file": str(path)}))
    else:
        print(f"Signed in at {plain(session.home)} as {plain(session.subject)} of {plain(session.organization)}.")
        print(f"The session ends {_time(session.expires_at)}.")
    return Exit.DONE


def step_up_query(*, fresh: bool, acr_values: Sequence[str]) -> dict[str, str]:
    """Return what asks the home node for a stricter sign-in."""
    asked = {"acr_values": " ".join(acr_values)} if acr_values else {}
    return asked | ({"fresh": "1"} if fresh else {})


def exchange(home: str, subject_token: str) -> SavedSession:
    """Return a short session for a token of the organization's provider (RFC 8693); no person is needed for it.

    Raises: HomeUnreachable, HomeRefused, HomeAnswerInvalid, HomeAddressInvalid.
    """
    from concordat_client.config import SavedSession
    from concordat_client.home_client import HomeClient

    with HomeClient(home) as client:
        token = client.exchange(subject_token)
        address = client.address
    probe = SavedSession(home=address, token=token, subject="", organization="", network="", expires_at=0)
    with HomeClient.of(probe) as client:
        return _saved({**client.whoami(), "session_token": token}, address)


def _token_in(path: Path) -> str:
    from concordat_client.errors import LoginFailed

    try:
        return (
            sys.stdin.read(TOKEN_FILE_MAX) if str(path) == "-" else path.read_text("ascii")[:TOKEN_FILE_MAX]
        ).strip()
    except (OSError, UnicodeDecodeError) as error:
        raise LoginFailed(reason="token_unreadable") from error


def sign_in(
    home: str,
    *,
    open_url: Callable[[str], object],
    timeout_s: float = TIMEOUT_S,
    step_up: Mapping[str, str] = MappingProxyType({}),
) -> SavedSession:
    """Return a new session: loopback redirect and PKCE S256 (RFC 8252, RFC 7636).

    `open_url` gets the address at which to sign in and must return at once.
    Raises: LoginTimedOut, LoginFailed, HomeUnreachable, HomeRefused, HomeAnswerInvalid, HomeAddressInvalid.
    """
    from concordat_client.home_client import HomeClient
    from concordat_client.loopback import LoopbackReceiver
    from concordat_trust.encoding import b64u

    state, verifier = secrets.token_urlsafe(32), secrets.token_urlsafe(48)
    challenge = b64u(hashlib.sha256(verifier.encode("ascii")).digest())
    with HomeClient(home) as client, LoopbackReceiver(state) as receiver:
        client.probe()  # before a person waits for a page that will not come
        query = {**step_up, "code_challenge": challenge, "redirect_uri": receiver.redirect_uri, "state": state}
        open_url(f"{client.address}/login/cli?{urlencode(query)}")
        opened = client.redeem(_code(receiver.wait(timeout_s)), verifier)
        return _saved(opened, client.address)


def _saved(opened: JsonObject, address: str) -> SavedSession:
    from concordat_client.config import SavedSession
    from concordat_client.errors import HomeAnswerInvalid
    from concordat_trust.errors import RefusedDocument
    from concordat_trust.shape import Shape

    try:
        shape = Shape(opened, "session")
        return SavedSession(
            home=address,
            token=shape.text("session_token", length_min=1, length_max=200),
            subject=shape.text("subject", length_max=255),
            organization=shape.text("organization", length_max=40),
            network=shape.text("network", length_max=64),
            expires_at=shape.integer("expires_at", minimum=0),
        )
    except RefusedDocument as error:
        raise HomeAnswerInvalid(address=address) from error


def _code(answer: dict[str, str]) -> str:
    import re

    from concordat_client.errors import LoginFailed

    if not answer.get("code"):
        reason = answer.get("error", "")
        raise LoginFailed(reason=reason if re.fullmatch(_CODE_PATTERN, reason) else "no_code")
    return answer["code"]


def run_logout(arguments: argparse.Namespace) -> int:
    """End the session at home, and forget it here in any case; 8 when home could not be told."""
    from concordat_client.config import config_dir, forget_session, load_session
    from concordat_client.exits import Exit
    from concordat_client.plain_text import as_json, plain

    directory = config_dir()
    session = load_session(directory)
    problem = _end_at_home(session)
    forget_session(directory)
    if arguments.json:
        print(as_json({"signed_out": True, "ended_at_home": problem is None}))
    elif problem is None:
        print("Signed out.")
    else:
        print("Signed out on this machine only: the session is removed here, but its home node was not told.")
        print(f"{plain(problem)} There the session ends {_time(session.expires_at)} at the latest.", file=sys.stderr)
    return Exit.DONE if problem is None else Exit.UNREACHABLE


def _end_at_home(session: SavedSession) -> str | None:
    """End the session at the home node; return what stood in the way."""
    from concordat_client.errors import HomeRefused
    from concordat_client.exits import Exit
    from concordat_client.home_client import HomeClient
    from concordat_trust.errors import ConcordatError

    try:
        with HomeClient.of(session) as client:
            client.sign_out()
    except HomeRefused as error:
        # A session that is over already is what was wanted.
        return None if error.exit == Exit.NOT_SIGNED_IN else error.message
    except ConcordatError as error:
        return error.message
    return None


def run_whoami(arguments: argparse.Namespace) -> int:
    """Print what the network is told."""
    from concordat_client.config import config_dir, load_session
    from concordat_client.exits import Exit
    from concordat_client.home_client import HomeClient
    from concordat_client.plain_text import as_json, plain
    from concordat_trust.vocabulary import Clearance

    with HomeClient.of(load_session(config_dir())) as client:
        told = client.whoami()
    if arguments.json:
        print(as_json(told))
        return Exit.DONE
    claims = told.get("claims")
    known = claims if isinstance(claims, dict) else {}
    clearance = known.get("clearance")
    levels = {int(level): level.name.lower() for level in Clearance}
    print(f"{plain(told.get('subject'))} of {plain(told.get('organization'))}, network {plain(told.get('network'))}")
    print(f"  to other organizations: {plain(told.get('pseudonym'))}")
    shown = levels.get(clearance, plain(clearance)) if isinstance(clearance, int) else plain(clearance)
    print(f"  affiliation {plain(known.get('affiliation'))}, role {plain(known.get('role'))}, clearance {shown}")
    _print_sign_in(known, told.get("visas"))
    return Exit.DONE


def _print_sign_in(claims: JsonObject, visas: Json) -> None:
    from concordat_client.plain_text import plain

    auth_time, acr = claims.get("auth_time"), claims.get("acr")
    if isinstance(auth_time, int):
        print(f"  signed in at the provider {_time(auth_time)}" + (f" ({plain(acr)})" if acr else ""))
    for visa in visas if isinstance(visas, list) else []:
        if isinstance(visa, dict) and "refused" in visa:
            print(f"  a visa counts for nothing: {plain(visa['refused'])}")
        elif isinstance(visa, dict):
            print(f"  visa {plain(visa.get('type'))}: {plain(visa.get('value'))}, of {plain(visa.get('organization'))}")


def _printed(url: str) -> None:
    print(f"Open this address in a browser on this machine:\n{url}", file=sys.stderr, flush=True)


def _opened(url: str) -> None:
    import threading
    import webbrowser

    _printed(url)
    # A browser may run in the foreground (BROWSER=w3m): who waits for it could not take what it comes back with.
    threading.Thread(target=webbrowser.open, args=(url,), daemon=True).start()


def _time(at: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(at))
