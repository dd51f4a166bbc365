"""A search is asked once: whoever opens, reloads, follows or leaves its page, and it is nobody else's."""

from __future__ import annotations

import json
import re
from typing import Any

import httpx
import pytest

from concordat_node.home.errors import QuestionsTooMany
from concordat_node.home.job_runner import RUNNING_PER_PERSON_MAX
from concordat_node.home.sentence import SENTENCE_MAX
from concordat_trust.answer import verify_saved_answer
from concordat_trust.merge import Reported
from tests.factories.answers import HOME, NORTH, VITALIS, asset_id, make_card, make_evaluation
from tests.factories.home import TestHome
from tests.factories.network import NOW
from tests.factories.portal import SENTENCE, Relay
from tests.portal.browsing import Browser, code_in


def events_of(stream: httpx.Response) -> list[tuple[int, str, dict[str, Any]]]:
    """Return (number, name, data) of every event of a stream that has ended."""
    found = []
    for block in stream.text.split("\n\n"):
        fields = dict(line.partition(": ")[::2] for line in block.splitlines())
        if "event" in fields:
            found.append((int(fields["id"]), fields["event"], json.loads(fields["data"])))
    return found


async def test_a_page_shows_who_asked_for_what_and_what_everybody_says(browser: Browser) -> None:
    page = (await browser.get(await browser.search())).text
    assert "<strong>person-1</strong> of Alma University" in page
    assert "<strong>Health, medical or biomedical research · not commercial</strong>" in page
    assert "4 records match. All 3 organizations answered." in page
    assert "kind is model" in page
    assert "text “clinical trial”" in page
    assert page.count('class="proof proved"') == 3
    assert "This answer is complete" in page
    assert "the coordinator relay-one, which nobody has to trust" in page
    assert "the coordinator’s agree" in page


async def test_what_is_shown_in_summary_says_what_would_be_needed_and_who_can_grant_it(browser: Browser) -> None:
    page = (await browser.get(await browser.search())).text
    assert page.count("Summary only") == 1
    assert "an ethics approval that has not expired, as yours has" in page
    assert "from an ethics board" in page
    assert page.count("Cite the agreement and its owner") == 1


async def test_a_missing_organization_is_missing_and_not_empty(browser: Browser, relay: Relay) -> None:
    relay.changes = {"reported": {VITALIS: Reported("TIMEOUT", "peer_timeout")}}
    page = (await browser.get(await browser.search())).text
    assert "At least 3 records match. 2 of 3 organizations answered; 1 organization is missing." in page
    assert "This answer is not complete" in page
    assert "did not answer in time" in page
    assert 'class="proof unproved"' in page
    assert "no record for you" not in page


async def test_a_search_is_asked_once_however_often_it_is_looked_at(browser: Browser, relay: Relay) -> None:
    path = await browser.search()
    for _ in range(3):
        assert (await browser.get(path)).status_code == 200
        assert len(events_of(await browser.get(f"{path}/events"))) == 4
        assert (await browser.get(f"{path}/answer")).status_code == 200
    assert relay.asked == 1


async def test_a_question_survives_the_request_that_began_it(browser: Browser, relay: Relay) -> None:
    relay.delay_s = 0.05
    sent = await browser.post("/portal/search", q=SENTENCE, purpose="HMB")
    path = sent.headers["location"]
    running = (await browser.get(path)).text
    assert '<noscript><meta http-equiv="refresh"' in running
    assert running.count('class="chip waiting"') == 3
    await browser.at_home.home.runner.settled(path.rpartition("/")[2], timeout_s=5)
    assert "This answer is complete" in (await browser.get(path)).text
    assert relay.asked == 1


async def test_a_stream_replays_from_where_it_broke_and_then_stops_for_good(browser: Browser, relay: Relay) -> None:
    path = await browser.search()
    whole = await browser.get(f"{path}/events")
    assert whole.headers["content-type"].startswith("text/event-stream")
    assert whole.headers["cache-control"] == "no-store"
    events = events_of(whole)
    assert [(number, name) for number, name, _ in events] == [
        (1, "organization"),
        (2, "organization"),
        (3, "organization"),
        (4, "done"),
    ]
    assert {data["organization"] for _, _, data in events[:3]} == {HOME, NORTH, VITALIS}
    resumed = events_of(await browser.get(f"{path}/events", **{"last-event-id": "2"}))
    assert resumed == events[2:]
    assert (await browser.get(f"{path}/events", **{"last-event-id": "4"})).status_code == 204
    assert events_of(await browser.get(f"{path}/events", **{"last-event-id": "x"})) == events
    assert relay.asked == 1


