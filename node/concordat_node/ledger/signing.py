"""What a node signs about its log: checkpoints, and the receipts that rest on them.

Only of what was committed: a checkpoint over entries that are lost in a crash would later look like a rewritten log.
"""

from __future__ import annotations

from concordat_node.ledger.ledger import Logged
from concordat_trust.checkpoint import Checkpoint, sign_checkpoint
from concordat_trust.encoding import b64u
from concordat_trust.ids import OrgId
from concordat_trust.jose import Signer
from concordat_trust.receipt import Receipt


def make_receipt(logged: Logged, *, organization: OrgId, network: str, at: int, key: Signer) -> Receipt:
    """Return the proof that this committed entry is in the log."""
    checkpoint = sign_checkpoint(Checkpoint(organization, network, logged.size, logged.root, at), key=key)
    return Receipt(b64u(logged.leaf), logged.index, logged.size, logged.path, checkpoint)
