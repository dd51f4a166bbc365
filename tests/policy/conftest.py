from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from concordat_node.policy.opa_binary import ensure_opa
from concordat_node.policy.opa_engine import OpaPolicyEngine
from tests.factories.opa import running_opa


@pytest.fixture(scope="session")
def opa_path() -> Path:
    return ensure_opa().path


@pytest.fixture(scope="session")
def opa_engine(opa_path: Path) -> Iterator[OpaPolicyEngine]:
    with running_opa(opa_path) as opa:
        yield OpaPolicyEngine(opa)
