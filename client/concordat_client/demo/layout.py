"""The demonstration's network on disk: one temporary folder, made from the topology file, gone at the end.

    topology.json                 the topology with the addresses of this run
    trust/…                       the ceremony's folder: keys per party, repository, fingerprint
    trust/members/<id>/           a member's data folder: keys, settings.json, databases
    provider.json                 the identity provider's persons
    persons/<subject>/            what a person's command line keeps (configuration folder)
    logs/<process>.log

Everything is written by the same code that a network in earnest uses: the ceremony, settings files, key files.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from urllib.parse import urlsplit

from concordat_client.ceremony import Ceremony, hold_ceremony
from concordat_client.demo.processes import free_port
from concordat_node.home.home_key import save_home_key
from concordat_node.home.pseudonym import pseudonym
from concordat_node.id_secret import ID_SECRET
from concordat_node.secret_file import SECRET_BYTES
from concordat_node.setup import PSEUDONYM_KEY
from concordat_trust.bundle.topology import FIELDS, MEMBER_FIELDS
from concordat_trust.canonical import Json, JsonObject, parse_object

TOPOLOGY_BYTES_MAX = 100_000
BUNDLE_POLL_S = 2
"""A demonstration does not wait as long as a network in earnest (20 s) to see a suspension arrive."""
CLIENT_ID = "concordat-demo"
_MAPPED = {
    "affiliation": ("member", "staff", "faculty"),
    "role": ("researcher", "student"),
    "clearance": ("public", "registered", "controlled"),
}


@dataclass(frozen=True, slots=True)
class Person:
    subject: str
    title: str
    claims: JsonObject
    password: str


@dataclass(frozen=True, slots=True)
class Topology:
    """The topology file, as the demonstration reads it."""

    raw: JsonObject
    network: str
    home: str
    coordinator: str
    organizations: tuple[str, ...]
    persons: tuple[Person, ...]
    question: str
    purpose: JsonObject


@dataclass(frozen=True, slots=True)
class Places:
    """Addresses by name: of members for their peers, of the online signer and of the identity provider."""

    addresses: Mapping[str, str]
    home_door: str


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything of one run is, and at which address."""

    folder: Path
    topology: Topology
    ceremony: Ceremony
    addresses: Mapping[str, str]
    pseudonyms: Mapping[str, str]
    home_door: str
    """At which its own people reach the home node."""

    @property
    def keyholders(self) -> tuple[str, ...]:
        return tuple(_text(name) for name in _list(self.topology.raw["keyholders"]))

    def member_folder(self, member: str) -> Path:
        return self.folder / "trust" / "members" / member

    def settings(self, member: str) -> Path:
        return self.member_folder(member) / "settings.json"

    def log(self, name: str) -> Path:
        return self.folder / "logs" / f"{name}.log"

    def person_folder(self, subject: str) -> Path:
        return self.folder / "persons" / subject


def read_topology() -> Topology:
    """Return the topology file that comes with the demonstration."""
    data = resources.files("concordat_client.demo").joinpath("topology.json").read_bytes()
    raw = parse_object(data, bytes_max=TOPOLOGY_BYTES_MAX)
    return Topology(
        raw=raw,
        network=_text(raw["network"]),
        home=_text(raw["home"]),
        coordinator=_text(_object(raw["coordinator"])["id"]),
        organizations=tuple(_text(_object(entry)["id"]) for entry in _list(raw["organizations"])),
        persons=tuple(_person(_object(entry)) for entry in _list(raw["persons"])),
        question=_text(raw["question"]),
        purpose=_object(raw["purpose"]),
    )


def places_here(topology: Topology) -> Places:
    """Return free ports of this machine."""
    names = (*topology.organizations, topology.coordinator, "online-signer", "identity-provider")
    addresses = {name: f"http://127.0.0.1:{free_port()}" for name in names}
    return Places(addresses, home_door=addresses[topology.home])


def lay_out(folder: Path, topology: Topology, *, at: int, places: Places | None = None) -> Layout:
    """Hold the ceremony and write every settings file, for this machine unless `places` says where everything is.

    Raises: the ceremony's and the key files' refusals.
    """
    places = places_here(topology) if places is None else places
    addresses = places.addresses
    placed = _with_addresses(topology, addresses)
    (folder / "topology.json").write_text(json.dumps(placed, indent=2), "utf-8")
    statistics = resources.files("concordat_trust").joinpath("data/public_statistics.json").read_bytes()
    ceremony = hold_ceremony(json.dumps(founding_part(placed)).encode(), folder / "trust", statistics=statistics, at=at)
    home_key = secrets.token_bytes(SECRET_BYTES)
    pseudonyms = {person.subject: pseudonym(home_key, topology.network, person.subject) for person in topology.persons}
    layout = Layout(folder, topology, ceremony, addresses, pseudonyms, places.home_door)
    for organization in topology.organizations:
        key = home_key if organization == topology.home else secrets.token_bytes(SECRET_BYTES)
        save_home_key(layout.member_folder(organization) / PSEUDONYM_KEY, key)
        save_home_key(layout.member_folder(organization) / ID_SECRET, secrets.token_bytes(SECRET_BYTES))
        _write(layout.settings(organization), _node_settings(layout, organization))
    _write(layout.settings(topology.coordinator), _member_settings(layout, topology.coordinator))
    _write(folder / "provider.json", _provider(layout))
    (folder / "logs").mkdir()
    for person in topology.persons:
        layout.person_folder(person.subject).mkdir(parents=True)
    return layout


