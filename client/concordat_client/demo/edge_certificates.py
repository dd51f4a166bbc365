"""Certificates for the demonstration's edges: one authority, made anew at each founding and forgotten afterwards."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LIFETIME = timedelta(days=30)
_NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Concordat demonstration authority")])


class Authority:
    """Signs certificates for host names. Its key is in memory only: nobody can sign another one later."""

    def __init__(self, *, at: int) -> None:
        self._from = datetime.fromtimestamp(at, UTC)
        self._key = ec.generate_private_key(ec.SECP256R1())
        key_id = x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())
        built = self._builder(_NAME, self._key.public_key()).add_extension(
            x509.BasicConstraints(True, 0), critical=True
        )
        built = built.add_extension(_usage(signs_certificates=True), critical=True).add_extension(
            key_id, critical=False
        )
        self._issuer_id = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(key_id)
        self.certificate = built.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM)

    def certify(self, host: str) -> bytes:
        """Return certificate and private key of a server with this name, as one PEM text."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, host)])
        built = self._builder(name, key.public_key())
        for extension, is_critical in (
            (x509.SubjectAlternativeName([x509.DNSName(host)]), False),
            (x509.BasicConstraints(False, None), True),
            (_usage(signs_certificates=False), True),
            (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),
            (self._issuer_id, False),
        ):
            built = built.add_extension(extension, critical=is_critical)
        certificate = built.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM)
        return certificate + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def _builder(self, subject: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(_NAME)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(self._from - timedelta(minutes=5))
            .not_valid_after(self._from + LIFETIME)
        )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )
