"""What an organization does with its own keys: apply, and later rotate. They stay in its own folder.

DIR/entity.pem          the organization key; may be kept elsewhere, offline (--organization-key)
DIR/<use>.pem           the keys in use every day
DIR/next/<use>.pem      made by `rotate`, listed beside the ones in use until `rotate --switch`
DIR/old-<time>/…        what was in use before
"""

from __future__ import annotations

import argparse
import secrets
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import httpx

from concordat_client.join_test import TIMEOUT_S, post_over, run_self_test
from concordat_client.life_files import (
    HandOverUnusable,
    KeyFolderUnusable,
    load_key,
    load_or_make_key,
    private_folder,
    read_file,
    require_new,
    write_new,
)
from concordat_client.trust_report import Report, fingerprint
from concordat_trust.bundle.errors import BundleBootstrapMismatch
from concordat_trust.bundle.fetcher import HttpFetcher
from concordat_trust.bundle.life.application import apply as make_application
from concordat_trust.bundle.life.application import apply_for_key
from concordat_trust.bundle.life.errors import ChangeRefused, InvitationInvalid
from concordat_trust.bundle.life.invitation import (
    INVITATION_BYTES_MAX,
    INVITED_MIRRORS_MAX,
    Invitation,
    read_invitation,
)
from concordat_trust.bundle.life.own_role import OwnKeys, organization_keys
from concordat_trust.bundle.life.own_role import rotate as make_role
from concordat_trust.bundle.life.publishing import own_role
from concordat_trust.bundle.life.self_test import Check, require_passed
from concordat_trust.bundle.policy import MayAssert, MemberPolicy
from concordat_trust.bundle.poll import BundlePoller, is_mirror_address
from concordat_trust.bundle.statement import USES_OF
from concordat_trust.bundle.store import read_bundle
from concordat_trust.bundle.trusted import TrustedBundle
from concordat_trust.bundle.verify import verify_bundle
from concordat_trust.canonical import JsonObject, parse_object
from concordat_trust.directory import KeyUse
from concordat_trust.errors import RefusedDocument
from concordat_trust.ids import OrgId
from concordat_trust.jwk import SigningKey
from concordat_trust.shape import Shape
from concordat_trust.vocabulary import Clearance

VISA_ISSUER_BYTES_MAX = 8_192
"""Half of what a whole statement may have."""
ENTITY, NEXT = "entity.pem", "next"


def apply(arguments: argparse.Namespace) -> Report:
    """Make the keys that are missing, test the way to the network, and write a signed application."""
    out, root_sha256 = require_new(arguments.out), fingerprint(arguments)
    token, mirrors = _invitation_file(arguments, root_sha256)
    bundle = _fetched(mirrors, root_sha256, arguments)
    now = int(time.time())
    invitation = read_invitation(token, bundle, at=now)
    keys = _own_keys(invitation, arguments)
    checks = _tested(bundle, invitation, keys, arguments)
    policy = MemberPolicy(
        id=invitation.organization,
        kind=invitation.kind,
        country=arguments.country,
        organization_type=arguments.type,
        may_assert=MayAssert(
            frozenset(arguments.affiliation),
            frozenset(arguments.role),
            Clearance[arguments.clearance.upper()],
            frozenset(arguments.acr),
        ),
    )
    data = make_application(
        bundle,
        invitation,
        policy,
        legal_name=arguments.legal_name,
        endpoint=arguments.endpoint,
        contact=arguments.contact,
        keys=keys,
        self_test=checks,
        at=int(time.time()),
    )
    write_new(out, data)
    told: JsonObject = {
        "organization": policy.id,
        "organization_key": keys.entity.key_id,
        "self_test": [check.to_json() for check in checks],
        "application": str(out),
    }
    return Report(
        told,
        (
            *(f"{'ok  ' if c.ok else 'FAIL'} {c.name:<7} {c.found}" for c in checks),
            f"{policy.id} applies to {bundle.network.name}; written to {out}",
            f"Organization key, to be read to the keyholders by voice: {keys.entity.key_id}",
            f"Keys in {arguments.keys}, yours alone; keep {ENTITY} offline. No key is in the application.",
        ),
    )


def _invitation_file(arguments: argparse.Namespace, root_sha256: str) -> tuple[str, list[str]]:
    try:
        shape = Shape(parse_object(read_file(arguments.invitation), bytes_max=4 * INVITATION_BYTES_MAX), "invitation")
        shape.integer("invitation_version", minimum=1, maximum=1)
        token = shape.text("invitation", length_max=INVITATION_BYTES_MAX)
        named = shape.text("root_sha256")
        mirrors = arguments.mirror or [*shape.texts("mirrors", count_max=INVITED_MIRRORS_MAX)]
    except RefusedDocument as error:
        raise InvitationInvalid(problem=error.message.rstrip(".")) from error
    if named != root_sha256:
        raise BundleBootstrapMismatch(expected=root_sha256)
    if not mirrors or not all(map(is_mirror_address, mirrors)):
        raise InvitationInvalid(problem="it names no mirror that can be asked")
    return token, mirrors


def _fetched(mirrors: list[str], root_sha256: str, arguments: argparse.Namespace) -> TrustedBundle:
    with tempfile.TemporaryDirectory() as scratch:
        poller = BundlePoller(
            root_sha256=root_sha256,
            mirrors=mirrors,
            state=Path(scratch),
            clock=lambda: int(time.time()),
            jitter=secrets.SystemRandom().random,
            fetcher=HttpFetcher(ca_file=None if arguments.ca_file is None else str(arguments.ca_file)),
        )
        return poller.poll()


