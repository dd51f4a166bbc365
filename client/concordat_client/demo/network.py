"""The running network of the demonstration: its processes, the order of their start, and what fills them."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from concordat_client.demo.catalogue import catalogue_of, ndjson_lines
from concordat_client.demo.layout import Layout
from concordat_client.demo.named import Named
from concordat_client.demo.processes import Children, start, wait_ready
from concordat_node.id_secret import ID_SECRET
from concordat_node.registry.rules import Owner
from concordat_node.settings import read_settings
from concordat_node.setup import import_file
from concordat_trust.errors import OperatorError
from concordat_trust.ids import OrgId

Say = Callable[[str], None]


class CatalogueRefused(OperatorError):
    code = "demo_catalogue_refused"
    sentence = "{organization} refused {refused} lines of its own catalogue, the first one because: {problem}"
    hint = "The demonstration and the node disagree about the import format; report this."


def program(*arguments: str) -> tuple[str, ...]:
    """Return the command line of one of our commands, run from the installed console script."""
    return (str(Path(sys.executable).with_name("concordat")), *arguments)


class Network:
    """Starts, fills, restarts and stops the processes of one layout."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.children = Children()

    def start(self) -> None:
        """Start every process; return when all of them answer. Raises: ProcessFailed."""
        layout, addresses = self.layout, self.layout.addresses
        repository, key = str(layout.ceremony.repository), str(layout.ceremony.keys["online-signer/online"])
        signer_port = addresses["online-signer"].rpartition(":")[2]
        signing = ("trust", "sign-online", "--repository", repository, "--key", key, "--port", signer_port)
        self._start("online-signer", *program(*signing))
        wait_ready(self.children.running["online-signer"], addresses["online-signer"] + "/timestamp.json")
        provider = ("demo-provider", "--config", str(layout.folder / "provider.json"))
        self._start("identity-provider", *program(*provider))
        coordinator = layout.topology.coordinator
        self._start(coordinator, *program("coordinator", "serve", "--settings", str(layout.settings(coordinator))))
        for organization in layout.topology.organizations:
            self._start(organization, *program("node", "serve", "--settings", str(layout.settings(organization))))

    def wait_ready(self) -> None:
        """Return when every process answers. Raises: ProcessFailed."""
        addresses = self.layout.addresses
        ready = {"identity-provider": "/.well-known/openid-configuration"}
        for name, child in self.children.running.items():
            if name != "online-signer":
                wait_ready(child, addresses[name] + ready.get(name, "/readyz"))

    def fill(self, *, at: int) -> dict[str, int]:
        """Train every model and import what each organization registers; return the number of models by organization.

        Raises: CatalogueRefused, and the import's failures.
        """
        return {organization: self._fill(organization, at) for organization in self.layout.topology.organizations}

    def stop_node(self, organization: str) -> None:
        self.children.running[organization].stop()

    def restart_node(self, organization: str) -> None:
        child = self.children.restart(organization)
        wait_ready(child, self.layout.addresses[organization] + "/readyz")

    def _start(self, name: str, *argv: str) -> None:
        self.children.add(start(name, argv, self.layout.log(name), {}))

    def _fill(self, organization: str, at: int) -> int:
        layout = self.layout
        path, models = write_catalogue(layout, organization, at=at)
        report = import_file(read_settings(layout.settings(organization), {}), path)
        if report.refused:
            first = next(line for line in report.lines if not line.ok)
            raise CatalogueRefused(organization=organization, refused=report.refused, problem=first.message)
        return models


def id_of(layout: Layout, named: Named) -> str:
    """Return the id that this asset has in its organization's registry."""
    secret = (layout.member_folder(named.organization) / ID_SECRET).read_bytes()
    return str(Owner(OrgId.parse(named.organization), secret).asset_id(named.kind, named.name))


def write_catalogue(layout: Layout, organization: str, *, at: int) -> tuple[Path, int]:
    """Train an organization's models; return the file to be imported and the number of models in it."""
    catalogue = catalogue_of(organization, layout.pseudonyms, layout.topology.home, at)
    created = datetime.fromtimestamp(at, UTC).date().isoformat()
    lines = list(ndjson_lines(catalogue, created=created, id_of=partial(id_of, layout)))
    path = layout.member_folder(organization) / "catalogue.ndjson"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    return path, sum(line["type"] == "model" for line in lines)


@contextmanager
def running(layout: Layout) -> Iterator[Network]:
    """Give a network whose processes are stopped at the end, whatever happens."""
    network = Network(layout)
    try:
        yield network
    finally:
        # From here on everything is taken down, and a second Ctrl-C would leave something behind.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        network.children.stop_all()
