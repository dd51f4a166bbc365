"""Promise 3 at the federation doors: hidden, absent and never-existing ids give byte-identical answers.

On the real index and the real OPA, through HTTP: whole responses (status, headers, body with its errors, order and
extensions) and what was asked of whom. Nothing is left out of the comparison but `saved_answer`, which holds tokens and
attestations and is compared where these are (`test_promise_3_non_interference.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from concordat_node.home.pseudonym import pseudonym
from concordat_node.policy.opa_engine import OpaPolicyEngine
from concordat_node.registry.records import Agreement
from concordat_node.registry.rules import Imported, ImportedAsset
from concordat_node.search.index import View
from concordat_trust.ids import AssetId
from tests.factories.doors import ANALYST, NETWORK_PATH, SUBGRAPH_PATH, Institution, make_institution
from tests.factories.home import HOME_KEY
from tests.factories.network import make_network
from tests.factories.node import asset_id
from tests.factories.opa import running_opa
from tests.federation.consortium import HOME, NORTH
from tests.federation.test_promise_3_non_interference import (
    ForbiddenIsNotMissing,
    Wrap,
    _Leaky,
)
from tests.federation.worlds import Pair, make_pair

SEEDS = range(1)
LONG_SEEDS = range(100, 115)
LEAK_SEEDS = range(12)
PERSON = "ada"
RECORD = """kind organization level title summary keywords description task framework modality license origin created
  evaluations { metric value unit dataset dataset_id split interval_low interval_high version }
  conditions { permission disease modifiers { code parameters { name value } } }
  masked_fields missing { code who_can_grant } obligations { code text } agreement_ids valid_until
  version versions { label released digest changes } cohort_size contact sensitivity
  trained_on { id title } agreements { id title digest valid_until }"""
ENTITIES = f"""query($r: [_Any!]!) {{ _entities(representations: $r) {{
  __typename ... on Model {{ id {RECORD} }} ... on Dataset {{ id {RECORD} }} }} }}"""
ANSWERED = "facets { field cells { value count } } hits { sort_key record { id " + RECORD + " } } valid_until"
SEARCH = {
    NETWORK_PATH: "{ search(%s) { total total_at_least exact completeness { asked answered complete organizations {"
    " organization status code proved total } } findings { code } question_hash " + ANSWERED + " } }",
    SUBGRAPH_PATH: "{ search(%s) { total status { status code proved total } question_hash " + ANSWERED + " } }",
}
SEARCHES = (
    'first: 20, facets: ["kind", "task"]',
    'text: "clinical trial", first: 5',
    'sentence: "models with accuracy above 50%"',
    "sort: {by: created, order: asc}",
)
NETWORK = make_network()


@pytest.fixture(scope="module")
def opa() -> Iterator[OpaPolicyEngine]:
    with running_opa() as running:
        yield OpaPolicyEngine(running)


def _at_home(asset: AssetId) -> AssetId:
    return AssetId(HOME, asset.kind, asset.local)


def _moved(item: Imported) -> Imported:
    """Return the same record as one of the home organization, so that both doors have one world each."""
    if not isinstance(item, ImportedAsset):
        return item
    evaluations = tuple(
        replace(one, dataset_id=None if one.dataset_id is None else _at_home(one.dataset_id))
        for one in item.record.evaluations
    )
    links = tuple(_at_home(one) for one in item.record.trained_on)
    record = replace(item.record, id=_at_home(item.record.id), evaluations=evaluations, trained_on=links)
    return replace(item, record=record)


def _held_by_the_person(item: Imported) -> Imported:
    if isinstance(item, Agreement) and item.id == "dua-held":
        name = pseudonym(HOME_KEY, NETWORK.bundle.network.id, PERSON)
        return replace(item, members=((HOME, name),))
    return item


def _institution(folder: Path, side: Sequence[Imported], opa: OpaPolicyEngine, wrap: Wrap) -> Institution:
    folder.mkdir(parents=True)
    made = make_institution(folder, {}, engine=opa, network=NETWORK, index=wrap)
    records = [_held_by_the_person(item) for item in side]
    for half in (records[: len(records) // 2], records[len(records) // 2 :]):
        # In two transactions, because a later line for the same id replaces what an earlier one left.
        made.nodes[NORTH].write(half)
        made.nodes[HOME].write([_moved(item) for item in half])
    return made


@dataclass(frozen=True)
class Door:
    """One request: where it goes, its document and variables."""

    path: str
    query: str
    ids: tuple[AssetId, ...] = ()


def _doors(pair: Pair) -> Iterator[Door]:
    never = tuple(asset_id(f"never-{number}") for number in range(3))
    mixed = (*pair.visible[:3], *pair.hidden[:3], *never)
    for path in (NETWORK_PATH, SUBGRAPH_PATH):
        for arguments in SEARCHES:
            yield Door(path, SEARCH[path] % arguments)
        for ids in (pair.visible, pair.hidden[:20], never, mixed, mixed[::-1]):
            yield Door(path, ENTITIES, tuple(_at_home(one) for one in ids) if path == SUBGRAPH_PATH else ids)


async def _seen(institution: Institution, door: Door) -> tuple[object, ...]:
    """Return everything that a caller, and whoever counts questions, can see of one request."""
    institution.to_nodes.asked.clear()
    institution.from_home.asked.clear()
    names = {"model": "Model", "dataset": "Dataset"}
    representations = [{"__typename": names[one.kind], "id": str(one)} for one in door.ids]
    token = institution.sign_in(PERSON, ANALYST)
    response = await institution.post(door.query, {"r": representations}, token=token, path=door.path)
    return response.status_code, tuple(response.headers.multi_items()), response.content, institution.questions()


async def _difference(pair: Pair, folder: Path, opa: OpaPolicyEngine, wrap: Wrap = lambda index: index) -> Door | None:
    """Return the first request at which the two states can be told apart, or None."""
    sides = [_institution(folder / str(number), side, opa, wrap) for number, side in enumerate((pair.one, pair.other))]
    try:
        for door in _doors(pair):
            if await _seen(sides[0], door) != await _seen(sides[1], door):
                return door
        return None
    finally:
        for side in sides:
            side.home.home.close()


@pytest.mark.parametrize("seed", SEEDS)
async def test_promise_3_hidden_differences_change_no_byte_at_the_federation_doors(
    seed: int, tmp_path: Path, opa: OpaPolicyEngine
) -> None:
    assert await _difference(make_pair(seed), tmp_path, opa) is None


@pytest.mark.long
@pytest.mark.parametrize("seed", LONG_SEEDS)
async def test_promise_3_holds_at_the_federation_doors_for_many_worlds(
    seed: int, tmp_path: Path, opa: OpaPolicyEngine
) -> None:
    assert await _difference(make_pair(seed), tmp_path, opa) is None


async def test_promise_3_hidden_deleted_and_never_existing_ids_are_one_answer(
    tmp_path: Path, opa: OpaPolicyEngine
) -> None:
    """In one state: an id that is hidden, one that was visible and is hidden now, and one that never was."""
    pair = make_pair(1)
    institution = _institution(tmp_path / "one", pair.one, opa, lambda index: index)
    shown = pair.visible[0]
    for path in (NETWORK_PATH, SUBGRAPH_PATH):
        answers = set()
        for absent in (*pair.hidden[:5], asset_id("never-0"), asset_id("never-0", "dataset")):
            ids = (shown, absent, shown)
            door = Door(path, ENTITIES, tuple(_at_home(one) for one in ids) if path == SUBGRAPH_PATH else ids)
            status, headers, body, questions = await _seen(institution, door)
            assert status == 200
            answers.add((headers, body, len(questions)))  # type: ignore[arg-type]
        ((_headers, body, _count),) = answers
        assert body.count(b"null,{") == 1  # type: ignore[attr-defined]
        assert b"errors" not in body  # type: ignore[operator]
    institution.home.home.close()


async def test_the_doors_answer_with_records_and_without_errors(tmp_path: Path, opa: OpaPolicyEngine) -> None:
    institution = _institution(tmp_path / "one", make_pair(0).one, opa, lambda index: index)
    for path in (NETWORK_PATH, SUBGRAPH_PATH):
        for arguments in SEARCHES[:2]:
            _status, _headers, body, questions = await _seen(institution, Door(path, SEARCH[path] % arguments))
            assert b'"record":{"id":"urn:' in body  # type: ignore[operator]
            assert b'"errors"' not in body  # type: ignore[operator]
            assert questions
    institution.home.home.close()


class PastTheGate(_Leaky):
    """`_entities` by its own way to records: whatever has the id is found, whoever asks."""

    def visible_assets(self, ids: Sequence[AssetId], view: View) -> tuple[AssetId, ...]:
        there = self.index.visible_assets(ids, self.all_classes())
        return tuple(one for one in ids if one in there)


class SlowForTheHidden(_Leaky):
    """An answer that says how many of the ids are there."""

    def visible_assets(self, ids: Sequence[AssetId], view: View) -> tuple[AssetId, ...]:
        if len(self.index.visible_assets(ids, self.all_classes())) > len(ids) // 2:
            raise RuntimeError("too many")
        return ()


LEAKS: tuple[type[_Leaky], ...] = (ForbiddenIsNotMissing, PastTheGate, SlowForTheHidden)


@pytest.mark.parametrize("leak", LEAKS)
async def test_a_planted_leak_of_entities_is_found(leak: type[_Leaky], tmp_path: Path, opa: OpaPolicyEngine) -> None:
    for seed in LEAK_SEEDS:
        if await _difference(make_pair(seed), tmp_path / str(seed), opa, leak) is not None:
            return
    pytest.fail("no world found the leak")
