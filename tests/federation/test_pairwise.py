"""One token for each organization: every one knows the person under another pseudonym, and nothing else is weaker."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Any

import pytest

from concordat_node.home.ask import Asked
from concordat_node.home.paging import next_cursors
from concordat_node.home.pseudonym import pseudonym
from concordat_node.home.saving import saved_answer
from concordat_trust import jose
from concordat_trust.answer import verify_saved_answer
from concordat_trust.canonical import JsonObject, canonical_bytes
from concordat_trust.errors import ConcordatError
from concordat_trust.ids import OrgId
from concordat_trust.round_tokens import parse_tokens
from concordat_trust.saved_answer import SavedAnswer
from concordat_trust.wire.transport import WireRequest, WireResponse
from tests.factories.deciding import PrescribedEngine, by_clearance
from tests.factories.network import NOW, make_network
from tests.factories.node import Asking, Entropy, TestNode, make_node, make_question, refused_code
from tests.federation.consortium import (
    HOME,
    NORTH,
    RELAY,
    VITALIS,
    Consortium,
    LoopClock,
    default_records,
    make_consortium,
)
from tests.federation.virtual_clock import simulate

ORGS = (HOME, NORTH, VITALIS)


@cache
def _nodes() -> dict[OrgId, TestNode]:
    network, clock = make_network(), LoopClock(NOW)
    engine = PrescribedEngine(by_clearance)
    return {
        org: make_node(network, org, default_records(org), engine=engine, clock=clock, entropy=Entropy(org))
        for org in ORGS
    }


async def _asked(**changes: Any) -> tuple[Consortium, Asked]:
    consortium = make_consortium(nodes=_nodes())
    return consortium, await consortium.ask(minting="per_organization", **changes)


@cache
def _round() -> tuple[Consortium, Asked, bytes]:
    async def main() -> tuple[Consortium, Asked, bytes]:
        consortium, asked = await _asked()
        return consortium, asked, saved_answer(asked, consortium.network.bundle, now=NOW)

    return simulate(0, main())


def _pseudonyms() -> dict[OrgId, str]:
    """Return under which pseudonym each node logged its last answer."""
    return {org: str(node.ledger.entries(limit=1_000)[-1].entry["pseudonym"]) for org, node in _nodes().items()}


def test_everybody_answers_and_nothing_is_found() -> None:
    _, asked, _ = _round()
    assert asked.coordinator == RELAY
    assert (asked.findings, asked.judged.merged.completeness.complete) == ((), True)
    assert len(asked.judged.merged.hits) == 9


def test_every_organization_knows_another_pseudonym_and_always_the_same() -> None:
    _round()
    first = _pseudonyms()
    simulate(3, _asked())
    network = make_network().bundle.network.id
    assert first == _pseudonyms() == {org: pseudonym(b"p" * 32, network, "ada", org) for org in ORGS}
    assert len({*first.values(), pseudonym(b"p" * 32, network, "ada")}) == 4


def test_each_answer_is_to_its_own_token() -> None:
    _, asked, _ = _round()
    ids = {org: answer.attestation.token_id for org, answer in asked.judged.verified.items()}
    assert ids == {org: asked.round.token_id_of(org) for org in ORGS}
    assert len({asked.round.token_id, *ids.values()}) == 4


def test_what_home_remembers_of_the_round_names_each_token_for_its_own_organization() -> None:
    _, asked, _ = _round()
    minted = dict(asked.round.minted())
    assert minted.pop(asked.round.token_id).audience == {RELAY}
    assert {frozenset({org}) for org in ORGS} == {token.audience for token in minted.values()}


def test_the_saved_answer_is_verified_offline() -> None:
    consortium, _, data = _round()
    verified = verify_saved_answer(data, bundle_at=lambda _: consortium.network.bundle)
    assert verified.merged.completeness.complete
    assert set(verified.explanation.asked) == set(ORGS)


def _exchange_tokens(saved: Any) -> None:
    saved["tokens"][NORTH], saved["tokens"][VITALIS] = saved["tokens"][VITALIS], saved["tokens"][NORTH]


def _drop_token(saved: Any) -> None:
    saved["tokens"].pop(NORTH)


def _as_shared(saved: Any) -> None:
    saved["tokens"] = None


def _one_for_all(saved: Any) -> None:
    saved["token"] = saved["tokens"][NORTH]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (_exchange_tokens, "token_part_mismatch"),
        (_drop_token, "token_part_mismatch"),
        (_as_shared, "token_audience"),
        (_one_for_all, "token_audience"),
    ],
)
def test_tokens_of_a_saved_answer_cannot_be_exchanged(change: Callable[[Any], None], code: str) -> None:
    consortium, _, data = _round()
    saved = json.loads(data)
    change(saved)
    with pytest.raises(ConcordatError) as caught:
        verify_saved_answer(canonical_bytes(saved), bundle_at=lambda _: consortium.network.bundle)
    assert caught.value.code == code


def test_the_next_page_goes_on_under_the_same_pseudonyms() -> None:
    async def main() -> Asked:
        consortium, first = await _asked(question=make_question(make_network(), text="clinical", page_size=4))
        saved = SavedAnswer.parse(saved_answer(first, consortium.network.bundle, now=NOW))
        return await consortium.ask(first.round.question, minting="per_organization", cursors=next_cursors(saved))

    second = simulate(1, main())
    assert (second.findings, len(second.judged.merged.hits)) == ((), 4)


def test_the_own_node_asked_directly_knows_the_same_pseudonym() -> None:
    _round()
    through = _pseudonyms()[HOME]

    async def main() -> Asked:
        consortium = make_consortium(nodes=_nodes())
        consortium.from_home.parties.pop(consortium.endpoint(RELAY))
        consortium.from_home.streams.pop(consortium.endpoint(RELAY))
        return await consortium.ask(minting="per_organization")

    assert simulate(2, main()).coordinator is None
    assert _pseudonyms()[HOME] == through


# What a relay could do with the tokens it carries.


def _presenting(token: str, to: OrgId, asked: Asked) -> WireRequest:
    """Return the request of a relay that presents this token to this node."""
    part = asked.round.parts[to].canonical()
    now = asked.round.minted_at
    ask = Asking(make_network(), asked.round.question_bytes, to=to, part=part, now=now)
    return ask.request(token=token)


async def _handled(request: WireRequest, to: OrgId) -> WireResponse:
    return await _nodes()[to].handle(request)


@pytest.mark.parametrize("whose", ["the round's", "another organization's"])
def test_a_token_that_is_not_for_a_node_is_refused_there(whose: str) -> None:
    _, asked, _ = _round()
    tokens = asked.round.tokens() or {}
    token = asked.round.token if whose == "the round's" else tokens[VITALIS]
    response = simulate(0, _handled(_presenting(token, NORTH, asked), NORTH))
    assert refused_code(response) == "token_audience"


def _sent(change: Callable[[dict[str, str]], None]) -> str:
    """Return the code with which the real relay refuses a round whose parts were changed and signed again by home."""
    consortium, asked, _ = _round()
    texts = asked.round.part_texts()
    change(texts)
    variables: JsonObject = {
        "deadlineMs": 1_000,
        "parts": json.dumps(texts),
        "question": asked.round.question_bytes.decode(),
    }
    sent = next(request for endpoint, request in consortium.from_home.requests if endpoint)
    document = json.loads(sent.body)["documentId"]
    body = canonical_bytes({"documentId": document, "variables": variables})

    async def main() -> str:
        relay = make_consortium(nodes=_nodes()).relay
        try:
            async with relay.asking(consortium.signed(asked.round.token, body), document) as events:
                return str([event async for event in events])
        except ConcordatError as error:
            return error.code

    return simulate(0, main())


def _without(org: str) -> Callable[[dict[str, str]], None]:
    def change(texts: dict[str, str]) -> None:
        del texts[org]

    return change


def _other_tokens(texts: dict[str, str]) -> None:
    tokens = dict(parse_tokens(texts[RELAY].encode()))
    tokens[NORTH] = tokens[VITALIS]
    texts[RELAY] = canonical_bytes({str(org): token for org, token in tokens.items()}).decode()


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (_without(RELAY), "token_audience"),
        (_without(NORTH), "token_audience"),
        (_other_tokens, "token_part_mismatch"),
        (lambda texts: texts.update({NORTH: texts[NORTH] + " "}), "token_part_mismatch"),
    ],
)
def test_a_relay_refuses_a_round_whose_tokens_do_not_fit(change: Callable[[dict[str, str]], None], code: str) -> None:
    assert _sent(change) == code


@pytest.mark.parametrize(
    "data",
    [b"", b"{}", b'{"north-hospital":1}', b'{"x":"t"}', b'{ "north-hospital":"t"}', b'{"b-org":"t","a-org":"t"}'],
)
def test_a_list_of_tokens_has_one_spelling(data: bytes) -> None:
    with pytest.raises(ConcordatError) as caught:
        parse_tokens(data)
    assert caught.value.code == "tokens_malformed"


def test_tokens_of_two_rounds_do_not_make_one() -> None:
    _, first, data = _round()
    saved = SavedAnswer.parse(data)
    consortium, second = simulate(5, _asked())
    assert saved.tokens is not None
    other = second.round.tokens() or {}
    mixed = {**saved.tokens, NORTH: other[NORTH]}
    claims = jose.unverified_claims(saved.token)
    parts = claims["parts"]
    assert isinstance(parts, dict)
    with pytest.raises(ConcordatError) as caught:
        verify_saved_answer(replace(saved, tokens=mixed).to_bytes(), bundle_at=lambda _: consortium.network.bundle)
    assert caught.value.code == "token_part_mismatch"
    assert first.round.token_id != second.round.token_id