async def test_a_stream_follows_a_question_under_way_to_its_end(browser: Browser, relay: Relay) -> None:
    relay.delay_s = 0.05
    path = (await browser.post("/portal/search", q=SENTENCE, purpose="HMB")).headers["location"]
    assert [name for _, name, _ in events_of(await browser.get(f"{path}/events"))][-1] == "done"
    assert relay.asked == 1


async def test_a_search_is_as_absent_to_others_as_one_that_never_was(at_home: TestHome, browser: Browser) -> None:
    path = await browser.search()
    record = (await browser.records(path))[0]
    at_home.provider.subject = "person-2"
    async with at_home.client() as client:
        await at_home.sign_in_browser(client)
        other = Browser(at_home, client)
        unknown = await other.get("/portal/search/AAAAAAAAAAAAAAAAAAAAAA")
        assert (unknown.status_code, code_in(unknown)) == (404, "job_not_found")
        for theirs in (path, record, f"{path}/events", f"{path}/answer"):
            assert (await other.get(theirs)).content == unknown.content
        assert SENTENCE not in (await other.get("/portal/")).text
        out = await client.post(f"/v1/questions/{path.rpartition('/')[2]}")
        assert out.status_code == 405


async def test_a_job_of_a_browser_is_none_of_a_program_of_the_same_person(at_home: TestHome, browser: Browser) -> None:
    job = (await browser.search()).rpartition("/")[2]
    async with at_home.client() as program:
        program.headers["authorization"] = f"Bearer {await at_home.sign_in(program)}"
        assert (await program.get(f"/v1/questions/{job}")).status_code == 404


async def test_a_record_is_asked_for_once_and_shows_who_says_so(browser: Browser, relay: Relay) -> None:
    path = await browser.search()
    (record,) = [link for link in await browser.records(path) if asset_id(NORTH, "sepsis") in link]
    page = (await browser.get(record)).text
    for words in (
        "RESPIRE-SIM, arm B",
        "0.91 to 0.96",
        "external",
        "dua-respire-sim",
        "general research use [DUO:0000042]",
        "North Hospital (north-hospital)",
        "2027-01-15 08:00:00 UTC",
        browser.at_home.network.keys[NORTH]["attestation"].key_id,
        "cd" * 32,
    ):
        assert words in page, words
    for _ in range(3):
        await browser.get(record)
    assert relay.asked == 2


async def test_a_record_that_the_search_does_not_show_is_not_asked_for(browser: Browser, relay: Relay) -> None:
    path = await browser.search()
    for asset in (asset_id(NORTH, "another"), "urn:concordat:nobody:model:x", "x"):
        assert (await browser.get(f"{path}/record/{asset}")).status_code == 404
    assert relay.asked == 1


async def test_a_browser_that_looks_ahead_does_not_ask(browser: Browser, relay: Relay) -> None:
    record = (await browser.records(await browser.search()))[0]
    assert (await browser.get(record, **{"sec-purpose": "prefetch"})).status_code == 503
    assert relay.asked == 1


async def test_an_id_in_place_of_a_sentence_opens_its_record(browser: Browser, relay: Relay) -> None:
    path = await browser.search(f"  {asset_id(NORTH, 'sepsis')} ")
    page = (await browser.get(path)).text
    assert "Clinical sepsis model" in page
    assert "Who says so" in page
    assert relay.asked == 1


async def test_what_is_hidden_and_what_is_not_there_look_the_same(browser: Browser) -> None:
    page = (await browser.get(await browser.search(asset_id(NORTH, "nowhere")))).text
    assert "There is no such record, or it is not for you; the two look the same." in page


async def test_an_owner_that_did_not_answer_is_not_said_to_hide_it(browser: Browser, relay: Relay) -> None:
    relay.changes = {"reported": {NORTH: Reported("TIMEOUT", "peer_timeout")}}
    page = (await browser.get(await browser.search(asset_id(NORTH, "sepsis")))).text
    assert "Its owner could not be heard" in page
    assert "the two look the same" not in page


async def test_a_facet_is_a_new_question_with_one_more_condition(browser: Browser, relay: Relay) -> None:
    path = await browser.search()
    assert 'name="also" value="task:&#34;regression&#34;"' in (await browser.get(path)).text
    page = (await browser.get(await browser.search(SENTENCE, also='task:"regression"'))).text
    assert "task is regression" in page
    assert relay.asked == 2


