"""Every trap that entity resolution has been seen to have (docs/decisions/0012), each as a fact of our doors.

Of each organization the consortium holds `sepsis` (visible) and `secret` (hidden from everybody here).
"""

from __future__ import annotations

from typing import Any

import pytest

from concordat_node.doors.rounds import IDS_MAX, ROUNDS_MAX
from concordat_node.doors.schema import REPRESENTATIONS_MAX
from concordat_trust.question import IDS_MAX as IDS_PER_QUESTION
from tests.factories.doors import NETWORK_PATH, SUBGRAPH_PATH, Institution
from tests.factories.node import asset_id
from tests.federation.consortium import HOME, NORTH, VITALIS

ENTITIES = "query($r: [_Any!]!) { _entities(representations: $r) { __typename ... on Model { id title } } }"
ORGANIZATIONS = (NORTH, HOME, VITALIS)
PATHS = [NETWORK_PATH, SUBGRAPH_PATH]
SHOWN = str(asset_id("alma-university-sepsis", org=HOME))


def model(text: str, **more: object) -> dict[str, object]:
    return {"__typename": "Model", "id": text, **more}


async def resolve(institution: Institution, token: str, *representations: object, path: str = NETWORK_PATH) -> Any:
    return (await institution.post(ENTITIES, {"r": representations}, token=token, path=path)).json()


def codes(body: Any) -> dict[int, str]:
    """Return the code of each item that has an error."""
    return {error["path"][1]: error["extensions"]["code"] for error in body.get("errors", [])}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "wrong",
    [
        {"__typename": "Query", "id": SHOWN},
        {"__typename": "Nonsense", "id": SHOWN},
        {"__typename": "_Entity", "id": SHOWN},
        {"__typename": ["Model"], "id": SHOWN},
        {"id": SHOWN},
        {"__typename": "Model"},
        {"__typename": "Model", "id": None},
        {"__typename": "Model", "id": 7},
        {"__typename": "Model", "id": "urn:concordat:alma-university:model:short"},
        {"__typename": "Dataset", "id": SHOWN},
        {"__typename": "Model", "id": SHOWN.upper()},
        "Model",
        7,
        [],
        {},
    ],
)
async def test_one_malformed_representation_costs_itself_alone(
    wrong: object, path: str, institution: Institution, token: str
) -> None:
    body = await resolve(institution, token, model(SHOWN), wrong, model(SHOWN), path=path)
    first, middle, last = body["data"]["_entities"]
    assert first == last == {"__typename": "Model", "id": SHOWN, "title": "alma-university-sepsis title"}
    assert middle is None
    assert codes(body) == {1: "representation_malformed"}


@pytest.mark.parametrize("path", PATHS)
async def test_nothing_that_a_caller_sent_comes_back(path: str, institution: Institution, token: str) -> None:
    mark = "attacker-chosen"
    secret = str(asset_id("alma-university-secret", org=HOME))
    sent = [
        model(SHOWN, title=mark, owner=mark),
        model(secret, title=mark),
        {"__typename": mark, "id": mark, mark: mark},
        model(f"urn:concordat:{mark}:model:{'a' * 26}"),
    ]
    response = await institution.post(ENTITIES, {"r": sent}, token=token, path=path)
    assert mark not in response.text
    assert response.json()["data"]["_entities"][0]["title"] == "alma-university-sepsis title"


async def test_a_foreign_organization_is_an_error_of_its_item_and_nobody_is_asked(
    asked: Institution, token: str
) -> None:
    stranger = f"urn:concordat:no-member:model:{'a' * 26}"
    body = await resolve(asked, token, model(stranger))
    assert body["data"] == {"_entities": [None]}
    assert codes(body) == {0: "asset_organization_unknown"}
    assert asked.questions() == []


