"""The report of a join self-test: which checks an organization made against which member before it applied.

It is the applicant's own word, signed with its application. It shows keyholders that its clock, its way out and its
software work; it proves nothing about its honesty.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, get_args

from concordat_trust.bundle.life.errors import SelfTestFailed
from concordat_trust.canonical import JsonObject
from concordat_trust.ids import OrgId
from concordat_trust.shape import Shape

CheckName = Literal["ping", "clock", "digest", "replay", "deny"]
CHECK_NAMES: Final[tuple[CheckName, ...]] = get_args(CheckName)
CHECKS_MAX: Final = 64
FOUND_CHARS_MAX: Final = 200


@dataclass(frozen=True, slots=True)
class Check:
    """One check against one member; `found` says in a few words what came back."""

    party: OrgId
    name: CheckName
    ok: bool
    found: str

    def to_json(self) -> JsonObject:
        return {"party": self.party, "name": self.name, "ok": self.ok, "found": self.found}


def read_checks(shape: Shape) -> tuple[Check, ...]:
    """Return the report in a document's field `self_test`. Raises: DocumentMalformed."""
    return tuple(_check(entry) for entry in shape.objects("self_test", count_max=CHECKS_MAX))


def _check(entry: Shape) -> Check:
    name = entry.one_of("name", CHECK_NAMES)
    return Check(
        party=OrgId.parse(entry.text("party")),
        name=next(known for known in CHECK_NAMES if known == name),
        ok=entry.boolean("ok"),
        found=entry.text("found", length_max=FOUND_CHARS_MAX),
    )


def require_passed(organization: OrgId, checks: Sequence[Check]) -> None:
    """Refuse a report in which a check failed or is missing. Raises: SelfTestFailed."""
    for check in checks:
        if not check.ok:
            raise SelfTestFailed(organization=organization, problem=f"{check.name} with {check.party}: {check.found}")
    missing = [name for name in CHECK_NAMES if name not in {check.name for check in checks}]
    if missing:
        raise SelfTestFailed(organization=organization, problem=f"{', '.join(missing)} is missing")
