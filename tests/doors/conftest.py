"""One institution for the tests of a module: its databases take longer than a request."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from concordat_node.policy.opa_engine import OpaPolicyEngine
from tests.factories.doors import Institution, make_institution
from tests.factories.network import ORGANIZATIONS
from tests.factories.opa import running_opa
from tests.federation.consortium import default_records


@pytest.fixture(scope="session")
def opa() -> Iterator[OpaPolicyEngine]:
    """The real policy: doors are asked by many people for many purposes."""
    with running_opa() as running:
        yield OpaPolicyEngine(running)


@pytest.fixture(scope="module")
def institution(tmp_path_factory: pytest.TempPathFactory, opa: OpaPolicyEngine) -> Iterator[Institution]:
    """Each organization holds a model open to a relay, one more, a sealed one and one hidden from everybody here."""
    folder: Path = tmp_path_factory.mktemp("home")
    made = make_institution(folder, {org: default_records(org, sealed=True) for org in ORGANIZATIONS}, engine=opa)
    yield made
    made.home.home.close()


@pytest.fixture
def asked(institution: Institution) -> Institution:
    """The same, with nothing asked yet."""
    institution.to_nodes.asked.clear()
    institution.from_home.asked.clear()
    return institution


@pytest.fixture
def token(institution: Institution) -> str:
    return institution.sign_in("ada")
