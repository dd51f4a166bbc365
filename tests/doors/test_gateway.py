"""What an institution runs, against our doors: the HTTP audit, Apollo's composition, and a stock gateway."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
import uvicorn

from concordat_node.policy.opa_engine import OpaPolicyEngine
from concordat_node.registry.rules import Imported
from tests.factories.doors import GUEST, NETWORK_PATH, SUBGRAPH_PATH, Institution, make_institution
from tests.factories.node import asset_id, attributes_of, make_asset
from tests.factories.serving import served
from tests.factories.web import INSTALL_SECONDS_MAX, WEB, node_server, run_node
from tests.federation.consortium import HOME, NORTH, VITALIS, default_records

WIRE = Path(__file__).parents[2] / "trust" / "concordat_trust" / "wire"
INSTITUTION_SDL = WEB / "institution.graphql"
AUDITS = 61
ORGANIZATIONS = (NORTH, HOME, VITALIS)
NOWHERE = "https://subgraph.example"
pytestmark = pytest.mark.timeout(INSTALL_SECONDS_MAX)


def compose(*services: str) -> Any:
    done = run_node(WEB / "compose.cjs", *services, timeout_s=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("path", [NETWORK_PATH, SUBGRAPH_PATH])
async def test_every_check_of_graphql_over_http_passes(path: str, institution: Institution, token: str) -> None:
    async with served(uvicorn.Config(institution.app)) as (host, port):
        url = f"http://{host}:{port}{path}"
        done = await asyncio.to_thread(run_node, WEB / "audit.cjs", url, token, timeout_s=60)
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    assert [item for item in results if item["status"] != "ok"] == []
    assert len(results) == AUDITS


@pytest.mark.parametrize("name", ["network", "subgraph"])
def test_each_door_composes_with_the_institutions_own_subgraph(name: str) -> None:
    composed = compose(f"concordat={NOWHERE}={WIRE / f'{name}.graphql'}", f"own={NOWHERE}={INSTITUTION_SDL}")
    assert (composed["errors"], composed["hints"]) == ([], [])
    assert 'local_note: String @join__field(graph: OWN, requires: "title")' in composed["supergraph"]


def test_two_equal_nodes_do_not_compose_which_is_why_the_home_node_serves_the_network_as_one() -> None:
    sdl = WIRE / "subgraph.graphql"
    composed = compose(f"north={NOWHERE}={sdl}", f"vitalis={NOWHERE}={sdl}")
    assert composed["supergraph"] is None
    assert set(composed["errors"]) == {"INVALID_FIELD_SHARING"}


IDS = [
    *(asset_id(f"{org}-{name}", org=org) for org in ORGANIZATIONS for name in ("sepsis", "third", "secret")),
    *(asset_id(f"many-{number}", org=NORTH) for number in range(21)),
]
RECOMMENDED = "{ recommended { id title local_note organization contact } }"


@dataclass
class Supergraph:
    """A gateway in front of the institution's subgraph and its home node, all behind sockets."""

    institution: Institution
    url: str

    async def ask(self, query: str, token: str | None, purpose: str | None = "GRU") -> Any:
        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        headers |= {} if purpose is None else {"concordat-purpose": purpose}
        async with httpx.AsyncClient(timeout=30, trust_env=False) as client:
            return (await client.post(self.url, json={"query": query}, headers=headers)).json()


@pytest_asyncio.fixture
async def supergraph(tmp_path: Path, opa: OpaPolicyEngine) -> AsyncIterator[Supergraph]:
    records: dict[str, list[Imported]] = {org: list(default_records(org, sealed=True)) for org in ORGANIZATIONS}
    for org in ORGANIZATIONS:
        # For registered people; a guest does not see it.
        attributes = attributes_of(sensitivity=1)
        records[org].append(make_asset(f"{org}-registered", attributes, org=org))
    records[NORTH] += [make_asset(f"many-{n}", org=NORTH) for n in range(21)]
    institution = make_institution(tmp_path, records, engine=opa)
    async with AsyncExitStack() as stack:
        stack.callback(institution.home.home.close)
        host, port = await stack.enter_async_context(served(uvicorn.Config(institution.app)))
        ids = json.dumps([str(item) for item in IDS])
        own = await _started(stack, "institution.cjs", str(INSTITUTION_SDL), ids)
        network = f"http://{host}:{port}{NETWORK_PATH}"
        composed = compose(f"concordat={network}={WIRE / 'network.graphql'}", f"own={own}={INSTITUTION_SDL}")
        (tmp_path / "supergraph.graphql").write_text(composed["supergraph"])
        url = await _started(stack, "gateway.cjs", str(tmp_path / "supergraph.graphql"))
        yield Supergraph(institution, url)


