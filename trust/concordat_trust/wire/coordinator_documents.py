"""The two documents that a coordinator answers, under the names their callers use.

The text itself stands with the others in `documents.py`: two texts for one question would be two ids, and a home node
and a coordinator that picked different ones could not talk to each other.
"""

from collections.abc import Mapping
from typing import Final

from concordat_trust.wire.documents import ASK, ASK_PROGRESS, COORDINATOR_DOCUMENTS, document_id

COORDINATOR_ASK: Final[str] = ASK
"""The text of the trusted document (`coordinator.graphql`, `Query.ask`)."""

COORDINATOR_ASK_ID: Final[str] = document_id(ASK)
"""The `documentId` of who wants the whole answer at once."""

COORDINATOR_ASK_PROGRESS: Final[str] = ASK_PROGRESS
"""The text of the trusted document (`coordinator.graphql`, `Subscription.askProgress`)."""

COORDINATOR_ASK_PROGRESS_ID: Final[str] = document_id(ASK_PROGRESS)
"""The `documentId` a home node sends: each answer as it comes."""

COORDINATOR_DOCUMENTS_BY_ID: Final[Mapping[str, str]] = {
    document_id(text): name for name, text in COORDINATOR_DOCUMENTS.items()
}
"""documentId → name; what is not in it is `document_unknown`."""
