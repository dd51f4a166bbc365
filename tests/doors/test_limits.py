"""Every limit of a document at its number and one past it, and what a document costs."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from graphql import parse
from hypothesis import given
from hypothesis import strategies as st

from concordat_node.doors import limits
from concordat_node.doors.cost import COST_MAX, ENTITIES_ASSUMED, LIST_ASSUMED, QUESTION, check_cost, cost_of
from concordat_node.doors.documents import REMEMBERED_MAX, Documents, operation_of
from concordat_node.doors.errors import (
    GraphqlCostExceeded,
    GraphqlDocumentTooLarge,
    GraphqlOperationUnknown,
    GraphqlSyntaxInvalid,
)
from concordat_node.doors.limits import parse_bounded
from concordat_node.doors.schema import door_schema
from concordat_node.home.requests import PAGE_SIZE
from concordat_trust.question import PAGE_SIZE_MAX

SCHEMA = door_schema("network")


def fields(count: int, start: int = 0) -> str:
    return " ".join(f"f{number}" for number in range(start, start + count))


def aliases(count: int) -> str:
    return " ".join(f"a{number}:b" for number in range(count))


LIMITS: dict[str, tuple[int, Callable[[int], str]]] = {
    "tokens": (limits.TOKENS_MAX, lambda n: "{f0(l:[" + "1 " * (n - 9) + "])}"),
    "levels of nesting": (limits.NESTING_MAX, lambda n: "{f(l:" + "[" * (n - 2) + "]" * (n - 2) + ")}"),
    "digits in a number": (limits.NUMBER_LENGTH_MAX, lambda n: "{f(n:" + "1" * n + ")}"),
    "levels of fields": (limits.DEPTH_MAX, lambda n: "{a" * n + "}" * n),
    "fields": (limits.FIELDS_MAX, lambda n: "{" + fields(n) + "}"),
    "aliases": (limits.ALIASES_MAX, lambda n: "{" + aliases(n) + "}"),
    "directives": (limits.DIRECTIVES_MAX, lambda n: "{a " + "@d " * n + "}"),
    "repetitions of a field": (limits.REPEATS_MAX, lambda n: "{" + "a " * n + "}"),
    "fragments": (limits.FRAGMENTS_MAX, lambda n: "{a}" + "".join(f" fragment f{i} on Query{{a}}" for i in range(n))),
    "operations": (limits.OPERATIONS_MAX, lambda n: "".join(f"query q{i}{{a}}" for i in range(n))),
    "variables": (limits.VARIABLES_MAX, lambda n: f"query({' '.join(f'$v{i}:Int' for i in range(n))}){{a}}"),
}


@pytest.mark.parametrize("limit", LIMITS)
def test_a_document_is_read_at_each_limit_and_refused_one_past_it(limit: str) -> None:
    limit_max, document_of = LIMITS[limit]
    parse_bounded(document_of(limit_max))
    with pytest.raises(GraphqlDocumentTooLarge) as refused:
        parse_bounded(document_of(limit_max + 1))
    assert refused.value.fields == {"limit": limit, "limit_max": limit_max}


def test_depth_is_counted_through_fragments() -> None:
    def document_of(depth: int) -> str:
        half = depth // 2
        return (
            "{a" * half + "{...f" + "}" * (half + 1) + " fragment f on Q" + "{a" * (depth - half) + "}" * (depth - half)
        )

    parse_bounded(document_of(limits.DEPTH_MAX))
    with pytest.raises(GraphqlDocumentTooLarge):
        parse_bounded(document_of(limits.DEPTH_MAX + 1))


@given(st.text(max_size=200))
def test_any_text_is_a_document_or_a_refusal_of_ours(text: str) -> None:
    try:
        parse_bounded(text)
    except (GraphqlSyntaxInvalid, GraphqlDocumentTooLarge):
        return


@given(st.text(alphabet='{}()[]a:$!@"#.,1-\\\n ', max_size=300))
def test_any_heap_of_signs_is_a_document_or_a_refusal_of_ours(text: str) -> None:
    try:
        parse_bounded(text)
    except (GraphqlSyntaxInvalid, GraphqlDocumentTooLarge):
        return


def cost(text: str, **variables: object) -> int:
    document = parse(text)
    return cost_of(SCHEMA, document, operation_of(document, None), variables)


def test_page_sizes_multiply_what_is_below_them() -> None:
    search = 1 + QUESTION
    assert cost("{ search { total } }") == search + 1
    assert cost("{ search(first: 7) { hits { organization } } }") == search + 1 + 7
    assert cost("{ search { hits { organization } } }") == search + 1 + PAGE_SIZE
    below = 1 + LIST_ASSUMED * 2
    one = "{ search(first: 7) { hits { record { evaluations { metric value } } } } }"
    assert cost(one) == search + 1 + 7 * (1 + below)


@pytest.mark.parametrize(
    ("head", "variables", "page"),
    [
        ("query($n: Int) { search(first: $n)", {"n": 30}, 30),
        ("query($n: Int = 11) { search(first: $n)", {}, 11),
        ("query($n: Int) { search(first: $n)", {}, PAGE_SIZE_MAX),
        ("query($n: Int) { search(first: $n)", {"n": "no number"}, PAGE_SIZE_MAX),
        ("query($n: Int) { search(first: $n)", {"n": -5}, 1),
    ],
)
def test_a_variable_counts_as_what_it_holds(head: str, variables: dict[str, object], page: int) -> None:
    assert cost(head + " { hits { organization } } }", **variables) == 2 + QUESTION + page


@pytest.mark.parametrize(
    ("argument", "variables", "count"),
    [
        ("$r", {"r": [{}] * 9}, 9),
        ("[{}, {}]", {}, 2),
        ("$r", {}, ENTITIES_ASSUMED),
        ("$r", {"r": {}}, ENTITIES_ASSUMED),
    ],
)
def test_entities_count_for_each_representation(argument: str, variables: dict[str, object], count: int) -> None:
    text = f"query($r: [_Any!]!) {{ _entities(representations: {argument}) {{ __typename ... on Model {{ title }} }} }}"
    assert cost(text, **variables) == 1 + QUESTION + 2 * count


@given(st.integers(min_value=0, max_value=6), st.integers(min_value=1, max_value=50))
def test_a_fragment_costs_what_its_text_would_cost(spreads: int, page: int) -> None:
    inner = "record { title evaluations { metric } }"
    direct = " ".join([inner] * spreads) or "sort_key"
    named = " ".join(["...F"] * spreads) or "sort_key"
    head = f"{{ search(first: {page}) {{ hits {{ "
    assert cost(f"{head}{direct} }} }} }}") == cost(f"{head}{named} }} }} }} fragment F on Hit {{ {inner} }}")


def test_a_cost_is_allowed_at_the_limit_and_refused_one_past_it() -> None:
    # Only the number of representations moves the cost, by one unit each.
    text = "query($r: [_Any!]!) { _entities(representations: $r) { __typename } }"
    document = parse(text)
    operation = operation_of(document, None)
    room = COST_MAX - 1 - QUESTION
    check_cost(SCHEMA, document, operation, {"r": [None] * room})
    with pytest.raises(GraphqlCostExceeded):
        check_cost(SCHEMA, document, operation, {"r": [None] * (room + 1)})


def test_the_most_that_an_honest_page_asks_for_is_allowed() -> None:
    whole = " ".join(f"{name} {{ {' '.join(inner)} }}" if inner else name for name, inner in _record_fields().items())
    document = parse(f"{{ search(first: {PAGE_SIZE_MAX}) {{ total hits {{ sort_key record {{ {whole} }} }} }} }}")
    check_cost(SCHEMA, document, operation_of(document, None), {})


def _record_fields() -> dict[str, list[str]]:
    from graphql import GraphQLInterfaceType, GraphQLObjectType, get_named_type

    asset = SCHEMA.get_type("Asset")
    assert isinstance(asset, GraphQLInterfaceType)
    found: dict[str, list[str]] = {}
    for name, field in asset.fields.items():
        kind = get_named_type(field.type)
        inner = list(kind.fields) if isinstance(kind, GraphQLObjectType) else []
        found[name] = [item for item in inner if item != "modifiers"]
    return found


def test_documents_are_remembered_up_to_a_number() -> None:
    documents = Documents(SCHEMA)
    first = documents.read("{ search { total } }")
    assert documents.read("{ search { total } }") is first
    for number in range(REMEMBERED_MAX):
        documents.read(f"query q{number} {{ search {{ total }} }}")
    assert documents.read("{ search { total } }") is not first


@pytest.mark.parametrize("name", [None, "c", ""])
def test_of_two_operations_one_must_be_named(name: str | None) -> None:
    document = parse("query a { __typename } query b { __typename }")
    with pytest.raises(GraphqlOperationUnknown):
        operation_of(document, name)
    chosen = operation_of(document, "b").name
    assert chosen is not None
    assert chosen.value == "b"
