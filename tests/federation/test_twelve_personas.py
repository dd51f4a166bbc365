"""For twelve people: what a search lists is what can be shown by id, through every interface, and it is the policy's.

`INTERFACES` is the table: another interface is one more line. Every record of the consortium is asked for, visible or
not; what is compared are sets of ids, with what OPA itself decides for the person as the measure.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Literal

import pytest

from concordat_node.home.browser_cookies import session_cookie
from concordat_node.home.claims import PersonClaims
from concordat_node.home.person import Person
from concordat_node.home.pseudonym import pseudonym
from concordat_node.policy.engine import Decision, DecisionRequest, NodePolicy, Requester
from concordat_node.policy.opa_engine import OpaPolicyEngine
from concordat_node.registry.records import Agreement, Approval
from concordat_node.registry.rules import Imported, ImportedAsset
from concordat_trust.encoding import b64u
from concordat_trust.ids import AssetId, AssetKind, OrgId, tie_key
from concordat_trust.query_token import RequesterClaims
from concordat_trust.question import PAGE_SIZE_MAX, Purpose
from concordat_trust.vocabulary import Clearance, Level
from tests.factories.doors import NETWORK_PATH, SUBGRAPH_PATH, Institution, make_institution
from tests.factories.home import HOME_KEY
from tests.factories.network import NOW, make_network
from tests.factories.node import (
    answer_of,
    asking,
    attributes_of,
    make_asset,
    make_assets_question,
    make_question,
    told_of,
)
from tests.factories.opa import running_opa
from tests.factories.registry import make_agreement, make_approval
from tests.federation.consortium import HOME, NORTH, VITALIS
from tests.federation.worlds import FULL_CLASSES, HIDDEN_CLASSES, SUMMARY_CLASSES
from tests.portal.browsing import Browser
from tests.portal.test_pages import NEXT, TITLES, answered, next_page

DAY_S = 86_400
NETWORK = make_network()
ORGANIZATIONS = (NORTH, HOME, VITALIS)
SMALL_PAGE = 15
NODE_POLICY = NodePolicy(purposes_admitted=("GRU", "HMB", "DS", "MDS"))
CLASSES = (*FULL_CLASSES, *SUMMARY_CLASSES, *HIDDEN_CLASSES, {"sensitivity": 2, "agreements": ("dua-ended",)})


GENERAL = Purpose("GRU")


@dataclass(frozen=True)
class Persona:
    name: str
    claims: PersonClaims
    purpose: Purpose = GENERAL

    @property
    def pseudonym(self) -> str:
        return pseudonym(HOME_KEY, NETWORK.bundle.network.id, self.name)


STAFF = PersonClaims("staff", "researcher", 2)
PERSONAS = (
    Persona("guest", PersonClaims("student", "guest", 0)),
    Persona("student", PersonClaims("student", "researcher", 1)),
    Persona("analyst", PersonClaims("staff", "analyst", 2)),
    Persona("member", STAFF),
    Persona("approved", STAFF),
    Persona("lapsed", STAFF),
    Persona("member-for-health", STAFF, Purpose("HMB")),
    Persona("member-for-a-disease", STAFF, Purpose("DS", disease="MONDO:0007254")),
    Persona("member-for-methods", STAFF, Purpose("MDS")),
    Persona("for-profit", STAFF, Purpose("GRU", commercial=True)),
    Persona("for-care", STAFF, Purpose("CC")),
    Persona("low-member", PersonClaims("staff", "researcher", 0)),
)
IN_EVERY_RUN = ("guest", "approved", "lapsed", "member-for-a-disease")
EACH = [
    pytest.param(one, id=one.name, marks=() if one.name in IN_EVERY_RUN else (pytest.mark.long,)) for one in PERSONAS
]
"""The twelve; ordinary tests ask as four, who see little, everything, what expired, and one disease."""
MEMBERS = tuple((HOME, one.pseudonym) for one in PERSONAS if "member" in one.name or one.name == "approved")
APPROVED = ((HOME, PERSONAS[4].pseudonym),)


def _grants(owner: OrgId) -> list[Agreement | Approval]:
    def agreement(name: str, **changes: Any) -> Agreement:
        return make_agreement(
            id=name, parties=tuple(sorted({owner, HOME})), purposes=("GRU", "HMB", "DS", "MDS"), **changes
        )

    return [
        agreement("dua-held", members=MEMBERS, valid_from=NOW - DAY_S, valid_until=NOW + 50 * DAY_S),
        agreement("dua-others", members=((VITALIS, "p-1"),), valid_from=NOW - DAY_S, valid_until=NOW + DAY_S),
        agreement("dua-ended", members=((HOME, None),), valid_from=NOW - 9 * DAY_S, valid_until=NOW - DAY_S),
        make_approval(id="irb-others", holders=APPROVED, approved_at=NOW - DAY_S, expires_at=NOW + 9 * DAY_S),
    ]


def _held(owner: OrgId) -> list[Imported]:
    """Return what an organization holds: of every class a model, and a data set of every third."""
    held: list[Imported] = list(_grants(owner))
    for number, changes in enumerate(CLASSES):
        kinds: tuple[AssetKind, ...] = ("model", "dataset") if number % 3 == 0 else ("model",)
        for kind in kinds:
            attributes = attributes_of(kind, **changes)
            held.append(make_asset(f"{owner}-{kind}-{number}", attributes, kind=kind, org=owner))
    return held


HELD: dict[str, list[Imported]] = {org: _held(org) for org in ORGANIZATIONS}
ASSETS = [item for held in HELD.values() for item in held if isinstance(item, ImportedAsset)]
ALL = tuple(item.record.id for item in ASSETS)


@dataclass(frozen=True)
class Asked:
    """One persona at one institution, and the ids it asks for."""

    institution: Institution
    persona: Persona

    def token(self) -> str:
        return self.institution.sign_in(self.persona.name, self.persona.claims)

    @asynccontextmanager
    async def browser(self) -> AsyncIterator[Browser]:
        """Give the persona's browser, signed in."""
        at_home, person = self.institution.home, Person(self.persona.name, self.persona.claims)
        token, _ = at_home.home.sessions.open(person, now=at_home.clock(), kind="browser")
        async with at_home.client() as client:
            client.cookies.set(session_cookie(at_home.home.settings), token)
            yield Browser(at_home, client)

    async def rest(self, path: str, body: dict[str, Any], token: str | None = None) -> Any:
        headers = {"authorization": f"Bearer {token or self.token()}"}
        async with self.institution.client() as client:
            sent = {**body, "purpose": self.persona.purpose.to_json()}
            return (await client.post(path, json=sent, headers=headers)).json()

    async def graphql(self, path: str, query: str, variables: Any = None) -> Any:
        purpose = json.dumps(self.persona.purpose.to_json())
        response = await self.institution.post(query, variables, token=self.token(), path=path, purpose=purpose)
        return response.json()["data"]


