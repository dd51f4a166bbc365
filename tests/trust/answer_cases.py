"""One good answer of one organization, and the ways in which the tests beside this file break it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from concordat_trust.answer import (
    NodeAnswer,
    OpenResult,
)
from concordat_trust.attestation import (
    Candidate,
    record_commitment,
)
from concordat_trust.canonical import JsonObject
from concordat_trust.errors import ConcordatError
from concordat_trust.ids import tie_key
from tests.factories.answers import (
    NORTH,
    demo_network,
    in_order,
    make_answer,
    make_attestation,
    make_card,
    make_question,
    salt_of,
    signed_answer,
    verified,
)

NETWORK = demo_network()
QUESTION = make_question()
CARDS = in_order(NETWORK, QUESTION, [make_card(NORTH, name) for name in ("sepsis", "heart", "lung", "kidney")])
GOOD = make_answer(NETWORK, CARDS, org=NORTH)


def refused(answer: NodeAnswer, code: str, **changes: Any) -> ConcordatError:
    """Assert that home refuses the answer with this code and the name of its organization."""
    with pytest.raises(ConcordatError) as caught:
        verified(NETWORK, answer, **changes)
    assert caught.value.code == code
    assert caught.value.fields["organization"] == changes.get("org", answer.org)
    return caught.value


def attested(**changes: Any) -> NodeAnswer:
    """The good answer with one attested member changed, signed by the node itself."""
    return make_answer(NETWORK, CARDS, org=NORTH, **changes)


def with_results(results: Sequence[OpenResult]) -> NodeAnswer:
    """The good attestation with other results: what somebody on the way can do."""
    return replace(GOOD, results=tuple(results))


def attesting(cards: Sequence[JsonObject]) -> NodeAnswer:
    """An answer whose node attests exactly these cards in this order, whatever is wrong with them."""
    salted = [(card, salt_of({"id": card.get("id")})) for card in cards]
    good = make_attestation(NETWORK, CARDS, org=NORTH)
    keys = {c.tie: c.sort_key for c in good.candidates}
    candidates = tuple(
        Candidate(
            record_commitment(card, salt), keys.get(tie_key(str(card.get("id"))), 0), tie_key(str(card.get("id")))
        )
        for card, salt in salted
    )
    attestation = replace(good, candidates=candidates, total=len(cards), facets={})
    return signed_answer(NETWORK, attestation, [OpenResult(salt, card) for card, salt in salted], org=NORTH)
