"""What keyholders and organizations do in the life of a network; each on its own machine, with files in between.

Whoever signs reads first: the bundle is verified from the root fingerprint, the difference is printed in plain words,
and nothing is signed without a yes. Parsers are in `life_commands`.
"""

from __future__ import annotations

import argparse
import secrets
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from concordat_client.life_files import (
    HandOverUnusable,
    kind_of,
    load_key,
    new_passphrase,
    private_folder,
    read_file,
    require_new,
    write_new,
)
from concordat_client.plain_text import plain
from concordat_client.trust_report import Report, fingerprint
from concordat_trust.bundle.life.application import Application, verify_application
from concordat_trust.bundle.life.approval import Approval, parse_approval, sign_documents
from concordat_trust.bundle.life.change import Kind, Prepared, prepare, propose
from concordat_trust.bundle.life.difference import differences, founding_words
from concordat_trust.bundle.life.errors import ChangeRefused, NotConfirmed
from concordat_trust.bundle.life.founding import Founding, PreparedFounding, prepare_founding
from concordat_trust.bundle.life.invitation import invite as make_invitation
from concordat_trust.bundle.life.parts import PartUse, make_part, parse_part
from concordat_trust.bundle.life.publishing import require_network
from concordat_trust.bundle.life.rehearsal import rehearse
from concordat_trust.bundle.life.self_test import require_passed
from concordat_trust.bundle.life.state import keyholder_name, root_of, threshold_of
from concordat_trust.bundle.policy import MayAssert, read_may_assert
from concordat_trust.bundle.store import read_bundle
from concordat_trust.bundle.trusted import TrustedBundle
from concordat_trust.bundle.verify import verify_bundle
from concordat_trust.canonical import JsonObject, canonical_bytes, parse_object
from concordat_trust.encoding import sha256_hex
from concordat_trust.ids import OrgId
from concordat_trust.jwk import Signer, SigningKey
from concordat_trust.keys import save_private_key
from concordat_trust.public_statistics import public_statistics_file
from concordat_trust.shape import Shape

SMALL_BYTES_MAX = 2_000_000


def now() -> int:
    return int(time.time())


def keyholder(arguments: argparse.Namespace) -> Report:
    """Make one person's key and its public part; the private file stays in the person's own folder."""
    name = OrgId.parse(arguments.name)
    use: PartUse = "online" if arguments.online else "keyholder"
    folder = private_folder(arguments.out)
    secret, public = folder / f"{name}.pem", require_new(folder / f"{name}.json")
    key = SigningKey.generate()
    save_private_key(secret, key, passphrase=new_passphrase() if arguments.encrypt else None)
    write_new(public, canonical_bytes(make_part(name, use, key).to_json()))
    return Report(
        {"name": name, "use": use, "key_id": key.key_id, "key": str(secret), "public_part": str(public)},
        (
            f"{name} has a key: {key.key_id}",
            f"Yours alone, mode 0600: {secret}",
            f"To be sent to the founders or the other keyholders: {public}",
            "Read the key's fingerprint to them by voice; they see it again before they sign.",
        ),
    )


def init_apart(arguments: argparse.Namespace) -> Report:
    """Write the founding that keyholders in different places approve."""
    from concordat_trust.bundle.topology import parse_founders

    agreed = parse_founders(read_file(arguments.topology))
    statistics = statistics_of(arguments)
    founding = Founding(
        policy=agreed.policy,
        threshold=agreed.threshold,
        keyholders=tuple(parse_part(read_file(path), use="keyholder") for path in arguments.keyholder),
        online=parse_part(read_file(arguments.online), use="online"),
        statistics_sha256=sha256_hex(statistics),
        made_at=now(),
    )
    prepare_founding(founding, statistics=statistics, at=now())
    out = require_new(arguments.out)
    write_new(out, Approval(founding.policy.id, None, founding, ()).to_bytes())
    words = founding_words(founding)
    return Report(
        {"network": founding.policy.id, "founding": str(out), "difference": [*words]},
        (
            *words,
            f"Written to {out}; nobody has signed yet. Each keyholder: concordat trust approve {out.name} --key …",
        ),
    )


def statistics_of(arguments: argparse.Namespace) -> bytes:
    return public_statistics_file() if arguments.statistics is None else read_file(arguments.statistics)


def invite(arguments: argparse.Namespace) -> Report:
    """Sign an invitation with one keyholder's key."""
    bundle, out = verified(arguments), require_new(arguments.out)
    invitation = make_invitation(
        bundle,
        OrgId.parse(arguments.organization),
        kind=arguments.kind,
        mirrors=arguments.mirror,
        keyholder=load_key(arguments.key),
        nonce=secrets.token_urlsafe(24),
        at=now(),
        lifetime_s=arguments.days * 86_400,
    )
    data: JsonObject = {
        "invitation_version": 1,
        "network": bundle.network.id,
        "network_name": bundle.network.name,
        "root_sha256": bundle.root_sha256,
        "mirrors": [*invitation.mirrors],
        "invitation": invitation.token,
    }
    write_new(out, canonical_bytes(data))
    return Report(
        {**data, "organization": invitation.organization, "expires_at": invitation.expires_at, "file": str(out)},
        (
            f"{invitation.organization} is invited to {bundle.network.name}; written to {out}",
            f"Tell it the root fingerprint by another channel: {bundle.root_sha256}",
        ),
    )


def approve(arguments: argparse.Namespace) -> Report:
    """Approve an application, a founding, or what another keyholder has proposed."""
    out = require_new(arguments.out)
    data = read_file(arguments.file)
    if kind_of(data, arguments.file) == "application":
        bundle = verified(arguments)
        application = verify_application(data, bundle, at=now())
        prepared = propose(
            bundle,
            "admit" if application.purpose == "join" else "replace_key",
            at=now(),
            member=application.organization,
            application=data.rstrip(),
            granted=_granted(arguments),
        )
        return _sign(bundle, prepared, arguments, out)
    approval = parse_approval(data)
    if isinstance(approval.change, Founding):
        return _sign_founding(approval.change, arguments, out)
    bundle = verified(arguments)
    return _sign(bundle, prepare(bundle, require_network(bundle, approval), at=now()), arguments, out)


def _granted(arguments: argparse.Namespace) -> MayAssert | None:
    if arguments.grant is None:
        return None
    shape = Shape(parse_object(read_file(arguments.grant), bytes_max=SMALL_BYTES_MAX), "may_assert")
    granted = read_may_assert(shape)
    shape.finish()
    return granted


def proposal(kind: Kind) -> Callable[[argparse.Namespace], Report]:
    """Return the command that proposes a change and signs it as the first keyholder."""

    def run(arguments: argparse.Namespace) -> Report:
        bundle, out = verified(arguments), require_new(arguments.out)
        about: dict[str, Any] = {}
        if hasattr(arguments, "organization"):
            about["member"] = OrgId.parse(arguments.organization)
        if kind == "replace_keyholder":
            about["leaving"] = _keyholder_id(bundle, arguments.leaving)
            about["joining"] = parse_part(read_file(arguments.by), use="keyholder")
        return _sign(bundle, propose(bundle, kind, at=now(), **about), arguments, out)

    return run


def _keyholder_id(bundle: TrustedBundle, name: str) -> str:
    root = root_of(bundle)
    ids = root.roles["root"].keyids
    found = [key_id for key_id in ids if name in (key_id, keyholder_name(root, key_id))]
    if len(found) != 1:
        raise ChangeRefused(problem=f"{name} is not the name or the key id of a keyholder")
    return found[0]


def _sign(bundle: TrustedBundle, prepared: Prepared, arguments: argparse.Namespace, out: Path) -> Report:
    rehearse(bundle, prepared, at=now())
    if prepared.application is not None:
        _require_tested(bundle, prepared.application, arguments)
    words = differences(bundle, prepared)
    key = load_key(arguments.key)
    signatures = sign_documents(prepared.documents, _confirmed(key, words, arguments))
    write_new(out, Approval(bundle.network.id, bundle.root_sha256, prepared.change, signatures).to_bytes())
    root = root_of(bundle)
    known = root if key.key_id in root.keys else prepared.root
    return _signed(words, out, keyholder_name(known, key.key_id), threshold_of(bundle), arguments)


def _require_tested(bundle: TrustedBundle, application: Application, arguments: argparse.Namespace) -> None:
    is_needed = application.purpose == "join" and any(org != application.organization for org in bundle.organizations)
    if application.self_test or (is_needed and not arguments.without_self_test):
        require_passed(application.organization, application.self_test)


def _sign_founding(founding: Founding, arguments: argparse.Namespace, out: Path) -> Report:
    prepared: PreparedFounding = prepare_founding(founding, statistics=statistics_of(arguments), at=now())
    words = founding_words(founding)
    key = load_key(arguments.key)
    signatures = sign_documents(prepared.documents, _confirmed(key, words, arguments))
    write_new(out, Approval(founding.policy.id, None, founding, signatures).to_bytes())
    names = [part.name for part in founding.keyholders if part.key_id == key.key_id]
    return _signed(words, out, names[0], founding.threshold, arguments)


def _confirmed(key: Signer, words: tuple[str, ...], arguments: argparse.Namespace) -> Signer:
    """Return the key when the person has said yes to these words. Raises: NotConfirmed."""
    if arguments.yes:
        return key
    print("\n".join(map(plain, words)), file=sys.stderr, flush=True)
    print("Sign this? Type yes: ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip() != "yes":
        raise NotConfirmed
    return key


def _signed(words: tuple[str, ...], out: Path, name: str, threshold: int, arguments: argparse.Namespace) -> Report:
    told = words if arguments.yes else ()
    return Report(
        {"approval": str(out), "keyholder": name, "threshold": threshold, "difference": [*words]},
        (
            *told,
            f"Signed by {name}; written to {out}. {threshold} keyholders are needed:",
            f"  the next one: concordat trust approve {out.name} --key …",
            "  then, where the repository is served: concordat trust publish APPROVAL APPROVAL …",
        ),
    )


def verified(arguments: argparse.Namespace) -> TrustedBundle:
    """Return the bundle that was given, verified now. Raises: RootFingerprintMissing, leaves `bundle_*`."""
    root_sha256 = fingerprint(arguments)
    if arguments.bundle is None:
        raise HandOverUnusable(path="--bundle", problem="it is needed to see what would change")
    return verify_bundle(read_bundle(arguments.bundle), root_sha256=root_sha256, at=now())


def rest() -> Mapping[str, Callable[[argparse.Namespace], Report]]:
    """Return the commands of this room by their name."""
    from concordat_client.life_own import apply, rotate
    from concordat_client.life_publish import publish

    return {
        "keyholder": keyholder,
        "invite": invite,
        "apply": apply,
        "approve": approve,
        "publish": publish,
        "rotate": rotate,
        "reinstate": proposal("reinstate"),
        "remove": proposal("remove"),
        "replace-keyholder": proposal("replace_keyholder"),
        "renew": proposal("renew"),
    }