Ids = frozenset[str]
Interface = Callable[[Asked], Awaitable[Ids]]


async def signed_search(asked: Asked) -> Ids:
    return await _signed(asked, "search")


async def signed_assets(asked: Asked) -> Ids:
    return await _signed(asked, "assets")


async def _signed(asked: Asked, operation: Literal["search", "assets"]) -> Ids:
    """Ask every node at its own door, as the relay does, and open what is sealed with the key of the question."""
    persona = asked.persona
    claims = persona.claims
    found: set[str] = set()
    for org, node in asked.institution.nodes.items():
        own = [str(one) for one in ALL if one.org == org]
        question = (
            make_question(NETWORK, purpose=persona.purpose, page_size=PAGE_SIZE_MAX)
            if operation == "search"
            else make_assets_question(NETWORK, purpose=persona.purpose)
        )
        request = replace(
            asking(NETWORK, question, ids=own if operation == "assets" else ()),
            to=org,
            subject=persona.pseudonym,
            claims=RequesterClaims(claims.affiliation, claims.role, Clearance(claims.clearance)),
            token_id=b64u(hashlib.sha256(f"{operation} {persona.name} {org}".encode()).digest()[:16]),
        )
        answer = answer_of(await node.handle(request.request()), operation)
        found |= _opened(answer, own)
    return frozenset(found)


def _opened(answer: Any, own: list[str]) -> set[str]:
    """Return the ids of an answer by the attested tie keys of the ids."""
    candidates = told_of(answer)["candidates"]
    ties = {tie_key(one): one for one in own}
    return {ties[candidate[2]] for candidate in candidates}


async def rest_search(asked: Asked) -> Ids:
    result = await asked.rest("/v1/questions", {"question": {}, "page_size": PAGE_SIZE_MAX})
    return frozenset(hit["record"]["id"] for hit in result["hits"])


