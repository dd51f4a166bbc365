"""The node's own certificate: TLS 1.3, renewed without a restart, and never replaced by what does not work."""

from __future__ import annotations

import asyncio
import logging
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from starlette.types import Receive, Scope, Send

from concordat_node.errors import TlsFilesUnusable
from concordat_node.serve import server_config, tls_files
from concordat_node.settings import SettingMissing, read_settings
from concordat_node.tls import RELOAD_INTERVAL_S, TlsFiles
from tests.factories.serving import served


def write_pair(folder: Path, *, serial: int, key_mode: int = 0o600) -> tuple[Path, Path]:
    """Write a self-signed certificate for 127.0.0.1 and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "node.test")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    (folder / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    (folder / "key.pem").chmod(key_mode)
    (folder / "chain.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    return folder / "chain.pem", folder / "key.pem"


async def hello(scope: Scope, receive: Receive, send: Send) -> None:
    del receive
    body = str(scope["scheme"]).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]})
    await send({"type": "http.response.body", "body": body})


async def shown(address: tuple[str, int], version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3) -> int:
    """Return the serial number of the certificate that a new connection is shown."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.maximum_version = version
    reader, writer = await asyncio.open_connection(*address, ssl=context)
    try:
        writer.write(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        assert (await reader.read()).endswith(b"https")
        der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    finally:
        writer.close()
    return x509.load_der_x509_certificate(der).serial_number


async def test_a_renewed_certificate_is_shown_to_new_connections_without_a_restart(tmp_path: Path) -> None:
    tls = TlsFiles(*write_pair(tmp_path, serial=1))
    async with served(server_config(hello, stop_grace_s=1, tls=tls)) as address:
        assert await shown(address) == 1
        assert not tls.reload()
        write_pair(tmp_path, serial=2)
        assert tls.reload()
        assert await shown(address) == 2
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await shown(address, ssl.TLSVersion.TLSv1_2)


async def test_what_does_not_fit_together_changes_nothing_and_is_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tls = TlsFiles(*write_pair(tmp_path, serial=1))
    certificate = (tmp_path / "chain.pem").read_bytes()
    async with served(server_config(hello, stop_grace_s=1, tls=tls)) as address:
        write_pair(tmp_path, serial=2)
        (tmp_path / "chain.pem").write_bytes(certificate)  # the new key with the old certificate
        with caplog.at_level(logging.WARNING):
            assert [tls.reload() for _ in range(3)] == [False] * 3
        assert await shown(address) == 1
        write_pair(tmp_path, serial=3, key_mode=0o644)
        assert not tls.reload()
        assert await shown(address) == 1
        (tmp_path / "key.pem").unlink()
        assert not tls.reload()
        assert await shown(address) == 1
    assert len([r for r in caplog.records if "stays in use" in r.getMessage()]) == 3


async def test_the_files_are_followed_while_the_node_serves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("concordat_node.tls.RELOAD_INTERVAL_S", 0.01)  # ten seconds otherwise
    tls = TlsFiles(*write_pair(tmp_path, serial=1))
    following = asyncio.create_task(tls.follow())
    try:
        async with served(server_config(hello, stop_grace_s=1, tls=tls)) as address:
            write_pair(tmp_path, serial=2)
            async with asyncio.timeout(5):
                while await shown(address) != 2:
                    await asyncio.sleep(0.01)
    finally:
        following.cancel()
    assert RELOAD_INTERVAL_S <= 60


@pytest.mark.parametrize("fault", ["open to others", "missing", "no certificate"])
def test_a_node_does_not_start_with_a_certificate_that_cannot_be_used(fault: str, tmp_path: Path) -> None:
    chain, key = write_pair(tmp_path, serial=1, key_mode=0o640 if fault == "open to others" else 0o600)
    if fault == "missing":
        chain.unlink()
    elif fault == "no certificate":
        chain.write_bytes(b"none")
    with pytest.raises(TlsFilesUnusable):
        TlsFiles(chain, key)


def settings_of(**more: str) -> dict[str, str]:
    base = {"organization": "vitalis", "root_sha256": "0" * 64, "data_dir": "/nowhere", "bundle_mirrors": "http://m/"}
    return {f"CONCORDAT_NODE_{name.upper()}": value for name, value in (base | more).items()}


def test_certificate_and_key_are_named_both_or_not_at_all(tmp_path: Path) -> None:
    chain, key = write_pair(tmp_path, serial=1)
    assert tls_files(read_settings(None, settings_of())) is None
    both = read_settings(None, settings_of(tls_certificate_file=str(chain), tls_key_file=str(key)))
    assert isinstance(tls_files(both), TlsFiles)
    for alone in ({"tls_certificate_file": str(chain)}, {"tls_key_file": str(key)}):
        with pytest.raises(SettingMissing):
            read_settings(None, settings_of(**alone))
