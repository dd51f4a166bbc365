"""Reading what a person's program sends: strict JSON of a bounded size, every field known, nothing coerced.

The one form is the confirmation page's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl

from concordat_node.home.errors import (
    AssetForeign,
    ExchangeRequestInvalid,
    LoginRequestMalformed,
    PageSizeInvalid,
    PurposeUnknown,
    QueryMalformed,
    SortUnknown,
)
from concordat_node.home.sentence import Understood, understand
from concordat_trust.bundle.trusted import TrustedBundle
from concordat_trust.canonical import Json, JsonObject, canonical_bytes, parse_object
from concordat_trust.filters import FieldUnsupported, Filter, parse_filter
from concordat_trust.filters import to_json as filter_to_json
from concordat_trust.ids import AssetId, OrgId
from concordat_trust.question import (
    IDS_MAX,
    PAGE_SIZE_MAX,
    TEXT_MAX,
    Purpose,
    Question,
    parse_purpose,
    parse_sort,
    question_from_json,
)
from concordat_trust.shape import DocumentMalformed, Shape
from concordat_trust.vocabulary import PURPOSES

BODY_BYTES_MAX = 65_536
PAGE_SIZE = 20
SECRET_LENGTH_MAX = 2_048
FORM_FIELDS_MAX = 5
EXCHANGE_FIELDS_MAX = 10
SEARCH_PARAMETERS = ("q", "purpose", "disease", "method", "project", "commercial", "page_size", "facets")


@dataclass(frozen=True, slots=True)
class SearchRequest:
    """A question as it will be asked, and what its sentence was taken to mean (None for a typed one)."""

    question: Question
    understood: Understood | None
    sentence: str = ""


@dataclass(frozen=True, slots=True)
class AssetsRequest:
    """A question for records by their ids."""

    question: Question
    ids: Mapping[OrgId, tuple[str, ...]]


def parse_redeem(body: bytes) -> tuple[str, str]:
    """Return (code, code_verifier) of POST /v1/session. Raises: DocumentMalformed and the JSON refusals."""
    shape = Shape(parse_object(body, bytes_max=BODY_BYTES_MAX), "session")
    code = shape.text("code", length_min=1, length_max=SECRET_LENGTH_MAX)
    verifier = shape.text("code_verifier", length_max=SECRET_LENGTH_MAX)
    shape.finish()
    return code, verifier


def parse_form(body: bytes, field: str) -> str:
    """Return the one field of a form, empty when it is not there. Raises: LoginRequestMalformed."""
    try:
        pairs = parse_qsl(body.decode("ascii", "replace"), keep_blank_values=True, max_num_fields=FORM_FIELDS_MAX)
    except ValueError as error:
        raise LoginRequestMalformed(field=field) from error
    if len(dict(pairs)) != len(pairs):
        raise LoginRequestMalformed(field=field)
    return dict(pairs).get(field, "")


def parse_exchange(body: bytes) -> dict[str, str]:
    """Return the form of a token request, each field once. Raises: ExchangeRequestInvalid."""
    try:
        pairs = parse_qsl(
            body.decode("ascii"), keep_blank_values=True, strict_parsing=True, max_num_fields=EXCHANGE_FIELDS_MAX
        )
    except ValueError as error:  # UnicodeDecodeError is one
        raise ExchangeRequestInvalid(field="form") from error
    if len(dict(pairs)) != len(pairs):
        raise ExchangeRequestInvalid(field="form: a field is there twice")
    return dict(pairs)


def parse_search(body: bytes, bundle: TrustedBundle) -> SearchRequest:
    """Return the question of POST /v1/questions.

    {sentence | question {text, filter}, purpose {code, …}, page_size?, sort?, facets?}
    Raises: DocumentMalformed, QuestionMalformed, FieldUnsupported, the refusals of `understand`, the JSON refusals.
    """
    shape = Shape(parse_object(body, bytes_max=BODY_BYTES_MAX), "request")
    purpose = purpose_of(shape)
    if shape.has("sentence") == shape.has("question"):
        raise shape.refuse("sentence", "or question must be there, and not both")
    understood: Understood | None = None
    sentence = shape.text("sentence", length_max=BODY_BYTES_MAX) if shape.has("sentence") else ""
    if shape.has("sentence"):
        understood = understand(sentence)
        text, wanted = understood.text, understood.filter
    else:
        text, wanted = _typed(shape.object("question"))
    extra: JsonObject = {
        "facets": list(shape.texts("facets", count_max=10, length_max=40)) if shape.has("facets") else [],
        "page_size": _page_size(shape),
        "sort": _sort(shape),
    }
    shape.finish()
    typed: JsonObject = {"filter": None if wanted is None else filter_to_json(wanted), "text": text}
    return SearchRequest(_question("search", purpose, bundle, {**typed, **extra}), understood, sentence)


def parse_search_query(query: Mapping[str, str], bundle: TrustedBundle) -> SearchRequest:
    """Return the question of GET /v1/search?q=SENTENCE&purpose=CODE: that of POST /v1/questions with a sentence.

    Raises: QueryMalformed, and what `parse_search` raises.
    """
    for name in (*query, "q", "purpose"):
        if name not in SEARCH_PARAMETERS or name not in query:
            raise QueryMalformed(parameter=name[:100])
    purpose: JsonObject = {name: query[name] for name in ("disease", "method", "project") if name in query}
    if "commercial" in query:
        purpose["commercial"] = _true_or_false(query, "commercial")
    body: JsonObject = {"sentence": query["q"], "purpose": {**purpose, "code": query["purpose"]}}
    if "page_size" in query:
        body["page_size"] = _number(query, "page_size")
    if "facets" in query:
        body["facets"] = list[Json](query["facets"].split(","))
    return parse_search(canonical_bytes(body), bundle)


def single_query(pairs: Sequence[tuple[str, str]]) -> dict[str, str]:
    """Return the parameters of an address. Raises: QueryMalformed for one that is there twice."""
    query: dict[str, str] = {}
    for name, value in pairs:
        if name in query:
            raise QueryMalformed(parameter=name[:100])
        query[name] = value
    return query


def _true_or_false(query: Mapping[str, str], name: str) -> bool:
    if query[name] not in ("true", "false"):
        raise QueryMalformed(parameter=name)
    return query[name] == "true"


def _number(query: Mapping[str, str], name: str) -> int:
    if not re.fullmatch(r"[0-9]{1,4}", query[name]):
        raise QueryMalformed(parameter=name)
    return int(query[name])


def parse_assets(body: bytes, bundle: TrustedBundle) -> AssetsRequest:
    """Return the question of POST /v1/assets: {ids, purpose {code, …}}.

    Raises: AssetIdInvalid, AssetForeign, DocumentMalformed, the JSON refusals.
    """
    shape = Shape(parse_object(body, bytes_max=BODY_BYTES_MAX), "request")
    purpose = purpose_of(shape)
    ids = shape.texts("ids", count_max=IDS_MAX, length_max=120)
    shape.finish()
    if not ids or len(set(ids)) != len(ids):
        raise shape.refuse("ids", "is not a list of different ids")
    by_organization: dict[OrgId, tuple[str, ...]] = {}
    for asset_id in map(AssetId.parse, ids):
        if asset_id.org not in bundle.roster:
            raise AssetForeign
        by_organization[asset_id.org] = (*by_organization.get(asset_id.org, ()), str(asset_id))
    plain: JsonObject = {
        "facets": [],
        "filter": None,
        "page_size": PAGE_SIZE,
        "sort": {"by": "relevance"},
        "text": "",
    }
    return AssetsRequest(_question("assets", purpose, bundle, plain), by_organization)


def purpose_of(shape: Shape) -> Purpose:
    """Return the purpose of a request. Raises: DocumentMalformed, QuestionMalformed."""
    # Who leaves the modifiers out says that they do not apply; the code itself has no default.
    given = shape.raw_object("purpose")
    code = given.get("code")
    if isinstance(code, str) and code not in PURPOSES:
        raise PurposeUnknown(purpose=code[:40])
    plain: JsonObject = {"commercial": False, "disease": None, "method": None, "project": None}
    return parse_purpose({**plain, **given})


def _page_size(shape: Shape) -> int:
    size = shape.integer("page_size") if shape.has("page_size") else PAGE_SIZE
    if not 1 <= size <= PAGE_SIZE_MAX:
        raise PageSizeInvalid(page_size=size, page_size_max=PAGE_SIZE_MAX)
    return size


def _sort(shape: Shape) -> JsonObject:
    if not shape.has("sort"):
        return {"by": "relevance"}
    sort = shape.raw_object("sort")
    by, metric = sort.get("by"), sort.get("metric")
    named = f"metric:{metric}" if by == "metric" else str(by)
    try:
        parse_sort(sort)
    except (FieldUnsupported, DocumentMalformed) as error:
        raise SortUnknown(by=named[:60]) from error
    return sort


def _typed(shape: Shape) -> tuple[str, Filter | None]:
    text = shape.text("text", length_max=TEXT_MAX) if shape.has("text") else ""
    wanted = parse_filter(shape.value("filter")) if shape.has("filter") and shape.value("filter") is not None else None
    shape.finish()
    return text, wanted


def _question(operation: str, purpose: Purpose, bundle: TrustedBundle, fields: JsonObject) -> Question:
    return question_from_json(
        {
            **fields,
            "network": bundle.network.id,
            "operation": operation,
            "projection": "card" if operation == "search" else "asset",
            "purpose": purpose.to_json(),
            "question_version": 1,
            "stats_revision": bundle.statistics.revision,
        }
    )
