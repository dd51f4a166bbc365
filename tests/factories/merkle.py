"""The tree of RFC 6962 §2.1 read word by word, over all leaves each time: the oracle of the real one."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence


def naive_root(leaves: Sequence[bytes]) -> bytes:
    """MTH of RFC 6962 §2.1, word by word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = naive_split(len(leaves))
    return hashlib.sha256(b"\x01" + naive_root(leaves[:k]) + naive_root(leaves[k:])).digest()


def naive_split(n: int) -> int:
    k = 1
    while 2 * k < n:
        k *= 2
    return k


def naive_path(m: int, leaves: Sequence[bytes]) -> tuple[bytes, ...]:
    """PATH of RFC 6962 §2.1.1."""
    if len(leaves) == 1:
        return ()
    k = naive_split(len(leaves))
    if m < k:
        return (*naive_path(m, leaves[:k]), naive_root(leaves[k:]))
    return (*naive_path(m - k, leaves[k:]), naive_root(leaves[:k]))


def naive_subproof(m: int, leaves: Sequence[bytes], is_known: bool) -> tuple[bytes, ...]:
    """SUBPROOF of RFC 6962 §2.1.2."""
    if m == len(leaves):
        return () if is_known else (naive_root(leaves),)
    k = naive_split(len(leaves))
    if m <= k:
        return (*naive_subproof(m, leaves[:k], is_known), naive_root(leaves[k:]))
    return (*naive_subproof(m - k, leaves[k:], False), naive_root(leaves[:k]))