async def rest_pages(asked: Asked) -> Ids:
    """Ask for a page, and for the next one as long as there is one: every record comes once."""
    token = asked.token()
    page = await asked.rest("/v1/questions", {"question": {}, "page_size": SMALL_PAGE}, token)
    found = [hit["record"]["id"] for hit in page["hits"]]
    while page["has_next"]:
        page = await asked.rest(f"/v1/questions/{page['job']['id']}/next", {}, token)
        found += [hit["record"]["id"] for hit in page["hits"]]
    assert len(found) == len(set(found)) == (page["total"] or 0)
    return frozenset(found)


async def rest_search_by_address(asked: Asked) -> Ids:
    """Ask with GET /v1/search and a sentence that names both kinds."""
    purpose = asked.persona.purpose
    query = {"q": "models or data sets", "page_size": str(PAGE_SIZE_MAX), "purpose": purpose.code}
    query |= {} if purpose.disease is None else {"disease": purpose.disease}
    query |= {"commercial": "true"} if purpose.commercial else {}
    headers = {"authorization": f"Bearer {asked.token()}"}
    async with asked.institution.client() as client:
        result = (await client.get("/v1/search", params=query, headers=headers)).json()
    return frozenset(hit["record"]["id"] for hit in result["hits"])


async def rest_assets(asked: Asked) -> Ids:
    found: set[str] = set()
    for start in range(0, len(ALL), 50):
        result = await asked.rest("/v1/assets", {"ids": [str(one) for one in ALL[start : start + 50]]})
        found |= {hit["record"]["id"] for hit in result["hits"]}
    return frozenset(found)


async def network_search(asked: Asked) -> Ids:
    data = await asked.graphql(NETWORK_PATH, f"{{ search(first: {PAGE_SIZE_MAX}) {{ hits {{ record {{ id }} }} }} }}")
    return frozenset(hit["record"]["id"] for hit in data["search"]["hits"])


async def subgraph_search(asked: Asked) -> Ids:
    data = await asked.graphql(SUBGRAPH_PATH, f"{{ search(first: {PAGE_SIZE_MAX}) {{ hits {{ record {{ id }} }} }} }}")
    return frozenset(hit["record"]["id"] for hit in data["search"]["hits"])


async def network_entities(asked: Asked) -> Ids:
    return await _entities(asked, NETWORK_PATH, ALL)


async def subgraph_entities(asked: Asked) -> Ids:
    return await _entities(asked, SUBGRAPH_PATH, tuple(one for one in ALL if one.org == HOME))


async def _entities(asked: Asked, path: str, ids: tuple[AssetId, ...]) -> Ids:
    query = "query($r: [_Any!]!) { _entities(representations: $r) { ... on Model { id } ... on Dataset { id } } }"
    found: set[str] = set()
    for start in range(0, len(ids), 50):
        sent = [{"__typename": one.kind.capitalize(), "id": str(one)} for one in ids[start : start + 50]]
        data = await asked.graphql(path, query, {"r": sent})
        found |= {item["id"] for item in data["_entities"] if item is not None}
    return frozenset(found)


async def network_by_id(asked: Asked) -> Ids:
    ids = [one for one in ALL if one.org == VITALIS]
    fields = " ".join(f'a{number}: {one.kind}(id: "{one}") {{ id }}' for number, one in enumerate(ids))
    data = await asked.graphql(NETWORK_PATH, f"{{ {fields} }}")
    return frozenset(item["id"] for item in data.values() if item is not None)


async def portal_search(asked: Asked) -> Ids:
    async with asked.browser() as browser:
        pages = await _result_pages(asked, browser)
    return frozenset(one for _, shown in pages for one in shown)


async def portal_records(asked: Asked) -> Ids:
    """Ask for the page of every record of one organization under every page of results."""
    found: set[str] = set()
    theirs = [one for one in ALL if one.org == VITALIS]
    async with asked.browser() as browser:
        for path, _ in await _result_pages(asked, browser):
            for one in theirs:
                page = await browser.get(f"{path}/record/{one}")
                found |= set(_RECORD_PAGE_ID.findall(page.text)) if page.status_code == 200 else set()
    return frozenset(found)


