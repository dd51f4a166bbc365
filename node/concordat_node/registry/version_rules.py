"""The versions of an asset as its registration states them: read whole, or refused with a code. Pure.

Rules of this file:

* A label stands once. What names a version (the asset's current one, an evaluation) names one that is there.
* The current version cannot be a withdrawn one: withdrawing it means naming another, or none, which is the newest.
* The order in which versions are written means nothing; `records.newest_first` is their one order.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from concordat_node.registry.errors import VersionRepeated, VersionUnknown, VersionWithdrawn
from concordat_node.registry.policy_rules import read_day, read_text
from concordat_node.registry.records import (
    VERSION_STATUSES,
    EvaluationRecord,
    VersionRecord,
    VersionStatus,
    newest_first,
)
from concordat_trust.shape import Shape

VERSIONS_MAX = 100
LABEL_LENGTH_MAX = 60
CHANGES_LENGTH_MAX = 2_000

_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,59}")
_DIGEST = re.compile(r"[0-9a-f]{64}")


def read_versions(shape: Shape) -> tuple[VersionRecord, ...]:
    """Return the `versions` of an asset, newest first. Raises: DocumentMalformed, VersionRepeated."""
    if not shape.has("versions"):
        return ()
    versions = tuple(read_version(item) for item in shape.objects("versions", count_max=VERSIONS_MAX))
    labels = [item.label for item in versions]
    if len(set(labels)) != len(labels):
        raise VersionRepeated(field="versions")
    return newest_first(versions)


def read_version(shape: Shape) -> VersionRecord:
    """Return one version. Raises: DocumentMalformed."""
    version = VersionRecord(
        label=_label(shape, "label"),
        released=read_day(shape, "released"),
        digest=_digest(shape),
        changes=_changes(shape),
        status=_status(shape),
    )
    shape.finish()
    return version


def read_version_name(shape: Shape) -> str:
    """Return the label in `version`, "" where none is named. Raises: DocumentMalformed."""
    return "" if shape.optional_text("version") is None else _label(shape, "version")


def refuse_version_names(
    current: str, versions: Iterable[VersionRecord], evaluations: Iterable[EvaluationRecord]
) -> None:
    """Refuse names of versions that are not there. Raises: VersionUnknown, VersionWithdrawn."""
    status = {item.label: item.status for item in versions}
    if current and current not in status:
        raise VersionUnknown(field="version")
    if status.get(current) == "withdrawn":
        raise VersionWithdrawn(field="version")
    if any(item.version and item.version not in status for item in evaluations):
        raise VersionUnknown(field="evaluations.version")


def _label(shape: Shape, name: str) -> str:
    label = shape.text(name)
    if not _LABEL.fullmatch(label):
        raise shape.refuse(
            name, f"is not 1 to {LABEL_LENGTH_MAX} letters, digits and . _ + -, beginning with a letter or digit"
        )
    return label


def _digest(shape: Shape) -> str:
    digest = shape.optional_text("digest")
    if digest is None:
        return ""
    if not _DIGEST.fullmatch(digest):
        raise shape.refuse("digest", "is not a SHA-256 as 64 lower-case hex characters")
    return digest


def _changes(shape: Shape) -> str:
    return "" if shape.optional_text("changes") is None else read_text(shape, "changes", length_max=CHANGES_LENGTH_MAX)


def _status(shape: Shape) -> VersionStatus:
    if not shape.has("status"):
        return "active"
    return "active" if shape.one_of("status", VERSION_STATUSES) == "active" else "withdrawn"
