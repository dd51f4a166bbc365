"""TLS of the node's own port, when no proxy stands before it: TLS 1.3, and certificates renewed without a restart.

A new certificate counts for every connection opened after it was found, at most RELOAD_INTERVAL_S later; connections
that are open go on. A pair that does not fit together, or a key that others can read, changes nothing and is logged.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import stat
from pathlib import Path

from concordat_node.errors import TlsFilesUnusable
from concordat_trust.reloading_key import Stamp, file_stamp

RELOAD_INTERVAL_S = 10.0
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_log = logging.getLogger(__name__)


class TlsFiles:
    """A certificate chain and its private key, as PEM files. Raises: TlsFilesUnusable."""

    def __init__(self, certificate: Path, key: Path) -> None:
        self._certificate, self._key = certificate, key
        self._stamps = self._stamped()
        self.context = self._loaded()

    def reload(self) -> bool:
        """Take the files if they changed and fit together; tell whether they were taken."""
        stamps = self._stamped()
        if stamps == self._stamps:
            return False
        self._stamps = stamps
        try:
            self._loaded()  # on the side first: a pair that does not fit must not reach the context in use
        except TlsFilesUnusable as error:
            _log.warning("the certificate in use stays in use: %s", error)
            return False
        self.context.load_cert_chain(self._certificate, self._key)
        _log.info("the certificate in %s is used from now on", self._certificate)
        return True

    async def follow(self) -> None:
        """Reload for ever, every RELOAD_INTERVAL_S."""
        while True:
            await asyncio.sleep(RELOAD_INTERVAL_S)
            self.reload()

    def _stamped(self) -> tuple[Stamp | None, Stamp | None]:
        return file_stamp(self._certificate), file_stamp(self._key)

    def _loaded(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        try:
            if self._key.stat().st_mode & _OTHERS:
                raise TlsFilesUnusable(path=str(self._key), problem="others can read it")
            context.load_cert_chain(self._certificate, self._key)
        except OSError as error:  # also ssl.SSLError
            problem = error.strerror or "certificate and key do not fit together"
            raise TlsFilesUnusable(path=str(self._certificate), problem=problem) from error
        return context
