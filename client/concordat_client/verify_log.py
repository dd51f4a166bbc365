"""`concordat verify-log FILE --bundle ZIP (--root-sha256 HEX | --network NAME)`: a proof about a log, offline.

FILE is a checkpoint, a receipt or a consistency proof, as a node's operator hands it over. Signatures are checked
against the network as it was when they were made, or at TIME.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from concordat_client.exits import Exit
from concordat_client.verify import add_bundle_arguments, bundle_reader, given_root

if TYPE_CHECKING:
    from concordat_trust.log_documents import VerifiedLogDocument

_DESCRIPTION = (
    "Check a document about an organization's disclosure log offline: that the organization signed it, that an entry "
    "is in the log, or that the log continues an earlier state of itself."
)


def register(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command."""
    verify = subparsers.add_parser("verify-log", help="check a proof about a disclosure log", description=_DESCRIPTION)
    verify.add_argument("file", type=Path, metavar="FILE", help="a checkpoint, a receipt or a consistency proof")
    add_bundle_arguments(verify)
    verify.set_defaults(run=run_verify_log)


def run_verify_log(arguments: argparse.Namespace) -> int:
    """Verify and say in words what is shown."""
    from concordat_client.errors import LogFileUnusable
    from concordat_client.plain_text import as_json
    from concordat_trust.log_documents import (
        DOCUMENT_BYTES_MAX,
        claimed_state,
        parse_log_document,
        verify_log_document,
    )

    try:
        with arguments.file.open("rb") as file:
            data = file.read(DOCUMENT_BYTES_MAX + 1)
    except OSError as error:
        raise LogFileUnusable(path=str(arguments.file), problem=error.strerror) from error
    document = parse_log_document(data)
    root_sha256 = given_root(arguments, lambda: claimed_state(document).network)
    verified = verify_log_document(document, bundle_at=bundle_reader(arguments, root_sha256))
    if arguments.json:
        print(as_json({"ok": True, **verified.to_json()}))
    else:
        for line in _lines(verified):
            print(line)
    return Exit.DONE


def _lines(verified: VerifiedLogDocument) -> Iterator[str]:
    from concordat_client.plain_text import plain
    from concordat_trust.times import time_words

    state, told = verified.checkpoint, verified.to_json()
    yield f"{state.organization} signed this state of its disclosure log in {plain(state.network)}:"
    yield f"  {state.size} entries, root {told['root']}, {time_words(state.issued_at)}"
    if verified.index is not None:
        yield f"  the entry at {verified.index} is in it"
    if verified.continues is not None:
        old = verified.continues
        yield f"  it continues its state of {time_words(old.issued_at)}: the first {old.size} entries are the same"
