"""Which HTTP status a person's program sees for each family of error, and for the few leaves that differ."""

from __future__ import annotations

from concordat_node.home.errors import (
    AnswerSuspended,
    ClaimNotAssertable,
    ContentTypeUnsupported,
    FormNotOurs,
    JobNotFound,
    LoginCodeInvalid,
    LoginRedirectRefused,
    LoginRequestMalformed,
    LoginStateInvalid,
    LoginsTooMany,
    LoginVerifierMismatch,
    NextPageMissing,
    NotSignedIn,
    PageNotFound,
    PersonNotMapped,
    PurposeNotInNetwork,
    PurposeNotMapped,
    QueryMalformed,
    QuestionsTooMany,
)
from concordat_node.registration.errors import (
    EntryExists,
    EntryNotDeleted,
    EntryUnknown,
    IdempotencyKeyInvalid,
    NotRegistrar,
    PreconditionRequired,
    RegistrarSignInOld,
    RevisionChanged,
)
from concordat_node.registry.errors import EntryDeleted
from concordat_trust.canonical import JsonTooLarge
from concordat_trust.directory import OrganizationSuspended
from concordat_trust.errors import ConcordatError, OperatorError, PeerFailure, RefusedDocument, all_error_classes

_STATUS: dict[type[ConcordatError], int] = {
    NotSignedIn: 401,
    LoginCodeInvalid: 400,
    LoginVerifierMismatch: 400,
    LoginRedirectRefused: 400,
    LoginRequestMalformed: 400,
    LoginStateInvalid: 400,
    ClaimNotAssertable: 403,
    PersonNotMapped: 403,
    PurposeNotInNetwork: 403,
    PurposeNotMapped: 403,
    FormNotOurs: 403,
    JobNotFound: 404,
    PageNotFound: 404,
    NextPageMissing: 409,
    AnswerSuspended: 410,
    OrganizationSuspended: 403,
    JsonTooLarge: 413,
    ContentTypeUnsupported: 415,
    LoginsTooMany: 429,
    QuestionsTooMany: 429,
    QueryMalformed: 400,
    NotRegistrar: 403,
    RegistrarSignInOld: 403,
    EntryUnknown: 404,
    EntryExists: 409,
    EntryNotDeleted: 409,
    EntryDeleted: 410,
    RevisionChanged: 412,
    PreconditionRequired: 428,
    IdempotencyKeyInvalid: 400,
    RefusedDocument: 400,
    PeerFailure: 502,
    OperatorError: 503,
}
OTHER_STATUS = 422
"""What the requester can correct in the question."""


def status_of(error: ConcordatError) -> int:
    """Return the status of an error: its own, or its family's."""
    return _status_of_class(type(error))


def status_of_code(code: str) -> int:
    """Return the status of an error of which only the code was stored."""
    known = {leaf.code: leaf for leaf in all_error_classes()}
    return _status_of_class(known[code]) if code in known else _STATUS[OperatorError]


def _status_of_class(leaf: type[ConcordatError]) -> int:
    return next((_STATUS[cls] for cls in leaf.__mro__ if cls in _STATUS), OTHER_STATUS)
