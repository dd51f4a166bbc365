"""`concordat bench`: its figures, its exit code, its frozen references, and that what is measured is the real thing.

No test here looks at a time: a figure that is missed is the command's business, not the suite's.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import secrets
import subprocess
import sys
import time
from importlib import resources
from operator import methodcaller

import pytest

from concordat_client.bench.answers import HITS, BenchRound, answer_of, make_round
from concordat_client.bench.command import MEASUREMENTS, register, run, told
from concordat_client.bench.coordinator import Costs, figures
from concordat_client.bench.errors import BenchProcessFailed, BenchUnknown
from concordat_client.bench.figures import Figure
from concordat_client.bench.network import RELAY, BenchNetwork, endpoints_of, found, organization_names
from concordat_client.bench.processes import running
from concordat_client.bench.stub_nodes import messages, serve_nodes
from concordat_client.exits import Exit, exit_of
from concordat_coordinator.api.door import RelayDoor
from concordat_coordinator.relay import RelayKeys, RelayService
from concordat_trust.encoding import b64u
from concordat_trust.wire.transport import WireRequest, WireResponse
from tests.federation.memory_transport import Handler, MemoryTransport

NAMES = ("cpu_per_question_to_naive", "cpu_per_question_to_forwarder", "overhead_p50", "growth_to_many_nodes")
FIELDS = {"value", "unit", "reference", "ratio", "committed", "aim", "ok"}
FROZEN = {
    "naive_strawberry_httpx.py": "d868574329f481cac84780f1f753f538415f68dc8f8e4a64e0c54ed343de4773",
    "raw_asgi_aiohttp.py": "151b4c098b20c656fe9fee7a00134929cc9c33a7e8ef5f7fe3cb7b9786f06278",
}


def _figures(*, ours: float = 1.0, many: float = 1.0, over_ms: float = 1.0) -> tuple[Figure, ...]:
    costs = Costs(coordinator=[ours] * 3, naive=[12.0] * 3, forwarder=[1.0] * 3, many=[many])
    return figures(costs, over_ms=over_ms, node_ms=5.0)


def test_the_json_is_exactly_the_figures_with_their_fields(capsys: pytest.CaptureFixture[str]) -> None:
    assert told(_figures(), is_json=True) == Exit.DONE
    printed = json.loads(capsys.readouterr().out)
    assert set(printed) == {"figures"}
    assert tuple(printed["figures"]) == NAMES
    assert {frozenset(figure) for figure in printed["figures"].values()} == {frozenset(FIELDS)}
    assert printed["figures"]["cpu_per_question_to_forwarder"] == {
        "value": 1.0,
        "unit": "ms",
        "reference": 1.0,
        "ratio": 1.0,
        "committed": 3,
        "aim": 2,
        "ok": True,
    }


@pytest.mark.parametrize(
    ("at_the_limit", "missed"),
    [
        (_figures(ours=1.0), "cpu_per_question_to_naive"),
        (_figures(over_ms=12.0), "overhead_p50"),
        (_figures(many=12.0), "growth_to_many_nodes"),
    ],
)
def test_what_is_committed_is_met_at_its_limit(at_the_limit: tuple[Figure, ...], missed: str) -> None:
    assert {figure.name: figure.ok for figure in at_the_limit}[missed]


@pytest.mark.parametrize(
    ("figures_", "missed"),
    [
        (_figures(ours=1.01, many=1.0), {"cpu_per_question_to_naive"}),
        (_figures(ours=3.01, many=3.0), {"cpu_per_question_to_naive", "cpu_per_question_to_forwarder"}),
        (_figures(over_ms=12.01), {"overhead_p50"}),
        (_figures(many=12.01), {"growth_to_many_nodes"}),
    ],
)
@pytest.mark.parametrize("is_json", [True, False])
def test_a_missed_figure_exits_7_and_is_named(
    figures_: tuple[Figure, ...], missed: set[str], is_json: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    assert told(figures_, is_json=is_json) == 7
    printed = capsys.readouterr().out
    if is_json:
        assert {name for name, figure in json.loads(printed)["figures"].items() if not figure["ok"]} == missed
    else:
        assert {line.split()[0] for line in printed.splitlines() if line.endswith("MISSED")} == missed


def test_the_table_names_what_is_committed_in_its_unit(capsys: pytest.CaptureFixture[str]) -> None:
    told(_figures(), is_json=False)
    head, *lines = capsys.readouterr().out.splitlines()
    assert head.split() == ["figure", "value", "unit", "reference", "ratio", "committed", "aim"]
    assert [line.split()[0] for line in lines] == list(NAMES)
    assert "≤ 12 ms" in lines[2]
    assert "≤ 12 ×" in lines[3]


def test_a_median_is_not_moved_by_one_bad_round() -> None:
    costs = Costs(coordinator=[5.0, 5.0, 900.0], naive=[60.0], forwarder=[5.0], many=[5.0])
    assert figures(costs, over_ms=1.0, node_ms=5.0)[0].value == 5.0


def test_an_unknown_name_says_which_there_are() -> None:
    parser = argparse.ArgumentParser()
    register(parser.add_subparsers())
    with pytest.raises(BenchUnknown) as refused:
        run(parser.parse_args(["bench", "nothing"]))
    assert exit_of(refused.value) == Exit.USAGE
    assert all(name in refused.value.message for name in MEASUREMENTS)


@pytest.mark.parametrize(("name", "digest"), sorted(FROZEN.items()))
def test_a_reference_is_frozen(name: str, digest: str) -> None:
    """Changing one moves every ratio that was ever printed: a new reference is a new file."""
    script = resources.files("concordat_client.bench.references").joinpath(name).read_bytes()
    assert hashlib.sha256(script).hexdigest() == digest


def _network(count: int) -> BenchNetwork:
    names = organization_names(count)
    return found(endpoints_of(names, range(2, count + 2), 1), at=int(time.time()))


def _request(asked: BenchRound) -> WireRequest:
    headers = asked.signed_headers(created=int(time.time()), nonce=b64u(secrets.token_bytes(16)))
    return WireRequest("POST", "/graphql", headers, asked.body)


async def test_what_the_stubs_say_passes_every_check_of_a_coordinator() -> None:
    network, now = _network(3), int(time.time())
    bundle = network.bundle()
    asked = make_round(network, bundle, number=1, now=now)
    transport = MemoryTransport(0)
    for org in network.organizations:
        body = answer_of(org, asked, bundle, now=now)
        transport.parties[bundle.member(org).endpoint] = _saying(body)
    relay = RelayService(
        me=RELAY,
        keys=RelayKeys(network.key(RELAY, "request"), network.key(RELAY, "delivery")),
        bundle=lambda: bundle,
        transport=transport,
        clock=lambda: int(time.time()),
        entropy=secrets.token_bytes,
    )
    answer = json.loads((await RelayDoor(relay).handle(_request(asked))).body)["data"]["ask"]
    assert {(entry["status"], len(entry["results"])) for entry in answer["answers"]} == {("OK", HITS)}
    merged = json.loads(answer["merged"])
    assert (merged["total"], merged["completeness"]["complete"]) == (3 * HITS, True)
    assert len({hit["organization"] for hit in merged["hits"]}) > 1


def _saying(body: bytes) -> Handler:
    async def handler(_: WireRequest) -> WireResponse:
        return WireResponse(200, {"content-type": "application/json"}, body)

    return handler


def test_a_process_that_dies_is_named_and_gives_no_figure() -> None:
    with pytest.raises(BenchProcessFailed, match="broken"), running("broken", methodcaller("close")):
        pass


def test_a_process_tells_its_cpu_time_and_ends_with_its_block() -> None:
    with running("nodes", serve_nodes, 2) as stubs:
        assert len(set(stubs.ports)) == 2
        stubs.tell(messages(1, [b"{}"]))
        before = stubs.cpu_seconds()
        assert stubs.cpu_seconds() >= before > 0
    with pytest.raises(BenchProcessFailed):
        stubs.cpu_seconds()


@pytest.mark.long
@pytest.mark.timeout(600)
def test_the_command_measures_everything_and_exits_by_what_it_found() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "concordat_client.cli", "bench", "coordinator", "--quick", "--json"],
        capture_output=True,
        text=True,
        check=False,
        env=dict(os.environ),
        timeout=600,
    )
    measured = json.loads(done.stdout)["figures"]
    assert tuple(measured) == NAMES
    assert all(figure["value"] > 0 and figure["reference"] > 0 for figure in measured.values())
    assert done.returncode == (Exit.DONE if all(figure["ok"] for figure in measured.values()) else Exit.FINDING)
    assert all(line.startswith("bench: ") for line in done.stderr.splitlines())


TRUST = {
    "cold_verification": 1_000,
    "poll_with_nothing_new": 30,
    "poll_bodies": 1_000,
    "node_check_of_a_question": 2,
    "home_check_per_attestation": 1,
    "sealing": 0.5,
    "opening": 0.5,
    "suspension_refused_everywhere": 60,
}


def test_the_trust_figures_are_measured_beside_plain_signatures() -> None:
    measured = MEASUREMENTS["trust"](True)
    assert {figure.name: figure.committed for figure in measured} == TRUST
    assert all(figure.is_absolute and figure.value > 0 and figure.reference > 0 for figure in measured)
    found_bytes = next(figure for figure in measured if figure.name == "poll_bodies")
    assert found_bytes.value == 2 * found_bytes.reference  # of one mirror and one node


def test_a_trust_figure_that_is_missed_ends_with_exit_code_7(capsys: pytest.CaptureFixture[str]) -> None:
    missed = Figure("sealing", 0.51, "ms CPU", 0.04, committed=0.5, aim=0.3, is_absolute=True)
    assert told([missed], is_json=False) == Exit.FINDING
    assert "MISSED" in capsys.readouterr().out
