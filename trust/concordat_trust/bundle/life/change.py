"""A change that needs the quorum: what is proposed, and the one set of documents that follows from it. Pure.

Rules of this file:

* A proposal says *what* (`Change`): the event, whom it is about, the application, when it was proposed, and on which
  state it builds. The documents to sign are never sent; everybody derives them from the own verified bundle with
  `prepare`. So nobody can get a signature under anything but what the tool itself says in plain words.
* Every document is the one in force with the next version, a fresh expiry and this one change. What a later release
  wrote into it is kept.
* Who signs: the threshold of root and targets (for a new root the old and the new one); one keyholder the list of
  suspensions, where it has to be signed again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Literal, get_args

from concordat_trust.bundle.files import TARGETS
from concordat_trust.bundle.life.application import APPLICATION_BYTES_MAX, Application, verify_application
from concordat_trust.bundle.life.errors import ApprovalInvalid, ChangeOutdated, ChangeRefused, ChangeTooOld
from concordat_trust.bundle.life.membership import require, standing
from concordat_trust.bundle.life.parts import PublicPart, read_part
from concordat_trust.bundle.life.state import keyholder_name, root_of, targets_of
from concordat_trust.bundle.metadata import DAY_S
from concordat_trust.bundle.policy import MayAssert, MemberPolicy, read_may_assert
from concordat_trust.bundle.repository import (
    KEYHOLDER_NAMES,
    ROOT_LIFETIME_S,
    SUSPENDED_LIFETIME_S,
    TARGETS_LIFETIME_S,
    Files,
    target_files,
)
from concordat_trust.bundle.signing import expiry, listed_public_key
from concordat_trust.bundle.trusted import TrustedBundle
from concordat_trust.bundle.tuf_api import DelegatedRole, Key, Root, TargetFile, Targets
from concordat_trust.bundle.verify import NETWORK_PATH, SUSPENDED, SUSPENDED_PATH
from concordat_trust.canonical import Json, JsonObject, canonical_bytes, parse_object
from concordat_trust.ids import OrgId
from concordat_trust.patterns import DIGEST, matching
from concordat_trust.shape import Shape

Kind = Literal["admit", "replace_key", "reinstate", "remove", "replace_keyholder", "renew"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
CHANGE_AGE_MAX_S: Final = 14 * DAY_S
CLOCK_LEEWAY_S: Final = 300


@dataclass(frozen=True, slots=True)
class Change:
    """What is proposed. `base` are the versions of root, targets and suspended that it builds on.

    `application` is the file of an admission or of a new organization key; `granted` replaces what it asks to be
    allowed. `leaving` and `joining` are of a keyholder.
    """

    kind: Kind
    made_at: int
    base: tuple[int, int, int]
    member: OrgId | None = None
    application: str | None = None
    granted: MayAssert | None = None
    leaving: str | None = None
    joining: PublicPart | None = None

    def to_json(self) -> JsonObject:
        granted: Json = None
        if self.granted is not None:
            granted = MemberPolicy(OrgId("none"), "organization", "", "", self.granted).to_json()["may_assert"]
        return {
            "kind": self.kind,
            "made_at": self.made_at,
            "base": {"root": self.base[0], "targets": self.base[1], "suspended": self.base[2]},
            "member": self.member,
            "application": self.application,
            "granted": granted,
            "leaving": self.leaving,
            "joining": None if self.joining is None else self.joining.to_json(),
        }


@dataclass(frozen=True, slots=True)
class Document:
    """One document to sign; `quorums` are the sets of key ids, each with how many must sign; `keys` are those keys."""

    name: str
    signed: Root | Targets
    quorums: tuple[tuple[frozenset[str], int], ...]
    keys: Mapping[str, Key]


@dataclass(frozen=True, slots=True)
class Prepared:
    """What follows from a change: documents to sign, files that come with them, and the roles as they will be."""

    change: Change
    documents: tuple[Document, ...]
    files: Files
    root: Root
    targets: Targets
    network: bytes
    roles: Mapping[str, int] = field(default_factory=dict)
    application: Application | None = None


def propose(
    bundle: TrustedBundle,
    kind: Kind,
    *,
    at: int,
    member: OrgId | None = None,
    application: bytes | None = None,
    granted: MayAssert | None = None,
    leaving: str | None = None,
    joining: PublicPart | None = None,
) -> Prepared:
    """Return a new proposal on the state of `bundle`. Raises: as `prepare`."""
    text = None if application is None else application.decode("utf-8", "replace")
    change = Change(kind, at, base_of(bundle), member, text, granted, leaving, joining)
    return prepare(bundle, change, at=at)


def base_of(bundle: TrustedBundle) -> tuple[int, int, int]:
    """Return the versions of root, targets and suspended in force."""
    return bundle.view.root, bundle.view.targets, bundle.memory.roles[SUSPENDED]


def read_change(shape: Shape) -> Change:
    """Return a change from an approval file. Raises: DocumentMalformed and other RefusedDocuments."""
    kind = shape.one_of("kind", KINDS)
    base = shape.object("base")
    member, application = (
        shape.optional_text("member"),
        shape.optional_text("application", length_max=APPLICATION_BYTES_MAX),
    )
    change = Change(
        kind=next(known for known in KINDS if known == kind),
        made_at=shape.integer("made_at", minimum=0),
        base=(
            base.integer("root", minimum=1),
            base.integer("targets", minimum=1),
            base.integer("suspended", minimum=1),
        ),
        member=None if member is None else OrgId.parse(member),
        application=application,
        granted=None if shape.value("granted") is None else read_may_assert(shape.object("granted")),
        leaving=None if shape.value("leaving") is None else matching(shape, "leaving", DIGEST),
        joining=None if shape.value("joining") is None else read_part(shape.object("joining"), use="keyholder"),
    )
    shape.finish()
    return change


def prepare(bundle: TrustedBundle, change: Change, *, at: int) -> Prepared:
    """Return the documents that `change` means on the state of `bundle`.

    Raises: ChangeOutdated, ChangeTooOld, MembershipTransitionRefused, MemberUnknown, ChangeRefused, the refusals of
    `verify_application`.
    """
    current = base_of(bundle)
    if change.base != current:
        raise ChangeOutdated(base=_versions(change.base), current=_versions(current))
    if not -CLOCK_LEEWAY_S <= at - change.made_at <= CHANGE_AGE_MAX_S:
        raise ChangeTooOld(made_at=change.made_at, at=at, age_max_s=CHANGE_AGE_MAX_S)
    make = {
        "admit": _admit,
        "replace_key": _replace_key,
        "reinstate": _reinstate,
        "remove": _remove,
        "replace_keyholder": _replace_keyholder,
        "renew": _renew,
    }[change.kind]
    draft = _Draft(bundle, change, at)
    make(draft)
    return draft.prepared()


class _Draft:
    """The documents in force, to be changed in place."""

    def __init__(self, bundle: TrustedBundle, change: Change, at: int) -> None:
        self.bundle, self.change, self.at = bundle, change, at
        self.root, self.targets = root_of(bundle), targets_of(bundle)
        self.old_root = root_of(bundle)
        self.network: JsonObject = parse_object(
            bundle.files[TARGETS + NETWORK_PATH], bytes_max=len(bundle.files[TARGETS + NETWORK_PATH])
        )
        self.files: Files = {}
        self.roles = dict(bundle.memory.roles)
        self.application: Application | None = None
        self.is_new_root = self.is_new_suspended = False

    @property
    def member(self) -> OrgId:
        if self.change.member is None:
            raise ApprovalInvalid(problem="it does not say whom it is about")
        return self.change.member

    def members(self) -> list[Json]:
        members = self.network["members"]
        if not isinstance(members, list):
            raise RuntimeError("a verified network policy lists its members")
        return members

    def delegate(self, member: OrgId, keys: tuple[Key, ...]) -> None:
        """Give the role of `member` these keys and no others."""
        delegations = self.targets.delegations
        if delegations is None or delegations.roles is None:
            raise RuntimeError("verified targets delegate")
        self.forget(member)
        delegations.keys |= {key.keyid: key for key in keys}
        delegations.roles[member] = DelegatedRole(
            member, [key.keyid for key in keys], 1, terminating=True, paths=[f"members/{member}/*"]
        )

    def forget(self, member: OrgId) -> None:
        delegations = self.targets.delegations
        if delegations is not None and delegations.roles is not None and member in delegations.roles:
            for key_id in list(delegations.roles[member].keyids):
                self.targets.revoke_key(key_id, member)
            del delegations.roles[member]

    def lift(self, member: OrgId, version: int) -> None:
        listed = self.network["reinstated"]
        rest = (
            [e for e in listed if isinstance(e, dict) and e["organization"] != member]
            if isinstance(listed, list)
            else []
        )
        entry: Json = {"organization": member, "suspended_version": version}
        self.network["reinstated"] = [*rest, entry]

    def take_role(self, application: Application) -> None:
        self.application = application
        self.files |= application.role_files
        self.roles[application.organization] = application.role_version

    def prepared(self) -> Prepared:
        made_at, (root, targets, suspended) = self.change.made_at, self.change.base
        network = canonical_bytes(self.network)
        self.files |= target_files({NETWORK_PATH: network})
        self.targets.targets[NETWORK_PATH] = TargetFile.from_data(NETWORK_PATH, network, ["sha256"])
        self.targets.version, self.targets.expires = targets + 1, expiry(made_at, TARGETS_LIFETIME_S)
        self.roles["targets"] = targets + 1
        documents = [
            Document(f"{targets + 1}.targets.json", self.targets, (_quorum(self.root, "targets"),), self.root.keys)
        ]
        if self.is_new_root:
            self.root.version, self.root.expires = root + 1, expiry(made_at, ROOT_LIFETIME_S)
            quorums = (_quorum(self.old_root, "root"), _quorum(self.root, "root"))
            keys = {**self.old_root.keys, **self.root.keys}
            documents.insert(0, Document(f"{root + 1}.root.json", self.root, quorums, keys))
        if self.is_new_suspended:
            self.roles[SUSPENDED] = suspended + 1
            documents.append(self._suspended(suspended + 1))
        return Prepared(
            self.change,
            tuple(documents),
            self.files,
            self.root,
            self.targets,
            network,
            self.roles,
            self.application,
        )

    def _suspended(self, version: int) -> Document:
        data = self.bundle.files[TARGETS + SUSPENDED_PATH]
        self.files |= target_files({SUSPENDED_PATH: data})
        signed = Targets(
            version=version,
            expires=expiry(self.change.made_at, SUSPENDED_LIFETIME_S),
            targets={SUSPENDED_PATH: TargetFile.from_data(SUSPENDED_PATH, data, ["sha256"])},
        )
        anyone = (frozenset(self.targets.get_delegated_role(SUSPENDED).keyids), 1)
        return Document(f"{version}.{SUSPENDED}.json", signed, (anyone,), self.root.keys)


def _quorum(root: Root, role: str) -> tuple[frozenset[str], int]:
    return frozenset(root.roles[role].keyids), root.roles[role].threshold


def _versions(base: tuple[int, int, int]) -> str:
    return f"root {base[0]}, targets {base[1]}, suspended {base[2]}"


def _application(draft: _Draft) -> Application:
    text = draft.change.application
    if text is None:
        raise ApprovalInvalid(problem="it carries no application")
    application = verify_application(text.encode("utf-8"), draft.bundle, at=draft.at)
    if application.organization != draft.member:
        raise ApprovalInvalid(problem="its application is somebody else's")
    return application


def _admit(draft: _Draft) -> None:
    application = _application(draft)
    if application.purpose != "join":
        raise ApprovalInvalid(problem="its application is not one to join")
    require(draft.member, "applied", "approve")
    policy = application.policy
    if draft.change.granted is not None:
        policy = replace(policy, may_assert=draft.change.granted)
    draft.members().append(policy.to_json())
    draft.delegate(draft.member, (listed_public_key(application.entity),))
    draft.take_role(application)
    # The quorum admits whom it admits: a suspension from an earlier membership ends with it, and is named.
    standing_version = draft.bundle.memory.suspended.get(draft.member)
    if standing_version is not None:
        draft.lift(draft.member, standing_version)


def _replace_key(draft: _Draft) -> None:
    application = _application(draft)
    if application.purpose != "replace_key":
        raise ApprovalInvalid(problem="its application is not one for a new organization key")
    draft.delegate(draft.member, (listed_public_key(application.entity),))
    draft.take_role(application)


def _reinstate(draft: _Draft) -> None:
    draft.bundle.member(draft.member)
    require(draft.member, standing(draft.bundle, draft.member), "reinstate")
    draft.lift(draft.member, draft.bundle.memory.suspended[draft.member])


def _remove(draft: _Draft) -> None:
    require(draft.member, standing(draft.bundle, draft.member), "remove")
    draft.network["members"] = [m for m in draft.members() if isinstance(m, dict) and m.get("id") != draft.member]
    draft.forget(draft.member)


def _replace_keyholder(draft: _Draft) -> None:
    leaving, joining = draft.change.leaving, draft.change.joining
    if leaving is None or joining is None:
        raise ApprovalInvalid(problem="it does not say who leaves and who comes")
    root, delegations = draft.root, draft.targets.delegations
    if leaving not in root.roles["root"].keyids or leaving not in root.roles["targets"].keyids:
        raise ChangeRefused(problem=f"{leaving} is not the key of a keyholder")
    known = {*root.keys, *({} if delegations is None else delegations.keys)}
    if joining.key_id in known:
        raise ChangeRefused(problem="the new keyholder's key is in use already")
    names = dict(_names(root))
    if joining.name in {name for key_id, name in names.items() if key_id != leaving}:
        raise ChangeRefused(problem=f"another keyholder is called {joining.name} already")
    key = listed_public_key(joining.key)
    for role in ("root", "targets"):
        root.add_key(key, role)
        root.revoke_key(leaving, role)
    names.pop(leaving, None)
    root.unrecognized_fields[KEYHOLDER_NAMES] = {**names, joining.key_id: str(joining.name)}
    draft.targets.add_key(key, SUSPENDED)
    if leaving in draft.targets.get_delegated_role(SUSPENDED).keyids:
        draft.targets.revoke_key(leaving, SUSPENDED)
    draft.is_new_root = draft.is_new_suspended = True


def _names(root: Root) -> Mapping[str, str]:
    return {key_id: keyholder_name(root, key_id) for key_id in root.roles["root"].keyids}


def _renew(draft: _Draft) -> None:
    draft.is_new_root = draft.is_new_suspended = True
