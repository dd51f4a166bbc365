"""The public part of a key that one person holds: what keyholders and the online signer send to a founding.

    {"part_version": 1, "name", "use": "keyholder" | "online", "key": JWK, "proof"}

`proof` is the key's own signature over name and use, so that nobody can bring another's key under its own name. The
fingerprint of the key is compared by voice: the file alone does not say who sent it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, get_args

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from concordat_trust.bundle.life.errors import PublicPartInvalid
from concordat_trust.canonical import JsonObject, canonical_bytes, parse_object
from concordat_trust.encoding import b64u, unb64u
from concordat_trust.errors import RefusedDocument
from concordat_trust.ids import KeyId, OrgId
from concordat_trust.jwk import Signer, public_jwk, public_key_from_jwk, thumbprint
from concordat_trust.shape import Shape

PartUse = Literal["keyholder", "online"]
PART_USES: Final[tuple[PartUse, ...]] = get_args(PartUse)
PART_BYTES_MAX: Final = 4_096
PROOF_LABEL: Final = "concordat-key-part-1"


@dataclass(frozen=True, slots=True)
class PublicPart:
    """A named public key whose owner has shown to hold it."""

    name: OrgId
    use: PartUse
    key: Ed25519PublicKey
    proof: str

    @property
    def key_id(self) -> KeyId:
        return thumbprint(self.key)

    def to_json(self) -> JsonObject:
        return {
            "part_version": 1,
            "name": self.name,
            "use": self.use,
            "key": public_jwk(self.key),
            "proof": self.proof,
        }


def make_part(name: OrgId, use: PartUse, key: Signer) -> PublicPart:
    """Return the public part of `key`."""
    proof = b64u(key.sign(_claimed(name, use, key.key_id)))
    return PublicPart(name, use, public_key_from_jwk(key.public_jwk), proof)


def parse_part(data: bytes, *, use: PartUse | None = None) -> PublicPart:
    """Return the part of a file, of the given use. Raises: PublicPartInvalid."""
    try:
        return read_part(Shape(parse_object(data, bytes_max=PART_BYTES_MAX), "part"), use=use)
    except PublicPartInvalid:
        raise
    except RefusedDocument as error:
        raise PublicPartInvalid(problem=error.message.rstrip(".")) from error


def read_part(shape: Shape, *, use: PartUse | None = None) -> PublicPart:
    """Return the part that stands in another document. Raises: PublicPartInvalid and other RefusedDocuments."""
    shape.integer("part_version", minimum=1, maximum=1)
    name = OrgId.parse(shape.text("name"))
    found: PartUse = "online" if shape.one_of("use", PART_USES) == "online" else "keyholder"
    if use is not None and found != use:
        raise PublicPartInvalid(problem=f"{name} is the part of another use: {found}")
    key = public_key_from_jwk(shape.value("key"))
    part = PublicPart(name, found, key, shape.text("proof"))
    shape.finish()
    try:
        key.verify(unb64u(part.proof), _claimed(name, found, part.key_id))
    except InvalidSignature as error:
        raise PublicPartInvalid(problem=f"{name} does not show that it holds this key") from error
    return part


def _claimed(name: OrgId, use: PartUse, key_id: KeyId) -> bytes:
    # JSON in the clear with its own label: nothing else that a key of this network signs reads like it.
    return canonical_bytes({"key_id": key_id, "name": name, "proof": PROOF_LABEL, "use": use})
