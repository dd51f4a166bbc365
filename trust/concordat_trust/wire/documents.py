"""The trusted documents: the only GraphQL texts that peers execute for each other.

A peer names a document by its id (SHA-256 of the text, hex) and sends variables; no query text travels. The texts are
literal, because their ids are what two organizations agree on: a changed letter is a new document. `SEARCH`,
`ASSETS` and `LINEAGE` are answered by a node (`node.graphql`); `ASK` and `ASK_PROGRESS` by a coordinator, whose results
are the same `Result` objects, at once or as they come.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from concordat_trust.encoding import sha256_hex

_RESULT: Final = """\
fragment EvaluationFields on Evaluation {
  metric value unit dataset dataset_id split interval_low interval_high version
}
fragment ConditionsFields on Conditions { permission disease modifiers { code parameters { name value } } }
fragment CardFields on Card {
  id kind organization level title summary keywords description task framework modality license origin created
  evaluations { ...EvaluationFields }
  conditions { ...ConditionsFields }
  masked_fields
  missing { code who_can_grant }
  obligations { code text }
  agreement_ids valid_until
}
fragment AssetFields on Asset {
  id kind organization level title summary keywords description task framework modality license origin created
  evaluations { ...EvaluationFields }
  conditions { ...ConditionsFields }
  masked_fields
  missing { code who_can_grant }
  obligations { code text }
  agreement_ids valid_until
  version
  versions { label released digest changes }
  cohort_size contact sensitivity
  trained_on { id title }
  agreements { id title digest valid_until }
}
fragment VertexFields on LineageVertex {
  id kind organization level title
  edges { relation source target asserted_on }
  complete masked_fields
  obligations { code text }
  agreement_ids valid_until
}
fragment ResultFields on Result {
  salt card { ...CardFields } asset { ...AssetFields } lineageVertex { ...VertexFields }
}
"""

SEARCH: Final = (
    """\
query Search($question: String!, $part: String!) {
  search(question: $question, part: $part) { attestation results { ...ResultFields } receipt cursor sealed }
}
"""
    + _RESULT
)

ASSETS: Final = (
    """\
query Assets($question: String!, $part: String!) {
  assets(question: $question, part: $part) { attestation results { ...ResultFields } receipt cursor sealed }
}
"""
    + _RESULT
)

LINEAGE: Final = (
    """\
query Lineage($question: String!, $part: String!) {
  lineage(question: $question, part: $part) { attestation results { ...ResultFields } receipt cursor sealed }
}
"""
    + _RESULT
)

ASK: Final = (
    """\
query Ask($question: String!, $parts: String!, $deadlineMs: Int!) {
  ask(question: $question, parts: $parts, deadlineMs: $deadlineMs) {
    delivery
    answers { organization status code attestation results { ...ResultFields } receipt cursor sealed }
    merged
  }
}
"""
    + _RESULT
)

ASK_PROGRESS: Final = (
    """\
subscription AskProgress($question: String!, $parts: String!, $deadlineMs: Int!) {
  askProgress(question: $question, parts: $parts, deadlineMs: $deadlineMs) {
    answer { organization status code attestation results { ...ResultFields } receipt cursor sealed }
    delivery
    merged
  }
}
"""
    + _RESULT
)

NODE_DOCUMENTS: Final[Mapping[str, str]] = MappingProxyType({"search": SEARCH, "assets": ASSETS, "lineage": LINEAGE})
"""What a node answers: operation of the question → text."""

COORDINATOR_DOCUMENTS: Final[Mapping[str, str]] = MappingProxyType({"ask": ASK, "askProgress": ASK_PROGRESS})
"""What a coordinator answers: field of the answer → text."""

DOCUMENTS: Final[Mapping[str, str]] = MappingProxyType({**NODE_DOCUMENTS, **COORDINATOR_DOCUMENTS})


def document_id(text: str) -> str:
    """Return the id under which peers name this text: SHA-256 of its UTF-8 bytes, hex."""
    return sha256_hex(text.encode())


DOCUMENT_IDS: Final[Mapping[str, str]] = MappingProxyType({name: document_id(text) for name, text in DOCUMENTS.items()})
"""Name → documentId."""
