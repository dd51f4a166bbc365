"""Lineage over REST: an edge that closes a circle inside the organization is refused, and nothing of it is kept."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.factories.node import asset_id
from tests.factories.registry import asset_fields
from tests.factories.rest import ASSETS, RestDoor, asset_path, code_of, make_rest_door, matching
from tests.federation.consortium import NORTH

CIRCLE = (400, "lineage_cycle")


@pytest.fixture
def door(tmp_path: Path) -> Iterator[RestDoor]:
    made = make_rest_door(tmp_path)
    yield made
    made.close()


@pytest.fixture
async def registrar(door: RestDoor) -> AsyncIterator[httpx.AsyncClient]:
    async with door.client() as client:
        yield client


def tuned(name: str, *bases: str) -> dict[str, Any]:
    """Return a model that came from others of the same organization."""
    edges = [{"relation": "fine_tuned_from", "local_name": base} for base in bases]
    return asset_fields("model", name, lineage=edges)


async def registered(registrar: httpx.AsyncClient, fields: dict[str, Any]) -> httpx.Response:
    response = await registrar.post(ASSETS, json=fields)
    assert response.status_code == 201, response.text
    return response


async def test_a_new_asset_that_closes_a_circle_is_not_registered(registrar: httpx.AsyncClient) -> None:
    await registered(registrar, tuned("a", "c"))
    await registered(registrar, tuned("b", "a"))
    assert code_of(await registrar.post(ASSETS, json=tuned("c", "b"))) == CIRCLE
    assert (await registrar.get(asset_path("c", "model"))).status_code == 404
    await registered(registrar, tuned("c"))


async def test_a_change_that_closes_a_circle_changes_nothing(registrar: httpx.AsyncClient) -> None:
    first = await registered(registrar, tuned("a"))
    await registered(registrar, tuned("b", "a"))
    refused = await registrar.put(asset_path("a", "model"), json=tuned("a", "b"), headers=matching(first))
    assert code_of(refused) == CIRCLE
    kept = await registrar.get(asset_path("a", "model"))
    assert (kept.headers["etag"], kept.json()["lineage"]) == (first.headers["etag"], [])


async def test_an_asset_does_not_come_from_itself(registrar: httpx.AsyncClient) -> None:
    assert code_of(await registrar.post(ASSETS, json=tuned("a", "a"))) == (400, "lineage_self")


async def test_a_circle_over_an_asset_of_others_is_theirs_to_see(registrar: httpx.AsyncClient) -> None:
    theirs = str(asset_id("theirs", org=NORTH))
    both = [{"relation": word, "id": theirs} for word in ("fine_tuned_from", "base_model_of")]
    made = await registered(registrar, asset_fields("model", "a", lineage=both))
    assert [item["relation"] for item in made.json()["lineage"]] == ["fine_tuned_from", "base_model_of"]
