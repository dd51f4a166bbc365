"""The one-time code of a sign-in: of several that bring it at the same moment, one gets the session."""

from __future__ import annotations

import threading
from pathlib import Path

from concordat_node.home.claims import PersonClaims
from concordat_node.home.database import open_home_database
from concordat_node.home.errors import LoginCodeInvalid
from concordat_node.home.login_store import LoginStore
from concordat_node.home.pending import ClientRequest
from concordat_node.home.person import Person
from concordat_trust.encoding import sha256_b64u
from tests.factories.network import NOW
from tests.factories.node import Entropy

ADA = Person("ada", PersonClaims("faculty", "researcher", 1))
VERIFIER = "v" * 64
AT_ONCE = 8


def test_a_code_brought_by_many_at_once_is_redeemed_once(tmp_path: Path) -> None:
    engine = open_home_database(tmp_path / "home.sqlite")
    logins = LoginStore(engine, entropy=Entropy())
    client = ClientRequest("http://127.0.0.1:43210/callback", sha256_b64u(VERIFIER.encode()), "state")
    start = threading.Barrier(AT_ONCE)
    outcomes: list[str] = []

    def redeem(code: str) -> None:
        start.wait()
        try:
            outcomes.append(logins.redeem(code, VERIFIER, now=NOW).subject)
        except LoginCodeInvalid as error:
            outcomes.append(error.code)

    for attempt in range(10):
        logins.use(f"state-{attempt}", Person(f"ada-{attempt}", ADA.claims), now=NOW)
        code = logins.confirm(f"state-{attempt}", client, now=NOW)
        outcomes.clear()
        threads = [threading.Thread(target=redeem, args=(code,)) for _ in range(AT_ONCE)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(outcomes) == [f"ada-{attempt}", *["login_code_invalid"] * (AT_ONCE - 1)]
    engine.dispose()
