"""`concordat bench coordinator`: what one question costs the coordinator, beside its two references, in one run.

Rules of this file:

* Everything is on: signatures of home, token, attestations, every record against its commitment, scores, merge and
  delivery. Nodes are stubs on this machine whose answers are signed for real; nothing is encrypted in transit.
* What counts is the CPU time of the server's process per question; times on the clock are compared with a node's own in
  the same minute. Rounds go through all servers in turn and the median of the rounds stands, so that another load on
  the machine moves both sides of a ratio.
* A server whose answer is not what it must be gives no figure.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field

from concordat_client.bench import stub_nodes
from concordat_client.bench.answers import HITS, BenchRound, answer_of, make_round
from concordat_client.bench.errors import BenchAnswerWrong
from concordat_client.bench.figures import Figure
from concordat_client.bench.load import Ask, Asker, asking, cpu_ms, seconds
from concordat_client.bench.network import BenchNetwork, endpoints_of, found, organization_names
from concordat_client.bench.processes import Server, running
from concordat_client.bench.references.naive_strawberry_httpx import PAGE, QUERY
from concordat_client.bench.servers import serve_coordinator, serve_forwarder, serve_naive
from concordat_trust.bundle import TrustedBundle

NODE_DELAY_S = 0.005
RELAY_PORT = 1
"""What the bundle says of the coordinator's address; the request's signature is over it, whatever the real port is."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured."""

    nodes: int = 20
    many: int = 200
    rounds: int = 5
    questions: int = 8
    questions_of_many: int = 2
    timed: int = 40


FULL = Size()
QUICK = Size(nodes=2, many=4, rounds=1, questions=2, questions_of_many=1, timed=2)


@dataclass(slots=True)
class Setup:
    """A network whose nodes are listeners of the stub process, from `first` on."""

    stubs: Server
    first: int
    network: BenchNetwork
    bundle: TrustedBundle
    rounds: int = 0

    def next_round(self) -> BenchRound:
        """Return a new round, with every node ready to answer it."""
        self.rounds, now = self.rounds + 1, int(time.time())
        asked = make_round(self.network, self.bundle, number=self.rounds, now=now)
        answers = [answer_of(org, asked, self.bundle, now=now) for org in self.network.organizations]
        self.stubs.tell(stub_nodes.messages(self.first, answers))
        return asked

    @property
    def endpoints(self) -> tuple[str, ...]:
        count = len(self.network.organizations)
        return tuple(f"http://127.0.0.1:{port}" for port in self.stubs.ports[self.first : self.first + count])


@dataclass(slots=True)
class Costs:
    """CPU milliseconds per question, one entry for each round."""

    coordinator: list[float] = field(default_factory=list)
    naive: list[float] = field(default_factory=list)
    forwarder: list[float] = field(default_factory=list)
    many: list[float] = field(default_factory=list)


def measure(size: Size, say: Say) -> tuple[Figure, ...]:
    """Return the figures of DESIGN section 11. Raises: BenchProcessFailed, BenchAnswerWrong."""
    return asyncio.run(_measure(size, say))


async def _measure(size: Size, say: Say) -> tuple[Figure, ...]:
    with ExitStack() as stack:
        say(f"starting {size.nodes} + {size.many} nodes, the coordinator twice and both references")
        stubs = stack.enter_context(running("nodes", stub_nodes.serve_nodes, size.nodes + size.many))
        few, many = _setup(stubs, 0, size.nodes), _setup(stubs, size.nodes, size.many)
        servers = _Servers(
            coordinator=stack.enter_context(running("coordinator", serve_coordinator, few.network)),
            many=stack.enter_context(running("coordinator of many", serve_coordinator, many.network)),
            naive=stack.enter_context(running("naive", serve_naive, few.endpoints)),
            forwarder=stack.enter_context(running("forwarder", serve_forwarder, few.endpoints)),
        )
        async with asking() as asker:
            costs = Costs()
            say("warming up")
            await _check(_round(servers, few, many, asker), size)
            for number in range(size.rounds):
                say(f"round {number + 1} of {size.rounds}")
                await _cost(servers, _round(servers, few, many, asker), size, costs)
            say("overhead over the slowest node")
            over_ms, node_ms = await _overhead(servers, few, asker, size)
    return figures(costs, over_ms=over_ms, node_ms=node_ms)


@dataclass(frozen=True, slots=True)
class _Servers:
    coordinator: Server
    many: Server
    naive: Server
    forwarder: Server


