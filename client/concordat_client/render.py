"""A result in words: completeness first, then what each organization says, then the records with what they lack.

Every text of a record or of an organization passes `plain`. Lines are plain text without colours.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from concordat_client.plain_text import plain
from concordat_trust.canonical import Json
from concordat_trust.measured import deciding_first
from concordat_trust.policy_words import grantor_words, missing_words
from concordat_trust.times import time_words
from concordat_trust.words import modifier_words, notice_words, permission_words, records_words, status_words

Object = Mapping[str, Json]
SUMMARY_MAX = 300


def objects(value: Json) -> list[dict[str, Json]]:
    """Return the objects of a list; anything else in its place is nothing."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def obj(value: Json) -> dict[str, Json]:
    return value if isinstance(value, dict) else {}


def understood_lines(result: Object) -> Iterator[str]:
    """Say how a sentence was read, chip by chip."""
    understood = obj(result.get("understood"))
    if not understood:
        return
    for chip in objects(understood.get("chips")):
        yield f"  understood  {plain(chip.get('meaning'))}   from “{plain(chip.get('text'))}”"
    if understood.get("text"):
        yield f"  as text     {plain(understood.get('text'))}"
    warnings = understood.get("warnings")
    for warning in warnings if isinstance(warnings, list) else []:
        yield f"  ! {_WARNINGS.get(str(warning), plain(warning))}"


_WARNINGS = {
    "exclusion_not_understood": "words of exclusion were not understood; they were searched for as text",
    "alternative_not_understood": "an “or” was not understood; it was searched for as text",
}


def completeness_lines(result: Object) -> Iterator[str]:
    """Say who answered, who did not, and what is wrong with what came."""
    completeness = obj(result.get("completeness"))
    asked, answered = completeness.get("asked"), completeness.get("answered")
    state = "complete" if completeness.get("complete") is True else "NOT COMPLETE"
    yield f"{answered} of {asked} organizations answered ({state}); {_count_words(result)}."
    for entry in objects(completeness.get("entries")):
        name = plain(entry.get("organization"), length_max=40)
        yield f"  {name:<20} {status_words(entry)}"
        notice = notice_words(entry)
        if notice is not None:
            yield f"  {'':<20} {notice}"
    yield from _finding_lines(result)


def _count_words(result: Object) -> str:
    total, at_least = result.get("total"), result.get("total_at_least")
    if isinstance(total, int):
        return f"{records_words(total)} {'matches' if total < 2 else 'match'}"
    if not isinstance(at_least, int) or at_least == 0:
        return "how many records match is not known"
    return f"at least {records_words(at_least)} {'matches' if at_least == 1 else 'match'}"


def _finding_lines(result: Object) -> Iterator[str]:
    if result.get("coordinator") is None:
        yield "  ! no coordinator could be used; only your own organization's node was asked"
    if result.get("merge") == "merge_mismatch":
        yield "  ! merge_mismatch: the coordinator's own result differs from your home node's; this is home's"
    for finding in objects(result.get("findings")):
        code = plain(finding.get("code"), length_max=70)
        if code != "merge_mismatch":
            yield f"  ! {plain(finding.get('organization') or 'the coordinator', length_max=40)}: {code}"


def facet_lines(result: Object) -> Iterator[str]:
    exact = result.get("exact") is True
    for field, cells in obj(result.get("facets")).items():
        shown = ", ".join(f"{plain(value, length_max=60)} {count}" for value, count in obj(cells).items())
        bound = "" if exact else "   (at least; not everybody answered)"
        yield f"  {plain(field, length_max=40)}: {shown or '–'}{bound}"


class Obligations:
    """The obligations of one page: each is told once, below it, and stands as a mark at the records that bring it."""

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}

    def marks(self, record: Object) -> list[str]:
        """Return the marks of a record's obligations."""
        texts = [plain(item.get("text") or item.get("code")) for item in objects(record.get("obligations"))]
        return [self._texts.setdefault(text, f"§{len(self._texts) + 1}") for text in texts]

    def lines(self) -> Iterator[str]:
        """Return one line per mark that was given."""
        for text, mark in self._texts.items():
            yield f"{mark}  {text}"


def page_lines(result: Object, *, first: int = 1) -> Iterator[str]:
    """Return the lines of a page of records, numbered from `first`, with what they oblige to at its end."""
    obligations, question = Obligations(), obj(result.get("question"))
    for number, hit in enumerate(objects(result.get("hits")), start=first):
        yield ""
        yield from hit_lines(number, deciding_first(obj(hit.get("record")), question), obligations)
    told = list(obligations.lines())
    if told:
        yield from ("", "Using these records, you must:", *told)


def hit_lines(number: int, record: Object, obligations: Obligations) -> Iterator[str]:
    """Return the lines of one record in a list."""
    mark = "   [in summary]" if record.get("level") == "SUMMARY" else ""
    yield f"{number}. {_or_masked(record, 'title')}{mark}"
    yield f"   {plain(record.get('id'))}   {plain(record.get('kind'))} of {plain(record.get('organization'))}"
    if record.get("summary"):
        yield f"   {plain(record.get('summary'), length_max=SUMMARY_MAX)}"
    yield from _evaluation_lines(record)
    yield from condition_lines(record)
    marks = obligations.marks(record)
    if marks:
        yield "   you must: " + ", ".join(marks)


