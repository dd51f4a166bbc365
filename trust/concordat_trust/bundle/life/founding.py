"""Founding a network by keyholders who sit in different places. Pure.

One of them writes down the network and collects the public parts; each signs the same three documents on the own
machine: the first root, the targets with the network policy and no members yet, and an empty list of suspensions. The
root's fingerprint is known when the threshold has signed. Members come by invitation, the first one as the last one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from concordat_trust.bundle.life.change import Document
from concordat_trust.bundle.life.errors import ChangeRefused, ChangeTooOld, StatisticsMismatch
from concordat_trust.bundle.life.parts import PublicPart, read_part
from concordat_trust.bundle.metadata import DAY_S, KEYHOLDER_THRESHOLD_MIN
from concordat_trust.bundle.policy import NetworkPolicy, parse_network, suspended_bytes
from concordat_trust.bundle.repository import (
    KEYHOLDER_NAMES,
    ROOT_LIFETIME_S,
    SUSPENDED_LIFETIME_S,
    TARGETS_LIFETIME_S,
    Files,
    target_files,
)
from concordat_trust.bundle.signing import expiry, listed_public_key
from concordat_trust.bundle.topology import KEYHOLDERS_MAX
from concordat_trust.bundle.tuf_api import DelegatedRole, Delegations, Key, Role, Root, TargetFile, Targets
from concordat_trust.bundle.verify import NETWORK_PATH, STATISTICS_PATH, SUSPENDED, SUSPENDED_PATH
from concordat_trust.canonical import JsonObject, canonical_bytes
from concordat_trust.encoding import sha256_hex
from concordat_trust.patterns import HEX_DIGEST, matching
from concordat_trust.shape import Shape
from concordat_trust.text import TermStatistics

FOUNDING_AGE_MAX_S: Final = 14 * DAY_S
CLOCK_LEEWAY_S: Final = 300


@dataclass(frozen=True, slots=True)
class Founding:
    """What the founders agreed on. `policy` has no members."""

    policy: NetworkPolicy
    threshold: int
    keyholders: tuple[PublicPart, ...]
    online: PublicPart
    statistics_sha256: str
    made_at: int

    def to_json(self) -> JsonObject:
        return {
            "kind": "found",
            "made_at": self.made_at,
            "policy": self.policy.to_json(),
            "threshold": self.threshold,
            "keyholders": [part.to_json() for part in self.keyholders],
            "online": self.online.to_json(),
            "statistics_sha256": self.statistics_sha256,
        }


@dataclass(frozen=True, slots=True)
class PreparedFounding:
    """The three documents to sign and the files that come with them."""

    founding: Founding
    documents: tuple[Document, ...]
    files: Files


def read_founding(shape: Shape) -> Founding:
    """Return the founding from an approval file. Raises: DocumentMalformed and other RefusedDocuments."""
    shape.one_of("kind", ("found",))
    founding = Founding(
        policy=parse_network(canonical_bytes(shape.raw_object("policy"))),
        threshold=shape.integer("threshold", minimum=KEYHOLDER_THRESHOLD_MIN),
        keyholders=tuple(
            read_part(part, use="keyholder") for part in shape.objects("keyholders", count_max=KEYHOLDERS_MAX)
        ),
        online=read_part(shape.object("online"), use="online"),
        statistics_sha256=matching(shape, "statistics_sha256", HEX_DIGEST),
        made_at=shape.integer("made_at", minimum=0),
    )
    shape.finish()
    return founding


def prepare_founding(founding: Founding, *, statistics: bytes, at: int) -> PreparedFounding:
    """Return what the keyholders sign. Raises: ChangeRefused, ChangeTooOld, StatisticsMismatch, its own refusals."""
    _refuse_unsound(founding)
    if not -CLOCK_LEEWAY_S <= at - founding.made_at <= FOUNDING_AGE_MAX_S:
        raise ChangeTooOld(made_at=founding.made_at, at=at, age_max_s=FOUNDING_AGE_MAX_S)
    if sha256_hex(statistics) != founding.statistics_sha256:
        raise StatisticsMismatch
    TermStatistics.parse(statistics)
    keyholders = [part.key_id for part in founding.keyholders]
    quorum = (frozenset(keyholders), founding.threshold)
    own = {NETWORK_PATH: founding.policy.to_bytes(), STATISTICS_PATH: statistics}
    suspended = {SUSPENDED_PATH: suspended_bytes({})}
    root = _root(founding, keyholders)
    return PreparedFounding(
        founding,
        (
            Document("1.root.json", root, (quorum,), root.keys),
            Document("1.targets.json", _targets(founding, own), (quorum,), root.keys),
            Document("1.suspended.json", _suspended(founding, suspended), ((quorum[0], 1),), root.keys),
        ),
        target_files(own) | target_files(suspended),
    )


def _refuse_unsound(founding: Founding) -> None:
    parts = (*founding.keyholders, founding.online)
    if len({part.key_id for part in parts}) != len(parts):
        raise ChangeRefused(problem="two of the keys are the same; keyholders and online signer need one each")
    if len({part.name for part in founding.keyholders}) != len(founding.keyholders):
        raise ChangeRefused(problem="two keyholders have the same name")
    if not KEYHOLDER_THRESHOLD_MIN <= founding.threshold <= len(founding.keyholders):
        raise ChangeRefused(
            problem=f"a threshold of {founding.threshold} does not fit {len(founding.keyholders)} keyholders"
        )
    if founding.policy.members or founding.policy.reinstated:
        raise ChangeRefused(problem="a network is founded without members; each of them applies")


def _root(founding: Founding, keyholders: Sequence[str]) -> Root:
    online = founding.online.key_id
    parts = (*founding.keyholders, founding.online)
    keys: dict[str, Key] = {part.key_id: listed_public_key(part.key) for part in parts}
    return Root(
        version=1,
        expires=expiry(founding.made_at, ROOT_LIFETIME_S),
        keys=keys,
        roles={
            "root": Role([*keyholders], founding.threshold),
            "targets": Role([*keyholders], founding.threshold),
            "snapshot": Role([online], 1),
            "timestamp": Role([online], 1),
        },
        consistent_snapshot=True,
        unrecognized_fields={KEYHOLDER_NAMES: {part.key_id: str(part.name) for part in founding.keyholders}},
    )


def _targets(founding: Founding, own: dict[str, bytes]) -> Targets:
    keys: dict[str, Key] = {part.key_id: listed_public_key(part.key) for part in founding.keyholders}
    role = DelegatedRole(SUSPENDED, list(keys), 1, terminating=True, paths=[SUSPENDED_PATH])
    return Targets(
        version=1,
        expires=expiry(founding.made_at, TARGETS_LIFETIME_S),
        targets=_listed(own),
        delegations=Delegations(keys, {SUSPENDED: role}),
    )


def _suspended(founding: Founding, own: dict[str, bytes]) -> Targets:
    return Targets(version=1, expires=expiry(founding.made_at, SUSPENDED_LIFETIME_S), targets=_listed(own))


def _listed(own: dict[str, bytes]) -> dict[str, TargetFile]:
    return {path: TargetFile.from_data(path, data, ["sha256"]) for path, data in own.items()}
