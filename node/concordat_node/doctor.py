"""What a node has and what it lacks; each finding with its fix. Changes nothing but what a poll keeps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from concordat_node.app import (
    make_poller,
    now,
    opa_environment,
    open_peer_store,
    open_registry,
)
from concordat_node.deadline_finding import deadline_finding
from concordat_node.errors import MappingBeyondCaps, NoPeople, SplitViewFound
from concordat_node.home.claims import beyond_caps, map_claims, read_claims_sample, within_caps
from concordat_node.home.settings_file import read_home_settings
from concordat_node.home.split_views import FOLDER, SplitViews
from concordat_node.id_secret import read_id_secret
from concordat_node.keys import check_membership, read_keys
from concordat_node.ledger.ledger import Ledger
from concordat_node.policy.opa_binary import ensure_opa
from concordat_node.registry.engine import open_ledger_database
from concordat_node.registry.store import RegistryStore
from concordat_node.settings import Settings
from concordat_node.setup import current_bundle
from concordat_trust.bundle.countdown import countdown
from concordat_trust.canonical import JsonObject
from concordat_trust.errors import ConcordatError, OperatorError
from concordat_trust.times import time_words
from concordat_trust.vocabulary import Clearance


class TokensFoundElsewhere(OperatorError):
    code = "tokens_found_elsewhere"
    sentence = "Nodes report {count} uses of tokens that were not minted so here, the last one as {code}."
    hint = "`concordat node log tokens` lists them; rotate the query-token key, or ask the node that reports them."


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    name: str
    ok: bool
    message: str
    hint: str = ""

    def to_json(self) -> JsonObject:
        return {"hint": self.hint, "message": self.message, "name": self.name, "ok": self.ok}


Look = Callable[[Settings], str]


def examine(settings: Settings) -> tuple[Finding, ...]:
    """Return one finding per thing a node needs, in the order in which a start needs them."""
    looks: tuple[tuple[str, Look], ...] = (
        ("keys", _keys),
        ("asset id secret", _id_secret),
        ("trust bundle", _bundle),
        ("mirrors", _mirrors),
        ("split views", _split_views),
        ("membership", _membership),
        ("deadlines", _deadlines),
        ("registry", _registry),
        ("disclosure log", _log),
        ("own tokens", _tokens),
        ("OPA", _opa),
        ("people", _people),
    )
    return tuple(_finding(name, look, settings) for name, look in looks)


def examine_sample(settings: Settings, sample: Path) -> Finding:
    """Return what the claims of a file become, as far as the network lets this organization say it."""
    return _finding("claims sample", lambda settings: _sample(settings, sample), settings)


def _finding(name: str, look: Look, settings: Settings) -> Finding:
    try:
        return Finding(name, True, look(settings))
    except ConcordatError as error:
        return Finding(name, False, f"{error.code}: {error.message}", error.hint)


def _keys(settings: Settings) -> str:
    read_keys(settings)
    return "three private keys, readable by their owner only"


def _id_secret(settings: Settings) -> str:
    read_id_secret(settings)
    return "there, readable by its owner only"


def _bundle(settings: Settings) -> str:
    bundle = current_bundle(settings)
    ends = time_words(bundle.expires_at)
    held = countdown(bundle, now())
    return f"network {bundle.network.id}, snapshot {bundle.view.snapshot}, in force until {ends} ({held})"


def _mirrors(settings: Settings) -> str:
    poller = make_poller(settings)
    poller.load()
    said = [f"confirmed {poller.poll().age_s(now())} s ago"]
    said += [f"{mirror} gives no bundle: {error.code}" for mirror, error in poller.mirror_errors.items()]
    return "; ".join(said)


def _split_views(settings: Settings) -> str:
    kept = SplitViews(settings.data_dir / FOLDER).kept()
    if kept:
        raise SplitViewFound(count=len(kept), first=str(kept[0]))
    return "none found: every attestation named the state of the network that this node saw"


def _membership(settings: Settings) -> str:
    bundle = current_bundle(settings)
    check_membership(bundle, settings, read_keys(settings))
    if bundle.member(settings.organization).suspended:
        return f"{settings.organization} is suspended: every question is refused until the quorum lifts it"
    return f"{settings.organization} at {bundle.member(settings.organization).endpoint}"


def _deadlines(settings: Settings) -> str:
    return deadline_finding(current_bundle(settings), settings.organization, now())


def _registry(settings: Settings) -> str:
    database = open_registry(settings)
    try:
        store = RegistryStore(database)
        damaged = store.damaged_classes()
        return f"{len(store.classes())} policy classes, {len(damaged)} damaged and closed"
    finally:
        database.close()


def _log(settings: Settings) -> str:
    ledger = Ledger(open_ledger_database(settings.data_dir / "ledger.sqlite"))
    try:
        return f"{ledger.count()} entries"
    finally:
        ledger.close()


def _tokens(settings: Settings) -> str:
    store = open_peer_store(settings)
    try:
        findings = store.findings()
    finally:
        store.close()
    if findings:
        raise TokensFoundElsewhere(count=len(findings), code=findings[-1].code)
    return "no node reports a use of a token that was not minted here"


def _opa(settings: Settings) -> str:
    binary = ensure_opa(environ=opa_environment(settings))
    return f"OPA {binary.version} from {binary.source}"


def _people(settings: Settings) -> str:
    if settings.home is None:
        return "none: this node answers others and has no people of its own"
    home = read_home_settings(settings, dict(settings.home))
    beyond = beyond_caps(home.claims, current_bundle(settings).member(settings.organization).may_assert)
    if beyond:
        raise MappingBeyondCaps(claims=", ".join(beyond))
    return f"sign in at {home.provider.issuer}; register {home.redirect_uri} there"


def _sample(settings: Settings, sample: Path) -> str:
    if settings.home is None:
        raise NoPeople
    home = read_home_settings(settings, dict(settings.home))
    mapped = map_claims(read_claims_sample(sample), home.claims)
    bundle = current_bundle(settings)
    told = within_caps(mapped, bundle.member(settings.organization).may_assert)
    allowed = [code for code in bundle.network.purposes if told.purposes is None or code in told.purposes]
    words = {
        "affiliation": told.affiliation,
        "role": told.role,
        "clearance": Clearance(told.clearance).name.lower(),
        "purposes": " ".join(allowed) or "none",
        "registrar": "yes" if told.is_registrar else "no",
    }
    return ", ".join(f"{name} {value}" for name, value in words.items())
