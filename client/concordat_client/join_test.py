"""The join self-test: five checks against one member of the running network, before an organization applies.

    ping     a signed request reaches the member, and its signed answer comes back
    clock    the two clocks differ by no more than ten seconds
    digest   a body that was changed on its way is refused
    replay   a request that arrives twice is refused
    deny     a question is refused, because nobody has admitted this organization yet

The members are tried in turn until one can be reached; what fails with that one fails the test.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import httpx

from concordat_trust.bundle.life.errors import SelfTestFailed
from concordat_trust.bundle.life.self_test import FOUND_CHARS_MAX, Check, CheckName
from concordat_trust.bundle.trusted import TrustedBundle
from concordat_trust.canonical import canonical_bytes, parse_object
from concordat_trust.errors import RefusedDocument
from concordat_trust.ids import OrgId
from concordat_trust.join_ping import PONG_BYTES_MAX, Pong, make_ping, verify_pong
from concordat_trust.jwk import Signer
from concordat_trust.request_signature import SignedMessage, authority_of, sign_request
from concordat_trust.shape import Shape
from concordat_trust.wire.transport import WireRequest

CLOCK_DIFFERENCE_MAX_S: Final = 10
TIMEOUT_S: Final = 10.0
ANSWER_BYTES_MAX: Final = 2 * PONG_BYTES_MAX
Post = Callable[[str, WireRequest], tuple[int, bytes]]
"""Sends a request to an endpoint; returns status and body. Raises: httpx.HTTPError."""


def post_over(client: httpx.Client) -> Post:
    """Return how to send over `client`."""

    def post(endpoint: str, request: WireRequest) -> tuple[int, bytes]:
        with client.stream(
            request.method, endpoint + request.path, headers=dict(request.headers), content=request.body
        ) as answer:
            body = bytearray()
            for piece in answer.iter_bytes():
                body += piece
                if len(body) > ANSWER_BYTES_MAX:
                    raise httpx.DecodingError("the answer is too long")
            return answer.status_code, bytes(body)

    return post


def run_self_test(
    bundle: TrustedBundle,
    organization: OrgId,
    key: Signer,
    *,
    post: Post,
    clock: Callable[[], int],
    nonce: Callable[[], str],
) -> tuple[Check, ...]:
    """Return the checks with the first member that can be reached; none when the network has no other organization.

    Raises: SelfTestFailed when no member can be reached.
    """
    others = [org for org in bundle.organizations if org != organization]
    problems = []
    for party in others:
        try:
            return _Test(bundle, party, key, post, clock, nonce).run()
        except httpx.HTTPError as error:
            problems.append(f"{party} ({type(error).__name__})")
    if problems:
        raise SelfTestFailed(organization=organization, problem=f"nobody can be reached: {', '.join(problems)}")
    return ()


@dataclass(frozen=True, slots=True)
class _Test:
    """The checks against one member."""

    _bundle: TrustedBundle
    _party: OrgId
    _key: Signer
    _send: Post
    _clock: Callable[[], int]
    _nonce: Callable[[], str]

    @property
    def _endpoint(self) -> str:
        return self._bundle.member(self._party).endpoint

    def run(self) -> tuple[Check, ...]:
        nonce = self._nonce()
        ping = self._ping(nonce)
        before = self._clock()
        status, body = self._post(ping)
        after = self._clock()
        pong = self._pong(status, body, nonce)
        if isinstance(pong, str):
            return (self._check("ping", False, pong),)
        other = self._ping(self._nonce())
        changed = replace(other, body=other.body.replace(b'"ping_version":1', b'"ping_version":2'))
        return (
            self._check("ping", True, f"signed by {self._party}"),
            self._clocks(pong, before, after),
            self._refused("digest", changed, "content_digest_mismatch"),
            self._refused("replay", ping, "ping_replayed"),
            self._refused("deny", self._question(), "presenter_unknown"),
        )

    def _ping(self, nonce: str) -> WireRequest:
        network = self._bundle.network.id
        return make_ping(self._key, endpoint=self._endpoint, network=network, nonce=nonce, at=self._clock())

    def _question(self) -> WireRequest:
        body = canonical_bytes({"documentId": "0" * 64, "variables": {"part": "{}", "question": "{}"}})
        authority = authority_of(self._endpoint)
        message = SignedMessage("POST", authority, "/graphql", "application/json", f"Bearer {self._nonce()}", body)
        headers = sign_request(message, key=self._key, created=self._clock(), nonce=self._nonce())
        return WireRequest("POST", "/graphql", headers, body)

    def _post(self, request: WireRequest) -> tuple[int, bytes]:
        return self._send(self._endpoint, request)

    def _pong(self, status: int, body: bytes, nonce: str) -> Pong | str:
        if status != 200:
            return _code(status, body)
        try:
            data = Shape(parse_object(body, bytes_max=ANSWER_BYTES_MAX), "answer").object("data")
            token = data.text("pong", length_max=PONG_BYTES_MAX)
            return verify_pong(
                token, organization=self._party, key_id=self._key.key_id, nonce=nonce, directory=self._bundle
            )
        except RefusedDocument as error:
            return f"{error.code}: {error.message}"

    def _clocks(self, pong: Pong, before: int, after: int) -> Check:
        difference = max(before - pong.answered_at, pong.answered_at - after, 0)
        return self._check("clock", difference <= CLOCK_DIFFERENCE_MAX_S, f"{difference} s apart")

    def _refused(self, name: CheckName, request: WireRequest, expected: str) -> Check:
        status, body = self._post(request)
        found = "it was not refused" if status == 200 else _code(status, body)
        return self._check(name, found == expected, found if found != expected else f"refused as {expected}")

    def _check(self, name: CheckName, ok: bool, found: str) -> Check:  # the check's own fact
        return Check(self._party, name, ok, found[:FOUND_CHARS_MAX])


def _code(status: int, body: bytes) -> str:
    try:
        (error,) = Shape(parse_object(body, bytes_max=ANSWER_BYTES_MAX), "answer").objects("errors", count_max=1)
        return error.object("extensions").text("code", length_max=64)
    except (RefusedDocument, ValueError):
        return f"status {status}, not an answer of a node"
