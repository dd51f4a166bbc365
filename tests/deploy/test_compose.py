"""compose.federation.yaml: made from the demonstration's topology, valid, and every reference in it leads somewhere."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import webbrowser
from pathlib import Path

import build_compose
import pytest
from ruamel.yaml import YAML

from concordat_client.cli import COMMANDS, build_parser
from concordat_client.demo import scripted_browser
from concordat_client.demo.containers import EDGE_PORT, MEMBER_PORT, container_places, edge_host, volumes
from concordat_client.demo.layout import read_topology
from concordat_coordinator import settings as coordinator_settings
from concordat_node import settings as node_settings
from tests.deploy.containers import COMPOSE, FILE, OURS, ROOT, SERVICES, Containerfile, mounts, networks

TOPOLOGY = read_topology()
SERVERS = [name for name, service in SERVICES.items() if "restart" in service]
EDGE_CONFIG = (ROOT / "deploy" / "edge" / "haproxy.cfg").read_text("utf-8")


def test_the_file_is_what_the_tool_makes_of_the_topology() -> None:
    assert COMPOSE.read_text("utf-8") == build_compose.text(), "run tools/build_compose.py"


def test_another_reader_of_yaml_reads_what_the_tool_meant() -> None:
    assert build_compose.compose() == FILE


@pytest.mark.parametrize("text", ['say "no"', "back\\slash", "a: b # c", "yes", "0", "{}", "*"])
def test_any_text_survives_the_yaml(text: str) -> None:
    whole: dict[str, build_compose.Yaml] = {"a": [text, {}, []], "b": {"c": True, "d": False, "e": 3}}
    assert YAML(typ="safe").load("\n".join(build_compose._lines(whole, ""))) == whole


def test_the_schema_of_the_compose_specification_holds_and_would_find_a_wrong_field(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(COMPOSE.read_text("utf-8").replace("cap_drop:", "cap_dropp:", 1), "utf-8")
    program = str(Path(sys.executable).with_name("check-jsonschema"))
    command = [
        program,
        "--builtin-schema",
        "vendor.compose-spec",
        "--output-format",
        "json",
        "-v",
        str(COMPOSE),
        str(wrong),
    ]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    told = json.loads(done.stdout)
    assert done.returncode == 1
    assert told["parse_errors"] == []
    assert told["successes"] == [str(COMPOSE)]
    assert {error["filename"] for error in told["errors"]} == {str(wrong)}


def test_compose_itself_reads_it_where_there_is_one() -> None:
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "compose", "version"], check=False, capture_output=True).returncode:
        return  # the schema above is checked in any case
    subprocess.run([docker, "compose", "-f", str(COMPOSE), "config", "--quiet"], check=True, timeout=60)


def test_its_members_are_those_of_the_topology() -> None:
    members = {*TOPOLOGY.organizations, TOPOLOGY.coordinator}
    assert members <= set(SERVICES)
    edges = {name.removesuffix("-edge") for name in SERVICES if name.endswith("-edge")}
    assert edges == members
    hosts = {
        alias
        for service in SERVICES.values()
        for network in (service["networks"].values() if isinstance(service.get("networks"), dict) else ())
        for alias in network.get("aliases", ())
    }
    endpoints = container_places(TOPOLOGY).addresses
    assert {f"https://{host}:{EDGE_PORT}" for host in hosts} == {endpoints[name] for name in members}
    assert hosts == {edge_host(name) for name in members}


@pytest.mark.parametrize("name", SERVICES)
def test_what_a_service_waits_for_is_there_and_can_be_waited_for(name: str) -> None:
    for other, entry in SERVICES[name].get("depends_on", {}).items():
        awaited = SERVICES[other]
        assert entry["condition"] in ("service_healthy", "service_completed_successfully")
        assert ("healthcheck" in awaited) == (entry["condition"] == "service_healthy")
        assert ("restart" in awaited) == (entry["condition"] == "service_healthy")


def test_nothing_waits_for_itself() -> None:
    waits = {name: set(service.get("depends_on", ())) for name, service in SERVICES.items()}
    started: set[str] = set()
    while ready := {name for name in waits if name not in started and waits[name] <= started}:
        started |= ready
    assert started == set(SERVICES)


def test_every_network_and_volume_is_declared_and_used() -> None:
    assert set().union(*map(networks, SERVICES.values())) == set(FILE["networks"])
    used = {mount.source for service in SERVICES.values() for mount in mounts(service) if not mount.is_file}
    assert used == set(FILE["volumes"]) == set(volumes(TOPOLOGY))
    for service in SERVICES.values():
        mode = service.get("network_mode", "")
        assert ("networks" in service) != bool(mode)
        assert mode in ("", "none") or mode.removeprefix("service:") in SERVICES


def test_every_file_that_is_mounted_is_there() -> None:
    files = [mount for service in SERVICES.values() for mount in mounts(service) if mount.is_file]
    assert files
    for mount in files:
        assert (ROOT / mount.source).is_file()
        assert mount.is_read_only


@pytest.mark.parametrize("name", OURS)
def test_every_build_names_a_containerfile_a_target_and_arguments_of_it(name: str) -> None:
    build = SERVICES[name]["build"]
    containerfile = Containerfile.read(build["dockerfile"])
    assert (ROOT / build["context"]).resolve() == ROOT
    assert build["target"] in {stage for _, stage in containerfile.stages()}
    assert set(build.get("args", {})) <= containerfile.arguments()
    same = [service["build"] for service in SERVICES.values() if service["image"] == SERVICES[name]["image"]]
    assert all(other == build for other in same)


@pytest.mark.parametrize("name", OURS)
def test_every_command_is_one_of_the_program(name: str) -> None:
    arguments = SERVICES[name]["command"]
    parsed = build_parser(next(c for c in COMMANDS if c.name == arguments[0])).parse_args(arguments)
    assert callable(getattr(parsed, "run", None) or getattr(parsed, "handler", None))
    places = [mount.target for mount in mounts(SERVICES[name])]
    for path in [argument for argument in arguments if argument.startswith("/")]:
        assert any(path.startswith(place + "/") or place.startswith(path + "/") for place in places), path


READ_BY = {
    build_compose.UPSTREAM: EDGE_CONFIG,
    scripted_browser.PERSON_FILE: Path(scripted_browser.__file__).read_text("utf-8"),
    "XDG_CONFIG_HOME": (ROOT / "client" / "concordat_client" / "config.py").read_text("utf-8"),
    "BROWSER": Path(str(webbrowser.__file__)).read_text("utf-8"),
}


@pytest.mark.parametrize("name", SERVICES)
def test_every_variable_is_really_read(name: str) -> None:
    for variable, value in SERVICES[name].get("environment", {}).items():
        for module in (node_settings, coordinator_settings):
            if variable.startswith(module.PREFIX):
                known = {option.name for option in module.options()}
                assert variable.removeprefix(module.PREFIX).lower() in known
                owners = TOPOLOGY.organizations if module is node_settings else (TOPOLOGY.coordinator,)
                assert name in owners
                break
        else:
            assert variable in READ_BY[variable]
        assert isinstance(value, str)


def test_the_ports_of_the_edge_are_those_of_its_configuration() -> None:
    assert f"bind :{EDGE_PORT} ssl" in EDGE_CONFIG
    assert f"bind 127.0.0.1:{build_compose.EDGE_HEALTH_PORT}\n" in EDGE_CONFIG
    assert "ssl-min-ver TLSv1.3" in EDGE_CONFIG


@pytest.mark.parametrize("name", SERVERS)
def test_every_server_says_when_it_is_ready(name: str) -> None:
    test = " ".join(SERVICES[name]["healthcheck"]["test"])
    if name in (*TOPOLOGY.organizations, TOPOLOGY.coordinator):
        assert f"http://127.0.0.1:{MEMBER_PORT}/readyz" in test
    elif name.endswith("-edge"):
        assert test.endswith("/readyz")
    assert "http://127.0.0.1:" in test
