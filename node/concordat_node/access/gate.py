"""The gate: the only way from a registry record to something that can be serialized.

Rules of this file:

* `Released` and `DisclosedRecord` are made here and nowhere else. Everything that serializes takes them, never an
  `AssetRecord`, so that a forgotten gate is a type error and, at run time, a refusal.
* Order: classes are decided → the index searches the visible view → the page's records (and the own assets they name)
  are decided again from their current attributes → masks → commitments.
* Whether the answer must be sealed for home as a whole follows from the visible view alone, not from the question: it
  must as soon as the requester may see any record here that its owner lets no relay read.
* The second decision may only take away. Then everything is asked again: first with fresh decisions (something expired
  or was imported in between), then without the classes it withdrew, so that totals, facets and order never count what
  was taken away. Every withdrawal is counted: with nothing changing meanwhile it is a bug of the policy.
* What is said of totals, facets, agreements and `valid_until` comes from the visible view and the released records.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final, final

from concordat_node.access.cursor import Anchor, CursorStale, Place, view_digest
from concordat_node.access.decisions import ClassDecisions, Decided, Registry, RunBlocking
from concordat_node.access.masks import Surroundings, masked_record
from concordat_node.access.view import earliest, is_visible, narrows, visible_view
from concordat_node.policy.engine import Decision, DecisionRequest, PolicyEngine, PolicyUnavailable
from concordat_node.registry.records import AssetRecord, PolicyAttributes
from concordat_node.search.index import ClassView, IndexHit, IndexQuery, IndexResult, SearchIndex
from concordat_trust.attestation import SALT_BYTES, record_commitment
from concordat_trust.canonical import Json, JsonObject
from concordat_trust.encoding import b64u
from concordat_trust.ids import AssetId, OrgId, tie_key
from concordat_trust.question import Projection, Question, candidate_count
from concordat_trust.ranking import named_key, order_key
from concordat_trust.text import TermStatistics, query_terms
from concordat_trust.vocabulary import Clearance

ATTEMPTS = 3


class _Witness:
    """Shown to the constructors below; there is one, and it does not leave this module."""


_WITNESS: Final = _Witness()


@final
class DisclosedRecord:
    """A masked record that may leave; its fields are those of the canonical record."""

    __slots__ = ("_fields",)

    def __init__(self, witness: _Witness, fields: JsonObject) -> None:
        if witness is not _WITNESS:
            raise RuntimeError("only the gate discloses a record")
        self._fields = fields

    @property
    def fields(self) -> Mapping[str, Json]:
        return self._fields


@final
class Released:
    """One candidate as it leaves: salt and card, asset or vertex; with what the attestation says of it."""

    __slots__ = ("asset", "card", "commitment", "record", "salt", "sort_key", "tie", "vertex")

    def __init__(
        self,
        witness: _Witness,
        *,
        record: DisclosedRecord,
        projection: Projection,
        salt: str,
        sort_key: int | None,
    ) -> None:
        if witness is not _WITNESS:
            raise RuntimeError("only the gate releases a record")
        self.record = record
        self.card = record if projection == "card" else None
        self.asset = record if projection == "asset" else None
        self.vertex = record if projection == "lineageVertex" else None
        self.salt = salt
        self.sort_key = sort_key
        self.tie = tie_key(str(record.fields["id"]))
        self.commitment = record_commitment(dict(record.fields), salt)


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of the gate, already verified and parsed.

    With `page` the answer is what follows its anchor, as long as view and policy are those of its place.
    Classes above `sensitivity_max` are closed whatever policy says (an unconfirmed trust bundle).
    """

    question: Question
    ids: tuple[AssetId, ...]
    request: DecisionRequest
    statistics: TermStatistics
    sensitivity_max: Clearance = Clearance.RESTRICTED
    page: tuple[Place, Anchor] | None = None


@dataclass(frozen=True, slots=True)
class Release:
    """Everything the node says about the visible view. `agreements` are (id, document digest), sorted.

    `place` is where the candidates of a search stand; None without any. With `is_sealed` no relay may read any of it.
    """

    items: tuple[Released, ...] = ()
    total: int = 0
    facets: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    agreements: tuple[tuple[str, str], ...] = ()
    valid_until: int | None = None
    place: Place | None = None
    is_sealed: bool = False