async def test_the_measurement_that_was_asked_for_stands_first_on_the_page_and_in_its_events(
    browser: Browser, relay: Relay
) -> None:
    measured = [make_evaluation(value=value) for value in ("0.8988", "0.9474")]
    relay.cards = {NORTH: [make_card(NORTH, "sepsis", evaluations=measured)]}
    for condition, order in (("", ["0.8988", "0.9474"]), ("accuracy>0.9", ["0.9474", "0.8988"])):
        path = await browser.search(f"clinical trial {condition}")
        told = "".join(data.get("records", "") for _, _, data in events_of(await browser.get(f"{path}/events")))
        for shown in ((await browser.get(path)).text, told):
            assert re.findall(r'class="metric">Accuracy</span> <strong>([^<]+)', shown) == order


async def test_the_saved_answer_is_the_one_that_verifies(browser: Browser) -> None:
    path = await browser.search()
    saved = await browser.get(f"{path}/answer")
    assert saved.headers["content-disposition"] == 'attachment; filename="concordat-answer.json"'
    bundle = browser.at_home.network.bundle
    assert len(verify_saved_answer(saved.content, bundle_at=lambda _at: bundle).merged.hits) == 4


async def test_a_search_ends_with_the_validity_of_what_it_shows(browser: Browser, relay: Relay) -> None:
    relay.changes = {"attested": {NORTH: {"valid_until": NOW + 50}}}
    path = await browser.search()
    assert (await browser.get(path)).status_code == 200
    browser.at_home.clock.now = NOW + 50
    for gone in (path, f"{path}/events", f"{path}/answer"):
        assert (await browser.get(gone)).status_code == 404


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"q": ""}, 422, "sentence_missing"),
        ({"q": "   "}, 422, "sentence_missing"),
        ({"purpose": ""}, 422, "purpose_not_chosen"),
        ({"purpose": "DS"}, 422, "question_malformed"),
        ({"q": "lisence:MIT"}, 422, "filter_field_unknown"),
        ({"q": "x" * (SENTENCE_MAX + 1)}, 422, "sentence_too_long"),
        ({"q": "urn:concordat:north-hospital:model:x"}, 400, "asset_id_invalid"),
        ({"also": "lisence:MIT"}, 422, "filter_field_unknown"),
    ],
)
async def test_what_cannot_be_asked_is_said_beside_the_form(
    browser: Browser, relay: Relay, fields: dict[str, str], status: int, code: str
) -> None:
    refused = await browser.post("/portal/search", **{"q": SENTENCE, "purpose": "HMB", **fields})
    assert (refused.status_code, code_in(refused)) == (status, code)
    assert 'role="alert"' in refused.text
    assert f'value="{fields.get("q", SENTENCE)}' in refused.text
    assert relay.asked == 0


async def test_a_question_that_fails_says_so_with_a_code_and_nothing_of_its_cause(
    browser: Browser, relay: Relay
) -> None:
    def break_down(_handed: object) -> None:
        raise ZeroDivisionError("secret detail")

    relay.changes = {"lie": break_down}
    path = await browser.search()
    page = await browser.get(path)
    assert "This question could not be asked" in page.text
    assert "<code>home_question_failed</code>" in page.text
    assert "secret detail" not in page.text
    assert [(number, name) for number, name, _ in events_of(await browser.get(f"{path}/events"))] == [(1, "failed")]
    assert relay.asked == 1


async def test_one_session_asks_so_many_questions_at_once_and_no_more(browser: Browser, relay: Relay) -> None:
    relay.delay_s = 0.2
    for _ in range(RUNNING_PER_PERSON_MAX):
        assert (await browser.post("/portal/search", q=SENTENCE, purpose="HMB")).status_code == 303
    refused = await browser.post("/portal/search", q=SENTENCE, purpose="HMB")
    assert (refused.status_code, code_in(refused)) == (429, QuestionsTooMany.code)
    assert relay.asked <= RUNNING_PER_PERSON_MAX


async def test_a_purpose_is_chosen_once_and_offered_again(browser: Browser) -> None:
    assert "<em>not chosen yet</em>" in (await browser.get("/portal/")).text
    await browser.search(commercial="yes")
    page = (await browser.get("/portal/")).text
    assert '<option value="HMB" selected>' in page
    assert 'value="yes" checked' in page
    assert "chosen below: Health, medical or biomedical research" in page
    assert "not chosen yet" not in page
    assert SENTENCE in page
