from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from concordat_node.policy.opa_binary import ensure_opa
from concordat_node.policy.opa_engine import OpaPolicyEngine
from tests.factories.opa import RunningOpa, running_opa


@pytest.fixture(scope="session")
def opa_path() -> Path:
    return ensure_opa().path


@pytest.fixture(scope="session")
def opa(opa_path: Path) -> Iterator[RunningOpa]:
    with running_opa(opa_path) as running:
        yield running


@pytest.fixture(scope="session")
def opa_engine(opa: RunningOpa) -> OpaPolicyEngine:
    return OpaPolicyEngine(opa)
