"""`POST /v1/questions/{id}/next`: the page after a stored one, for the session that asked, and asked once."""

from __future__ import annotations

from typing import Any

import httpx

from tests.factories.doors import Institution

ASK = {"sentence": "clinical", "purpose": {"code": "GRU"}, "page_size": 2}


async def page(client: httpx.AsyncClient, token: str, path: str, body: object) -> Any:
    response = await client.post(path, json=body, headers={"authorization": f"Bearer {token}"})
    return response.json() if response.status_code == 200 else (response.status_code, response.json()["error"]["code"])


async def test_the_pages_follow_one_another_and_end(institution: Institution) -> None:
    token, other = institution.sign_in("p-pages"), institution.sign_in("p-others")
    async with institution.client() as client:
        pages = [await page(client, token, "/v1/questions", ASK)]
        while pages[-1]["has_next"]:
            path = f"/v1/questions/{pages[-1]['job']['id']}/next"
            pages.append(await page(client, token, path, {}))
            entries = institution.log_entries()
            assert (await page(client, token, path, {}))["job"] == pages[-1]["job"]
            assert institution.log_entries() == entries
            assert await page(client, other, path, {}) == (404, "job_not_found")
        last = f"/v1/questions/{pages[-1]['job']['id']}/next"
        assert await page(client, token, last, {}) == (409, "next_page_missing")
    ids = [hit["record"]["id"] for body in pages for hit in body["hits"]]
    assert len(pages) > 2
    assert len(ids) == len(set(ids)) == pages[0]["total"]
    assert [chip["meaning"] for chip in pages[1]["understood"]["chips"]] == []
    assert {body["question_hash"] for body in pages} == {pages[0]["question_hash"]}


class Faulty:
    """A connection in which there is a bug."""

    def __getattr__(self, name: str) -> Any:
        raise ValueError(name)


async def test_a_page_that_failed_is_told_as_failed_however_often_it_is_asked_for(institution: Institution) -> None:
    token = institution.sign_in("p-unlucky")
    async with institution.client() as client:
        first = await page(client, token, "/v1/questions", ASK)
        path = f"/v1/questions/{first['job']['id']}/next"
        held = dict(institution.home.transport.by_endpoint)
        institution.home.transport.by_endpoint |= dict.fromkeys(held, Faulty())
        try:
            told = [await page(client, token, path, {}) for _ in range(2)]
        finally:
            institution.home.transport.by_endpoint |= held
    assert told == [(503, "home_question_failed")] * 2