@dataclass(frozen=True, slots=True)
class _Row:
    """One registry record with its current attributes and the decision of its class."""

    record: AssetRecord
    attributes: PolicyAttributes
    decision: Decision
    sort_key: int | None = None


@dataclass(frozen=True, slots=True)
class _Found:
    """What the index found in the view: candidates in order, and the own assets they name."""

    rows: tuple[_Row, ...]
    named: tuple[_Row, ...]
    total: int
    facets: Mapping[str, Mapping[str, int]]
    is_consistent: bool
    is_sealed: bool
    view: str | None = None


class Gate:
    """Decides, finds, decides again, masks, commits and seals."""

    def __init__(
        self,
        *,
        organization: OrgId,
        registry: Registry,
        index: SearchIndex,
        engine: PolicyEngine,
        decisions: ClassDecisions,
        run_blocking: RunBlocking,
        entropy: Callable[[int], bytes],
    ) -> None:
        self._organization = organization
        self._registry = registry
        self._index = index
        self._engine = engine
        self._decisions = decisions
        self._run_blocking = run_blocking
        self._entropy = entropy
        self.withdrawals = 0
        """Records that a page decision took away; more than a few per import is a bug of the policy."""

    async def release(self, asked: Asked) -> Release:
        """Return what of this node's records may leave for `asked`.

        Raises: PolicyUnavailable, also when the two decisions keep disagreeing; CursorStale; the registry's and index's
        failures.
        """
        removed: frozenset[str] = frozenset()
        for attempt in range(ATTEMPTS):
            decided = await self._decisions.of(asked.request, fresh=attempt > 0)
            view = visible_view(decided.decisions, removed | _closed(asked, decided))
            found = await self._run_blocking(partial(self._find, asked, decided, view))
            withdrawn = await self._withdrawn(decided, found)
            if found.is_consistent and not withdrawn:
                self._refuse_stale(asked, found)
                return self._disclose(asked, decided, found)
            self.withdrawals += len(withdrawn)
            if attempt > 0:
                removed |= withdrawn
        raise PolicyUnavailable(cause="malformed")

    def _find(self, asked: Asked, decided: Decided, view: Mapping[str, ClassView]) -> _Found:
        question = asked.question
        if question.operation != "search":
            return self._find_named(asked, decided, view)
        query = IndexQuery(
            terms=query_terms(question.text, asked.statistics),
            filter=question.filter,
            sort=question.sort,
            facets=question.facets,
            limit=candidate_count(question),
            after=None if asked.page is None else (asked.page[1].sort_key, asked.page[1].id),
        )
        result = self._index.search(query, view, asked.statistics)
        found = self._read(asked, decided, view, result)
        return replace(found, view=view_digest(decided.decisions[class_id] for class_id in result.matched))

    def _refuse_stale(self, asked: Asked, found: _Found) -> None:
        if asked.page is not None and (asked.page[0].policy, asked.page[0].view) != (self._engine.revision, found.view):
            raise CursorStale

    def _find_named(self, asked: Asked, decided: Decided, view: Mapping[str, ClassView]) -> _Found:
        question = asked.question
        own = [asset_id for asset_id in asked.ids if asset_id.org == self._organization]
        named = self._index.visible_assets(own, view)
        keys = dict.fromkeys(named, named_key(question, is_named=True))
        count_max = len(asked.ids)
        if question.direction == "down":
            others = [asset_id for asset_id in asked.ids if asset_id.org != self._organization]
            # What came from a hidden asset is not found by it: an own end must be visible itself.
            came = self._index.came_from(named, view, is_foreign=False)
            keys = {**dict.fromkeys((*came, *self._index.came_from(others, view, is_foreign=True)), 0), **keys}
            count_max = candidate_count(question)
        ordered = sorted(keys, key=lambda item: order_key(question.sort, keys[item], tie_key(str(item)), str(item)))
        hits = tuple(IndexHit(item, keys[item]) for item in ordered[:count_max])
        return self._read(asked, decided, view, IndexResult(hits, len(ordered), {}))

    def _read(
        self,
        asked: Asked,
        decided: Decided,
        view: Mapping[str, ClassView],
        result: IndexResult,
    ) -> _Found:
        keys = {hit.id: hit.sort_key for hit in result.hits}
        rows = self._rows(decided, view, tuple(keys), keys)
        named_ids = {item for row in rows for item in _named_by(row, asked.question)}
        visible_ids = self._index.visible_assets(sorted(named_ids), view)
        named = self._rows(decided, view, visible_ids, {})
        is_consistent = len(rows) == len(keys) and len(named) == len(visible_ids)
        # What was found is looked at too: a record can have come or gone since the index was asked.
        touched = {*result.matched, *(row.record.class_id for row in (*rows, *named))}
        closed = frozenset(class_id for class_id in view if not decided.decisions[class_id].relay_may_read)
        is_sealed = not closed.isdisjoint(touched) or self._index.holds_any(closed)
        return _Found(rows, named, result.total, result.facets, is_consistent, is_sealed)

    def _rows(
        self,
        decided: Decided,
        view: Mapping[str, ClassView],
        ids: Sequence[AssetId],
        keys: Mapping[AssetId, int | None],
    ) -> tuple[_Row, ...]:
        if not ids:
            return ()
        records = self._registry.assets(ids)
        current = self._registry.class_attributes(ids)
        return tuple(
            _Row(records[item], current[item], decided.decisions[records[item].class_id], keys.get(item))
            for item in ids
            if item in records and item in current and records[item].class_id in view
        )

    async def _withdrawn(self, decided: Decided, found: _Found) -> frozenset[str]:
        rows = (*found.rows, *found.named)
        if not rows:
            return frozenset()
        again = await self._engine.decide_page(decided.request, [row.attributes for row in rows])
        if len(again) != len(rows):
            raise PolicyUnavailable(cause="malformed")
        return frozenset(
            row.record.class_id
            for row, page in zip(rows, again, strict=True)
            if not is_visible(page) or narrows(page, row.decision)
        )

    def _disclose(self, asked: Asked, decided: Decided, found: _Found) -> Release:
        around = Surroundings(
            assets={row.record.id: None if "title" in row.decision.hidden else row.record.title for row in found.named},
            agreements=decided.facts.agreements,
        )
        items = tuple(self._item(asked, row, around) for row in found.rows)
        cited = sorted({item for row in found.rows for item in row.decision.agreement_ids})
        if not all(item in decided.facts.agreements for item in cited):
            raise PolicyUnavailable(cause="malformed")
        return Release(
            items=items,
            total=found.total,
            facets=found.facets,
            agreements=tuple((item, decided.facts.agreements[item].document_digest) for item in cited),
            valid_until=earliest(row.decision.valid_until for row in (*found.rows, *found.named)),
            place=self._place(found),
            is_sealed=found.is_sealed,
        )

    def _place(self, found: _Found) -> Place | None:
        if found.view is None or not found.rows:
            return None
        anchors = tuple(Anchor(row.sort_key, row.record.id) for row in found.rows)
        return Place(self._engine.revision, found.view, anchors)

    def _item(self, asked: Asked, row: _Row, around: Surroundings) -> Released:
        fields = masked_record(
            row.record, row.attributes, row.decision, projection=asked.question.projection, around=around
        )
        record = DisclosedRecord(_WITNESS, fields)
        return Released(
            _WITNESS,
            record=record,
            projection=asked.question.projection,
            salt=b64u(self._entropy(SALT_BYTES)),
            sort_key=row.sort_key,
        )


def _closed(asked: Asked, decided: Decided) -> frozenset[str]:
    classes = decided.facts.classes.items()
    return frozenset(class_id for class_id, held in classes if held.sensitivity > asked.sensitivity_max)


def _named_by(row: _Row, question: Question) -> frozenset[AssetId]:
    """Return the assets a record names in fields that are not hidden: a hidden link must not be followed."""
    record, hidden = row.record, row.decision.hidden
    if question.operation == "lineage":
        edges = (item.edge for item in record.edges if not item.edge.is_hidden(hidden))
        return frozenset(edge.other_end(record.id) for edge in edges if not edge.is_foreign)
    trained_on = () if "trained_on" in hidden else record.trained_on
    evaluations = () if "evaluations" in hidden else record.evaluations
    return frozenset(trained_on) | {item.dataset_id for item in evaluations if item.dataset_id is not None}
