"""A saved answer: everything that is needed to verify it again, years later, without any network.

The document (canonical JSON; unknown fields are refused):

    {"answer_version": 1, "network", "root_sha256", "question": TEXT, "parts": {ORG: TEXT}, "token": JWS,
     "tokens": {ORG: JWS} or null, "delivery": JWS or null, "answers": {ORG: {"attestation": JWS, "cursor": TEXT,
     "receipt": TEXT, "results": [{"salt", "record"}], "sealed": TEXT or null}},
     "reported": {ORG: {"status", "code", "said_by"}}, "result": the merged result, "saved_at": Unix seconds}

`question` and `parts` are the canonical texts that were signed for. What had arrived sealed is saved open: the file
is as confidential as what its requester was shown. This file writes and reads the form; `answer` verifies it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Self, TypeVar, cast

from concordat_trust.answer_errors import SavedAnswerMalformed
from concordat_trust.canonical import Json, JsonObject, canonical_bytes, parse_object
from concordat_trust.errors import RefusedDocument, RequesterError
from concordat_trust.ids import OrgId
from concordat_trust.merge import REPORTERS, Reported, Reporter
from concordat_trust.question import (
    CURSOR_LENGTH_MAX,
    PART_BYTES_MAX,
    QUESTION_BYTES_MAX,
    Part,
    Question,
    parse_part,
    parse_question,
)
from concordat_trust.receipt import RECEIPT_CHARS_MAX
from concordat_trust.result_checks import OpenResult
from concordat_trust.sealed_part import open_result
from concordat_trust.sealing import TEXT_BYTES_MAX
from concordat_trust.shape import Shape

ANSWER_VERSION = 1
SAVED_BYTES_MAX = 64_000_000
TOKEN_CHARS_MAX = 200_000
ORGANIZATIONS_MAX = 1_000

_ROOT = re.compile(r"[0-9a-f]{64}")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class SavedNodeAnswer:
    """One organization's signed statement, its records in the clear, in the order of the statement, and its receipt."""

    attestation: str
    results: tuple[OpenResult, ...]
    receipt: str | None
    cursor: str | None = None
    sealed: bytes | None = None
    """The text of the sealed part, opened: everything else about the records is then in it."""

    def to_json(self) -> JsonObject:
        results: list[Json] = [{"record": result.record, "salt": result.salt} for result in self.results]
        cited: JsonObject = {"attestation": self.attestation, "cursor": self.cursor, "receipt": self.receipt}
        return {**cited, "results": results, "sealed": None if self.sealed is None else self.sealed.decode()}


@dataclass(frozen=True, slots=True)
class SavedAnswer:
    """The parts of a saved answer as they were written down; nothing of it is believed."""

    network: str
    root_sha256: str
    question: Question
    parts: Mapping[OrgId, Part]
    token: str
    tokens: Mapping[OrgId, str] | None
    """With a token for each organization: these; None when there was one for everybody."""
    delivery: str | None
    answers: Mapping[OrgId, SavedNodeAnswer]
    reported: Mapping[OrgId, Reported]
    result: JsonObject
    saved_at: int

    def to_bytes(self) -> bytes:
        """Return the file."""
        return canonical_bytes(
            {
                "answer_version": ANSWER_VERSION,
                "answers": {org: answer.to_json() for org, answer in self.answers.items()},
                "delivery": self.delivery,
                "network": self.network,
                "parts": {org: part.canonical().decode() for org, part in self.parts.items()},
                "question": self.question.canonical().decode(),
                "reported": {org: report.to_json() for org, report in self.reported.items()},
                "result": self.result,
                "root_sha256": self.root_sha256,
                "saved_at": self.saved_at,
                "token": self.token,
                "tokens": None if self.tokens is None else {str(org): token for org, token in self.tokens.items()},
            }
        )

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Return the parts of a file. Raises: SavedAnswerMalformed with the place."""
        shape = _at("answer", lambda: Shape(parse_object(data, bytes_max=SAVED_BYTES_MAX), "answer"))
        return _at("answer", lambda: cls._read(shape))

    @classmethod
    def _read(cls, shape: Shape) -> Self:
        shape.integer("answer_version", minimum=ANSWER_VERSION, maximum=ANSWER_VERSION)
        root_sha256 = shape.text("root_sha256")
        if not _ROOT.fullmatch(root_sha256):
            raise shape.refuse("root_sha256", "is not a SHA-256 in hex")
        question = shape.text("question", length_max=QUESTION_BYTES_MAX)
        saved = cls(
            network=shape.text("network"),
            root_sha256=root_sha256,
            question=_at("question", lambda: parse_question(question.encode())),
            parts=_each(shape, "parts", _part),
            token=shape.text("token", length_max=TOKEN_CHARS_MAX),
            tokens=None if shape.value("tokens") is None else _each(shape, "tokens", _token),
            delivery=shape.optional_text("delivery", length_max=TOKEN_CHARS_MAX),
            answers=_each(shape, "answers", _node_answer),
            reported=_each(shape, "reported", _reported),
            result=shape.raw_object("result"),
            saved_at=shape.integer("saved_at", minimum=0),
        )
        shape.finish()
        return saved


def _at(where: str, read: Callable[[], T]) -> T:
    """Return what `read` returns; a refusal becomes SavedAnswerMalformed at `where`, the innermost place winning."""
    try:
        return read()
    except SavedAnswerMalformed:
        raise
    except (RefusedDocument, RequesterError) as error:
        raise SavedAnswerMalformed(where=where, problem=error.message) from error


def _each(shape: Shape, name: str, read: Callable[[Shape, str], T]) -> dict[OrgId, T]:
    inner = shape.object(name)
    names = inner.unknown()
    if len(names) > ORGANIZATIONS_MAX:
        raise shape.refuse(name, f"has more than {ORGANIZATIONS_MAX} entries")
    return {OrgId.parse(org): _at(f"{name}.{org[:40]}", partial(read, inner, org)) for org in names}


def _token(shape: Shape, org: str) -> str:
    return shape.text(org, length_max=TOKEN_CHARS_MAX)


def _part(shape: Shape, org: str) -> Part:
    return parse_part(shape.text(org, length_max=PART_BYTES_MAX).encode())


def _node_answer(shape: Shape, org: str) -> SavedNodeAnswer:
    answer = shape.object(org)
    sealed = answer.optional_text("sealed", length_max=TEXT_BYTES_MAX)
    saved = SavedNodeAnswer(
        attestation=answer.text("attestation", length_max=TOKEN_CHARS_MAX),
        results=tuple(open_result(item) for item in answer.objects("results")),
        receipt=answer.optional_text("receipt", length_max=RECEIPT_CHARS_MAX),
        cursor=answer.optional_text("cursor", length_max=CURSOR_LENGTH_MAX),
        sealed=None if sealed is None else sealed.encode("utf-8"),
    )
    answer.finish()
    return saved


def _reported(shape: Shape, org: str) -> Reported:
    report = shape.object(org)
    status, code = report.text("status"), report.optional_text("code")
    said_by = cast(Reporter, report.one_of("said_by", REPORTERS))
    report.finish()
    read = Reported.of(status, code, said_by)
    if (read.status, read.code) != (status, code):
        raise shape.refuse(org, "is not a report of the closed list")
    return read