@dataclass(frozen=True, slots=True)
class _Asks:
    coordinator: Ask
    many: Ask
    naive: Ask
    forwarder: Ask


def _setup(stubs: Server, first: int, count: int) -> Setup:
    names = organization_names(count)
    endpoints = endpoints_of(names, stubs.ports[first : first + count], RELAY_PORT)
    network = found(endpoints, at=int(time.time()))
    return Setup(stubs, first, network, network.bundle())


def _round(servers: _Servers, few: Setup, many: Setup, asker: Asker) -> _Asks:
    """Return what asks each server in a new round."""
    asked, asked_many = few.next_round(), many.next_round()
    return _Asks(
        coordinator=asker.of_coordinator(servers.coordinator, asked),
        many=asker.of_coordinator(servers.many, asked_many),
        naive=asker.of("the naive reference", f"{servers.naive.url}/graphql", _naive_body(asked)),
        forwarder=asker.of("the forwarding reference", f"{servers.forwarder.url}/", asked.body),
    )


async def _check(asks: _Asks, size: Size) -> None:
    """Raises: BenchAnswerWrong."""
    _check_coordinator(await asks.coordinator(), size.nodes)
    _check_coordinator(await asks.many(), size.many)
    _check_naive(await asks.naive(), size.nodes)
    _check_forwarder(await asks.forwarder(), size.nodes)


async def _cost(servers: _Servers, asks: _Asks, size: Size, costs: Costs) -> None:
    costs.coordinator.append(await cpu_ms(servers.coordinator, asks.coordinator, questions=size.questions))
    costs.naive.append(await cpu_ms(servers.naive, asks.naive, questions=size.questions))
    costs.forwarder.append(await cpu_ms(servers.forwarder, asks.forwarder, questions=size.questions))
    costs.many.append(await cpu_ms(servers.many, asks.many, questions=size.questions_of_many, concurrency=1))


async def _overhead(servers: _Servers, few: Setup, asker: Asker, size: Size) -> tuple[float, float]:
    """Return the p50 over the slowest node, and that node's own p50, in milliseconds."""
    few.stubs.tell(("delay", NODE_DELAY_S))
    asked = few.next_round()
    node: Ask = asker.of("a node", f"{few.endpoints[-1]}/graphql", asked.body)
    alone, through = [], []
    for _ in range(size.timed):
        alone += await seconds(node, questions=1)
        through += await seconds(asker.of_coordinator(servers.coordinator, asked), questions=1)
    node_ms = statistics.median(alone) * 1_000
    return statistics.median(through) * 1_000 - node_ms, node_ms


def figures(costs: Costs, *, over_ms: float, node_ms: float) -> tuple[Figure, ...]:
    """Return the four committed figures of what was measured."""
    ours = statistics.median(costs.coordinator)
    naive, forwarder = statistics.median(costs.naive), statistics.median(costs.forwarder)
    many = statistics.median(costs.many)
    return (
        Figure("cpu_per_question_to_naive", ours, "ms", naive, committed=1 / 12, aim=1 / 20),
        Figure("cpu_per_question_to_forwarder", ours, "ms", forwarder, committed=3, aim=2),
        Figure("overhead_p50", over_ms, "ms", node_ms, committed=12, aim=4, is_absolute=True),
        Figure("growth_to_many_nodes", many, "ms", ours, committed=12, aim=10),
    )


def _naive_body(asked: BenchRound) -> bytes:
    variables = {"question": asked.question.canonical().decode(), "part": "{}"}
    return json.dumps({"query": QUERY, "variables": variables}).encode()


def _check_coordinator(answer: bytes, nodes: int) -> None:
    asked = json.loads(answer)["data"]["ask"]
    statuses = {(entry["status"], entry["code"]) for entry in asked["answers"]}
    merged = json.loads(asked["merged"])
    if statuses != {("OK", None)} or merged["total"] != nodes * HITS or not merged["completeness"]["complete"]:
        raise BenchAnswerWrong(server="the coordinator", problem=f"statuses {sorted(map(str, statuses))}")


def _check_naive(answer: bytes, nodes: int) -> None:
    found_there = (json.loads(answer).get("data") or {}).get("search") or {}
    if found_there.get("total") != nodes * HITS or len(found_there["hits"]) != PAGE:
        raise BenchAnswerWrong(server="the naive reference", problem=str(answer[:200]))


def _check_forwarder(answer: bytes, nodes: int) -> None:
    if len(json.loads(answer)) != nodes:
        raise BenchAnswerWrong(server="the forwarding reference", problem=str(answer[:200]))
