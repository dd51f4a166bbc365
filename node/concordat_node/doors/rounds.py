"""The questions behind one GraphQL request: each a round of the home node, minted, carried and judged as any other.

Rules of this file:

* This is the only way from a federation door to records: `Asker` signs a question for this session and purpose, the
  gate of each node decides, and only what was verified at home comes back.
* Records by id: all ids that one request needs at once are one question, to the organizations of these ids alone; who
  is not named does not learn that something is asked.
* At most `ROUNDS_MAX` questions and `IDS_MAX` ids for one request, whatever its document says.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, assert_never

from concordat_node.doors.caller import Caller
from concordat_node.doors.errors import DoorFailed, OrganizationSilent, RepresentationsTooMany, RoundsTooMany
from concordat_node.home.ask import Asked, Asker
from concordat_node.home.requests import parse_assets, parse_search
from concordat_node.home.saving import saved_answer
from concordat_trust.canonical import JsonObject, canonical_bytes
from concordat_trust.errors import ConcordatError
from concordat_trust.failure_log import without_texts
from concordat_trust.ids import AssetId, OrgId
from concordat_trust.merge import ANSWERED, Entry
from concordat_trust.question import IDS_MAX as IDS_PER_QUESTION

_log = logging.getLogger("concordat.node.doors")

ROUNDS_MAX = 8
IDS_MAX = 150
Scope = Literal["network", "organization"]
"""Whom a door asks: everybody, or the own organization's node alone."""
Answer = Mapping[str, object]
"""The object of a root type; a value that can be called is made only when its field is selected."""
Loaded = JsonObject | ConcordatError | None
"""A record; None for one that is not there for this person; an error when its organization did not answer."""


@dataclass(slots=True)
class Rounds:
    """The questions of one request; made for one caller and thrown away with it."""

    asker: Asker
    organization: OrgId
    scope: Scope
    caller: Caller
    clock: Callable[[], int]
    _rounds: int = 0
    _futures: dict[str, asyncio.Future[Loaded]] = field(default_factory=dict)
    _waiting: list[str] = field(default_factory=list)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def search(self, wanted: JsonObject) -> Answer:
        """Return the verified answer of one search as the schema's object.

        Raises: PurposeMissing, RoundsTooMany, the refusals of `parse_search` and `Asker.ask`.
        """
        body = canonical_bytes({**wanted, "purpose": self.caller.purpose_json()})
        question = parse_search(body, self.caller.bundle).question
        self._take_round()
        asker, session, bundle = self.asker, self.caller.session, self.caller.bundle
        match self.scope:
            case "network":
                asked = await asker.ask(question, {}, session=session, bundle=bundle)
                return network_answer(asked, lambda: saved_answer(asked, bundle, now=self.clock()).decode("utf-8"))
            case "organization":
                asked = await asker.ask_own(question, (), session=session, bundle=bundle)
                return organization_answer(asked, self.organization)
            case _:
                assert_never(self.scope)

    def load(self, asset_id: AssetId) -> asyncio.Future[Loaded]:
        """Return the record of an id, together with all ids that are wanted in the same turn of the event loop."""
        key = str(asset_id)
        if key not in self._futures:
            self._futures[key] = asyncio.get_running_loop().create_future()
            if len(self._futures) > IDS_MAX:
                self._futures[key].set_result(RepresentationsTooMany(representations_max=IDS_MAX))
            else:
                if not self._waiting:
                    asyncio.get_running_loop().call_soon(self._send)
                self._waiting.append(key)
        return self._futures[key]

    def _send(self) -> None:
        waiting, self._waiting = self._waiting, []
        for start in range(0, len(waiting), IDS_PER_QUESTION):
            task = asyncio.create_task(self._fill(tuple(waiting[start : start + IDS_PER_QUESTION])))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _fill(self, ids: tuple[str, ...]) -> None:
        try:
            found = await self._ask_assets(ids)
        except ConcordatError as error:
            found = dict.fromkeys(ids, error)
        except Exception as error:  # noqa: BLE001 - a task of its own: whoever waits for a record must get an end
            _log.error("failed: %s", without_texts(error))
            found = dict.fromkeys(ids, DoorFailed())
        for key in ids:
            if not self._futures[key].done():
                self._futures[key].set_result(found.get(key))

    async def _ask_assets(self, ids: tuple[str, ...]) -> Mapping[str, Loaded]:
        body = canonical_bytes({"ids": list(ids), "purpose": self.caller.purpose_json()})
        wanted = parse_assets(body, self.caller.bundle)
        self._take_round()
        asker, session, bundle = self.asker, self.caller.session, self.caller.bundle
        match self.scope:
            case "network":
                asked = await asker.ask(
                    wanted.question, wanted.ids, session=session, bundle=bundle, only=frozenset(wanted.ids)
                )
            case "organization":
                asked = await asker.ask_own(wanted.question, ids, session=session, bundle=bundle)
            case _:
                assert_never(self.scope)
        return _by_id(asked, ids)

    def _take_round(self) -> None:
        if self._rounds >= ROUNDS_MAX:
            raise RoundsTooMany(rounds_max=ROUNDS_MAX)
        self._rounds += 1

    def cancel(self) -> None:
        """End what is still under way; the request is over."""
        for task in self._tasks:
            task.cancel()


def _by_id(asked: Asked, ids: tuple[str, ...]) -> dict[str, Loaded]:
    merged = asked.judged.merged
    entries = {entry.organization: entry for entry in merged.completeness.entries}
    found: dict[str, Loaded] = {str(hit.record["id"]): hit.record for hit in merged.hits}
    for key in ids:
        entry = entries[AssetId.parse(key).org]
        if entry.status not in ANSWERED:
            found[key] = OrganizationSilent(organization=entry.organization, status=entry.status, reason=entry.code)
    return found


def network_answer(asked: Asked, saved: Callable[[], str]) -> Answer:
    """Return a `SearchResult` of network.graphql."""
    merged = asked.judged.merged
    whole = merged.completeness
    return {
        **_answer(asked),
        "completeness": {
            "asked": whole.asked,
            "answered": whole.answered,
            "complete": whole.complete,
            "organizations": [entry.to_json() for entry in whole.entries],
        },
        "exact": merged.is_exact,
        "saved_answer": lambda _info: saved(),
        "total": merged.total,
        "total_at_least": merged.total_at_least,
    }


def organization_answer(asked: Asked, organization: OrgId) -> Answer:
    """Return an `OrganizationAnswer` of subgraph.graphql."""
    entry: Entry = next(e for e in asked.judged.merged.completeness.entries if e.organization == organization)
    return {**_answer(asked), "status": entry.to_json(), "total": entry.total}


def _answer(asked: Asked) -> dict[str, object]:
    merged = asked.judged.merged
    return {
        "facets": [
            {"cells": [{"count": count, "value": value} for value, count in cells.items()], "field": name}
            for name, cells in merged.facets.items()
        ],
        "findings": [finding.to_json() for finding in asked.findings],
        "hits": [hit.to_json() for hit in merged.hits],
        "question_hash": asked.round.question.hash(),
        "valid_until": asked.judged.valid_until,
    }
