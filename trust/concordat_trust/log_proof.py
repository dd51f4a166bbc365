"""The Merkle tree of a disclosure log: hashes, inclusion proofs and consistency proofs (RFC 6962 §2.1, RFC 9162 §2.1).

Rules of this file:

* Pure, and over *leaf hashes*: who keeps the entries computes SHA-256(0x00 ‖ …), this file never sees an entry.
* A proof is built from the hashes of perfect subtrees alone, which never change once they are complete. A subtree is
  named by its last leaf and its level (2**level leaves), so a log needs one look-up per hash of a proof.
* A verifier follows RFC 9162 §2.1.3.2 and §2.1.4.2 to the letter: every step that those say "fail" at fails here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from concordat_trust.errors import RefusedDocument

TREE_SIZE_MAX = 2**53 - 1
PATH_MAX = 2 * 53
"""No proof over a tree of at most TREE_SIZE_MAX leaves has more hashes."""
EMPTY_ROOT = hashlib.sha256(b"").digest()


class InclusionProofInvalid(RefusedDocument):
    code = "inclusion_proof_invalid"
    sentence = "The proof does not show that entry {index} is in the log of {size} entries."
    hint = "The entry, the proof or the checkpoint was changed, or the log was; compare with another copy of the proof."


class ConsistencyProofInvalid(RefusedDocument):
    code = "consistency_proof_invalid"
    sentence = "The log of {size} entries is not shown to continue the log of {old_size} entries."
    hint = "Entries that were in the log were changed or removed, or the proof was; ask its organization to explain."


@dataclass(frozen=True, slots=True, order=True)
class Subtree:
    """The perfect subtree of 2**level leaves that ends with the leaf `last` (from 0)."""

    last: int
    level: int

    @property
    def number(self) -> int:
        """Its root's number when all nodes are counted from left to right; a leaf has twice its index."""
        return 2 * self.last + 1 - (1 << self.level)


SubtreeHash = Callable[[Subtree], bytes]


@dataclass(frozen=True, slots=True)
class Grown:
    """What one more leaf makes of a tree: subtrees it completes, the new root, and the leaf's inclusion path."""

    completed: tuple[tuple[Subtree, bytes], ...]
    root: bytes
    path: tuple[bytes, ...]


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return SHA-256(0x01 ‖ left ‖ right) (RFC 6962 §2.1)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def frontier(size: int) -> tuple[Subtree, ...]:
    """Return the perfect subtrees that a tree of `size` leaves consists of, from the left: the largest first."""
    return _perfect(0, size)


def root_of(hashes: Sequence[bytes]) -> bytes:
    """Return the root over the hashes of a frontier, from the left."""
    if not hashes:
        return EMPTY_ROOT
    root = hashes[-1]
    for left in reversed(hashes[:-1]):
        root = node_hash(left, root)
    return root


def grow(hashes: Sequence[bytes], size: int, leaf: bytes) -> Grown:
    """Return what the leaf number `size` makes of a tree of `size` leaves, whose frontier has these hashes."""
    if len(hashes) != size.bit_count():
        raise RuntimeError("a frontier has one hash per bit of the tree's size")
    completed: list[tuple[Subtree, bytes]] = []
    standing, top, level = list(hashes), leaf, 0
    while size >> level & 1:
        top = node_hash(standing.pop(), top)
        level += 1
        completed.append((Subtree(size, level), top))
    return Grown(tuple(completed), root_of([*standing, top]), tuple(reversed(hashes)))


def inclusion_path(index: int, size: int, subtree_hash: SubtreeHash) -> tuple[bytes, ...]:
    """Return PATH(index, D[size]) of RFC 6962 §2.1.1, the sibling of the leaf first."""
    if not 0 <= index < size:
        raise RuntimeError("only a leaf of the tree has an inclusion path")
    path: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append(_range_root(middle, end, subtree_hash))
            end = middle
        else:
            path.append(_range_root(start, middle, subtree_hash))
            start = middle
    return tuple(reversed(path))


def consistency_path(old_size: int, size: int, subtree_hash: SubtreeHash) -> tuple[bytes, ...]:
    """Return PROOF(old_size, D[size]) of RFC 6962 §2.1.2; empty for equal sizes, and for an empty old tree."""
    if not 0 <= old_size <= size:
        raise RuntimeError("only a tree that is not larger can be continued")
    path: list[bytes] = []
    if not old_size:
        return ()
    start, end = 0, size
    while end != old_size:
        middle = start + _split(end - start)
        if old_size <= middle:
            path.append(_range_root(middle, end, subtree_hash))
            end = middle
        else:
            path.append(_range_root(start, middle, subtree_hash))
            start = middle
    if start:
        path.append(_range_root(start, end, subtree_hash))
    return tuple(reversed(path))


def verify_inclusion(leaf: bytes, *, index: int, size: int, path: Sequence[bytes], root: bytes) -> None:
    """Return when the leaf is entry `index` of the tree (RFC 9162 §2.1.3.2). Raises: InclusionProofInvalid."""
    refused = InclusionProofInvalid(index=index, size=size)
    if not 0 <= index < size:
        raise refused
    number, last, found = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            raise refused
        if number & 1 or number == last:
            found = node_hash(sibling, found)
            while not number & 1 and number:
                number, last = number >> 1, last >> 1
        else:
            found = node_hash(found, sibling)
        number, last = number >> 1, last >> 1
    if last != 0 or found != root:
        raise refused


def verify_consistency(*, old_size: int, old_root: bytes, size: int, root: bytes, path: Sequence[bytes]) -> None:
    """Return when the larger tree continues the smaller one (RFC 9162 §2.1.4.2); every tree continues the empty one.

    Raises: ConsistencyProofInvalid.
    """
    refused = ConsistencyProofInvalid(old_size=old_size, size=size)
    if not 0 <= old_size <= size:
        raise refused
    if old_size in (0, size):
        if path or old_root != (root if old_size else EMPTY_ROOT):
            raise refused
        return
    # A smaller tree that is perfect is its own first subtree, and is not repeated in the proof.
    hashes = [old_root, *path] if old_size & (old_size - 1) == 0 else list(path)
    if not path:
        raise refused
    number, last = old_size - 1, size - 1
    while number & 1:
        number, last = number >> 1, last >> 1
    old_found = found = hashes[0]
    for sibling in hashes[1:]:
        if last == 0:
            raise refused
        if number & 1 or number == last:
            old_found, found = node_hash(sibling, old_found), node_hash(sibling, found)
            while not number & 1 and number:
                number, last = number >> 1, last >> 1
        else:
            found = node_hash(found, sibling)
        number, last = number >> 1, last >> 1
    if last != 0 or (old_found, found) != (old_root, root):
        raise refused


def _split(count: int) -> int:
    """Return the largest power of two smaller than `count` (RFC 6962 §2.1, k)."""
    return 1 << (count - 1).bit_length() - 1


def _perfect(start: int, end: int) -> tuple[Subtree, ...]:
    # `start` is a multiple of the largest power of two in the range, so the bits of its length are its subtrees.
    places: list[Subtree] = []
    for level in reversed(range((end - start).bit_length())):
        if end - start >> level & 1:
            width = 1 << level
            start += width
            places.append(Subtree(start - 1, level))
    return tuple(places)


def _range_root(start: int, end: int, subtree_hash: SubtreeHash) -> bytes:
    return root_of([subtree_hash(place) for place in _perfect(start, end)])