_LEVELS = {"FULL": "shown to you in full", "SUMMARY": "shown to you in summary"}


def record_lines(record: Object) -> Iterator[str]:
    """Return the lines of one record in full."""
    yield _or_masked(record, "title")
    yield f"  {plain(record.get('id'))}"
    owner = f"{plain(record.get('kind'))} of {plain(record.get('organization'))}"
    yield f"  {owner}, {_LEVELS.get(str(record.get('level')), plain(record.get('level')))}"
    for field in ("summary", "description", "task", "framework", "modality", "license", "origin", "created", "version"):
        if field in record and record[field] != "":
            yield f"  {field:<12} {_or_masked(record, field)}"
    if record.get("cohort_size") is not None:
        yield f"  {'cohort size':<12} {plain(record.get('cohort_size'))}"
    keywords = record.get("keywords")
    if isinstance(keywords, list) and keywords:
        yield f"  {'keywords':<12} {', '.join(plain(word, length_max=60) for word in keywords)}"
    yield from _evaluation_lines(record)
    yield from _version_lines(record)
    for dataset in objects(record.get("trained_on")):
        yield f"   trained on {plain(dataset.get('title') or 'a data set')}   {plain(dataset.get('id'))}"
    yield from condition_lines(record)
    for obligation in objects(record.get("obligations")):
        yield f"   you must: {plain(obligation.get('text') or obligation.get('code'))}"
    for agreement in objects(record.get("agreements")):
        yield f"   under agreement {plain(agreement.get('id'))} ({plain(agreement.get('title'))})"
    if record.get("contact"):
        yield f"   contact: {plain(record.get('contact'))}"


def _or_masked(record: Object, field: str) -> str:
    value = record.get(field)
    return "(not shown to you)" if value is None else plain(value)


def _evaluation_lines(record: Object) -> Iterator[str]:
    if record.get("evaluations") is None:
        yield "   evaluations: not shown to you"
    for item in objects(record.get("evaluations")):
        low, high = item.get("interval_low"), item.get("interval_high")
        interval = f" [{plain(low)}, {plain(high)}]" if low is not None and high is not None else ""
        unit = f" {plain(item.get('unit'), length_max=20)}" if item.get("unit") else ""
        on = f" on {plain(item.get('dataset'), length_max=120)}" if item.get("dataset") else ""
        of = f", version {plain(item.get('version'), length_max=60)}" if item.get("version") else ""
        measured = f"{plain(item.get('metric'), length_max=40)} {plain(item.get('value'), length_max=40)}"
        yield f"   {measured}{unit}{interval}{on} ({plain(item.get('split'), length_max=20)}{of})"


def _version_lines(record: Object) -> Iterator[str]:
    for item in objects(record.get("versions")):
        digest = f"   sha256 {plain(item.get('digest'), length_max=64)}" if item.get("digest") else ""
        yield f"   version {plain(item.get('label'), length_max=60)} of {plain(item.get('released'))}{digest}"
        if item.get("changes"):
            yield f"      {plain(item.get('changes'), length_max=SUMMARY_MAX)}"


def condition_lines(record: Object) -> Iterator[str]:
    """Say under which conditions a record may be used, what is masked, what is missing and who can grant it."""
    conditions = obj(record.get("conditions"))
    if conditions:
        yield "   conditions: " + ", ".join(_condition_words(conditions))
    masked = record.get("masked_fields")
    if isinstance(masked, list) and masked:
        yield "   not shown to you: " + ", ".join(plain(field, length_max=40) for field in masked)
    for missing in objects(record.get("missing")):
        yield f"   you would need: {_missing_words(missing)}"
    agreements = record.get("agreement_ids")
    if isinstance(agreements, list) and agreements and "agreements" not in record:
        yield "   under agreement " + ", ".join(plain(agreement) for agreement in agreements)
    until = record.get("valid_until")
    if isinstance(until, int):
        yield f"   shown to you until {time_words(until)}"


def _missing_words(missing: Object) -> str:
    code, grantor = str(missing.get("code")), missing.get("who_can_grant")
    granted = f", from {plain(grantor_words(str(grantor)), length_max=70)}" if grantor else ""
    words = missing_words(code)
    return f"{plain(words, length_max=100)}{granted}" + ("" if words == code else f" ({code})")


def _condition_words(conditions: Object) -> Iterator[str]:
    yield permission_words(str(conditions.get("permission")))
    if conditions.get("disease"):
        yield f"only for {plain(conditions.get('disease'), length_max=60)}"
    for modifier in objects(conditions.get("modifiers")):
        parameters = objects(modifier.get("parameters"))
        values = " ".join(plain(item.get("value"), length_max=60) for item in parameters)
        yield modifier_words(str(modifier.get("code"))) + (f" ({values})" if values else "")
