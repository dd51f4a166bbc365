"""A repository folder on a real loopback socket, as a mirror serves it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from concordat_trust.bundle.online_signer import RepositoryServer


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Yield the address below which the files of `folder` are served."""
    server = RepositoryServer(folder, "127.0.0.1", 0)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server.url
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
