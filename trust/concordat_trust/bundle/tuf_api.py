"""The names of the TUF library that this package uses; no other module here imports `tuf` or `securesystemslib`.

Both libraries compute their `__all__`, so a strict type checker does not believe that they export these names.
"""

from __future__ import annotations

from securesystemslib.signer import (  # type: ignore[attr-defined]  # __all__ is computed
    Key,
    SecretsHandler,
    Signature,
    Signer,
    SSlibKey,
)
from tuf.api.exceptions import LengthOrHashMismatchError
from tuf.api.metadata import (  # type: ignore[attr-defined]  # __all__ is computed
    DelegatedRole,
    Delegations,
    Metadata,
    MetaFile,
    Role,
    Root,
    Signed,
    Snapshot,
    SuccinctRoles,
    TargetFile,
    Targets,
    Timestamp,
)
from tuf.api.serialization import DeserializationError

__all__ = [
    "DelegatedRole",
    "Delegations",
    "DeserializationError",
    "Key",
    "LengthOrHashMismatchError",
    "MetaFile",
    "Metadata",
    "Role",
    "Root",
    "SSlibKey",
    "SecretsHandler",
    "Signature",
    "Signed",
    "Signer",
    "Snapshot",
    "SuccinctRoles",
    "TargetFile",
    "Targets",
    "Timestamp",
]