def _with_addresses(topology: Topology, addresses: Mapping[str, str]) -> JsonObject:
    placed = dict(topology.raw)
    placed["organizations"] = [
        {**_object(entry), "endpoint": addresses[_text(_object(entry)["id"])]}
        for entry in _list(topology.raw["organizations"])
    ]
    placed["coordinator"] = {**_object(topology.raw["coordinator"]), "endpoint": addresses[topology.coordinator]}
    return placed


def founding_part(topology: JsonObject) -> JsonObject:
    """Return what the ceremony reads of the demonstration's topology, which also names persons and the question."""
    own = {name: topology[name] for name in FIELDS if name in topology}
    members = [_founding_member(_object(entry)) for entry in _list(topology["organizations"])]
    return {**own, "organizations": list[Json](members), "coordinator": _founding_member(_object(own["coordinator"]))}


def _founding_member(entry: JsonObject) -> JsonObject:
    return {name: entry[name] for name in MEMBER_FIELDS if name in entry}


def _member_settings(layout: Layout, member: str) -> JsonObject:
    settings: JsonObject = {
        "organization": member,
        "root_sha256": layout.ceremony.root_sha256,
        "data_dir": ".",
        "bundle_poll_s": BUNDLE_POLL_S,
        "bundle_mirrors": [layout.addresses["online-signer"] + "/"],
    }
    own = urlsplit(layout.addresses[member])
    # Behind TLS the address is not the one to listen at; whoever runs the member says that.
    return settings if own.scheme == "https" else {**settings, "host": own.hostname, "port": own.port}


def _node_settings(layout: Layout, organization: str) -> JsonObject:
    entry = next(
        item for item in map(_object, _list(layout.topology.raw["organizations"])) if item["id"] == organization
    )
    settings = _member_settings(layout, organization)
    settings["purposes_admitted"] = entry["purposes_admitted"]
    settings["notice_mode"] = entry["notice_mode"]
    settings["notice_code"] = entry["notice_code"] or ""
    settings["notice_contact"] = entry["notice_contact"] or ""
    if organization == layout.topology.home:
        settings["home"] = _home_settings(layout)
    return settings


def _home_settings(layout: Layout) -> JsonObject:
    return {
        "base_url": layout.home_door,
        "provider": {
            "issuer": layout.addresses["identity-provider"],
            "client_id": CLIENT_ID,
            "client_secret": None,
            "scope": "openid",
        },
        "claims": {
            name: {"claim": name, "rules": [{"is": value, "becomes": value} for value in values]}
            for name, values in _MAPPED.items()
        },
        "coordinators": [layout.topology.coordinator],
    }


def _provider(layout: Layout) -> JsonObject:
    port = int(layout.addresses["identity-provider"].rpartition(":")[2])
    return {
        "host": "127.0.0.1",
        "port": port,
        "clients": [
            {
                "client_id": CLIENT_ID,
                "client_secret": None,
                "redirect_uris": [layout.home_door + "/login/callback"],
            }
        ],
        "persons": [
            {
                "username": person.subject,
                "password": person.password,
                "sub": person.subject,
                "claims": person.claims,
            }
            for person in layout.topology.persons
        ],
    }


def _person(entry: JsonObject) -> Person:
    # A password per run: the provider listens on this machine, where other accounts may be.
    return Person(_text(entry["subject"]), _text(entry["title"]), _object(entry["claims"]), secrets.token_urlsafe(9))


def _write(path: Path, content: JsonObject) -> None:
    path.touch(mode=0o600)
    path.write_text(json.dumps(content, indent=2), "utf-8")


def _text(value: Json) -> str:
    if not isinstance(value, str):
        raise RuntimeError("the demonstration's topology file is broken: a text is missing")
    return value


def _object(value: Json) -> JsonObject:
    if not isinstance(value, dict):
        raise RuntimeError("the demonstration's topology file is broken: an object is missing")
    return value


def _list(value: Json) -> list[Json]:
    if not isinstance(value, list):
        raise RuntimeError("the demonstration's topology file is broken: a list is missing")
    return value