async def test_the_own_organizations_door_resolves_no_other_organization(asked: Institution, token: str) -> None:
    foreign = str(asset_id("vitalis-sepsis", org=VITALIS))
    body = await resolve(asked, token, model(foreign), model(SHOWN), path=SUBGRAPH_PATH)
    assert codes(body) == {0: "asset_organization_unknown"}
    assert body["data"]["_entities"][1]["id"] == SHOWN
    assert [(org, part["ids"]) for org, _question, part in asked.questions()] == [(HOME, [SHOWN])]


async def test_hidden_and_absent_are_the_same_null_without_an_error(institution: Institution, token: str) -> None:
    hidden = [model(str(asset_id(f"{org}-secret", org=org))) for org in ORGANIZATIONS]
    absent = [model(str(asset_id(f"{org}-never", org=org))) for org in ORGANIZATIONS]
    assert await resolve(institution, token, *hidden) == await resolve(institution, token, *absent)
    assert await resolve(institution, token, *hidden) == {"data": {"_entities": [None, None, None]}}


async def test_results_stand_in_the_order_of_the_representations(institution: Institution, token: str) -> None:
    ids = [str(asset_id(f"{org}-{name}", org=org)) for name in ("sepsis", "stroke") for org in ORGANIZATIONS]
    for order in (ids, ids[::-1], [ids[0], ids[5], ids[0]]):
        body = await resolve(institution, token, *map(model, order))
        assert [item["id"] for item in body["data"]["_entities"]] == order


async def test_two_aliases_over_one_variable_and_a_root_field_are_one_round(asked: Institution, token: str) -> None:
    query = """query($r: [_Any!]!, $id: ID!) {
      a: _entities(representations: $r) { ...Shown }
      b: _entities(representations: $r) { ... on Model { name: title } }
      model(id: $id) { title contact }
    }
    fragment Shown on Model { title }"""
    ids = [str(asset_id(f"{org}-sepsis", org=org)) for org in ORGANIZATIONS]
    data = await asked.data(query, {"r": [model(item) for item in ids], "id": ids[0]}, token=token)
    assert [item["title"] for item in data["a"]] == [item["name"] for item in data["b"]]
    assert data["model"] == {"title": "north-hospital-sepsis title", "contact": "data@north-hospital.example"}
    assert sorted(org for org, _question, _part in asked.questions()) == sorted(ORGANIZATIONS)


async def test_a_batch_is_one_round_and_organizations_without_an_id_in_it_learn_nothing(
    asked: Institution, token: str
) -> None:
    ids = [str(asset_id(f"{org}-{name}", org=org)) for org in (NORTH, VITALIS) for name in ("sepsis", "stroke", "x")]
    await resolve(asked, token, *map(model, ids))
    parts = {org: part["ids"] for org, _question, part in asked.questions()}
    assert parts == {NORTH: ids[:3], VITALIS: ids[3:]}
    assert len(asked.questions()) == 2
    assert len(asked.from_home.asked) == 1


async def test_a_silent_organization_is_named_for_its_items_and_erases_no_other(asked: Institution, token: str) -> None:
    endpoint = asked.network.bundle.member(VITALIS).endpoint
    door = asked.to_nodes.parties.pop(endpoint)
    try:
        ids = [str(asset_id(f"{org}-sepsis", org=org)) for org in (VITALIS, NORTH)]
        body = await resolve(asked, token, *map(model, ids))
    finally:
        asked.to_nodes.parties[endpoint] = door
    assert body["data"]["_entities"][0] is None
    assert body["data"]["_entities"][1]["id"] == ids[1]
    (error,) = body["errors"]
    assert error["extensions"]["code"] == "organization_not_answering"
    assert (error["extensions"]["organization"], error["extensions"]["status"]) == (VITALIS, "UNREACHABLE")


async def test_an_organization_that_refuses_the_purpose_says_so_for_every_id_alike(
    institution: Institution, token: str
) -> None:
    ids = [str(asset_id(f"alma-university-{name}", org=HOME)) for name in ("sepsis", "secret", "never")]
    response = await institution.post(ENTITIES, {"r": [model(item) for item in ids]}, token=token, purpose="CC")
    body = response.json()
    assert body["data"]["_entities"] == [None, None, None]
    told = [error["extensions"] for error in body["errors"]]
    assert told[0]["status"] == "DENIED"
    assert told == [told[0]] * 3