async def _result_pages(asked: Asked, browser: Browser) -> list[tuple[str, list[str]]]:
    """Return (path, ids shown) of every page of a search that matches every record."""
    purpose = asked.persona.purpose
    path = await browser.search(
        EVERYTHING,
        purpose=purpose.code,
        disease=purpose.disease or "",
        **({"commercial": "yes"} if purpose.commercial else {}),
    )
    pages = []
    while True:
        page = (await browser.get(path)).text
        pages.append((path, TITLES.findall(page)))
        if NEXT.search(page) is None:
            return pages
        path = await answered(browser, await next_page(browser, path))


_RECORD_PAGE_ID = re.compile(r'<p class="id"><code>([^<]+)</code>')
EVERYTHING = "clinical"
"""A word of every record's summary."""


INTERFACES: tuple[tuple[Interface, tuple[OrgId, ...]], ...] = (
    (signed_search, ORGANIZATIONS),
    (signed_assets, ORGANIZATIONS),
    (rest_search, ORGANIZATIONS),
    (rest_pages, ORGANIZATIONS),
    (rest_search_by_address, ORGANIZATIONS),
    (rest_assets, ORGANIZATIONS),
    (network_search, ORGANIZATIONS),
    (network_entities, ORGANIZATIONS),
    (network_by_id, (VITALIS,)),
    (portal_search, ORGANIZATIONS),
    (portal_records, (VITALIS,)),
    (subgraph_search, (HOME,)),
    (subgraph_entities, (HOME,)),
)
"""Each interface, and the organizations whose records it can show."""


@pytest.fixture(scope="module")
def opa() -> Iterator[OpaPolicyEngine]:
    with running_opa() as running:
        yield OpaPolicyEngine(running)


@pytest.fixture(scope="module")
def institution(tmp_path_factory: pytest.TempPathFactory, opa: OpaPolicyEngine) -> Iterator[Institution]:
    made = make_institution(tmp_path_factory.mktemp("home"), HELD, engine=opa, node_policy=NODE_POLICY, network=NETWORK)
    yield made
    made.home.home.close()


async def decisions_for(
    persona: Persona, opa: OpaPolicyEngine, held: Mapping[str, Sequence[Imported]] = HELD
) -> dict[AssetId, Decision]:
    """Return what the policy itself says of everything that the person may see."""
    claims = persona.claims
    visible: dict[AssetId, Decision] = {}
    for org in ORGANIZATIONS:
        grants = [item for item in held[org] if not isinstance(item, ImportedAsset)]
        request = DecisionRequest(
            requester=Requester(
                organization=HOME,
                pseudonym=persona.pseudonym,
                affiliation=claims.affiliation,
                role=claims.role,
                clearance=Clearance(claims.clearance),
                country="FR",
                organization_type="nonprofit",
            ),
            purpose=persona.purpose,
            now=NOW,
            organization=org,
            node_policy=NODE_POLICY,
            agreements={item.id: item for item in grants if isinstance(item, Agreement)},
            approvals={item.id: item for item in grants if isinstance(item, Approval)},
        )
        own = [item for item in held[org] if isinstance(item, ImportedAsset)]
        if (await opa.scope(request)).admitted:
            decisions = await opa.decide_classes(request, {item.policy.class_id: item.policy for item in own})
            told = {item.record.id: decisions[item.policy.class_id] for item in own}
            visible |= {one: decision for one, decision in told.items() if decision.level >= Level.SUMMARY}
    return visible


async def _decided(persona: Persona, opa: OpaPolicyEngine) -> Ids:
    return frozenset(map(str, await decisions_for(persona, opa)))


@pytest.mark.parametrize("persona", EACH)
async def test_every_interface_shows_a_person_what_the_policy_says(
    persona: Persona, institution: Institution, opa: OpaPolicyEngine
) -> None:
    decided = await _decided(persona, opa)
    asked = Asked(institution, persona)
    for interface, organizations in INTERFACES:
        expected = frozenset(one for one in decided if AssetId.parse(one).org in organizations)
        assert await interface(asked) == expected, interface.__name__


async def test_the_twelve_are_different_people(opa: OpaPolicyEngine) -> None:
    assert len(PERSONAS) == 12
    seen = {persona.name: await _decided(persona, opa) for persona in PERSONAS}
    assert len(set(seen.values())) >= 7
    assert seen["for-care"] == frozenset()
    assert seen["guest"] < seen["analyst"] < seen["member"] < seen["approved"]
    assert seen["member"] < frozenset(map(str, ALL))
    assert len(seen["approved"]) <= PAGE_SIZE_MAX
