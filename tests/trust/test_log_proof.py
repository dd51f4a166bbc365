"""The Merkle tree of a log: known roots, every proof against a naive reading of the RFC, and every changed bit."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from concordat_trust.log_proof import (
    EMPTY_ROOT,
    ConsistencyProofInvalid,
    InclusionProofInvalid,
    Subtree,
    consistency_path,
    frontier,
    grow,
    inclusion_path,
    root_of,
    verify_consistency,
    verify_inclusion,
)
from tests.factories.merkle import naive_path, naive_root, naive_subproof

# The eight entries and roots that Certificate Transparency implementations test with (RFC 6962 §2.1 hashes).
ENTRIES = (
    "",
    "00",
    "10",
    "2021",
    "3031",
    "40414243",
    "5051525354555657",
    "606162636465666768696a6b6c6d6e6f",
)
ROOTS = (
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)
SIZE_MAX = 70


def leaf(data: bytes) -> bytes:
    return hashlib.sha256(b"\x00" + data).digest()


LEAVES = tuple(leaf(bytes.fromhex(entry)) for entry in ENTRIES)
MANY = tuple(leaf(bytes([number])) for number in range(SIZE_MAX))


def grown(leaves: Sequence[bytes]) -> Callable[[Subtree], bytes]:
    """Grow a tree leaf by leaf as the ledger does, and return its stored hashes."""
    stored: dict[Subtree, bytes] = {}
    for size, one in enumerate(leaves):
        step = grow([stored[place] for place in frontier(size)], size, one)
        assert step.root == naive_root(leaves[: size + 1])
        assert step.path == naive_path(size, leaves[: size + 1])
        stored[Subtree(size, 0)] = one
        stored.update(step.completed)
    assert len({place.number for place in stored}) == len(stored) == 2 * len(leaves) - len(leaves).bit_count()
    return lambda place: stored[place]


STORED = grown(MANY)


@pytest.mark.parametrize("size", range(1, 9))
def test_the_known_trees_have_their_known_roots(size: int) -> None:
    assert naive_root(LEAVES[:size]).hex() == ROOTS[size - 1]
    assert (
        grow([grown(LEAVES)(place) for place in frontier(size - 1)], size - 1, LEAVES[size - 1]).root.hex()
        == (ROOTS[size - 1])
    )


def test_the_empty_tree_has_the_hash_of_nothing() -> None:
    assert root_of([]) == EMPTY_ROOT == naive_root(())
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_every_inclusion_proof_is_the_naive_one_and_holds() -> None:
    for size in range(1, SIZE_MAX + 1):
        root = naive_root(MANY[:size])
        for index in range(size):
            path = inclusion_path(index, size, STORED)
            assert path == naive_path(index, MANY[:size])
            verify_inclusion(MANY[index], index=index, size=size, path=path, root=root)


def test_every_consistency_proof_is_the_naive_one_and_holds() -> None:
    for size in range(1, SIZE_MAX + 1):
        root = naive_root(MANY[:size])
        for old in range(size + 1):
            path = consistency_path(old, size, STORED)
            assert path == (naive_subproof(old, MANY[:size], True) if old else ())
            verify_consistency(old_size=old, old_root=naive_root(MANY[:old]), size=size, root=root, path=path)


@st.composite
def placed(draw: st.DrawFn) -> tuple[int, int]:
    size = draw(st.integers(1, SIZE_MAX))
    return draw(st.integers(0, size - 1)), size


def flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


@given(placed(), st.integers(0, 10**6))
def test_one_changed_bit_of_leaf_root_or_path_refuses_inclusion(where: tuple[int, int], at: int) -> None:
    index, size = where
    parts = [MANY[index], naive_root(MANY[:size]), *inclusion_path(index, size, STORED)]
    part, bit = at // 256 % len(parts), at % 256
    parts[part] = flipped(parts[part], bit)
    with pytest.raises(InclusionProofInvalid):
        verify_inclusion(parts[0], index=index, size=size, path=parts[2:], root=parts[1])


@given(placed(), st.integers(0, 10**6))
def test_one_changed_bit_of_a_root_or_path_refuses_consistency(where: tuple[int, int], at: int) -> None:
    old, size = where[0] + 1, where[1]
    parts = [naive_root(MANY[:old]), naive_root(MANY[:size]), *consistency_path(old, size, STORED)]
    part, bit = at // 256 % len(parts), at % 256
    parts[part] = flipped(parts[part], bit)
    with pytest.raises(ConsistencyProofInvalid):
        verify_consistency(old_size=old, old_root=parts[0], size=size, root=parts[1], path=parts[2:])


@given(placed(), placed())
def test_a_proof_shows_its_own_place_only(where: tuple[int, int], other: tuple[int, int]) -> None:
    index, size = where
    path, root = inclusion_path(index, size, STORED), naive_root(MANY[:size])
    if other[0] != index:
        with pytest.raises(InclusionProofInvalid):
            verify_inclusion(MANY[index], index=other[0], size=size, path=path, root=root)
    if path:
        with pytest.raises(InclusionProofInvalid):
            verify_inclusion(MANY[index], index=index, size=size, path=path[:-1], root=root)
    with pytest.raises(InclusionProofInvalid):
        verify_inclusion(MANY[index], index=index, size=size, path=(*path, path[-1] if path else root), root=root)


@given(placed())
def test_a_rewritten_tail_is_no_continuation(where: tuple[int, int]) -> None:
    old, size = where[0] + 1, where[1]
    other = [*MANY[: old - 1], leaf(b"rewritten"), *MANY[old:size]]
    with pytest.raises(ConsistencyProofInvalid):
        verify_consistency(
            old_size=old,
            old_root=naive_root(MANY[:old]),
            size=size,
            root=naive_root(other),
            path=consistency_path(old, size, grown(other)),
        )


@given(st.binary(max_size=32 * 8), st.integers(0, 10**18), st.integers(0, 10**18))
def test_what_is_no_proof_is_refused_and_never_crashes(noise: bytes, one: int, other: int) -> None:
    path = [noise[at : at + 32] for at in range(0, len(noise), 32)]
    with pytest.raises(InclusionProofInvalid):
        verify_inclusion(MANY[0], index=one, size=other, path=path, root=bytes(32))
    with pytest.raises(ConsistencyProofInvalid):
        verify_consistency(old_size=one, old_root=bytes(32), size=other, root=leaf(b""), path=path)


@pytest.mark.parametrize("index", [-1, 3, 4])
def test_a_leaf_outside_the_tree_is_not_included(index: int) -> None:
    with pytest.raises(InclusionProofInvalid):
        verify_inclusion(MANY[0], index=index, size=3, path=(), root=MANY[0])
    with pytest.raises(RuntimeError):
        inclusion_path(index, 3, STORED)


def test_a_smaller_log_does_not_continue_a_larger_one() -> None:
    with pytest.raises(ConsistencyProofInvalid):
        verify_consistency(old_size=4, old_root=bytes(32), size=3, root=bytes(32), path=())
    with pytest.raises(RuntimeError):
        consistency_path(4, 3, STORED)


def test_every_log_continues_the_empty_one_and_no_other_root_of_size_0() -> None:
    verify_consistency(old_size=0, old_root=EMPTY_ROOT, size=3, root=bytes(32), path=())
    with pytest.raises(ConsistencyProofInvalid):
        verify_consistency(old_size=0, old_root=bytes(32), size=3, root=bytes(32), path=())


def test_a_frontier_of_another_size_is_a_bug() -> None:
    with pytest.raises(RuntimeError):
        grow([], 1, MANY[0])