async def _started(stack: AsyncExitStack, script: str, *arguments: str) -> str:
    return await asyncio.to_thread(stack.enter_context, node_server(WEB / script, *arguments))


async def test_a_stock_gateway_serves_the_network_beside_the_institutions_own_data(supergraph: Supergraph) -> None:
    institution = supergraph.institution
    ada = institution.sign_in("ada")
    before = institution.log_entries()

    # Thirty references of one list: one question to each organization that the ids name, each in its log, once.
    answer = await supergraph.ask(RECOMMENDED, ada)
    assert "errors" not in answer
    models = answer["data"]["recommended"]
    assert len(IDS) == len(models) == 30
    secret = {str(asset_id(f"{org}-secret", org=org)) for org in ORGANIZATIONS}
    shown = {model["id"]: model for model in models}
    assert set(shown) == {str(item) for item in IDS}
    for key, model in shown.items():
        # Entity resolution; `@requires`: the note is made from the title that the record's owner disclosed.
        if key in secret:
            assert model == {"id": key, "title": None, "local_note": None, "organization": None, "contact": None}
        else:
            assert model["local_note"] == f"filed under: {model['title']}"
            assert model["organization"] == key.split(":")[2]
            assert model["contact"] is not None
    asked = institution.questions()
    assert sorted(org for org, _question, _part in asked) == sorted(ORGANIZATIONS)
    assert {str(question["operation"]) for _org, question, _part in asked} == {"assets"}
    assert {org: count - before[org] for org, count in institution.log_entries().items()} == dict.fromkeys(before, 1)

    # The policy decides for the person behind the gateway, and nobody gets what another was given.
    query = "{ search(first: 50) { total hits { record { id title ... on Model { local_note } } } } }"
    everything = (await supergraph.ask(query, ada))["data"]["search"]
    guest = (await supergraph.ask(query, institution.sign_in("gil", GUEST)))["data"]["search"]
    again = (await supergraph.ask(query, ada))["data"]["search"]
    registered = {str(asset_id(f"{org}-registered", org=org)) for org in ORGANIZATIONS}
    sealed = {str(asset_id(f"{org}-third", org=org)) for org in ORGANIZATIONS}
    ids = [{hit["record"]["id"] for hit in found["hits"]} for found in (everything, guest, again)]
    assert ids[0] - ids[1] == registered | sealed
    assert ids[0] == ids[2]
    assert all(hit["record"]["local_note"] for hit in everything["hits"])

    # Without a session, or without a purpose, nothing is asked.
    counted = len(institution.questions())
    for unknown in (None, "no-such-session"):
        refused = await supergraph.ask("{ search { total } }", unknown)
        assert refused["data"]["search"] is None
        assert refused["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
    aimless = await supergraph.ask("{ search { total } }", ada, purpose=None)
    assert aimless["data"] == {"search": None}
    assert aimless["errors"][0]["extensions"]["code"] == "purpose_missing"
    assert len(institution.questions()) == counted


async def test_two_people_at_once_through_one_gateway_each_get_their_own(supergraph: Supergraph) -> None:
    institution = supergraph.institution
    tokens = {"ada": institution.sign_in("ada"), "gil": institution.sign_in("gil", GUEST)}
    names = ["ada", "gil"] * 3
    answers = await asyncio.gather(*(supergraph.ask("{ search(first: 50) { total } }", tokens[name]) for name in names))
    totals = [answer["data"]["search"]["total"] for answer in answers]
    assert len(set(totals)) == 2
    assert totals == totals[:2] * 3