def _own_keys(invitation: Invitation, arguments: argparse.Namespace) -> OwnKeys:
    folder = private_folder(arguments.keys)
    entity = arguments.organization_key or folder / ENTITY
    uses = {use: load_or_make_key(folder / f"{use}.pem") for use in USES_OF[invitation.kind]}
    return OwnKeys(load_or_make_key(entity), uses)


def _tested(
    bundle: TrustedBundle, invitation: Invitation, keys: OwnKeys, arguments: argparse.Namespace
) -> tuple[Check, ...]:
    if arguments.without_self_test:
        return ()
    verify: bool | str = True if arguments.ca_file is None else str(arguments.ca_file)
    with httpx.Client(timeout=TIMEOUT_S, trust_env=False, verify=verify) as client:
        checks = run_self_test(
            bundle,
            invitation.organization,
            keys.uses["request"],
            post=post_over(client),
            clock=lambda: int(time.time()),
            nonce=lambda: secrets.token_urlsafe(24),
        )
    if checks:
        require_passed(invitation.organization, checks)
    return checks


def _visa_issuer(path: Path | None) -> JsonObject | None:
    return None if path is None else parse_object(read_file(path), bytes_max=VISA_ISSUER_BYTES_MAX)


def rotate(arguments: argparse.Namespace) -> Report:
    """Make the next keys and list them, or go on to the next step of a rotation."""
    root_sha256, member = fingerprint(arguments), OrgId.parse(arguments.organization)
    bundle = verify_bundle(read_bundle(arguments.bundle), root_sha256=root_sha256, at=int(time.time()))
    if arguments.switch:
        return _switch(bundle, member, arguments.keys)
    if arguments.out is None:
        raise HandOverUnusable(path="--out", problem="it is needed for what is to be published")
    out = require_new(arguments.out)
    if arguments.lost_organization_key:
        return _lost(bundle, member, arguments, out)
    entity = load_key(arguments.organization_key or arguments.keys / ENTITY)
    new, retire = _next_keys(bundle, member, arguments)
    files = make_role(
        bundle,
        member,
        entity=entity,
        new=new,
        retire=retire,
        endpoint=arguments.endpoint,
        visa_issuer=_visa_issuer(arguments.visa_issuer),
        at=int(time.time()),
    )
    write_new(out, own_role(bundle, member, files).to_bytes())
    told: JsonObject = {
        "organization": member,
        "new_keys": {use: key.key_id for use, key in new.items()},
        "retired": [*retire],
        "file": str(out),
    }
    then = "then, when a fetched bundle lists the new keys: concordat trust rotate --switch" if new else ""
    return Report(
        told,
        (
            *(f"new key for {use.replace('_', ' ')}: {key.key_id}" for use, key in new.items()),
            *(f"no longer listed: {key_id}" for key_id in retire),
            f"Written to {out}. Where the repository is served: concordat trust publish {out.name} --repository …",
            *([then] if then else []),
        ),
    )


def _next_keys(
    bundle: TrustedBundle, member: OrgId, arguments: argparse.Namespace
) -> tuple[Mapping[KeyUse, SigningKey], list[str]]:
    uses = USES_OF[bundle.member(member).kind]
    if arguments.renew:
        return {}, []
    if arguments.retire:
        in_use = {load_key(arguments.keys / f"{use}.pem").key_id for use in uses}
        listed = [key_id for keys in bundle.member(member).keys.values() for key_id in keys]
        return {}, [key_id for key_id in listed if key_id not in in_use]
    folder = private_folder(arguments.keys / NEXT)
    listed_now = bundle.member(member).keys
    made = {use: load_or_make_key(folder / f"{use}.pem") for use in uses}
    if all(key.key_id in listed_now.get(use, {}) for use, key in made.items()):
        raise ChangeRefused(problem="the next keys are listed already; go on with --switch")
    return made, []


def _lost(bundle: TrustedBundle, member: OrgId, arguments: argparse.Namespace, out: Path) -> Report:
    path = arguments.organization_key or arguments.keys / ENTITY
    entity = load_or_make_key(path)
    if entity.key_id in organization_keys(bundle, member):
        raise ChangeRefused(problem=f"{path} is the organization key in force; name a new file")
    uses = {use: load_key(arguments.keys / f"{use}.pem") for use in USES_OF[bundle.member(member).kind]}
    keys = OwnKeys(entity, uses)
    write_new(out, apply_for_key(bundle, member, keys=keys, contact="", at=int(time.time())))
    return Report(
        {"organization": member, "organization_key": entity.key_id, "application": str(out)},
        (
            f"{member} asks the keyholders to replace its organization key; written to {out}",
            f"Organization key, to be read to the keyholders by voice: {entity.key_id}",
        ),
    )


def _switch(bundle: TrustedBundle, member: OrgId, folder: Path) -> Report:
    uses = USES_OF[bundle.member(member).kind]
    listed = bundle.member(member).keys
    for use in uses:
        if load_key(folder / NEXT / f"{use}.pem").key_id not in listed.get(use, {}):
            raise ChangeRefused(problem=f"the next key for {use} is not published yet")
    old = folder / f"old-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}"
    try:
        old.mkdir(mode=0o700)
        for use in uses:
            # The old file stays in place until the new one takes it, so that a node that starts finds a key.
            (old / f"{use}.pem").hardlink_to(folder / f"{use}.pem")
            (folder / NEXT / f"{use}.pem").replace(folder / f"{use}.pem")
    except OSError as error:
        raise KeyFolderUnusable(path=str(folder), problem=f"cannot be changed: {error.strerror}") from error
    return Report(
        {"organization": member, "keys": str(folder), "old": str(old)},
        (
            f"The next keys are in use from {folder}; what was before is in {old}.",
            "A running node follows at its next poll. End the overlap later: concordat trust rotate --retire",
        ),
    )
