"""`concordat node log …` beyond listing: is the log what it was, and what can be shown to others about it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from concordat_node.app import now
from concordat_node.keys import read_keys
from concordat_node.ledger.ledger import Ledger, StoredEntry
from concordat_node.ledger.signing import make_receipt
from concordat_node.ledger.tables import LogDamaged
from concordat_node.ledger.verifying import Kept, LogFinding, LogReport, verify_log
from concordat_node.registry.engine import open_ledger_database
from concordat_node.settings import Settings
from concordat_node.setup import current_bundle
from concordat_trust.checkpoint import Checkpoint, sign_checkpoint
from concordat_trust.encoding import unb64u
from concordat_trust.errors import OperatorError
from concordat_trust.log_documents import (
    DOCUMENT_BYTES_MAX,
    ConsistencyProof,
    LogDocument,
    claimed_state,
    jws_of,
    parse_log_document,
)
from concordat_trust.log_proof import EMPTY_ROOT
from concordat_trust.receipt import Receipt


class LogDocumentUnreadable(OperatorError):
    code = "log_document_unreadable"
    sentence = "{path} cannot be read: {problem}."
    hint = "Give the path of a checkpoint, a receipt or a proof."


class LogDocumentUnwritable(OperatorError):
    code = "log_document_unwritable"
    sentence = "{path} cannot be written: {problem}."
    hint = "Give the path of a file that is not there yet, in a folder that is."


class LogContradictsCheckpoint(OperatorError):
    code = "log_contradicts_checkpoint"
    sentence = "This log does not continue the checkpoint of {size} entries: its first entries are others, or fewer."
    hint = "Run `concordat node log verify --checkpoint FILE`; keep the log's file and the checkpoint as they are."


def log_entries(settings: Settings, *, after: int, limit: int) -> tuple[StoredEntry, ...]:
    """Return entries of the disclosure log. Raises: LogUnavailable, LogTooNew, LogDamaged, the storage failures."""
    with _opened(settings) as ledger:
        return ledger.entries(after=after, limit=limit)


def verified_log(settings: Settings, kept: Sequence[Path]) -> LogReport:
    """Return what is wrong with the log, also compared with kept checkpoints and receipts.

    Raises: LogDocumentUnreadable, LogDocumentUnknown, CheckpointMalformed, LogTooNew, LogUnavailable.
    """
    documents = [_kept(read_log_document(path)) for path in kept]
    try:
        with _opened(settings) as ledger:
            return verify_log(ledger.database, organization=settings.organization, kept=documents)
    except LogDamaged as error:
        # A log of version 1 that could not be brought up to date; its positions count from 1.
        position = error.fields["position"]
        finding = LogFinding("entry_changed", position - 1 if isinstance(position, int) else None)
        return LogReport(0, EMPTY_ROOT, len(documents), (finding,))


def new_checkpoint(settings: Settings) -> str:
    """Return a checkpoint of the log as it is now. Raises: the failures of log, keys and trust bundle."""
    with _opened(settings) as ledger:
        return _sign(settings, *ledger.state())


def proved_entry(settings: Settings, position: int) -> Receipt:
    """Return the proof that the entry at `position` is in the log as it is now. Raises: also LogPositionUnknown."""
    with _opened(settings) as ledger:
        return make_receipt(
            ledger.prove(position),
            organization=settings.organization,
            network=current_bundle(settings).network.id,
            at=now(),
            key=read_keys(settings).attestation,
        )


def proved_continuation(settings: Settings, kept: Path) -> ConsistencyProof:
    """Return the proof that the log as it is now continues a kept checkpoint. Raises: also LogContradictsCheckpoint."""
    document = read_log_document(kept)
    old = claimed_state(document)
    with _opened(settings) as ledger:
        size, _ = ledger.state()
        if old.organization != settings.organization or old.size > size:
            raise LogContradictsCheckpoint(size=old.size)
        proof = ledger.continued(old.size)
        if proof.old_root != old.root:
            raise LogContradictsCheckpoint(size=old.size)
        return ConsistencyProof(jws_of(document), _sign(settings, proof.size, proof.root), proof.path)


def read_log_document(path: Path) -> LogDocument:
    """Return the checkpoint, receipt or proof in a file. Raises: LogDocumentUnreadable and its refusals."""
    try:
        with path.open("rb") as file:
            return parse_log_document(file.read(DOCUMENT_BYTES_MAX + 1))
    except OSError as error:
        raise LogDocumentUnreadable(path=str(path), problem=error.strerror) from error


def write_log_document(path: Path, document: str) -> None:
    """Write a document to a file that is not there yet: a kept checkpoint is never overwritten.

    Raises: LogDocumentUnwritable.
    """
    try:
        with path.open("x", encoding="ascii") as file:
            file.write(document + "\n")
    except OSError as error:
        raise LogDocumentUnwritable(path=str(path), problem=error.strerror) from error


def _kept(document: LogDocument) -> Kept:
    state = claimed_state(document)
    if isinstance(document, Receipt):
        return Kept(state, document.index, unb64u(document.leaf))
    return Kept(state)


def _sign(settings: Settings, size: int, root: bytes) -> str:
    network = current_bundle(settings).network.id
    checkpoint = Checkpoint(settings.organization, network, size, root, now())
    return sign_checkpoint(checkpoint, key=read_keys(settings).attestation)


@contextmanager
def _opened(settings: Settings) -> Iterator[Ledger]:
    ledger = Ledger(open_ledger_database(settings.data_dir / "ledger.sqlite"))
    try:
        yield ledger
    finally:
        ledger.close()
