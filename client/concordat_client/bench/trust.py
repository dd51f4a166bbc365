"""`concordat bench trust`: what believing costs, beside plain Ed25519 operations of the same run.

Rules of this file:

* What counts is CPU time of this process, the median of several rounds; nothing waits for a network. Documents are
  real: 200 organizations with every key and proof, a question with its token, an answer with twenty candidates.
* The reference of a verification is as many plain Ed25519 verifications as it holds signatures; of sealing and opening,
  one plain signature. A ratio near 1 says that signatures are what is paid for.
* A suspension is measured on the clock: a keyholder signs, an online signer publishes over HTTP, and parties poll it at
  the interval of nodes. There is no coordinator in it at all.
"""

from __future__ import annotations

import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from concordat_client.bench.answers import BenchRound, answer_of, make_round
from concordat_client.bench.figures import Figure
from concordat_client.bench.network import RELAY, BenchNetwork, endpoints_of, found, organization_names
from concordat_client.bench.trust_suspension import Pace, suspension_s
from concordat_node.access.request_check import check_request
from concordat_trust.attestation import verify_attestation
from concordat_trust.bundle import TrustedBundle, verify_bundle
from concordat_trust.bundle.poll import BundlePoller
from concordat_trust.bundle.statement import USES_OF
from concordat_trust.bundle.tuf_client import DownloadHTTPError, FetcherInterface
from concordat_trust.canonical import JsonObject, canonical_bytes
from concordat_trust.encoding import b64u
from concordat_trust.ids import OrgId
from concordat_trust.jwk import SigningKey
from concordat_trust.question import Part
from concordat_trust.request_signature import SignedMessage, authority_of, sign_request
from concordat_trust.sealing import SealContext, SealingKey, open_text, seal_text
from concordat_trust.wire.documents import NODE_DOCUMENTS, document_id
from concordat_trust.wire.transport import WireRequest

