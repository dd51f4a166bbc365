"""What a container may do and see: no more than its party must, and no secret stands in a file."""

from __future__ import annotations

import itertools
import re
import sys

import pytest

from concordat_client.demo.layout import read_topology
from tests.deploy.containers import (
    COMPOSE,
    CONTAINERFILES,
    FILE,
    OURS,
    ROOT,
    SERVICES,
    Containerfile,
    mounts,
    networks,
)

TOPOLOGY = read_topology()
SECRET = re.compile(r"password|secret|token|private|-----BEGIN", re.IGNORECASE)


@pytest.mark.parametrize("name", SERVICES)
def test_every_container_runs_without_privileges(name: str) -> None:
    service = SERVICES[name]
    assert service["user"] == "10001:10001"
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["pids_limit"] <= 256
    assert not {"privileged", "cap_add", "devices", "ports", "pid", "ipc", "secrets", "env_file"} & set(service)


def test_no_network_leads_out() -> None:
    assert all(network == {"internal": True} for network in FILE["networks"].values())


@pytest.mark.parametrize("pair", [*itertools.combinations(TOPOLOGY.organizations, 2)], ids="-".join)
def test_two_organizations_share_neither_network_nor_volume(pair: tuple[str, str]) -> None:
    seen = [
        {
            *(network for name in (org, f"{org}-edge", f"{org}-import") for network in networks(SERVICES[name])),
            *(mount.source for name in (org, f"{org}-edge", f"{org}-import") for mount in mounts(SERVICES[name])),
        }
        for org in pair
    ]
    assert seen[0] & seen[1] == {"./deploy/edge/haproxy.cfg"}


def test_the_coordinator_meets_edges_only() -> None:
    for network in networks(SERVICES[TOPOLOGY.coordinator]):
        others = {name for name, service in SERVICES.items() if network in networks(service)} - {TOPOLOGY.coordinator}
        assert others
        assert all(name.endswith("-edge") or name == "online-signer" for name in others)


def test_a_node_meets_its_edge_the_signer_and_at_home_the_coordinators_edge() -> None:
    for organization in TOPOLOGY.organizations:
        own = networks(SERVICES[organization])
        met = {name for name, service in SERVICES.items() if networks(service) & own} - {organization}
        expected = {f"{organization}-edge", f"{organization}-import", "online-signer"}
        if organization == TOPOLOGY.home:
            expected.add(f"{TOPOLOGY.coordinator}-edge")
        assert met == expected


def test_only_the_ceremony_sees_more_than_one_partys_volume_and_it_has_no_network() -> None:
    for name, service in SERVICES.items():
        volumes = {mount.source for mount in mounts(service) if not mount.is_file}
        assert len(volumes) == (len(FILE["volumes"]) if name == "ceremony" else 1)
    assert SERVICES["ceremony"]["network_mode"] == "none"


@pytest.mark.parametrize("path", ["compose.federation.yaml", "deploy/edge/haproxy.cfg", *CONTAINERFILES])
def test_no_secret_stands_in_a_file(path: str) -> None:
    assert SECRET.findall((ROOT / path).read_text("utf-8")) == []


@pytest.mark.parametrize("path", CONTAINERFILES)
def test_a_containerfile_copies_what_is_there_and_ends_without_root(path: str) -> None:
    containerfile = Containerfile.read(path)
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line[:1] == "!"}
    for source in containerfile.copied():
        assert (ROOT / source).exists() or (ROOT / "tools" / source).exists()
        assert source in allowed
    assert containerfile.copied_from() <= {name for _, name in containerfile.stages()}
    users = re.findall(r"^USER (\S+)$", containerfile.text, re.MULTILINE)
    assert users[-1] == "10001:10001"
    assert "uv sync --frozen --no-editable" in containerfile.text


def test_every_image_has_a_version() -> None:
    images = {image for path in CONTAINERFILES for image in Containerfile.read(path).images()}
    images |= {service["image"] for name, service in SERVICES.items() if name not in OURS}
    for image in images:
        assert re.fullmatch(r"[a-z0-9./-]+:[0-9][0-9a-z.-]*(@sha256:[0-9a-f]{64})?", image), image
    python = f"python:{sys.version_info[0]}.{sys.version_info[1]}-"
    assert sum(python in image for image in images) == 1


def test_the_go_of_the_image_is_new_enough_for_the_pinned_opa() -> None:
    needed = re.search(r"^go (\d+\.\d+)", (ROOT / "tools" / "go.mod").read_text("utf-8"), re.MULTILINE)
    given = re.search(r"golang:(\d+\.\d+)", Containerfile.read("deploy/Containerfile.node").text)
    assert needed is not None
    assert given is not None
    assert tuple(map(int, given[1].split("."))) >= tuple(map(int, needed[1].split(".")))


def test_the_file_names_no_path_of_a_machine() -> None:
    assert "/root" not in COMPOSE.read_text("utf-8")
