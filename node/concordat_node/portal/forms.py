"""The one form that asks: what its person wrote, for which purpose, in which order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.parse import parse_qsl

from concordat_node.home.errors import LoginRequestMalformed
from concordat_node.home.requests import PAGE_SIZE
from concordat_node.home.sentence import SENTENCE_MAX, SentenceTooLong
from concordat_node.portal.reading import Object, number, text
from concordat_node.portal.search_view import FACETS
from concordat_trust.canonical import Json, JsonObject, canonical_bytes
from concordat_trust.errors import RequesterError
from concordat_trust.question import PAGE_SIZE_MAX

FIELDS_MAX = 20
DISEASE_MAX = 60
PAGE_SIZES = (10, PAGE_SIZE, PAGE_SIZE_MAX)
"""What a page offers; anything else that is sent is the ordinary size."""
SORTS: Mapping[str, tuple[str, JsonObject]] = {
    "relevance": ("Best match first", {"by": "relevance"}),
    "newest": ("Newest first", {"by": "created", "order": "desc"}),
    "oldest": ("Oldest first", {"by": "created", "order": "asc"}),
    "accuracy": ("Highest accuracy first", {"by": "metric", "metric": "accuracy", "order": "desc"}),
    "auroc": ("Highest AUROC first", {"by": "metric", "metric": "auroc", "order": "desc"}),
}


class PurposeNotChosen(RequesterError):
    code = "purpose_not_chosen"
    sentence = "No purpose was chosen."
    hint = "Choose what the answer is for: every organization decides by it what it shows."


class SentenceMissing(RequesterError):
    code = "sentence_missing"
    sentence = "Nothing was asked."
    hint = "Write what you are looking for, such as: models trained on clinical trial data."


@dataclass(frozen=True, slots=True)
class AskForm:
    """The fields as a page shows them again; nothing in here has been checked."""

    sentence: str = ""
    purpose: str = ""
    disease: str = ""
    is_commercial: bool = False
    sort: str = "relevance"
    page_size: int = PAGE_SIZE

    def narrowed(self, condition: str) -> AskForm:
        """Return the form with one more condition in its sentence."""
        return replace(self, sentence=f"{self.sentence} {condition}".strip()) if condition else self

    def body(self) -> bytes:
        """Return the body of `POST /v1/questions` that asks this.

        Raises: SentenceMissing, SentenceTooLong, PurposeNotChosen.
        """
        if not self.sentence.strip():
            raise SentenceMissing
        if len(self.sentence) > SENTENCE_MAX:
            raise SentenceTooLong(length=len(self.sentence), length_max=SENTENCE_MAX)
        purpose = self.purpose_json()
        sort = SORTS.get(self.sort, SORTS["relevance"])[1]
        facets: list[Json] = list(FACETS)
        return canonical_bytes(
            {
                "facets": facets,
                "page_size": self.page_size,
                "purpose": purpose,
                "sentence": self.sentence,
                "sort": sort,
            }
        )

    def purpose_json(self) -> JsonObject:
        """Return the purpose. Raises: PurposeNotChosen."""
        if not self.purpose:
            raise PurposeNotChosen
        # A disease stands beside its own purpose only; the field is not shown with another one.
        disease = self.disease.strip() if self.purpose == "DS" else ""
        return {"code": self.purpose, "commercial": self.is_commercial, "disease": disease or None}


def read_form(body: bytes) -> dict[str, str]:
    """Return the fields of a form. Raises: LoginRequestMalformed."""
    try:
        pairs = parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=FIELDS_MAX)
    except ValueError as error:
        raise LoginRequestMalformed(field="form") from error
    if len(dict(pairs)) != len(pairs):
        raise LoginRequestMalformed(field="form: a field is there twice")
    return dict(pairs)


def ask_form(fields: Mapping[str, str]) -> AskForm:
    """Return the form that was sent."""
    return AskForm(
        # One past the limit is kept, so that a sentence that is too long is refused and not cut.
        sentence=fields.get("q", "")[: SENTENCE_MAX + 1],
        purpose=fields.get("purpose", "")[:8],
        disease=fields.get("disease", "")[: DISEASE_MAX + 1],
        is_commercial=fields.get("commercial", "") == "yes",
        sort=fields.get("sort", "relevance")[:20],
        page_size=next((size for size in PAGE_SIZES if str(size) == fields.get("page-size")), PAGE_SIZE),
    )


def form_of_question(label: str, question: Object) -> AskForm:
    """Return the form that asked a stored search."""
    purpose = question.get("purpose")
    fields = purpose if isinstance(purpose, dict) else {}
    sort = next((name for name, (_, asked) in SORTS.items() if asked == question.get("sort")), "relevance")
    return AskForm(
        sentence=label,
        purpose=text(fields.get("code")),
        disease=text(fields.get("disease")),
        is_commercial=fields.get("commercial") is True,
        sort=sort,
        page_size=number(question.get("page_size")) or PAGE_SIZE,
    )
