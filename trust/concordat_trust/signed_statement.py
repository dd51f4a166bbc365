"""What attestations, deliveries and checkpoints have in common: a member's signed word that stays true for years.

They are read at any later time, so the clock has no say in the signature: which keys count is decided by `bundle`, the
network's state when the statement was made. Who they are for is compared by the caller, who knows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from concordat_trust import jose
from concordat_trust.canonical import JsonObject
from concordat_trust.directory import KeyDirectory, KeyUse, keys_for
from concordat_trust.errors import RefusedDocument
from concordat_trust.token_errors import TokenRefused, translated

Translation = Mapping[type[TokenRefused], type[RefusedDocument]]
"""The leaf that each refusal of `jose` becomes for one kind of statement; it has an entry for TokenRefused."""


def verified_statement(
    jws: str,
    *,
    typ: str,
    use: KeyUse,
    bundle: KeyDirectory,
    required: Sequence[str],
    bytes_max: int,
    translation: Translation,
) -> JsonObject:
    """Return the members of a statement that its issuer's key for `use` signed.

    Raises: the leaves of `translation`, OrganizationSuspended.
    """
    try:
        return jose.verify(
            jws,
            typ=typ,
            resolve=keys_for(bundle, use),
            now=None,
            leeway_s=jose.LEEWAY_S,
            lifetime_max_s=None,
            required=required,
            audience=None,
            bytes_max=bytes_max,
        )
    except TokenRefused as error:
        raise translated(error, translation) from error
