"""Changes of a part of an asset, as changes of its whole document, which the usual rules read afterwards. Pure."""

from __future__ import annotations

from dataclasses import replace

from concordat_node.registration.errors import EntryUnknown
from concordat_node.registration.idempotency import Answer
from concordat_node.registry.rules import LINE_BYTES_MAX
from concordat_trust.canonical import Json, JsonObject, canonical_bytes, parse_object
from concordat_trust.shape import Shape


def version_added(whole: JsonObject, version: JsonObject) -> JsonObject:
    """Return the document with one version more."""
    return {**whole, "versions": [*_items(whole, "versions"), version]}


def version_replaced(whole: JsonObject, version: JsonObject, *, label: str) -> JsonObject:
    """Return the document with this version in the place of `label`. Raises: EntryUnknown, DocumentMalformed."""
    shape = Shape(version, "line")
    if shape.text("label") != label:
        raise shape.refuse("label", "is not the label in the address")
    versions = _items(whole, "versions")
    if not any(_has_label(item, label) for item in versions):
        raise EntryUnknown
    return {**whole, "versions": [version if _has_label(item, label) else item for item in versions]}


def evaluation_added(whole: JsonObject, evaluation: JsonObject) -> JsonObject:
    """Return the document with one evaluation more, at the end."""
    return {**whole, "evaluations": [*_items(whole, "evaluations"), evaluation]}


def evaluations_replaced(whole: JsonObject, body: JsonObject) -> JsonObject:
    """Return the document with the evaluations of `body`. Raises: DocumentMalformed."""
    shape = Shape(body, "line")
    evaluations = shape.value("evaluations")
    shape.finish()
    return {**whole, "evaluations": evaluations}


def part_of(answer: Answer, name: str) -> Answer:
    """Return the answer with one list of its document, under the revision of the whole."""
    whole = parse_object(answer.body, bytes_max=4 * LINE_BYTES_MAX)
    return replace(answer, body=canonical_bytes({name: whole[name]}))


def _items(whole: JsonObject, name: str) -> list[Json]:
    items = whole[name]
    return items if isinstance(items, list) else []


def _has_label(item: Json, label: str) -> bool:
    return isinstance(item, dict) and item.get("label") == label
