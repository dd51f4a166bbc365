"""A Croissant description of a data set (1.0 or 1.1) as an import line. Pure; the document is somebody else's.

    {"type": "croissant", "local_name": …, "policy": {…}, "croissant": {…}, further fields of a data set line}

Rules of this file:

* Nothing is fetched: neither a remote `@context` nor any URL. Terms are read by the names that the Croissant context
  gives them (`name`, `sc:name`, `https://schema.org/name`); a context that names them otherwise is not understood.
* Whatever the document says about access, licence or use never sets policy: the line's own `policy` does, and without
  one the line is refused. What is written in the line itself stands over what the document says.
* `description` and `abstract` stay apart: the summary is disclosed where the description may be hidden, so a summary is
  never made of a description.
* What a record has no field for (citation, record sets and their fields) is kept as lines of the description.
* The limits of an import line hold for the result; how much of a document is looked at is limited here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from concordat_trust.canonical import Json, JsonObject, parse_foreign_object
from concordat_trust.encoding import sha256_hex
from concordat_trust.errors import OperatorError, RefusedDocument

CROISSANT_BYTES_MAX = 200_000
DEPTH_MAX = 24
FILES_MAX = 1_000
RECORD_SETS_MAX = 50
FIELDS_MAX = 500

_VERSIONS = re.compile(r"https?://mlcommons\.org/croissant/1\.[01]")
_PREFIXES = ("", "sc:", "schema:", "https://schema.org/", "http://schema.org/")
_CROISSANT_PREFIXES = ("", "cr:", "http://mlcommons.org/croissant/")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_NAMED_VERSION = re.compile(r", version (\S+)$")
_LABEL_CHARACTER = re.compile(r"[^A-Za-z0-9._+-]+")
_FIRST_LABEL = "1"


class CroissantMalformed(RefusedDocument):
    code = "croissant_malformed"
    sentence = "The Croissant description cannot be used: {field} {problem}."
    hint = "Describe one data set, with name and datePublished, as a Croissant 1.0 or 1.1 document; validate it first."


class CroissantPolicyMissing(OperatorError):
    code = "croissant_policy_missing"
    sentence = "A Croissant description is imported under a policy that you give, and none was given."
    hint = "Add --policy FILE with the policy object of an import line; nothing in the description opens access."


def read_croissant(data: bytes) -> JsonObject:
    """Return the document of a file. Raises: the JSON refusals, with limits on size and depth."""
    return parse_foreign_object(data, bytes_max=CROISSANT_BYTES_MAX, depth_max=DEPTH_MAX)


def line_of_croissant(line: JsonObject) -> JsonObject:
    """Return the `dataset` line that says the same. Raises: CroissantMalformed."""
    document = line.get("croissant")
    if not isinstance(document, dict):
        raise _refuse("croissant", "is not an object")
    own = {name: value for name, value in line.items() if name not in ("type", "croissant")}
    return {**_facts(document), **own, "type": "dataset"}


def _facts(document: JsonObject) -> JsonObject:
    if "@graph" in document:
        raise _refuse("@graph", "is not read; give the data set itself")
    if not any(kind.removeprefix("sc:").rsplit("/")[-1] == "Dataset" for kind in _texts(document.get("@type"))):
        raise _refuse("@type", "is not Dataset")
    if not any(_VERSIONS.fullmatch(version) for version in _texts(_term(document, "conformsTo", ("", "dct:")))):
        raise _refuse("conformsTo", "names neither Croissant 1.0 nor 1.1")
    title = _text(_term(document, "name"))
    if title is None:
        raise _refuse("name", "is missing")
    created = _day(document)
    facts: JsonObject = {
        "title": title,
        "created": created,
        "summary": _text(_term(document, "abstract")) or "",
        "description": "\n".join(_description(document)),
        "keywords": _keywords(document),
        "license": _license(document),
        "version": _label(document),
        "versions": [{"label": _label(document), "released": created, "digest": _digest(document) or None}],
    }
    origin = _text(_term(document, "creditText"))
    return facts if origin is None else {**facts, "origin": origin}


def _day(document: JsonObject) -> str:
    for name in ("datePublished", "dateCreated"):
        text = _text(_term(document, name)) or ""
        if _DAY.match(text):
            return text[:10]
    raise _refuse("datePublished", "is not a date")


def _description(document: JsonObject) -> Iterator[str]:
    text = _text(_term(document, "description"))
    if text:
        yield text
    citation = _text(_term(document, "citeAs", _CROISSANT_PREFIXES)) or _text(_term(document, "citation"))
    # One that names a record of a network was made when the record was exported, and would be added at every turn.
    if citation and "urn:concordat:" not in citation:
        yield f"Citation: {citation}"
    for record_set in _objects(_term(document, "recordSet", _CROISSANT_PREFIXES), "recordSet", RECORD_SETS_MAX):
        named = _text(_term(record_set, "name")) or _text(record_set.get("@id")) or "records"
        fields = _objects(_term(record_set, "field", _CROISSANT_PREFIXES), "recordSet.field", FIELDS_MAX)
        names = [_text(_term(one, "name")) or _text(one.get("@id")) or "?" for one in fields]
        yield f"Record set {named}: {', '.join(names)}" if names else f"Record set {named}"


def _keywords(document: JsonObject) -> list[Json]:
    value = _term(document, "keywords")
    texts = value.split(",") if isinstance(value, str) else _texts(value)
    found = dict.fromkeys(text.strip() for text in texts)
    return [text for text in found if text]


def _license(document: JsonObject) -> str:
    value = _term(document, "license")
    first = value[0] if isinstance(value, list) and value else value
    if isinstance(first, dict):
        return _text(_term(first, "name")) or _text(_term(first, "url")) or _text(first.get("@id")) or ""
    return _text(first) or ""


def _label(document: JsonObject) -> str:
    value = _term(document, "version")
    named = _NAMED_VERSION.search(_text(_term(document, "alternateName")) or "")
    other = named[1] if named else _FIRST_LABEL
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else _text(value) or other
    return _LABEL_CHARACTER.sub("-", text.strip()).strip("-._+") or _FIRST_LABEL


def _digest(document: JsonObject) -> str:
    """Return the SHA-256 of the one file, of several files that over their sorted digests, one per line."""
    digests: list[str] = []
    for file in _objects(_term(document, "distribution"), "distribution", FILES_MAX):
        digest = (_text(_term(file, "sha256")) or "").lower()
        if digest and not _SHA256.fullmatch(digest):
            raise _refuse("distribution.sha256", "is not a SHA-256 in hex")
        if digest:
            digests.append(digest)
    if len(digests) > 1:
        return sha256_hex("\n".join(sorted(digests)).encode())
    return digests[0] if digests else ""


def _term(obj: JsonObject, name: str, prefixes: tuple[str, ...] = _PREFIXES) -> Json:
    return next((obj[prefix + name] for prefix in prefixes if prefix + name in obj), None)


def _text(value: Json) -> str | None:
    """Return a text, also of {"@value": …} and of one text per language, English first."""
    if isinstance(value, list):
        value = value[0] if value else None
    if isinstance(value, dict):
        languages = [value.get(key) for key in ("@value", "en", "en-US", "@id", *sorted(value))]
        value = next((text for text in languages if isinstance(text, str)), None)
    return value.replace("\r\n", "\n").replace("\r", "\n").strip() or None if isinstance(value, str) else None


def _texts(value: Json) -> tuple[str, ...]:
    values = value if isinstance(value, list) else [value]
    return tuple(text for text in map(_text, values) if text is not None)


def _objects(value: Json, name: str, count_max: int) -> tuple[JsonObject, ...]:
    values = [] if value is None else value if isinstance(value, list) else [value]
    if len(values) > count_max:
        raise _refuse(name, f"has more than {count_max} entries")
    return tuple(item for item in values if isinstance(item, dict))


def _refuse(field: str, problem: str) -> CroissantMalformed:
    return CroissantMalformed(field=f"croissant.{field}", problem=problem)
