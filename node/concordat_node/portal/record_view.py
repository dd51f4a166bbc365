"""One record on a page of its own, with the attestation of its owner. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from concordat_node.portal.organizations import Chip, chip_of
from concordat_node.portal.reading import Object, number, obj, objects, text
from concordat_node.portal.records import Record, record_of
from concordat_trust.times import time_words


@dataclass(frozen=True, slots=True)
class RecordView:
    """`record` None: there is no such record, or it is not for this person; the two look the same."""

    record: Record | None
    owner: Chip | None
    attestation: tuple[tuple[str, str], ...]


def record_view(result: Object, owner: str, names: Mapping[str, str]) -> RecordView:
    """Return the page of the one record that a result was asked for."""
    hits = objects(result.get("hits"))
    entries = objects(obj(result.get("completeness")).get("entries"))
    entry = next((entry for entry in entries if entry.get("organization") == owner), None)
    about = obj(obj(result.get("organizations")).get(owner))
    return RecordView(
        record=record_of(obj(hits[0].get("record")), names) if hits else None,
        owner=None if entry is None else chip_of(entry, names.get(owner, owner)),
        attestation=_attestation(about, owner, names),
    )


def _attestation(about: Object, owner: str, names: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    stated, policy = obj(about.get("attestation")), obj(about.get("policy"))
    if not stated:
        return ()
    at, snapshot = number(stated.get("issued_at")), number(stated.get("snapshot"))
    return (
        ("Signed by", f"{names.get(owner, owner)} ({owner})"),
        ("Signed at", "" if at is None else time_words(at)),
        ("With key", text(stated.get("key_id"))),
        ("Attestation", text(stated.get("id"))),
        ("Decision", text(stated.get("decision_id"))),
        ("Policy, network baseline", text(policy.get("baseline"))),
        ("Policy, organization", text(policy.get("overlay")) or "none of its own"),
        ("Trust bundle", "" if snapshot is None else f"snapshot {snapshot}"),
        ("Disclosure log", _place(stated)),
        ("Entry of the log", text(stated.get("log_leaf"))),
    )


def _place(stated: Object) -> str:
    index, size = number(stated.get("log_index")), number(stated.get("log_size"))
    return "" if index is None or size is None else f"entry {index + 1} of {size}; the receipt was checked"
