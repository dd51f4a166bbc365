"""Every limit, lifetime and name that two organizations must agree on, as a number here: changing one is a decision."""

from __future__ import annotations

from typing import Any

import pytest

from concordat_trust import checkpoint, delivery, jwk, merge, receipt
from concordat_trust.bundle import (
    files,
    memory,
    metadata,
    policy,
    renewal,
    repository,
    statement,
    store,
    suspension,
    verify,
)

DAY_S = 86_400
FROZEN: list[tuple[Any, str, Any]] = [
    (checkpoint, "TYP", "concordat-checkpoint+jwt"),
    (checkpoint, "CHECKPOINT_BYTES_MAX", 2_048),
    (delivery, "TYP", "concordat-delivery+jwt"),
    (delivery, "DELIVERY_BYTES_MAX", 131_072),
    (delivery, "AGE_MAX_S", 300),
    (delivery, "TOOK", ("<100ms", "<250ms", "<1s", "<5s", ">=5s")),
    (files, "FILES_MAX", 20_000),
    (files, "TARGETS", "targets/"),
    (jwk, "SEED_BYTES", 32),
    (jwk, "KEY_BYTES", 32),
    (memory, "MEMORY_BYTES_MAX", 1_000_000),
    (memory, "ROLES_MAX", 10_000),
    (merge, "NOT_REPORTED", "not_reported"),
    (merge, "STATUS_NOT_PROVED", "status_not_proved"),
    (merge, "CODE_MALFORMED", "code_malformed"),
    (
        metadata,
        "LIFETIME_MAX_S",
        {
            "root": 400 * DAY_S,
            "targets": 45 * DAY_S,
            "suspended": 45 * DAY_S,
            "snapshot": 14 * DAY_S,
            "timestamp": 2 * DAY_S,
        },
    ),
    (metadata, "DAY_S", DAY_S),
    (metadata, "MEMBER_LIFETIME_MAX_S", 120 * DAY_S),
    (metadata, "BYTES_MAX", {"root": 512_000, "timestamp": 16_384, "snapshot": 2_000_000, "targets": 5_000_000}),
    (metadata, "ROLE_BYTES_MAX", 65_536),
    (metadata, "TARGET_BYTES_MAX", 8_000_000),
    (metadata, "ROOT_VERSIONS_MAX", 256),
    (metadata, "KEYHOLDER_THRESHOLD_MIN", 2),
    (metadata, "SIGNED_AT", "x-concordat-signed-at"),
    (policy, "MEMBERS_MAX", 1_000),
    (policy, "NETWORK_BYTES_MAX", 1_000_000),
    (policy, "SUSPENDED_BYTES_MAX", 2_000_000),
    (policy, "MINIMUM_CELL_MIN", 2),
    (policy, "MINIMUM_CELL_MAX", 1_000),
    (policy, "BUNDLE_AGE_MIN_S", 60),
    (policy, "BUNDLE_AGE_MAX_S", 86_400),
    (policy, "CLAIM_VALUES_MAX", 50),
    (
        policy,
        "RESERVED_IDS",
        {"root", "targets", "snapshot", "timestamp", "suspended", "network", "statistics"},
    ),
    (receipt, "RECEIPT_CHARS_MAX", 8_192),
    (renewal, "SNAPSHOT_LIFETIME_S", 7 * DAY_S),
    (renewal, "TIMESTAMP_LIFETIME_S", 3_600),
    (repository, "ROOT_LIFETIME_S", 365 * DAY_S),
    (repository, "TARGETS_LIFETIME_S", 30 * DAY_S),
    (repository, "SUSPENDED_LIFETIME_S", 30 * DAY_S),
    (repository, "MEMBER_LIFETIME_S", 90 * DAY_S),
    (statement, "STATEMENT_TYPE", "entity-statement+jwt"),
    (statement, "STATEMENT_LIFETIME_MAX_S", 120 * DAY_S),
    (statement, "STATEMENT_BYTES_MAX", 16_384),
    (statement, "KEYS_PER_USE_MAX", 8),
    (statement, "PROOF_LABEL", "concordat-key-possession-1"),
    (statement, "LEEWAY_S", 30),
    (
        statement,
        "USES_OF",
        {"organization": ("query_token", "attestation", "request"), "coordinator": ("request", "delivery")},
    ),
    (statement, "METADATA_OF", {"organization": "concordat_node", "coordinator": "concordat_coordinator"}),
    (statement, "VISA_ISSUER", "ga4gh_visa_issuer"),
    (store, "FILE_BYTES_MAX", 8_000_000),
    (store, "BUNDLE_BYTES_MAX", 64_000_000),
    (suspension, "REASON_MAX", 300),
    (verify, "SUSPENDED", "suspended"),
    (verify, "NETWORK_PATH", "network.json"),
    (verify, "STATISTICS_PATH", "statistics.json"),
    (verify, "SUSPENDED_PATH", "suspended.json"),
]


@pytest.mark.parametrize(("module", "name", "value"), FROZEN, ids=[f"{m.__name__}.{n}" for m, n, _ in FROZEN])
def test_what_everybody_must_agree_on_is_frozen(module: Any, name: str, value: object) -> None:
    assert getattr(module, name) == value