async def test_representations_are_resolved_up_to_the_limit_and_refused_one_past_it(
    asked: Institution, token: str
) -> None:
    ids = [str(asset_id(f"number-{number}", org=HOME)) for number in range(REPRESENTATIONS_MAX)]
    body = await resolve(asked, token, *map(model, ids))
    assert body == {"data": {"_entities": [None] * REPRESENTATIONS_MAX}}
    body = await resolve(asked, token, *map(model, [*ids, SHOWN]))
    assert codes(body) == {REPRESENTATIONS_MAX: "representations_too_many"}
    assert len(body["data"]["_entities"]) == REPRESENTATIONS_MAX + 1


async def test_one_request_asks_for_so_many_ids_and_no_more(asked: Institution, token: str) -> None:
    ids = [str(asset_id(f"number-{number}", org=HOME)) for number in range(IDS_MAX + 1)]
    lists = [ids[at : at + REPRESENTATIONS_MAX] for at in range(0, len(ids), REPRESENTATIONS_MAX)]
    names = [f"r{number}" for number in range(len(lists))]
    fields = " ".join(f"{name}: _entities(representations: ${name}) {{ __typename }}" for name in names)
    query = f"query({' '.join(f'${name}: [_Any!]!' for name in names)}) {{ {fields} }}"
    variables = {name: [model(item) for item in items] for name, items in zip(names, lists, strict=True)}
    body = (await asked.post(query, variables, token=token)).json()
    assert [error["extensions"]["code"] for error in body["errors"]] == ["representations_too_many"]
    assert body["errors"][0]["path"] == [names[-1], 0]
    assert [len(part["ids"]) for _org, _question, part in asked.questions()] == [IDS_PER_QUESTION] * 3  # type: ignore[arg-type]


async def test_one_request_asks_so_many_questions_and_no_more(asked: Institution, token: str) -> None:
    fields = " ".join(f"s{number}: search(first: 1) {{ total }}" for number in range(ROUNDS_MAX + 1))
    body = (await asked.post(f"{{ {fields} }}", token=token, path=SUBGRAPH_PATH)).json()
    assert [error["extensions"]["code"] for error in body["errors"]] == ["rounds_too_many"]
    assert len(asked.questions()) == ROUNDS_MAX
    assert [name for name, value in body["data"].items() if value is None] == [f"s{ROUNDS_MAX}"]


@pytest.mark.parametrize("path", PATHS)
async def test_fields_that_only_the_whole_record_holds_cost_one_more_question_for_all_hits(
    path: str, asked: Institution, token: str
) -> None:
    query = "{ search(first: 5) { hits { record { id title cohort_size contact trained_on { id } } } } }"
    data = await asked.data(query, token=token, path=path)
    records = [hit["record"] for hit in data["search"]["hits"]]
    assert {record["cohort_size"] for record in records} == {240}
    operations = [str(question["operation"]) for _org, question, _part in asked.questions()]
    per_organization = 3 if path == NETWORK_PATH else 1
    assert operations.count("search") == per_organization
    assert 1 <= operations.count("assets") <= per_organization
    asked.to_nodes.asked.clear()
    asked.from_home.asked.clear()
    await asked.data("{ search(first: 5) { hits { record { id title } } } }", token=token, path=path)
    assert {str(question["operation"]) for _org, question, _part in asked.questions()} == {"search"}


@pytest.mark.parametrize("path", PATHS)
async def test_without_a_purpose_every_item_says_so_and_nobody_is_asked(
    path: str, asked: Institution, token: str
) -> None:
    response = await asked.post(ENTITIES, {"r": [model(SHOWN)]}, token=token, path=path, purpose=None)
    assert codes(response.json()) == {0: "purpose_missing"}
    assert asked.questions() == []
