"""A released data set as a Croissant 1.1 document (JSON-LD), for tools that read data set descriptions. Pure.

Rules of this file:

* It takes the record as it was disclosed and nothing else: what was masked is null there, and is left out here. The
  document says which fields were left out and what would be needed to see them (`conditionsOfAccess`).
* Conditions of use are DUO terms in `usageInfo` (Croissant 1.1, Data Use Conditions); a disease is its MONDO term.
* The files themselves are not offered: a file's `contentUrl` is the data set's own id, under which one asks for access.
* A label that is not numbers and dots is no Croissant version, and stands in `alternateName` with the title.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from concordat_trust.canonical import Json, JsonObject
from concordat_trust.errors import RequesterError
from concordat_trust.times import time_words

CONFORMS_TO = "http://mlcommons.org/croissant/1.1"
_DUO_TERMS = "http://purl.obolibrary.org/obo/duo.owl"
_DISEASES = "http://purl.obolibrary.org/obo/mondo.owl"
_VERSION = re.compile(r"[0-9]+(\.[0-9]+){0,2}")
CROISSANT_CONTEXT: JsonObject = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "arrayShape": "cr:arrayShape",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "containedIn": "cr:containedIn",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "description": {"@container": "@language"},
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isArray": "cr:isArray",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "name": {"@container": "@language"},
    "parentField": "cr:parentField",
    "path": "cr:path",
    "prov": "http://www.w3.org/ns/prov#",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "samplingRate": "cr:samplingRate",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}


class NotADataset(RequesterError):
    code = "not_a_dataset"
    sentence = "{id} is not a data set, and Croissant describes data sets only."
    hint = "Ask without --format croissant."


def croissant_of(record: JsonObject) -> JsonObject:
    """Return the document of a disclosed `asset` record. Raises: NotADataset."""
    if record.get("kind") != "dataset":
        raise NotADataset(id=str(record.get("id")))
    organization: JsonObject = {"@type": "sc:Organization", "name": record.get("organization")}
    document: JsonObject = {
        "@context": CROISSANT_CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": CONFORMS_TO,
        "identifier": record.get("id"),
        "url": record.get("id"),
        "name": record.get("title") or record.get("id"),
        "abstract": record.get("summary"),
        "description": record.get("description") or record.get("summary"),
        "keywords": record.get("keywords"),
        "license": record.get("license"),
        "datePublished": record.get("created"),
        "creditText": record.get("origin"),
        "citeAs": f"{record.get('title')}. {record.get('organization')}, {record.get('created')}. {record.get('id')}",
        "creator": organization,
        "publisher": organization,
        "prov:wasAttributedTo": {"@type": "prov:Organization", "name": record.get("organization")},
        "conditionsOfAccess": "; ".join(_access(record)),
        "usageInfo": list(_usage(record.get("conditions"))),
        **_version(record),
    }
    return {name: value for name, value in document.items() if value not in (None, "", [])}


def _version(record: JsonObject) -> JsonObject:
    """Return version and file of the current version; nothing of it when versions are masked."""
    label, found = record.get("version"), record.get("versions")
    if not isinstance(label, str) or not label:
        return {}
    said: JsonObject = (
        {"version": label}
        if _VERSION.fullmatch(label)
        else {"alternateName": f"{record.get('title') or record.get('id')}, version {label}"}
    )
    versions = [item for item in found if isinstance(item, dict)] if isinstance(found, list) else []
    digest = next((item.get("digest") for item in versions if item.get("label") == label), None)
    if not digest:
        return said
    file: JsonObject = {
        "@type": "cr:FileObject",
        "@id": "data",
        "name": "data",
        "description": "Not offered for download; ask its organization for access under the id.",
        "contentUrl": record.get("id"),
        "encodingFormat": "application/octet-stream",
        "sha256": digest,
    }
    return {**said, "distribution": [file]}


_LEVELS = {"FULL": "in full", "SUMMARY": "in summary"}


def _access(record: JsonObject) -> Iterator[str]:
    level = str(record.get("level"))
    yield f"disclosed {_LEVELS.get(level, f'at level {level}')} by {record.get('organization')}"
    hidden = _list(record.get("masked_fields"))
    if hidden:
        yield f"not shown: {', '.join(map(str, hidden))}"
    for item in _list(record.get("missing")):
        if isinstance(item, dict):
            yield f"needed to see more: {item.get('code')}, from {item.get('who_can_grant')}"
    for item in _list(record.get("obligations")):
        if isinstance(item, dict):
            yield f"obligation: {item.get('text') or item.get('code')}"
    agreements = _list(record.get("agreement_ids"))
    if agreements:
        yield f"under the agreements {', '.join(map(str, agreements))}"
    until = record.get("valid_until")
    if isinstance(until, int):
        yield f"shown until {time_words(until)}"


def _usage(conditions: Json) -> Iterator[Json]:
    if not isinstance(conditions, dict):
        return
    if conditions.get("permission"):
        yield _term(str(conditions["permission"]), _DUO_TERMS)
    if conditions.get("disease"):
        yield _term(str(conditions["disease"]), _DISEASES)
    for modifier in _list(conditions.get("modifiers")):
        if isinstance(modifier, dict):
            values = [
                f"{p.get('name')}={p.get('value')}" for p in _list(modifier.get("parameters")) if isinstance(p, dict)
            ]
            yield _term(str(modifier.get("code")), _DUO_TERMS, ", ".join(values))


def _term(code: str, terms: str, detail: str = "") -> JsonObject:
    term: JsonObject = {"@type": "sc:DefinedTerm", "inDefinedTermSet": terms, "name": code, "termCode": code}
    return {**term, "description": detail} if detail else term


def _list(value: Json) -> list[Json]:
    return value if isinstance(value, list) else []
