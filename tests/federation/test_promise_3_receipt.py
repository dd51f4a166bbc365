"""Promise 3 at the receipt: what the requester may not see changes no byte of it but the salted leaf and what follows.

The receipt tells how many answers the node has given, whoever asked; that is what `NON_INTERFERENCE_EXCLUDED` names.
Nothing else may follow from hidden records: neither how many entries one answer makes, nor the receipt's form.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from concordat_node.ledger.entry import LogEntry
from concordat_node.ledger.ledger import Ledger, Logged
from concordat_node.policy.opa_engine import OpaPolicyEngine
from concordat_trust.attestation import NON_INTERFERENCE_EXCLUDED
from concordat_trust.canonical import Json, JsonObject, parse_object
from concordat_trust.checkpoint import claimed_checkpoint
from tests.factories.network import make_network
from tests.factories.node import ANALYST, GUEST, Entropy, TestNode, asking, make_node, make_question, memory_database
from tests.factories.opa import running_opa
from tests.federation.worlds import Pair, doors, make_pair

SEEDS = range(4)
NETWORK = make_network()


@pytest.fixture(scope="module")
def opa() -> Iterator[OpaPolicyEngine]:
    with running_opa() as point:
        yield OpaPolicyEngine(point)


def _node(side: Any, engine: OpaPolicyEngine, ledger: Ledger | None = None) -> TestNode:
    ledger = ledger or Ledger(memory_database())
    return make_node(NETWORK, "north-hospital", side, engine=engine, entropy=Entropy(), ledger=ledger)


async def _receipts(node: TestNode, pair: Pair) -> list[JsonObject]:
    """Return the receipts of every question, in order, without what a leaf's salt or content changes."""
    shown: list[JsonObject] = []
    for _, request in doors(NETWORK, pair):
        response = await node.handle(replace(request, claims=ANALYST).request())
        data = parse_object(response.body, bytes_max=4_000_000).get("data")
        for answer in data.values() if isinstance(data, dict) else ():
            assert isinstance(answer, dict)
            shown.append(_form(parse_object(str(answer["receipt"]).encode(), bytes_max=10_000)))
    return shown


def _form(receipt: JsonObject) -> JsonObject:
    path, checkpoint = receipt["path"], claimed_checkpoint(str(receipt["checkpoint"]))
    assert isinstance(path, list)
    return {
        "names": list[Json](sorted(receipt)),
        "index": receipt["index"],
        "size": receipt["size"],
        "hashes": len(path),
        "leaf": len(str(receipt["leaf"])),
        "checkpoint": {**checkpoint.claims(), "root": None},
    }


@pytest.mark.parametrize("seed", SEEDS)
async def test_promise_3_a_receipt_tells_the_same_of_two_states(seed: int, opa: OpaPolicyEngine) -> None:
    pair = make_pair(seed)
    one, other = await _receipts(_node(pair.one, opa), pair), await _receipts(_node(pair.other, opa), pair)
    assert len(one) > 10
    assert one == other


class EntryPerHiddenRecord(Ledger):
    """A log that also notes what it withheld, each as an entry of its own."""

    hidden = 0

    def append(self, entry: LogEntry, *, salt: bytes) -> Logged:
        for number in range(self.hidden):
            super().append(replace(entry, token_id=f"{entry.token_id}-{number}"), salt=salt)
        return super().append(entry, salt=salt)


async def test_a_planted_entry_per_hidden_record_is_found(opa: OpaPolicyEngine) -> None:
    pair = make_pair(1)
    seen = []
    for side, hidden in ((pair.one, 1), (pair.other, 2)):
        ledger = EntryPerHiddenRecord(memory_database())
        ledger.hidden = hidden
        seen.append(await _receipts(_node(side, opa, ledger), pair))
    assert seen[0] != seen[1]


async def test_what_others_asked_changes_only_what_the_constant_names(opa: OpaPolicyEngine) -> None:
    pair = make_pair(2)
    busy, quiet = _node(pair.one, opa), _node(pair.one, opa)
    for number in range(5):
        await busy.handle(
            asking(NETWORK, make_question(NETWORK), token_id=f"of-another-{number:020d}", claims=GUEST).request()
        )
    asked = asking(NETWORK, make_question(NETWORK), token_id="mine-00000000000000000000", claims=ANALYST).request()
    answers = []
    for node in (busy, quiet):
        response = await node.handle(asked)
        body: Any = parse_object(response.body, bytes_max=4_000_000)
        answers.append(body["data"]["search"])
    receipts = [parse_object(answer["receipt"].encode(), bytes_max=10_000) for answer in answers]
    differing = {name for name in receipts[0] if receipts[0][name] != receipts[1][name]}
    assert set(receipts[0]) <= set(NON_INTERFERENCE_EXCLUDED)
    assert {"index", "size", "path", "checkpoint"} <= differing
