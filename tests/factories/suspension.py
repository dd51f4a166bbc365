"""A network after one keyholder suspended some of its members: the bundle that everybody polls next."""

from __future__ import annotations

from concordat_trust.bundle import TrustedBundle
from concordat_trust.ids import OrgId
from tests.factories.network import NOW, TestNetwork
from tests.factories.repository import Repository


def after_suspending(network: TestNetwork, *members: OrgId) -> TrustedBundle:
    """Return the bundle of `network` at NOW with these members suspended."""
    repository = Repository(network)
    repository.publish_suspended(dict.fromkeys(members, 2), 2)
    repository.renew(NOW)
    return repository.verify()
