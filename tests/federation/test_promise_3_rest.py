"""Promise 3 at the REST door: to whoever is no registrar it says one thing; to a question nothing of it is left.

On the real index and the real OPA. What is deleted was never there, and what a registrar changes holds for the next
question, whatever was decided a moment before.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from concordat_node.home.claims import PersonClaims
from concordat_node.home.person import SignIn
from concordat_node.home.sessions import Session
from concordat_node.policy.opa_engine import OpaPolicyEngine
from concordat_node.registration.documents import document
from concordat_node.registration.registrar import Registrar, decide_registrar
from concordat_node.registration.registration import Asked, Registration, etag
from concordat_node.registry.rules import Imported, Owner
from concordat_node.registry.writing import entry_of
from concordat_trust.canonical import Json, JsonObject, canonical_bytes, parse_object
from concordat_trust.ids import tie_key
from tests.factories.network import NOW, make_network
from tests.factories.node import (
    ANALYST,
    HOME,
    NORTH,
    Asking,
    Entropy,
    TestNode,
    asking,
    attributes_of,
    comparable_given,
    make_asset,
    make_assets_question,
    make_node,
    make_question,
)
from tests.factories.opa import running_opa
from tests.factories.registry import agreement_fields, approval_fields, asset_fields, make_agreement
from tests.factories.rest import AGREEMENTS, APPROVALS, ASSETS, LATER, RestDoor, asset_path, make_rest_door, registered
from tests.federation.worlds import FULL_CLASSES, SUMMARY_CLASSES, doors, make_pair

SEEDS = range(3)
NETWORK = make_network()


@pytest.fixture(scope="module")
def opa() -> Iterator[OpaPolicyEngine]:
    with running_opa() as running:
        yield OpaPolicyEngine(running)


def registrar() -> Registrar:
    claims = PersonClaims("staff", "researcher", 2, True)
    return decide_registrar(Session("session-1", "ada", claims, NOW, SignIn(NOW)), now=NOW)


def registration_of(node: TestNode) -> Registration:
    return Registration(
        database=node.database,
        owner=lambda: Owner(NORTH, b"0123456789abcdef"),
        statistics=lambda: NETWORK.bundle.statistics,
        clock=node.clock,
    )


def come_and_gone(node: TestNode, items: Sequence[Imported]) -> None:
    """Register, change and delete entries, as a registrar does."""
    registration = registration_of(node)
    for item in items:
        kind, entry_id = entry_of(item)
        data = canonical_bytes(document(item))
        first = registration.create(Asked(registrar()), kind, data)
        changed = registration.replace(Asked(registrar(), etag(first.revision)), (kind, entry_id), data)
        registration.delete(Asked(registrar(), etag(changed.revision)), (kind, entry_id))


async def seen(node: TestNode, request: Asking) -> bytes:
    response = await node.handle(request.request())
    body = parse_object(response.body, bytes_max=4_000_000)
    data = body.get("data")
    if not isinstance(data, dict):
        return canonical_bytes({"status": response.status, "body": body})
    (answer,) = data.values()
    assert isinstance(answer, dict)
    return comparable_given(answer, proof=False)


def passing() -> list[Imported]:
    """Return assets of every visible class, and a grant, that are there for a moment."""
    classes = (*FULL_CLASSES, *SUMMARY_CLASSES)
    assets: list[Imported] = [
        make_asset(f"passing-{number}", attributes_of("model", **held), title="clinical trial sepsis", version="")
        for number, held in enumerate(classes)
    ]
    return [*assets, make_agreement(id="dua-passing")]


@pytest.mark.parametrize("seed", SEEDS)
async def test_promise_3_what_was_deleted_was_never_there(seed: int, opa: OpaPolicyEngine) -> None:
    pair = make_pair(seed)
    one = make_node(NETWORK, "north-hospital", pair.one, engine=opa, entropy=Entropy())
    other = make_node(NETWORK, "north-hospital", pair.one, engine=opa, entropy=Entropy())
    items = passing()
    come_and_gone(other, items)
    ids = [entry_of(item)[1] for item in items if entry_of(item)[0] == "asset"]
    asked = asking(NETWORK, make_assets_question(NETWORK), ids=ids, token_id="Z" * 22)
    for name, request in (*doors(NETWORK, pair), ("deleted ids", asked)):
        mine = replace(request, claims=ANALYST)
        assert await seen(one, mine) == await seen(other, mine), name


async def test_the_passing_assets_are_visible_while_they_are_there(opa: OpaPolicyEngine) -> None:
    node = make_node(NETWORK, "north-hospital", engine=opa, entropy=Entropy())
    before = await seen(node, replace(asking(NETWORK, make_question(NETWORK)), claims=ANALYST))
    node.write(passing())
    question = replace(asking(NETWORK, make_question(NETWORK), token_id="Y" * 22), claims=ANALYST)
    assert await seen(node, question) != before


@pytest.mark.parametrize("seed", SEEDS)
async def test_promise_3_ids_that_search_shows_are_those_that_are_shown_by_id(seed: int, opa: OpaPolicyEngine) -> None:
    pair = make_pair(seed)
    node = make_node(NETWORK, "north-hospital", pair.other, engine=opa, entropy=Entropy())
    search = asking(NETWORK, make_question(NETWORK, page_size=50), token_id="A" * 22)
    everything = [str(item) for item in (*pair.visible, *pair.hidden)][:50]
    by_id = asking(NETWORK, make_assets_question(NETWORK), ids=everything, token_id="B" * 22)
    found = await ties(node, search) & {tie_key(item) for item in everything}
    assert found
    assert found == await ties(node, by_id)


async def ties(node: TestNode, request: Asking) -> set[str]:
    """Return the tie keys of what an answer commits to, sealed records included."""
    body = parse_object(await seen(node, replace(request, claims=ANALYST)), bytes_max=4_000_000)
    told = body["attestation"] if body["opened"] is None else body["opened"]
    candidates = told["candidates"]  # type: ignore[index,call-overload]
    return {str(item["tie"]) for item in candidates}  # type: ignore[union-attr,index,call-overload]


async def test_a_revoked_agreement_closes_with_the_next_question(opa: OpaPolicyEngine) -> None:
    held = make_agreement(id="dua-1", members=((HOME, "p-4711"),))
    node = make_node(
        NETWORK, "north-hospital", [held, make_asset("a", attributes_of(agreements=("dua-1",)))], engine=opa
    )
    empty = make_node(NETWORK, "north-hospital", engine=opa)
    registration = registration_of(node)
    questions = [replace(asking(NETWORK, make_question(NETWORK), token_id=c * 22), claims=ANALYST) for c in "ABCD"]
    nothing = await seen(empty, questions[0])
    assert await seen(node, questions[0]) != nothing
    revoked = canonical_bytes({**document(held), "status": "revoked"})
    answer = registration.replace(Asked(registrar(), etag(1)), ("agreement", "dua-1"), revoked)
    assert await seen(node, questions[1]) == nothing
    answer = registration.replace(
        Asked(registrar(), etag(answer.revision)), ("agreement", "dua-1"), canonical_bytes(document(held))
    )
    assert await seen(node, questions[2]) != nothing
    registration.delete(Asked(registrar(), etag(answer.revision)), ("agreement", "dua-1"))
    assert await seen(node, questions[3]) == nothing


# ------------------------------------------------------------------------------------------------- who is no registrar


@pytest.fixture
async def rest_doors(tmp_path: Path) -> AsyncIterator[tuple[RestDoor, RestDoor]]:
    made = []
    for name in ("empty", "full"):
        (tmp_path / name).mkdir()
        made.append(make_rest_door(tmp_path / name))
    async with made[1].client() as client:
        await registered(client)
        gone = await registered(client, local_name="gone")
        await client.delete(asset_path("gone"), headers={"if-match": gone.headers["etag"]})
        await client.post(AGREEMENTS, json=agreement_fields())
        await client.post(APPROVALS, json=approval_fields())
    yield made[0], made[1]
    for door in made:
        door.close()


def requests() -> Iterator[tuple[str, str, dict[str, str], bytes]]:
    """Yield every kind of request to the door, for entries that are there, were there, and never were."""
    ones = [asset_path(name) for name in ("arm-a", "gone", "nowhere")]
    ones += [f"{AGREEMENTS}/dua-trial-2026", f"{APPROVALS}/irb-2026-17", f"{AGREEMENTS}/nowhere"]
    body = canonical_bytes({**asset_fields()})
    for path in (ASSETS, AGREEMENTS, APPROVALS):
        yield "GET", path, {}, b""
        yield "GET", f"{path}?deleted=true", {}, b""
        yield "POST", path, {"content-type": "application/json"}, body
        yield "POST", path, {"content-type": "application/json", "idempotency-key": "k"}, b"{"
    for path in ones:
        yield "GET", path, {}, b""
        for method in ("PUT", "DELETE"):
            for headers in ({}, {"if-match": '"1"'}, {"if-match": '"2"', "idempotency-key": "k"}):
                yield method, path, headers, body
        yield "POST", f"{path}/restore", {"if-match": '"2"'}, body
    for name in ("arm-a", "gone", "nowhere"):
        for part in ("versions", "evaluations"):
            yield "GET", f"{asset_path(name)}/{part}", {}, b""
            yield "POST", f"{asset_path(name)}/{part}", {"if-match": '"1"'}, canonical_bytes(dict[str, Json](LATER))
        yield "PUT", f"{asset_path(name)}/versions/1", {"if-match": '"1"'}, b"{}"


def told(response: httpx.Response) -> bytes:
    headers: JsonObject = dict[str, Json](response.headers)
    return canonical_bytes({"status": response.status_code, "headers": headers, "body": response.text})


@pytest.mark.parametrize("is_signed_in", [True, False])
async def test_promise_3_whoever_is_no_registrar_is_told_one_thing(
    rest_doors: tuple[RestDoor, RestDoor], is_signed_in: bool
) -> None:
    answers = set()
    for door in rest_doors:
        async with door.client(is_registrar=False) as person:
            if not is_signed_in:
                del person.headers["authorization"]
            for method, path, headers, body in requests():
                answers.add(told(await person.request(method, path, headers=headers, content=body)))
    assert len(answers) == 1
    assert (b"not_registrar" if is_signed_in else b"not_signed_in") in answers.pop()


async def test_promise_3_the_description_of_the_door_is_the_same_for_every_registry(
    rest_doors: tuple[RestDoor, RestDoor],
) -> None:
    answers = set()
    for door in rest_doors:
        async with door.at_home.client() as anybody:
            answers.add(told(await anybody.get("/v1/openapi.json")))
    assert len(answers) == 1
