"""Write `compose.federation.yaml` from the demonstration's topology file; with --check, say that it is out of date.

Each party has its own volume and meets each other party on a network of the two alone: a node sees its edge, the online
signer and, for the home node, the coordinator's edge; it never sees another node. The file holds no secret: the service
`ceremony` makes every key, once. Exit codes: 0 done, 7 out of date.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from concordat_client.demo.containers import (
    MEMBER_PORT,
    MIRROR_PORT,
    PERSONS,
    PROVIDER,
    PROVIDER_PORT,
    SIGNER,
    edge_host,
    volumes,
)
from concordat_client.demo.layout import Topology, read_topology
from concordat_client.demo.scripted_browser import PERSON_FILE
from concordat_coordinator.settings import PREFIX as COORDINATOR
from concordat_node.settings import PREFIX as NODE

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "compose.federation.yaml"
USER = "10001:10001"
EDGE_IMAGE = "docker.io/library/haproxy:3.2-alpine"
EDGE_HEALTH_PORT = 8405
UPSTREAM = "CONCORDAT_EDGE_UPSTREAM"
FINDING = 7
_HEAD = """# Made by tools/build_compose.py from client/concordat_client/demo/topology.json. Do not edit.
# The demonstration's federation in containers; see deploy/README.md for what it is and what it is not.
"""

Yaml = Mapping[str, "Yaml"] | Sequence["Yaml"] | str | int | bool
Service = dict[str, Yaml]


def compose() -> dict[str, Yaml]:
    """Return the whole file."""
    topology = read_topology()
    members = (*topology.organizations, topology.coordinator)
    services: dict[str, Yaml] = {"ceremony": _ceremony(topology), SIGNER: _signer(members)}
    for organization in topology.organizations:
        services[f"{organization}-import"] = _import(organization)
        services[organization] = _node(topology, organization)
    services[topology.coordinator] = _coordinator(topology)
    for member in members:
        services[f"{member}-edge"] = _edge(topology, member)
    services[PROVIDER] = _provider(topology)
    services["client"] = _client(topology)
    networks = sorted({network for service in services.values() for network in _networks_of(service)})
    return {
        "name": "concordat-federation",
        "services": services,
        "networks": {network: {"internal": True} for network in networks},
        "volumes": {name: {} for name in volumes(topology)},
    }


def _networks_of(service: Yaml) -> list[str]:
    networks = service.get("networks", ()) if isinstance(service, Mapping) else ()
    return [str(network) for network in networks] if isinstance(networks, Mapping | Sequence) else []


def _ceremony(topology: Topology) -> Service:
    names = volumes(topology)
    return {
        **_program("node", "demo", VOLUMES=" ".join(names)),
        "command": ["demo-found", "--out", "/out"],
        "network_mode": "none",
        "volumes": [f"{name}:/out/{name}" for name in names],
    }


def _signer(members: Sequence[str]) -> Service:
    key, repository = "/data/online.pem", "/data/repository"
    return {
        **_program("node", "node"),
        "command": [
            *("trust", "sign-online", "--repository", repository, "--key", key),
            *("--host", "0.0.0.0", "--port", str(MIRROR_PORT), "--public"),  # noqa: S104 - inside its networks
        ],
        "restart": "unless-stopped",
        "depends_on": _founded(),
        "networks": [_mirror_of(member) for member in members],
        "volumes": [f"{SIGNER}:/data"],
        "healthcheck": _answers(f"http://127.0.0.1:{MIRROR_PORT}/timestamp.json"),
    }


def _import(organization: str) -> Service:
    return {
        **_program("node", "node"),
        "command": ["node", "import", "/data/catalogue.ndjson", "--settings", "/data/settings.json"],
        "depends_on": {**_founded(), **_healthy(SIGNER)},
        "networks": [_mirror_of(organization)],
        "volumes": [f"{organization}:/data"],
    }


def _node(topology: Topology, organization: str) -> Service:
    networks = [_inside_of(organization), _mirror_of(organization)]
    if organization == topology.home:
        networks.append(_relay_of(topology))
    return {
        **_program("node", "node"),
        "command": ["node", "serve", "--settings", "/data/settings.json"],
        "environment": _listening(NODE),
        "restart": "unless-stopped",
        "depends_on": {f"{organization}-import": {"condition": "service_completed_successfully"}},
        "networks": networks,
        "volumes": [f"{organization}:/data"],
        "healthcheck": _answers(f"http://127.0.0.1:{MEMBER_PORT}/readyz"),
    }


def _coordinator(topology: Topology) -> Service:
    coordinator = topology.coordinator
    doors = [_door_of(organization) for organization in topology.organizations]
    return {
        **_program("coordinator", "coordinator"),
        "command": ["coordinator", "serve", "--settings", "/data/settings.json"],
        "environment": _listening(COORDINATOR),
        "restart": "unless-stopped",
        "depends_on": {**_founded(), **_healthy(SIGNER)},
        "networks": [_inside_of(coordinator), _mirror_of(coordinator), *doors],
        "volumes": [f"{coordinator}:/data"],
        "healthcheck": _answers(f"http://127.0.0.1:{MEMBER_PORT}/readyz"),
    }


def _edge(topology: Topology, member: str) -> Service:
    outside = _relay_of(topology) if member == topology.coordinator else _door_of(member)
    return {
        "image": EDGE_IMAGE,
        **_hardened(),
        "environment": {UPSTREAM: f"{member}:{MEMBER_PORT}"},
        "restart": "unless-stopped",
        "depends_on": _healthy(member),
        "networks": {_inside_of(member): {}, outside: {"aliases": [edge_host(member)]}},
        "volumes": [
            "./deploy/edge/haproxy.cfg:/usr/local/etc/haproxy/haproxy.cfg:ro",
            f"{member}-edge:/tls:ro",
        ],
        "healthcheck": {
            "test": ["CMD", "wget", "-q", "-O", "/dev/null", f"http://127.0.0.1:{EDGE_HEALTH_PORT}/readyz"],
            **_PATIENCE,
        },
    }


def _provider(topology: Topology) -> Service:
    # It serves loopback only, so it shares the home node's: that node and its people find it there, and nobody else.
    return {
        **_program("node", "demo"),
        "command": ["demo-provider", "--config", "/data/provider.json"],
        "restart": "unless-stopped",
        "depends_on": _healthy(topology.home),
        "network_mode": f"service:{topology.home}",
        "volumes": [f"{PROVIDER}:/data:ro"],
        "healthcheck": _answers(f"http://127.0.0.1:{PROVIDER_PORT}/.well-known/openid-configuration"),
    }


def _client(topology: Topology) -> Service:
    person = topology.persons[1].subject
    return {
        **_program("node", "demo"),
        "profiles": ["client"],
        "command": ["login", "--home", f"http://127.0.0.1:{MEMBER_PORT}"],
        "environment": {
            "BROWSER": "python -m concordat_client.demo.scripted_browser %s &",
            PERSON_FILE: f"/persons/{person}.json",
            "XDG_CONFIG_HOME": "/persons",
        },
        "depends_on": {**_healthy(topology.home), **_healthy(PROVIDER), **_healthy(f"{topology.coordinator}-edge")},
        "network_mode": f"service:{topology.home}",
        "volumes": [f"{PERSONS}:/persons"],
    }


_PATIENCE: dict[str, Yaml] = {"interval": "10s", "timeout": "5s", "retries": 6, "start_period": "60s"}


def _program(containerfile: str, target: str, **arguments: str) -> Service:
    build: dict[str, Yaml] = {"context": ".", "dockerfile": f"deploy/Containerfile.{containerfile}", "target": target}
    if arguments:
        build["args"] = dict(arguments)
    # An image with arguments of its own must not be taken for one without.
    name = f"concordat-{target}" + ("-ceremony" if arguments else "")
    return {"image": f"{name}:local", "build": build, **_hardened()}


def _hardened() -> Service:
    return {
        "user": USER,
        "read_only": True,
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        "pids_limit": 256,
        "init": True,
        "tmpfs": ["/tmp:mode=1777,size=256m"],  # noqa: S108 - a container's own
    }


def _listening(prefix: str) -> dict[str, Yaml]:
    """Return what the place decides and the settings file cannot know."""
    return {
        f"{prefix}HOST": "0.0.0.0",  # noqa: S104 - inside its networks
        f"{prefix}PORT": str(MEMBER_PORT),
        f"{prefix}CA_FILE": "/data/ca.pem",
    }


def _answers(url: str) -> dict[str, Yaml]:
    program = f"import urllib.request as u; u.urlopen({url!r}, timeout=4)"
    return {"test": ["CMD", "python", "-c", program], **_PATIENCE}


def _founded() -> dict[str, Yaml]:
    return {"ceremony": {"condition": "service_completed_successfully"}}


def _healthy(service: str) -> dict[str, Yaml]:
    return {service: {"condition": "service_healthy"}}


def _inside_of(member: str) -> str:
    return f"{member}-inside"


def _mirror_of(member: str) -> str:
    return f"{member}-mirror"


def _door_of(organization: str) -> str:
    return f"{organization}-door"


def _relay_of(topology: Topology) -> str:
    return f"{topology.home}-relay"


def text() -> str:
    """Return the file's text."""
    return _HEAD + "\n".join(_lines(compose(), "")) + "\n"


def _lines(value: Mapping[str, Yaml] | Sequence[Yaml], indent: str) -> Iterator[str]:
    pairs = value.items() if isinstance(value, Mapping) else ((None, item) for item in value)
    for name, item in pairs:
        head = f"{indent}- " if name is None else f"{indent}{name}:"
        if isinstance(item, Mapping | list) and item:
            yield head.rstrip()
            yield from _lines(item, indent + "  ")
        else:
            yield f"{head.rstrip()} {_scalar(item)}"


def _scalar(value: Yaml) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return str(value)  # whole numbers, and the empty {} and []


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="change nothing; exit 7 when the file is out of date")
    check, made = parser.parse_args().check, text()
    if TARGET.exists() and TARGET.read_text("utf-8") == made:
        return 0
    if check:
        print(f"{TARGET.name} is out of date: run tools/build_compose.py")
        return FINDING
    TARGET.write_text(made, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