MIRROR = "http://mirror.bench/"
REQUEST_BYTES_MAX = 131_072
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured."""

    organizations: int = 200
    asked: int = 20
    rounds: int = 5
    calls: int = 40
    pace: Pace = field(default_factory=Pace)


FULL = Size()
QUICK = Size(organizations=3, asked=2, rounds=1, calls=2, pace=Pace(parties=1, interval_s=0.2, check_s=0.1))


def measure(size: Size, say: Say) -> tuple[Figure, ...]:
    """Return the figures, each beside its reference. Raises: what a verification raises that must not fail."""
    now = int(time.time())
    say(f"founding a network of {size.organizations} organizations")
    network = _network(size.organizations, now)
    say("verifying it, and polling with nothing new")
    verify_ms, sign_ms = _plain_ms(size)
    cold_ms = _cpu_ms(lambda: _verified(network), rounds=size.rounds, calls=1)
    poll_ms, poll_bytes = _poll(network, size)
    say("checking a question, attestations, and sealed answers of 20 records")
    asked = _network(size.asked, now)
    checks_ms = dict(_checks(asked, size, now))
    say(f"suspending an organization; {size.pace.parties} parties poll every {size.pace.interval_s:.0f} s")
    seconds = suspension_s(size.pace)
    figure = partial(Figure, is_absolute=True)
    signed_ms = verify_ms * _signatures(network)
    timestamp_bytes = len(network.files["timestamp.json"])
    return (
        figure("cold_verification", cold_ms, "ms CPU", signed_ms, committed=1_000, aim=250),
        figure("poll_with_nothing_new", poll_ms, "ms CPU", verify_ms, committed=30, aim=12),
        figure("poll_bodies", poll_bytes, "bytes", timestamp_bytes, committed=1_000, aim=500),
        figure("node_check_of_a_question", checks_ms["node"], "ms CPU", 2 * verify_ms, committed=2, aim=1),
        figure("home_check_per_attestation", checks_ms["home"], "ms CPU", verify_ms, committed=1, aim=0.5),
        figure("sealing", checks_ms["seal"], "ms CPU", sign_ms, committed=0.5, aim=0.3),
        figure("opening", checks_ms["open"], "ms CPU", sign_ms, committed=0.5, aim=0.3),
        figure("suspension_refused_everywhere", seconds, "s", size.pace.interval_s, committed=60, aim=30),
    )


def _network(organizations: int, now: int) -> BenchNetwork:
    names = organization_names(organizations)
    return found(endpoints_of(names, range(2, organizations + 2), 1), at=now)


def _verified(network: BenchNetwork) -> TrustedBundle:
    return verify_bundle(dict(network.files), root_sha256=network.root_sha256, at=network.founded_at)


def _signatures(network: BenchNetwork) -> int:
    """Return how many signatures a verification of the network checks."""
    top = 2 + 1 + 1 + 2 + 1  # root and targets by two keyholders; timestamp, snapshot and suspensions by one key
    organization, coordinator = 2 + len(USES_OF["organization"]), 2 + len(USES_OF["coordinator"])
    return top + organization * len(network.organizations) + coordinator


def _plain_ms(size: Size) -> tuple[float, float]:
    key, text = SigningKey.generate(), bytes(200)
    signature, public = key.sign(text), key.public_key
    return (
        _cpu_ms(lambda: public.verify(signature, text), rounds=size.rounds, calls=size.calls),
        _cpu_ms(lambda: key.sign(text), rounds=size.rounds, calls=size.calls),
    )


def _cpu_ms(call: Callable[[], object], *, rounds: int, calls: int) -> float:
    """Return the CPU milliseconds of one call: the median of the rounds. The first call is not measured."""
    call()
    measured = []
    for _ in range(rounds):
        before = time.process_time()
        for _ in range(calls):
            call()
        measured.append((time.process_time() - before) * 1_000 / calls)
    return statistics.median(measured)


class _Mirror(FetcherInterface):
    """A mirror without a network, which counts the bytes of the bodies it gives."""

    def __init__(self, network: BenchNetwork) -> None:
        self._files = network.files
        self.body_bytes = 0

    def _fetch(self, url: str) -> Iterator[bytes]:
        data = self._files.get(url.removeprefix(MIRROR))
        if data is None:
            raise DownloadHTTPError("not here", 404)
        self.body_bytes += len(data)
        return iter([data])


def _poll(network: BenchNetwork, size: Size) -> tuple[float, float]:
    """Return the CPU milliseconds and the bytes of a poll with nothing new, of one mirror and one node."""
    mirror = _Mirror(network)
    with tempfile.TemporaryDirectory() as state:
        poller = BundlePoller(
            root_sha256=network.root_sha256,
            mirrors=[MIRROR],
            state=Path(state),
            clock=lambda: network.founded_at,
            jitter=lambda: 0.5,
            fetcher=mirror,
            peers=lambda _: [MIRROR],
        )
        poller.poll()
        before = mirror.body_bytes
        poller.poll()
        body_bytes = mirror.body_bytes - before
        return _cpu_ms(poller.poll, rounds=size.rounds, calls=size.calls), body_bytes


def _checks(network: BenchNetwork, size: Size, now: int) -> Iterator[tuple[str, float]]:
    bundle = network.bundle()
    asked = make_round(network, bundle, number=1, now=now)
    node = network.organizations[1]
    request = _request(network, bundle, asked, node, now)
    search = json.loads(answer_of(node, asked, bundle, now=now))["data"]["search"]
    attestation, text = search["attestation"], canonical_bytes(search["results"])
    place, key = SealContext(node, asked.token_id, asked.question.hash()), SealingKey.from_seed(bytes(32))
    sealed = seal_text(text, to=key.public, context=place)
    calls: dict[str, Callable[[], object]] = {
        "node": lambda: check_request(request, me=node, bundle=bundle, now=now, bytes_max=REQUEST_BYTES_MAX),
        "home": lambda: verify_attestation(attestation, bundle=bundle, at=now),
        "seal": lambda: seal_text(text, to=key.public, context=place),
        "open": lambda: open_text(sealed, key=key, context=place),
    }
    for name, call in calls.items():
        yield name, _cpu_ms(call, rounds=size.rounds, calls=size.calls)


def _request(network: BenchNetwork, bundle: TrustedBundle, asked: BenchRound, node: OrgId, now: int) -> WireRequest:
    """Return the request with which the coordinator hands the question to one node."""
    variables: JsonObject = {"question": asked.question.canonical().decode(), "part": Part().canonical().decode()}
    body = canonical_bytes({"documentId": document_id(NODE_DOCUMENTS["search"]), "variables": variables})
    message = SignedMessage(
        method="POST",
        authority=authority_of(bundle.member(node).endpoint),
        path="/graphql",
        content_type="application/json",
        authorization=f"Bearer {asked.token}",
        body=body,
    )
    headers = sign_request(message, key=network.key(RELAY, "request"), created=now, nonce=b64u(bytes(24)))
    return WireRequest("POST", "/graphql", headers, body)
