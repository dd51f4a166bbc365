"""The private keys of a node: read from files, exchanged when the bundle lists others, refused when it lists none."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from concordat_node.errors import NodeNotMember
from concordat_node.settings import Settings
from concordat_trust.bundle import TrustedBundle
from concordat_trust.directory import KeyUnknown, KeyUse, MemberUnknown, OrganizationSuspended, is_listed
from concordat_trust.ids import OrgId
from concordat_trust.reloading_key import ReloadingKey


@dataclass(frozen=True, slots=True)
class Keys:
    """The private keys of a node, each for one use."""

    attestation: ReloadingKey
    query_token: ReloadingKey
    request: ReloadingKey

    def by_use(self) -> tuple[tuple[KeyUse, ReloadingKey], ...]:
        return (("attestation", self.attestation), ("query_token", self.query_token), ("request", self.request))

    def reload(self, bundle: TrustedBundle, organization: OrgId) -> None:
        """Take over new key files that the bundle lists already."""
        for use, key in self.by_use():
            key.reload(partial(is_listed, bundle, organization, use))


def read_keys(settings: Settings) -> Keys:
    """Return the node's keys. Raises: KeyFileMissing, KeyFilePermissions, KeyFileInvalid."""
    return Keys(
        attestation=ReloadingKey(settings.in_data_dir(settings.attestation_key)),
        query_token=ReloadingKey(settings.in_data_dir(settings.query_token_key)),
        request=ReloadingKey(settings.in_data_dir(settings.request_key)),
    )


def check_membership(bundle: TrustedBundle, settings: Settings, keys: Keys) -> None:
    """Refuse to run with keys that nobody will believe; a suspension is told by every answer. Raises: NodeNotMember."""
    for use, key in keys.by_use():
        try:
            bundle.key(settings.organization, use, key.key_id)
        except (KeyUnknown, MemberUnknown) as error:
            raise NodeNotMember(organization=settings.organization, use=use) from error
        except OrganizationSuspended:
            return
