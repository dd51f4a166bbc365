"""The TUF library and our verifier agree, over honest and attacked repositories.

The library's own client fetches everything that a bundle consists of, at the same clock reading. Where it accepts what
we refuse, the attack says so: our rule is stricter than TUF. Nothing that it refuses is accepted by us.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from concordat_trust.bundle.members import statement_path
from concordat_trust.bundle.tuf_client import DownloadError, RepositoryError
from concordat_trust.bundle.updater import ClockedUpdater, Places
from concordat_trust.errors import RefusedDocument
from tests.factories.mirror import MIRROR, MemoryMirror
from tests.factories.network import NOW, make_member_keys
from tests.factories.repository import Repository
from tests.trust.bundle_attacks import ATTACKS, Attack


def client_takes_all(repo: Repository, folder: Path, at: int) -> bool:
    """Tell whether the library's client accepts every part of the repository."""
    try:
        places = Places.of_mirror(MIRROR, folder)
        updater = ClockedUpdater(places, fetcher=MemoryMirror(repo.files), bootstrap=repo.files["1.root.json"], at=at)
        updater.refresh()
        for path in ("network.json", "statistics.json", "suspended.json", *(statement_path(m.id) for m in MEMBERS)):
            listed = updater.get_targetinfo(path)
            if listed is None:
                return False
            updater.download_target(listed)
    except (RepositoryError, DownloadError):
        return False
    return True


MEMBERS = Repository().policy.members


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda a: a.name)
def test_the_library_does_with_an_attack_what_is_written_there(attack: Attack, tmp_path: Path) -> None:
    repo = Repository()
    attack.break_it(repo)
    assert client_takes_all(repo, tmp_path, attack.at) == (attack.client == "accepts")


def rotate(repo: Repository) -> None:
    repo.publish_member("vitalis", 2, keys=make_member_keys("vitalis", "organization", generation=2))


HONEST: list[Callable[[Repository], object]] = [
    lambda repo: None,
    lambda repo: repo.publish_root(2, repo.keys, signers=repo.quorum),
    lambda repo: repo.publish_targets(2),
    lambda repo: repo.publish_suspended({"vitalis": 2}, 2),
    rotate,
]


@pytest.mark.parametrize("change", HONEST)
def test_both_accept_an_honest_repository(change: Callable[[Repository], object], tmp_path: Path) -> None:
    repo = Repository()
    change(repo)
    repo.renew(NOW + 1)
    assert client_takes_all(repo, tmp_path, NOW + 1)
    repo.verify(at=NOW + 1)


@pytest.mark.parametrize("second", [-86_400, -1, 0, 3_599, 3_600, 3_601])
def test_both_see_a_timestamp_expire_in_the_same_second(second: int, tmp_path: Path) -> None:
    repo = Repository()
    try:
        repo.verify(at=NOW + second)
        accepted = True
    except RefusedDocument:
        accepted = False
    assert client_takes_all(repo, tmp_path, NOW + second) == accepted == (second < 3_600)
